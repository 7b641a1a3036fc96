"""What all checks share: the server's address, the HTTP session, and what earlier checks found."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from rtdemo.client.request_headers import middlewares
from rtdemo.lab.busy import BusyWatch
from rtdemo.lab.doctor import fixes
from rtdemo.lab.doctor.errors import Diagnosis, ExpiredError, NotJudgedError, NotTestedError
from rtdemo.lab.doctor.exchange import HTTP1, HTTP2
from rtdemo.lab.server_clock import Reading
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import Transport

if TYPE_CHECKING:
    from rtdemo.lab.doctor.monitor import StreamMonitor

CONNECT_TIMEOUT_S = 10.0
"""Seconds for a TCP connection and a TLS handshake."""
MIN_PATIENCE_S = 8.0
"""Seconds that each answer and each event may take, on the shortest path."""
PATIENCE_ROUND_TRIPS = 12.0
"""Round trips that are added to it: a new TLS connection takes three, and a large event a few more."""
MAX_OWN_PAUSE_S = 0.5
"""Seconds for which this program was stopped once, from which an answer that is missing proves nothing:
the server may be on the same busy machine."""
DEFAULT_HEARTBEAT_S = 25.0
"""Seconds between heartbeats, for a server that does not report its own setting."""
PROBE_PREFIX = "/api/probe/"
"""Path below which rtdemo answers questions about the path."""

Key = tuple[Transport, str]
"""A transport and a version of HTTP."""


@dataclass
class Context:
    """State of one run: the checks read it, and the first ones fill it in.

    Arguments:
        address: the server to check.
        idle: seconds of silence to test.
        available: what can be tested: `page`, `stream`, `sse`, `websocket`, `rtdemo`, `probes`.
        trusted: whether the TLS certificate is trusted; if not, later checks ignore it.
        certificate_symptom: key of the fix for the certificate; empty if nothing is wrong with it.
        versions: of HTTP that the server offers to browsers, the one that they choose last.
        websocket_versions: those of them over which it offers WebSockets.
        http2_fault: the finding if the server does not serve the HTTP/2 that it offers.
        max_streams: exchanges that the server allows at once on an HTTP/2 connection; None if unknown.
        host: the Host header that was sent.
        http_version: of the server's response, such as `1.1`.
        received: a request as rtdemo received it; empty if the server does not report that.
        received_on: the request of a stream as rtdemo received it.
        proxies: names of the proxies that were recognised.
        answers_html: whether an HTML page answers where the event stream should be.
        first_answer: who answered the first request, and how.
        probes_error: why the probes are unavailable; empty if they are available.
        clock: offset between the server's clock and the local one; None if unknown.
        time_is_cached: whether `/api/time` has answered twice with the same time.
        round_trip: shortest time from a request to its answer, in ms.
        fastest: of all messages, the least arrival by the local clock minus sending by the server's,
            in ms; it has the difference of the clocks.
        lateness: of this machine's own timers while messages were recorded, in ms: the usual one of the
            quietest recording. None before the first.
        busy: measures how late this program is, for the whole run; None before it.
        monitors: normal streams, open for the whole run.
        deliveries: what `events.examine` found, by transport and HTTP version.
        open_connections: HTTP/1.1 connections with a stream or a WebSocket that are open now.
        limited: whether a proxy limits the number of streams.
        needs_client: whether a WebSocket is cut whose client sends nothing.
        silences: by transport and HTTP version, the seconds of silence after which a stream was cut.
        causes: by transport and HTTP version, the check that found why its events do not arrive.
        token_expired: whether the login token has expired during the run.
        delivered: set once `causes` is complete.

    Attributes:
        http: the session for all requests, without a total timeout; set once the certificate is checked.
    """

    http: aiohttp.ClientSession = field(init=False)
    address: Address
    idle: int
    available: set[str] = field(default_factory=set)
    trusted: bool = True
    certificate_symptom: str = ""
    versions: tuple[str, ...] = (HTTP1,)
    websocket_versions: tuple[str, ...] = (HTTP1,)
    http2_fault: Diagnosis | None = None
    max_streams: int | None = None
    host: str = ""
    http_version: str = ""
    received: Mapping[str, Any] = field(default_factory=dict)
    received_on: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    proxies: list[str] = field(default_factory=list)
    answers_html: bool = False
    first_answer: str = ""
    probes_error: str = ""
    clock: Reading | None = None
    time_is_cached: bool = False
    round_trip: float = 0.0
    fastest: float | None = None
    lateness: float | None = None
    busy: BusyWatch | None = None
    monitors: dict[Key, StreamMonitor] = field(default_factory=dict)
    deliveries: dict[Key, Any] = field(default_factory=dict)
    open_connections: int = 0
    limited: bool = False
    needs_client: bool = False
    silences: dict[Key, float] = field(default_factory=dict)
    causes: dict[Key, str] = field(default_factory=dict)
    token_expired: bool = False
    delivered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def patience(self) -> float:
        """Seconds to wait for an answer or an event."""
        return MIN_PATIENCE_S + PATIENCE_ROUND_TRIPS * self.round_trip / 1000

    def heartbeat(self, transport: Transport) -> float:
        """Return the seconds of silence after which the server sends something."""
        setting = float(self.received.get("heartbeat", DEFAULT_HEARTBEAT_S))
        if transport == "websocket":
            return setting
        return float(self.received.get("sseHeartbeat", min(setting, 15.0)))

    def has(self, needs: str) -> bool:
        """Return whether everything that a check needs is available.

        Arguments:
            needs: names from `available`, separated by blanks; empty for a check without needs.
        """
        return set(needs.split()) <= self.available

    def open_session(self, keeps: bool = False) -> aiohttp.ClientSession:
        """Open an HTTP session; the caller closes it.

        Arguments:
            keeps: whether a connection serves further requests. If not, a load balancer may choose
                another server for each request, as for another client.
        """
        connector = aiohttp.TCPConnector(
            limit=0, ssl=self.tls_parameters("http/1.1") or True, force_close=not keeps
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        # Load balancers assign a client to a server by a cookie.
        jar = aiohttp.CookieJar(unsafe=True)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=jar,
            middlewares=middlewares(self.address),
            auto_decompress=False,
            trust_env=True,
            max_line_size=65_536,
            max_field_size=65_536,
        )

    def tls_parameters(self, *protocols: str) -> ssl.SSLContext | None:
        """Return new parameters of TLS; None for a server without it.

        Arguments:
            protocols: to offer (ALPN).
        """
        if not self.address.secure:
            return None
        parameters = ssl.create_default_context()
        if not self.trusted:
            parameters.check_hostname = False
            parameters.verify_mode = ssl.CERT_NONE
        if protocols:
            parameters.set_alpn_protocols(list(protocols))
        return parameters

    def cookie_headers(self) -> dict[str, str]:
        """Return the header with the cookies of the server, or none."""
        # As it was sent: a value that is unquoted may have line ends.
        cookies = "; ".join(f"{morsel.key}={morsel.coded_value}" for morsel in self.http.cookie_jar)
        return {"Cookie": cookies} if cookies else {}

    def url(self, path: str) -> str:
        """Return the URL of a path of rtdemo, such as `/api/sse`."""
        return self.address.url(path)

    def probe(self, transport: Transport, sizes: str, silence: int) -> str:
        """Return the URL of a stream whose messages are followed by silence; each call, another URL.

        Arguments:
            transport: of the stream.
            sizes: bytes of each message, separated by commas.
            silence: seconds before each message, and after the last.
        """
        query = {"probe": sizes, "silence": str(silence), "nonce": secrets.token_hex(4)}
        return self.address.stream(transport, query)

    def note_http1(self, version: aiohttp.HttpVersion | None, headers: Mapping[str, str]) -> None:
        """Note the version of an answer, and the Host that was asked for."""
        self.http_version = f"{version.major}.{version.minor}" if version else "?"
        self.host = headers.get("Host", "")

    def note_delay(self, delay: float) -> None:
        """Note a message's arrival by the local clock minus its sending by the server's, in ms."""
        self.fastest = delay if self.fastest is None else min(self.fastest, delay)

    def require(self, transport: Transport, version: str) -> None:
        """Raise an error if a check has found why a transport's messages do not arrive.

        Raises:
            NotJudgedError: with the name of that check.
        """
        if cause := self.causes.get((transport, version)):
            raise NotJudgedError(cause)

    def note_expiry(self) -> ExpiredError:
        """Note that the login token has expired; return the error for what it ended."""
        self.token_expired = True
        return ExpiredError()

    def check_token(self) -> None:
        """Raise an error if the token has expired: more requests with it would lock this address out.

        Raises:
            ExpiredError: if so.
        """
        if self.token_expired:
            raise ExpiredError

    def check_patience(self) -> None:
        """Raise an error if this machine is so busy that an answer that is missing proves nothing.

        Raises:
            NotTestedError: with how long this program was stopped.
        """
        pause_s = self.busy.longest_delay_s if self.busy is not None else 0.0
        if pause_s > MAX_OWN_PAUSE_S:
            seen = f"this machine is too busy, it stopped doctor for up to {pause_s:.1f} s"
            raise NotTestedError(f"{seen}; run doctor on a quiet one")

    def fix(self, symptom: str, **figures: float | str) -> str:
        """Return the fix for a symptom, worded for the detected proxies.

        Arguments:
            symptom: a key of `fixes.FIXES`.
            figures: values for the placeholders in the fix.
        """
        return fixes.fix(symptom, self.proxies, **figures)

    def fault(
        self,
        code: str,
        seen: str,
        symptom: str = "",
        figures: Mapping[str, Any] | None = None,
        **fix: Any,
    ) -> Diagnosis:
        """Return a failed finding.

        Arguments:
            code: of the finding.
            seen: what was seen.
            symptom: a key of `fixes.FIXES`; empty for no fix.
            figures: numbers for programs.
            fix: values for the placeholders in the fix.
        """
        return Diagnosis("fail", seen, self.fix(symptom, **fix) if symptom else "", code, figures or {})

    def warning(
        self,
        code: str,
        seen: str,
        symptom: str = "",
        figures: Mapping[str, Any] | None = None,
        **fix: Any,
    ) -> Diagnosis:
        """Return a finding that is a warning; the arguments are those of `fault`."""
        return Diagnosis("warn", seen, self.fix(symptom, **fix) if symptom else "", code, figures or {})


def ok(seen: str, **figures: Any) -> Diagnosis:
    """Return a finding without a fault.

    Arguments:
        seen: what was seen.
        figures: numbers for programs.
    """
    return Diagnosis("ok", seen, "", "ok", figures)


def label(version: str) -> str:
    """Return the name of a version of HTTP for people."""
    return "HTTP/2" if version == HTTP2 else "HTTP/1.1"
