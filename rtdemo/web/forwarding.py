"""Headers of proxies: which ones report a proxy, and which ones no client sends by itself.

The first decides only what is shown. The second decides about rights, so it fails closed: a list of
proxies' headers would always be behind, since every cloud's load balancer has its own.
"""

from __future__ import annotations

from functools import lru_cache

from aiohttp import web

MAX_REPORTED, MAX_NAME_LENGTH = 8, 40
"""Names that are reported, and characters of a name: a request may have thousands of either."""
_PROXIES = (
    # RFC 7239, RFC 9110 sections 7.6.2 and 7.6.3, RFC 8586.
    *("forwarded", "via", "max-forwards", "cdn-loop"),
    *("x-forward", "x-real-", "x-client-", "x-cluster-", "x-original-", "x-request-", "x-envoy-"),
    *("x-amz", "x-azure-", "x-appengine-", "x-cloud-", "x-varnish", "x-unique-id", "true-client-"),
    *("cf-", "cloudfront-", "fly-", "fastly-", "akamai-", "tailscale-", "front-end-https"),
)
"""How the names of headers begin by which proxies report themselves."""
_CLIENTS = (
    # RFC 9110, 9111, 9112; "sec-" are browsers' own, which pages cannot set (Fetch section 2.2.2).
    *(
        "accept",
        "accept-",
        "authorization",
        "cache-control",
        "connection",
        "content-",
        "cookie",
        "date",
        "expect",
    ),
    *("from", "host", "if-", "keep-alive", "origin", "pragma", "priority", "range", "referer", "sec-"),
    *("te", "trailer", "transfer-encoding", "upgrade", "upgrade-", "user-agent"),
    # Browsers' hints, pages' libraries, tracing in programs, and what this server itself reads.
    *("alt-used", "dnt", "save-data", "x-requested-with", "traceparent", "tracestate", "baggage"),
    *("idempotency-key", "last-event-id"),
)
"""Names of headers that clients send; those that end in a hyphen are the beginnings of names."""
_CLIENT_NAMES = frozenset(_CLIENTS)
_CLIENT_PREFIXES = tuple(name for name in _CLIENTS if name.endswith("-"))


def forwarding_headers(request: web.BaseRequest) -> list[str]:
    """Return the names of the headers by which proxies report themselves: the first few, cut short."""
    names = [short for name in request.headers if _reports_proxy(short := name[:MAX_NAME_LENGTH])]
    return list(dict.fromkeys(names))[:MAX_REPORTED] if names else names


@lru_cache(1024)
def _reports_proxy(name: str) -> bool:
    """Return whether proxies report themselves by a header.

    Arguments:
        name: of the header, cut short: it fits the cache, and no beginning is longer.
    """
    return name.lower().startswith(_PROXIES)


def unusual_header(request: web.BaseRequest) -> str:
    """Return the name of a header that no client sends by itself, so that a proxy may have added it.

    A program that sends a header of its own is taken for a proxy, which is the safe mistake.

    Returns:
        The first such name, cut short; empty where there is none.
    """
    for name in request.headers:
        plain = name.lower()
        if plain not in _CLIENT_NAMES and not plain.startswith(_CLIENT_PREFIXES):
            return name[:MAX_NAME_LENGTH]
    return ""
