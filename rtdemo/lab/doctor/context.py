"""Hold what the checks share: the address, how to ask there, and what has been learnt."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from rtdemo.lab.address import Address
from rtdemo.lab.doctor import fixes
from rtdemo.lab.doctor.streams import Watch
from rtdemo.lab.server_clock import Reading
from rtdemo.protocol.client import Transport

TIMEOUT = 10.0
"""Seconds for an answer to begin."""
PROBE = "/api/probe/"


@dataclass
class Path:
    """Hold the path that is examined.

    Arguments:
        address: where it leads.
        idle: seconds of silence to look at.
        there: what can be tested: `page`, `stream`, `sse`, `websocket`, `rtdemo`, `probes`.
        trusted: whether the certificate is; where not, it is looked at no more.
        alpn: the protocol that was chosen in TLS, such as `h2`; None without TLS.
        host: what was sent as Host.
        seen: a request as it arrived at the server; empty where the server does not tell.
        answered: HTTP version of its answer, such as `1.1`.
        proxy: by name; empty where none is recognised.
        why: what keeps the probes from being asked.
        no_websocket: why no WebSocket can be opened; empty where one can.
        clock: how the server's clock stands to this one's.
        watches: the normal streams, open from the beginning of the run.

    Attributes:
        http: whose connections are used; without a total timeout.
    """

    http: aiohttp.ClientSession = field(init=False)
    address: Address
    idle: int
    there: set[str] = field(default_factory=set)
    trusted: bool = True
    alpn: str | None = None
    host: str = ""
    seen: Mapping[str, Any] = field(default_factory=dict)
    answered: str = ""
    proxy: str = ""
    why: str = ""
    no_websocket: str = ""
    clock: Reading | None = None
    watches: dict[Transport, Watch] = field(default_factory=dict)

    @property
    def heartbeat(self) -> float:
        """Seconds after which the server says something on an idle connection."""
        return float(self.seen.get("heartbeat", 25.0))

    def has(self, needs: str) -> bool:
        """Tell whether all is there that a check needs, named with blanks between."""
        return set(needs.split()) <= self.there

    def session(self) -> aiohttp.ClientSession:
        """Return connections of their own."""
        # Kept for a moment only: one that a box in between has forgotten would hang.
        context = ssl.create_default_context() if self.trusted else False
        connector = aiohttp.TCPConnector(limit=0, ssl=context, keepalive_timeout=1.0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT)
        # HAProxy keeps a client on its server by a cookie.
        jar = aiohttp.CookieJar(unsafe=True)
        return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar)

    def url(self, path: str) -> str:
        """Return the URL of a path on the server."""
        return self.address.origin + path

    @property
    def probe_socket(self) -> str:
        """The URL of the WebSocket that echoes."""
        return self.url(f"{PROBE}ws").replace("http", "ws", 1)

    def fix(self, symptom: str, **figures: float | str) -> str:
        """Return what mends a symptom, for the proxy that was seen."""
        return fixes.fix(symptom, self.proxy, **figures)
