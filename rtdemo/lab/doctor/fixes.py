"""Tell what mends a symptom, for the proxy that was seen.

What stands between backticks is a directive to copy. Limits that nobody can change are those of
Heroku's router (55 s, devcenter.heroku.com/articles/http-routing) and of Cloudflare (120 s between two
bytes, developers.cloudflare.com/fundamentals/reference/connection-limits).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SIGNS = (
    ("cloudflare", "Cloudflare"),
    ("heroku", "Heroku"),
    ("vegur", "Heroku"),
    ("caddy", "Caddy"),
    ("nginx", "nginx"),
    ("openresty", "nginx"),
)
"""What stands in Server or Via, and whose it is; the outermost first."""
_HEARTBEAT = "start rtdemo with --heartbeat %(lower)g"
_OF_ITSELF = "passes it by itself: take out what removes it"

FIXES: Mapping[str, Mapping[str, str]] = {
    "certificate": {
        "": "renew it and let the server load it",
        "nginx": "renew it, then `nginx -s reload`",
        "HAProxy": "renew it, then reload HAProxy",
    },
    "trust": {
        "": "serve the whole chain of a certificate that browsers trust; if your own authority "
        "signed it, name its file in SSL_CERT_FILE",
    },
    "version": {
        "": "let the proxy speak HTTP/1.1 to rtdemo",
        "nginx": "`proxy_http_version 1.1;`",
    },
    "host": {
        "": "let the proxy pass on Host as it came, or start rtdemo with --allow-origin %(origin)s",
        "nginx": "`proxy_set_header Host $http_host;`",
        "HAProxy": "take out `http-request set-header Host`",
        "Caddy": "`header_up Host {http.request.hostport}`",
        "Cloudflare": "take out the Host override of the origin rule",
    },
    "forwarding": {
        "": "let the proxy tell of itself; else its clients may count as this machine's own users",
        "nginx": "`proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`",
        "HAProxy": "`option forwardfor`",
    },
    "buffering": {
        "": "let the proxy pass on each byte of text/event-stream as it comes",
        "nginx": "`proxy_buffering off; gzip off;`",
        "HAProxy": "`option http-no-delay`",
        "Caddy": "`flush_interval -1`",
        "Cloudflare": "set a cache rule that bypasses the cache for /api/sse",
    },
    "compression": {
        "": "do not compress text/event-stream: it may hold events back",
        "nginx": "`gzip off;`",
        "HAProxy": "take text/event-stream out of `compression type`",
        "Caddy": "leave /api/sse out of `encode`",
        "Cloudflare": "set a compression rule that leaves out /api/sse",
    },
    "upgrade": {
        "": "let the proxy pass on Upgrade and Connection, which end at each hop unless set again",
        "nginx": "`proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        'proxy_set_header Connection "upgrade";`',
        "HAProxy": f"{_OF_ITSELF}, such as `http-request del-header Upgrade`",
        "Caddy": f"{_OF_ITSELF}, such as `header_up -Upgrade`",
        "Cloudflare": "switch on Network, WebSockets",
    },
    "negotiation": {
        "": "let the proxy pass on Sec-WebSocket-Protocol",
    },
    "origin": {
        "": "let only rtdemo answer, or pass on the header Origin as it came",
    },
    "idle": {
        "": f"raise the proxy's idle limits over %(limit)d s, or {_HEARTBEAT}",
        "nginx": "`proxy_read_timeout %(limit)ds;`",
        "HAProxy": "`timeout client %(limit)ds` `timeout server %(limit)ds` `timeout tunnel 1h`",
        "Caddy": f"raise `read_timeout` and `stream_timeout`, or {_HEARTBEAT}",
        "Heroku": _HEARTBEAT,
        "Cloudflare": _HEARTBEAT,
    },
    "life": {
        "": "find what ends connections by their age or at a reload; clients come back and resume",
        "nginx": "take out or raise `worker_shutdown_timeout`; does something reload it often?",
        "HAProxy": "take out or raise `hard-stop-after`; does something reload it often?",
        "Caddy": "take out `stream_timeout`; does something reload it often?",
    },
    "resume": {
        "": "let the proxy pass on the header Last-Event-ID and the query",
        "nginx": "take out `proxy_set_header Last-Event-ID` and `proxy_pass_request_headers off`",
        "HAProxy": "take out `http-request del-header Last-Event-ID`",
    },
    "log": {
        "": "let all servers at this address share one log: rtdemo serve --engine redis://HOST",
    },
    "large": {
        "": "find what limits the size of a message; rtdemo itself takes 64 KiB",
    },
    "streams": {
        "": "raise the proxy's limit of connections",
        "nginx": "raise or take out `limit_conn`; raise `worker_connections`",
        "HAProxy": "raise `maxconn`",
    },
    "http2": {
        "": "offer HTTP/2, over which a browser shares one connection among all its streams",
        "nginx": "`http2 on;` (before nginx 1.25.1: `listen 443 ssl http2;`)",
        "HAProxy": "`bind :443 ssl crt FILE alpn h2,http/1.1`",
    },
    "clock": {
        "": "let both machines set their clocks by NTP; rtdemo's own figures allow for the difference",
    },
}


def fix(symptom: str, proxy: str, **figures: float | str) -> str:
    """Return one line on what mends a symptom.

    Arguments:
        symptom: a key of `FIXES`.
        proxy: by name; for an unknown one the rule is told, with nginx and HAProxy as examples.
        figures: what the line's places take.
    """
    known = FIXES[symptom]
    if proxy and proxy in known:
        line = f"{proxy}: {known[proxy]}"
    else:
        examples = (
            [] if proxy else [f"{name}: {known[name]}" for name in ("nginx", "HAProxy") if name in known]
        )
        line = "; ".join([known[""], *examples])
    return line % figures


def recognise(answered: Sequence[tuple[str, str]], arrived: Mapping[str, str]) -> str:
    """Return the name of the proxy that an answer came through; empty where none is recognised.

    Arguments:
        answered: headers of the answer, as they were written.
        arrived: headers of the request, as they arrived at the server.
    """
    headers = [*answered, *arrived.items()]
    if any(name.lower() == "cf-ray" for name, _ in headers):
        return "Cloudflare"
    told = " ".join(value for name, value in headers if name.lower() in ("server", "via")).lower()
    for sign, proxy in SIGNS:
        if sign in told:
            return proxy
    # HAProxy tells nothing of itself, but writes the names of aiohttp's headers in small letters.
    small = all(name == name.lower() for name, _ in answered)
    return "HAProxy" if small and "aiohttp" in told else ""
