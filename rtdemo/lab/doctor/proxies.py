"""Recognise the proxies before a server, by what they write into requests and responses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Sign(NamedTuple):
    """A header that shows a proxy.

    Arguments:
        where: `response`, `request` (as the server received it) or `both`.
        header: beginning of the header's name, in lower case.
        value: text in its value, in lower case; empty for any.
        proxy: name of the proxy.
    """

    where: str
    header: str
    value: str
    proxy: str


SIGNS = (
    Sign("both", "cf-ray", "", "Cloudflare"),
    Sign("response", "server", "cloudflare", "Cloudflare"),
    Sign("both", "via", "cloudfront", "CloudFront"),
    Sign("both", "x-amz-cf-id", "", "CloudFront"),
    Sign("request", "x-amzn-trace-id", "", "AWS load balancer"),
    Sign("response", "server", "awselb", "AWS load balancer"),
    Sign("both", "via", "google", "Google load balancer"),
    Sign("both", "via", "vegur", "Heroku"),
    Sign("both", "via", "heroku", "Heroku"),
    Sign("response", "server", "heroku", "Heroku"),
    Sign("both", "fly-request-id", "", "Fly.io"),
    Sign("response", "server", "caddy", "Caddy"),
    Sign("both", "via", "caddy", "Caddy"),
    Sign("response", "server", "envoy", "Envoy"),
    Sign("both", "x-envoy-", "", "Envoy"),
    Sign("both", "x-varnish", "", "Varnish"),
    Sign("both", "via", "varnish", "Varnish"),
    Sign("response", "server", "apache", "Apache"),
    Sign("request", "x-forwarded-server", "", "Apache"),
    Sign("response", "server", "h2o", "h2o"),
    Sign("both", "via", "nghttpx", "nghttpx"),
    Sign("response", "server", "nghttpx", "nghttpx"),
    Sign("response", "server", "lighttpd", "lighttpd"),
    Sign("response", "server", "squid", "squid"),
    Sign("both", "via", "squid", "squid"),
    Sign("response", "x-squid-error", "", "squid"),
    Sign("response", "server", "nginx", "nginx"),
    Sign("response", "server", "openresty", "nginx"),
    Sign("response", "server", "angie", "nginx"),
)
"""All signs. A header that a proxy removes from what it forwards is none of a further one."""
_OWN_HEADERS = frozenset(("content-security-policy", "x-content-type-options"))
"""Headers of each answer of rtdemo, in lower case."""
_LOWER_CASE = frozenset(("Cloudflare", "CloudFront", "Envoy", "Fly.io", "h2o", "nghttpx", "squid"))
"""Other proxies that may change names of headers to lower case."""
_TRAEFIK = frozenset(("x-forwarded-server", "x-forwarded-port", "x-real-ip"))
"""Headers that Traefik adds to each request; Apache adds only the first."""


def recognise(
    response: Sequence[tuple[str, str]], received: Mapping[str, str], is_http1: bool = True
) -> list[str]:
    """Return the names of the proxies that are seen, without an order; empty if none is.

    Arguments:
        response: names and values of the response's headers, in the case in which they were written.
        received: headers of the request as the server received them.
        is_http1: whether the response came over HTTP/1.1, where names may have capital letters.
    """
    headers = {"response": response, "request": list(received.items())}
    found = dict.fromkeys(
        sign.proxy
        for sign in SIGNS
        for where in (("response", "request") if sign.where == "both" else (sign.where,))
        for name, value in headers[where]
        if name.lower().startswith(sign.header) and sign.value in value.lower()
    )
    if "Apache" in found and {name.lower() for name in received} >= _TRAEFIK:
        is_apache = any(n.lower() == "server" and "apache" in v.lower() for n, v in response)
        found = {**({} if is_apache else {"Traefik": None}), **found}
        if not is_apache:
            del found["Apache"]
    return [*found, *_haproxy(response if is_http1 else (), received, found)]


def _haproxy(
    response: Sequence[tuple[str, str]], received: Mapping[str, str], found: Iterable[str]
) -> list[str]:
    """Return HAProxy if names of headers were changed to lower case on the way.

    HAProxy writes so, and adds no header of its own. Others that write so show themselves otherwise.
    """
    if _LOWER_CASE & set(found):
        return []
    own = {name for name, _ in response if name.lower() in _OWN_HEADERS}
    is_lower_case = own == _OWN_HEADERS or "host" in received
    return ["HAProxy"] if is_lower_case else []
