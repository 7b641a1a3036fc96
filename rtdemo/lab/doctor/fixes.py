"""Fixes for each symptom, worded for the proxy that was detected.

Text between backticks is a directive to copy into the proxy's configuration. Two limits cannot be
changed, so their fix is in rtdemo: Heroku's router closes a connection after 55 s without a byte
(devcenter.heroku.com/articles/http-routing), Cloudflare after 120 s
(developers.cloudflare.com/fundamentals/reference/connection-limits).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PROXY_SIGNS = (
    ("cloudflare", "Cloudflare"),
    ("heroku", "Heroku"),
    ("vegur", "Heroku"),
    ("caddy", "Caddy"),
    ("nginx", "nginx"),
    ("openresty", "nginx"),
)
"""Texts in the headers Server and Via, and the proxy that writes each; the outermost proxy first."""
EXAMPLE_PROXIES = ("nginx", "HAProxy")
"""Proxies for which a fix is printed where none was recognised."""
_SHORTEN_HEARTBEAT = "start rtdemo with --heartbeat %(lower)g"
_FORWARDS_BY_DEFAULT = "forwards it by default: remove what deletes it"

FIXES: Mapping[str, Mapping[str, str]] = {
    "certificate": {
        "": "renew the certificate and reload the server",
        "nginx": "renew the certificate, then run `nginx -s reload`",
        "HAProxy": "renew the certificate, then reload HAProxy",
    },
    "trust": {
        "": "serve the complete chain of a certificate that browsers trust; "
        "for your own certificate authority, set SSL_CERT_FILE to its file",
    },
    "version": {
        "": "configure the proxy to use HTTP/1.1 to rtdemo",
        "nginx": "`proxy_http_version 1.1;`",
    },
    "host": {
        "": "configure the proxy to forward Host unchanged, "
        "or start rtdemo with --allow-origin %(origin)s",
        "nginx": "`proxy_set_header Host $http_host;`",
        "HAProxy": "remove `http-request set-header Host`",
        "Caddy": "`header_up Host {http.request.hostport}`",
        "Cloudflare": "remove the Host override from the origin rule",
    },
    "forwarding": {
        "": "configure the proxy to add X-Forwarded-For; "
        "without it and --production, its clients may count as local users",
        "nginx": "`proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`",
        "HAProxy": "`option forwardfor`",
    },
    "trust in proxies": {
        "": "start rtdemo with --trusted-proxies and the number of proxies, such as 1; "
        "without it all clients share the limits of one address",
    },
    "buffering": {
        "": "configure the proxy to forward text/event-stream without buffering",
        "nginx": "`proxy_buffering off; gzip off;`",
        "HAProxy": "`option http-no-delay`",
        "Caddy": "`flush_interval -1`",
        "Cloudflare": "add a cache rule that bypasses the cache for /api/sse",
    },
    "compression": {
        "": "do not compress text/event-stream: compression can delay events",
        "nginx": "`gzip off;`",
        "HAProxy": "remove text/event-stream from `compression type`",
        "Caddy": "exclude /api/sse from `encode`",
        "Cloudflare": "add a compression rule that excludes /api/sse",
    },
    "upgrade": {
        "": "configure the proxy to set Upgrade and Connection again: they are valid for one hop only",
        "nginx": "`proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        'proxy_set_header Connection "upgrade";`',
        "HAProxy": f"{_FORWARDS_BY_DEFAULT}, such as `http-request del-header Upgrade`",
        "Caddy": f"{_FORWARDS_BY_DEFAULT}, such as `header_up -Upgrade`",
        "Cloudflare": "turn on WebSockets under Network",
    },
    "negotiation": {
        "": "configure the proxy to forward Sec-WebSocket-Protocol",
    },
    "origin": {
        "": "forward the header Origin unchanged, and let no other server answer for rtdemo",
    },
    "idle": {
        "": f"raise the proxy's idle timeouts above %(limit)d s, or {_SHORTEN_HEARTBEAT}",
        "nginx": "`proxy_read_timeout %(limit)ds;`",
        "HAProxy": "`timeout client %(limit)ds` `timeout server %(limit)ds` `timeout tunnel 1h`",
        "Caddy": f"raise `read_timeout` and `stream_timeout`, or {_SHORTEN_HEARTBEAT}",
        "Heroku": _SHORTEN_HEARTBEAT,
        "Cloudflare": _SHORTEN_HEARTBEAT,
    },
    "life": {
        "": "find what closes connections by their age or at a reload; clients reconnect and resume",
        "nginx": "remove or raise `worker_shutdown_timeout`; check whether nginx is reloaded often",
        "HAProxy": "remove or raise `hard-stop-after`; check whether HAProxy is reloaded often",
        "Caddy": "remove `stream_timeout`; check whether Caddy is reloaded often",
    },
    "resume": {
        "": "configure the proxy to forward the header Last-Event-ID and the query",
        "nginx": "remove `proxy_set_header Last-Event-ID` and `proxy_pass_request_headers off`",
        "HAProxy": "remove `http-request del-header Last-Event-ID`",
    },
    "log": {
        "": "let all servers at this address share one log: rtdemo serve --engine redis://HOST",
    },
    "large": {
        "": "find what limits the size of messages; rtdemo accepts 64 KiB",
    },
    "streams": {
        "": "raise the proxy's connection limit",
        "nginx": "raise or remove `limit_conn`; raise `worker_connections`",
        "HAProxy": "raise `maxconn`",
    },
    "http2": {
        "": "offer HTTP/2: a browser then sends all its streams over one connection",
        "nginx": "`http2 on;` (before nginx 1.25.1: `listen 443 ssl http2;`)",
        "HAProxy": "`bind :443 ssl crt FILE alpn h2,http/1.1`",
    },
    "clock": {
        "": "synchronize both clocks by NTP; rtdemo corrects its own figures for the difference",
    },
}
"""By symptom and proxy; the entry under the empty name is the general rule."""


def fix(symptom: str, proxy: str, **figures: float | str) -> str:
    """Return one line that describes how to fix a symptom.

    Arguments:
        symptom: a key of `FIXES`.
        proxy: name of the detected proxy. If it is empty, the line has the general rule, with nginx
            and HAProxy as examples.
        figures: values for the line's placeholders.
    """
    by_proxy = FIXES[symptom]
    if proxy and proxy in by_proxy:
        line = f"{proxy}: {by_proxy[proxy]}"
    else:
        examples = (
            []
            if proxy
            else [f"{name}: {by_proxy[name]}" for name in EXAMPLE_PROXIES if name in by_proxy]
        )
        line = "; ".join([by_proxy[""], *examples])
    return line % figures


_OWN_HEADERS = frozenset(("content-security-policy", "x-content-type-options"))
"""Headers of each answer of rtdemo, in lower case."""


def recognise(response_headers: Sequence[tuple[str, str]], received_headers: Mapping[str, str]) -> str:
    """Return the name of the proxy in front of the server; empty if none is recognised.

    Arguments:
        response_headers: names and values in the response, in the case in which they were written.
        received_headers: headers of the request as the server received them.
    """
    headers = [*response_headers, *received_headers.items()]
    if any(name.lower() == "cf-ray" for name, _ in headers):
        return "Cloudflare"
    software = " ".join(value for name, value in headers if name.lower() in ("server", "via")).lower()
    for sign, proxy in PROXY_SIGNS:
        if sign in software:
            return proxy
    # HAProxy adds no header of its own, but writes the names of rtdemo's headers in lower case.
    names = {name for name, _ in response_headers}
    is_lower_case = all(name == name.lower() for name in names)
    return "HAProxy" if is_lower_case and names >= _OWN_HEADERS and not software else ""
