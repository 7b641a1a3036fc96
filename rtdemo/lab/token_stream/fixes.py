"""Which proxies an answer shows, and how to change each so that tokens pass.

Text between backticks is a directive to copy into the proxy's configuration, except after "remove".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rtdemo.lab.doctor.proxies import SIGNS, Sign
from rtdemo.lab.http2_exchange import Head

MORE_SIGNS = (
    Sign("response", "x-served-by", "cache-", "Fastly"),
    Sign("response", "x-azure-ref", "", "Azure Front Door"),
    Sign("response", "x-kong-", "", "Kong"),
    Sign("response", "via", "kong", "Kong"),
    Sign("response", "x-litellm-", "", "LiteLLM"),
    Sign("response", "server", "litespeed", "LiteSpeed"),
    Sign("response", "server", "tengine", "nginx"),
)
"""Signs of proxies that are used before LLM servers, besides those of the doctor."""
MAX_SIGN_CHARS = 80
EXAMPLE_PROXIES = ("nginx", "HAProxy")
"""Proxies for which a fix is printed where none was recognised."""

FIXES: Mapping[str, Mapping[str, str]] = {
    "buffering": {
        "": "configure the proxy to forward this answer as it arrives, without buffering",
        "nginx": "`proxy_buffering off;` or let the server send the header X-Accel-Buffering: no",
        "HAProxy": "remove `http-response wait-for-body`, set `option http-no-delay`",
        "Caddy": "remove `response_buffers` (`buffer_responses` before 2.7), set `flush_interval -1`",
        "Envoy": "remove the filter that waits for the answer: `envoy.filters.http.file_system_buffer`,"
        " `envoy.filters.http.lua` that calls body(), or ext_proc with response_body_mode BUFFERED",
        "Apache": "add flushpackets=on to `ProxyPass`",
        "Varnish": "`set beresp.do_stream = true;`",
        "Cloudflare": "exclude this path from rules that read the answer, such as transformations",
    },
    "compression": {
        "": "do not compress this answer: compression holds tokens until it has enough of them",
        "nginx": "`gzip off;` or `proxy_buffering off;`, which flushes each token through gzip too",
        "HAProxy": "remove `compression type`, or its text/event-stream",
        "Caddy": "remove `encode` for this path",
        "Envoy": "remove text/event-stream from content_type of `envoy.filters.http.compressor`",
        "Apache": "exclude this path from `AddOutputFilterByType DEFLATE`",
        "Cloudflare": "add a compression rule that excludes this path",
    },
    "no-delay": {
        "": "set TCP_NODELAY (no-delay) in the proxy: it waits for acknowledgements",
        "nginx": "`tcp_nodelay on;`",
        "HAProxy": "`option http-no-delay`",
    },
    "timer": {
        "": "configure the proxy to flush after each read, not at an interval",
        "nginx": "`proxy_buffering off;`",
        "Caddy": "`flush_interval -1`",
    },
    "silence": {
        "": "raise the proxy's limit for silence above %(limit)d s,"
        " or let the server send a comment such as `: wait` meanwhile",
        "nginx": "`proxy_read_timeout %(limit)ds;`",
        "HAProxy": "`timeout server %(limit)ds`",
        "Caddy": "raise `read_timeout` of the transport above %(limit)d s",
        "Envoy": "raise stream_idle_timeout and the route's idle_timeout above %(limit)d s",
        "Apache": "`ProxyTimeout %(limit)d`",
        "Heroku": "let the server send a byte at least every 50 s; the limit is fixed",
        "AWS load balancer": "raise idle_timeout.timeout_seconds above %(limit)d",
    },
    "age": {
        "": "raise the proxy's limit for a whole answer above %(limit)d s",
        "Envoy": "set `timeout: 0s` in the route, which is no limit",
        "Caddy": "raise or remove `write_timeout` and `stream_timeout`",
        "HAProxy": "raise or remove `timeout tunnel` and `hard-stop-after`",
        "nginx": "look for `worker_shutdown_timeout` and reloads; nginx limits no whole answer",
        "Google load balancer": "raise the backend service's timeout above %(limit)d s",
    },
    "body": {
        "": "raise the proxy's limit for a request's body above %(size)d bytes",
        "nginx": "`client_max_body_size %(megabytes)dm;`",
        "Caddy": "raise max_size of `request_body`",
        "Apache": "`LimitRequestBody %(size)d`",
        "Envoy": "raise max_request_bytes of the buffer filter, and per_connection_buffer_limit_bytes",
    },
    "backend": {
        "": "check that the proxy's address for the server is right, and that the server runs",
    },
    "rate": {
        "": "raise the limit of requests, or wait as long as Retry-After asks",
        "nginx": "raise `limit_req` and `limit_conn`",
    },
}
"""By cause and proxy; the entry under the empty name is the general rule."""


def recognise(answers: Iterable[Head], direct: Iterable[Head]) -> dict[str, str]:
    """Return the proxies on the way, each with the header that shows it; the outermost first.

    Arguments:
        answers: heads of answers of the URL.
        direct: heads of answers without the proxy: what these have too is of the server.
    """
    of_server = {(name.lower(), value.lower()) for head in direct for name, value in head.headers}
    names = {name for name, _ in of_server}
    headers = [
        (name.lower(), value)
        for head in answers
        for name, value in head.headers
        if (name.lower(), value.lower()) not in of_server
    ]
    found: dict[str, str] = {}
    for sign in (*SIGNS, *MORE_SIGNS):
        for name, value in headers:
            # A sign without a text is the header itself.
            is_new = sign.value or name not in names
            is_there = name.startswith(sign.header) and sign.value in value.lower()
            if sign.where != "request" and is_there and is_new:
                found.setdefault(sign.proxy, f"{name}: {value}"[:MAX_SIGN_CHARS])
    return found


def changes_case(answers: Iterable[Head], direct: Iterable[Head]) -> bool:
    """Return whether names of headers arrive in lower case that the server writes in another one.

    HAProxy and Envoy do this over HTTP/1.1. HAProxy writes no header of its own.
    """
    written = {name.lower(): name for head in direct for name, _ in head.headers}
    return any(
        name == name.lower() and written.get(name, name) != name
        for head in answers
        for name, _ in head.headers
    )


def fix(cause: str, proxies: Iterable[str], **figures: float) -> list[str]:
    """Return how to remove a cause: a line for each proxy.

    Arguments:
        cause: a key of `FIXES`.
        proxies: that were recognised. Without one, the lines are the general rule and examples.
        figures: values for the placeholders of the lines.
    """
    by_proxy = FIXES[cause]
    names = [proxy for proxy in proxies if proxy in by_proxy]
    if not names:
        names = ["", *([] if list(proxies) else [n for n in EXAMPLE_PROXIES if n in by_proxy])]
    return [(f"{name}: " if name else "") + by_proxy[name] % figures for name in names]
