"""What all checks share: the server's address, the HTTP session, and what earlier checks found."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from rtdemo.lab.address import Address
from rtdemo.lab.doctor import fixes
from rtdemo.lab.doctor.streams import StreamMonitor
from rtdemo.lab.request_headers import middlewares
from rtdemo.lab.server_clock import Reading
from rtdemo.protocol.client import Transport

RESPONSE_TIMEOUT_S = 10.0
"""Seconds for a response to begin."""
DEFAULT_HEARTBEAT_S = 25.0
"""Seconds between heartbeats, for a server that does not report its own setting."""
PROBE_PREFIX = "/api/probe/"
"""Path below which rtdemo answers the probes of this command."""


@dataclass
class Context:
    """State of one run: the checks read it, and the first ones fill it in.

    Arguments:
        address: the server to check.
        idle: seconds of silence to test.
        available: what can be tested: `page`, `stream`, `sse`, `websocket`, `rtdemo`, `probes`.
        trusted: whether the TLS certificate is trusted; if not, later checks ignore it.
        alpn: protocol chosen in the TLS handshake, such as `h2`; None without TLS.
        host: the Host header that was sent.
        received: a request as rtdemo received it; empty if the server does not report that.
        http_version: HTTP version of the server's response, such as `1.1`.
        proxy: name of the detected proxy; empty if none was recognised.
        probes_error: why the probes are unavailable; empty if they are available.
        websocket_error: why no WebSocket can be opened; empty if one can.
        clock: offset between the server's clock and the local one; None if unknown.
        monitors: one normal stream of each transport, open for the whole run.

    Attributes:
        http: the session for all requests, without a total timeout; set once the certificate is checked.
    """

    http: aiohttp.ClientSession = field(init=False)
    address: Address
    idle: int
    available: set[str] = field(default_factory=set)
    trusted: bool = True
    alpn: str | None = None
    host: str = ""
    received: Mapping[str, Any] = field(default_factory=dict)
    http_version: str = ""
    proxy: str = ""
    probes_error: str = ""
    websocket_error: str = ""
    clock: Reading | None = None
    monitors: dict[Transport, StreamMonitor] = field(default_factory=dict)

    @property
    def heartbeat(self) -> float:
        """Seconds of silence after which the server sends a heartbeat."""
        return float(self.received.get("heartbeat", DEFAULT_HEARTBEAT_S))

    def has(self, needs: str) -> bool:
        """Return whether everything that a check needs is available.

        Arguments:
            needs: names from `available`, separated by blanks; empty for a check without needs.
        """
        return set(needs.split()) <= self.available

    def open_session(self) -> aiohttp.ClientSession:
        """Open an HTTP session with connections of its own; the caller closes it."""
        verification = ssl.create_default_context() if self.trusted else False
        # Idle connections are kept for 1 s only: a proxy may have dropped an older one silently.
        connector = aiohttp.TCPConnector(limit=0, ssl=verification, keepalive_timeout=1.0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=RESPONSE_TIMEOUT_S)
        # HAProxy assigns a client to a server by a cookie.
        jar = aiohttp.CookieJar(unsafe=True)
        return aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=jar, middlewares=middlewares(self.address)
        )

    def url(self, path: str) -> str:
        """Return the URL of a path of rtdemo, such as `/api/sse`."""
        return self.address.url(path)

    @property
    def echo_url(self) -> str:
        """URL of the WebSocket that echoes every text."""
        return self.url(f"{PROBE_PREFIX}ws").replace("http", "ws", 1)

    def fix(self, symptom: str, **figures: float | str) -> str:
        """Return the fix for a symptom, worded for the detected proxy.

        Arguments:
            symptom: a key of `fixes.FIXES`.
            figures: values for the placeholders in the fix.
        """
        return fixes.fix(symptom, self.proxy, **figures)
