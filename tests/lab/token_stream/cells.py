"""The set-ups: each proxy with each fault, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.lab.token_stream.proxies import Hop

TOKENS = {"tokens": 160, "every_ms": 10, "first_ms": 100, "token_bytes": 250}
"""What the stub sends: 40 KB in 1.6 s, so that a buffer of 16 KiB fills twice."""
BATCHES = TOKENS | {"batch": 5}
"""The same, five tokens at once."""


@dataclass(frozen=True)
class Cell:
    """A set-up.

    Arguments:
        proxy: name of the row.
        fault: name of the column.
        hops: from the outside to the inside.
        stub: what the server is asked for.
        prompt_bytes: size of the request's body beside that.
        code: of the finding that is expected; empty where the independent client decides.
    """

    proxy: str
    fault: str
    hops: tuple[Hop, ...]
    stub: Mapping[str, object]
    prompt_bytes: int = 0
    code: str = ""


_GZIP = ("gzip on;", "gzip_types text/event-stream;", "gzip_min_length 0;")
_HTTP11 = "proxy_http_version 1.1;"
_NO_DELAY = "option http-no-delay"
_CADDY_GZIP = "encode {\n gzip\n minimum_length 1\n}"
"""Without the last line, it depends on the size of its first read whether it compresses."""
_COMPRESSION = ("compression algo gzip", "compression type text/event-stream")

_SETUPS: Mapping[str, Mapping[str, tuple[Hop, ...]]] = {
    "nginx": {
        "buffer": (Hop("nginx"),),
        "gzip": (Hop("nginx", (_HTTP11, *_GZIP)),),
        "none": (Hop("nginx", (_HTTP11, "proxy_buffering off;")),),
    },
    "nginx TLS": {
        "buffer": (Hop("nginx TLS", (_HTTP11,)),),
        "gzip": (Hop("nginx TLS", (_HTTP11, *_GZIP)),),
        "none": (Hop("nginx TLS", (_HTTP11, "proxy_buffering off;")),),
    },
    "HAProxy": {
        "buffer": (Hop("HAProxy", (_NO_DELAY, "http-response wait-for-body time 60s")),),
        "gzip": (Hop("HAProxy", _COMPRESSION),),
        "none": (Hop("HAProxy", (_NO_DELAY,)),),
        "default": (Hop("HAProxy"),),
    },
    "Caddy": {
        "buffer": (Hop("Caddy", ("buffer_responses",)),),
        "gzip": (Hop("Caddy", (), (_CADDY_GZIP,)),),
        "none": (Hop("Caddy"),),
    },
    "Envoy": {
        "buffer": (Hop("Envoy", ("envoy.filters.http.lua",)),),
        "gzip": (Hop("Envoy", ("envoy.filters.http.compressor",)),),
        "none": (Hop("Envoy"),),
    },
    "nginx TLS + HAProxy": {
        "buffer": (
            Hop("nginx TLS", (_HTTP11, "proxy_buffering off;")),
            Hop("HAProxy", (_NO_DELAY, "http-response wait-for-body time 60s")),
        ),
        "gzip": (Hop("nginx TLS", (_HTTP11, *_GZIP)), Hop("HAProxy", (_NO_DELAY,))),
        "none": (Hop("nginx TLS", (_HTTP11, "proxy_buffering off;")), Hop("HAProxy", (_NO_DELAY,))),
    },
}
"""By proxy and fault."""


_SHORT = {"tokens": 40, "every_ms": 10, "first_ms": 100}
_PAUSE = _SHORT | {"pause_after": 20, "pause_ms": 1500}
"""Longer than the limits of time below."""
_LIMITS = (
    Cell(
        "nginx",
        "body",
        (Hop("nginx", ("proxy_buffering off;", "client_max_body_size 1k;")),),
        _SHORT,
        2000,
        "body-too-large",
    ),
    Cell(
        "nginx",
        "silence",
        (Hop("nginx", ("proxy_buffering off;", "proxy_read_timeout 1s;")),),
        _PAUSE,
        code="cut-at-limit",
    ),
    Cell(
        "nginx",
        "first byte",
        (Hop("nginx", ("proxy_buffering off;", "proxy_read_timeout 1s;")),),
        _SHORT | {"first_ms": 1500, "waits": True},
        code="gateway-timeout",
    ),
    Cell(
        "HAProxy",
        "silence",
        (Hop("HAProxy", (_NO_DELAY, "timeout server 1s")),),
        _PAUSE,
        code="cut-at-limit",
    ),
    Cell("Envoy", "age", (Hop("Envoy", (), ("1s",)),), TOKENS, code="cut-at-limit"),
)
"""Limits of time and size. The fix raises them."""


def _cells() -> list[Cell]:
    found = list(_LIMITS)
    for proxy, faults in _SETUPS.items():
        found += [Cell(proxy, fault, hops, TOKENS) for fault, hops in faults.items()]
        found.append(Cell(proxy, "server batches", faults["none"], BATCHES))
    return found


CELLS = {f"{cell.proxy}, {cell.fault}": cell for cell in _cells()}
"""All set-ups, by name."""
