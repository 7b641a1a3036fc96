"""Sizes of buffers and limits of time that are known of proxies."""

from __future__ import annotations

from collections.abc import Mapping

KiB = 1024

BUFFERS: Mapping[int, Mapping[str, str]] = {
    2 * KiB: {"Go": "net/http"},
    4 * KiB: {"nginx": "`proxy_buffers`", "Go": "net/http"},
    8 * KiB: {"Apache": "`ProxyIOBufferSize`", "nginx": "`proxy_buffers`"},
    16 * KiB: {"nginx": "`ssl_buffer_size`, with TLS", "HAProxy": "`tune.bufsize`"},
    32 * KiB: {"Go": "httputil.ReverseProxy"},
    64 * KiB: {},
}
"""By size in bytes: which proxies have a buffer of this size by default, and what sets it."""
BUFFER_TOLERANCE = 0.06
"""How much smaller than its buffer a burst may be; or by one event, if that is more."""
BUFFER_EXCESS = 0.03
"""How much larger: framing of HTTP that the buffer does not count."""

CLUMPS_S: Mapping[int, float] = {40: 0.040, 200: 0.200}
"""By name in ms: pauses of a delayed acknowledgement on Linux and on other systems (RFC 9293 section
3.8.6.3). With Nagle's algorithm (section 3.7.4) the sender waits for it before it sends more."""
CLUMP_TOLERANCE = 0.12

TIMES_S: Mapping[float, str] = {
    15: "the default of Envoy's route `timeout`",
    30: "the limit of Heroku for the first byte, and the default of Google Cloud's load balancer",
    55: "the limit of Heroku's router for silence",
    60: "the default of nginx (`proxy_read_timeout`), Apache (`ProxyTimeout`) and AWS load balancers",
    100: "a limit of Cloudflare",
    120: "a limit of Cloudflare",
    230: "the limit of Azure App Service",
    240: "the default of Azure's load balancer",
    300: "the default of Envoy (`stream_idle_timeout`)",
}
"""By seconds: whose limit this is."""
TIME_TOLERANCE_S = 1.0


def known_buffer(wire_bytes: float, body_bytes: float, event_bytes: float) -> int:
    """Return the size of the buffer that bursts fill; 0 if they fill none that is known.

    Arguments:
        wire_bytes: of a burst, with the framing of HTTP.
        body_bytes: without it.
        event_bytes: of one event: a buffer of whole events is less full by up to one.
    """
    for size in BUFFERS:
        smallest = size - max(min(event_bytes, size / 4), BUFFER_TOLERANCE * size)
        if any(smallest <= given <= size * (1 + BUFFER_EXCESS) for given in (wire_bytes, body_bytes)):
            return size
    return 0


def known_clump(gap_s: float, server_gap_s: float) -> int:
    """Return the delay in ms that gaps between bursts have; 0 if it is none that is known.

    Arguments:
        gap_s: between two bursts.
        server_gap_s: between two bursts of the server: what comes meanwhile waits for the next one.
    """
    for name, pause in CLUMPS_S.items():
        tolerance = CLUMP_TOLERANCE * pause
        if pause - tolerance <= gap_s <= pause + tolerance + min(server_gap_s, pause / 2):
            return name
    return 0


def known_time(seconds: float) -> str:
    """Return whose limit a time is; empty if it is none that is known."""
    return next((text for time, text in TIMES_S.items() if abs(seconds - time) < TIME_TOLERANCE_S), "")
