"""Test a server: open its stream, make all requests side by side, and judge what came back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from rtdemo.errors import NOT_RUNNING, ServerError, network_reason, printable
from rtdemo.lab.conform import probes
from rtdemo.lab.conform.check import STREAM, Check, Evidence, Group
from rtdemo.lab.conform.checks import CHECKS, connections, ids, resume
from rtdemo.lab.conform.exchange import (
    HEAD_TIMEOUT_S,
    MAX_STREAM_BYTES,
    Connection,
    Exchange,
    Reading,
    Request,
    Target,
    exchange,
)
from rtdemo.lab.http_response import Response
from rtdemo.protocol.address import hint_at_server
from rtdemo.protocol.event_stream import EventParser

OPEN_TIMEOUT_S = 30.0
"""Seconds for the head of the stream's response."""
AT_ONCE = 6
"""Requests at the same time, beside the stream."""
MAX_REDIRECTS = 5
OVERLOAD_PAUSE_S = 3.0
"""Longest pause before a request that was answered 429 or 503 is made once more."""
RESTART_TRIES, RESTART_PAUSE_S = 10, 0.3
"""Tries to reach a server that has stopped, and seconds between them."""
RESUME_POLL_S = 0.2
"""Seconds between two looks whether the stream has enough events with ids."""
Maker = Callable[[Target], Awaitable[Exchange]]
T = TypeVar("T")
_REDIRECTS = (301, 302, 303, 307, 308)
_FIXES = {
    204: "the server tells clients to stop, so there is nothing to test; use a URL that has events",
    401: "log in with --token or --header",
    403: "log in with --token or --header",
    404: "give the URL of the stream itself, such as http://host/events",
    405: "give the method of the stream, such as --method POST --data '{}'",
    429: "the server limits requests; wait, then try again",
}
_LIKELY_STREAMS = ("", "text/plain", "application/octet-stream")
"""Wrong media types of a response that may be a stream all the same."""


class NotTestableError(ServerError):
    """There is no stream to test at the URL."""

    exit_code = 2


@dataclass
class Suite:
    """One run.

    Arguments:
        target: the stream.
        seconds: how long to read it.
        only: groups of checks to make; empty for all.

    Attributes:
        evidence: what was seen so far.
    """

    target: Target
    seconds: float
    only: Sequence[Group] = ()
    evidence: Evidence = field(init=False)
    _turns: asyncio.Semaphore = field(init=False)
    _doing: str = field(init=False, default="opening the stream")
    _planned: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.target)
        self._turns = asyncio.Semaphore(AT_ONCE)

    @property
    def checks(self) -> list[Check]:
        """The checks of this run."""
        return [check for check in CHECKS if not self.only or check.group in self.only]

    @property
    def state(self) -> str:
        """What is being done, and how many of the requests are."""
        if not self._planned:
            return self._doing
        done = len(self._planned & self.evidence.exchanges.keys())
        return f"{self._doing}; {done} of {len(self._planned)} requests done"

    @property
    def _reading(self) -> str:
        return f"reading the stream for {self.seconds:g} s"

    async def run(self) -> None:
        """Make all requests; if this is cancelled, the evidence has what came back until then.

        Raises:
            NotTestableError: if there is no stream at the URL.
        """
        connection, reading = await self._open()
        self._planned = self._all_requests()
        listening = asyncio.create_task(self._listen(connection, reading))
        try:
            self._doing = f"{self._reading}, and making other requests"
            await self._make(connections.SECOND, partial(exchange, request=connections.SECOND_STREAM))
            second = self.evidence.exchanges[connections.SECOND]
            has_waited = (second.response.head_at or 0.0) > 0.8 * self.seconds
            if not second.response.status or (listening.done() and has_waited):
                # What else is sent would wait until the stream ends.
                self.evidence.is_one_at_a_time = not self.evidence.stream_ended
                self._turns = asyncio.Semaphore(1)
                await asyncio.wait([listening])
            async with asyncio.TaskGroup() as group:
                group.create_task(self._make_requests())
                group.create_task(self._resume(listening))
            self._stop_early(listening)
            await asyncio.wait([listening])
            await self._reconnect()
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def _open(self) -> tuple[Connection, Reading]:
        """Open the stream, also behind redirects."""
        exchanges = self.evidence.exchanges
        for number in range(1, MAX_REDIRECTS + 2):
            target = self.evidence.target
            connection = Connection(target)
            sent = f"{target.method} as EventSource sends it"
            reading = Reading(sent, [target.method], MAX_STREAM_BYTES)
            with ExitStack() as unless_stream:
                unless_stream.callback(connection.close)
                await _read_head(connection, reading, target)
                response = reading.exchange.response
                if response.status not in _REDIRECTS:
                    _check_stream(target.url, reading.exchange, self.target.url)
                    exchanges[STREAM] = reading.exchange
                    unless_stream.pop_all()
                    return connection, reading
            exchanges[f"redirect-{number}"] = reading.exchange
            self.evidence.target = _redirected(target, response)
        raise NotTestableError(self.target.url, "redirects again and again", "give the last URL itself")

    async def _listen(self, connection: Connection, reading: Reading) -> None:
        try:
            await reading.run(connection, "time", self.seconds)
        finally:
            connection.close()

    def _stop_early(self, listening: asyncio.Task[None]) -> None:
        """End the reading if no check of the run is about the stream's course."""
        if all(check.needs == "nothing" and check.group != "timing" for check in self.checks):
            listening.cancel()

    async def _make_requests(self) -> None:
        """Make the requests that the checks need: valid ones at once, then invalid ones one by one."""
        target = self.evidence.target
        if not target.content:
            self._skip(connections.EXPECT, "the request has no content; use --data")
        if target.method != "GET":
            self._skip("request-behind-stream", "the stream is not opened by GET")
        if connections.REDIRECT not in self.evidence.exchanges:
            self._skip(connections.REDIRECT, "the URL does not redirect")
        makers: dict[str, Maker] = {
            name: partial(exchange, request=self._shortened(request))
            for name, request in probes.REQUESTS.items()
        }
        makers |= probes.EXPERIMENTS
        await self._make_all(self._needed(makers))
        if not self.only or "connections" in self.only:
            await self._load()
        invalid: dict[str, Maker] = {
            name: partial(exchange, request=request) for name, request in probes.INVALID.items()
        }
        await self._make_one_by_one(self._needed(invalid))
        self._doing = self._reading

    def _all_requests(self) -> frozenset[str]:
        """Return the names of the requests of this run; some may be skipped later."""
        names = {connections.SECOND, resume.RECONNECT, *self._needed(probes.REQUESTS)}
        names |= {*self._needed(probes.EXPERIMENTS), *self._needed(probes.INVALID)}
        if not self.only or "resume" in self.only:
            names.add(resume.RESUME)
        if not self.only or "connections" in self.only:
            names.add(connections.AFTER_LEAVING)
        return frozenset(names)

    def _shortened(self, request: Request) -> Request:
        """Return a request that reads no longer than the stream is read."""
        return replace(request, body_s=min(request.body_s, self.seconds))

    def _needed(self, makers: Mapping[str, T]) -> dict[str, T]:
        """Return the requests that the checks of this run judge, and that are not skipped."""
        # Checks about all responses use those of every request.
        needed = {name for check in self.checks for name in (check.probe, check.control)}
        is_general = any(check.group == "response" for check in self.checks)
        return {
            name: make
            for name, make in makers.items()
            if (is_general or name in needed) and name not in self.evidence.exchanges
        }

    async def _make_all(self, makers: Mapping[str, Maker]) -> None:
        await asyncio.gather(*(self._make(name, make) for name, make in makers.items()))

    async def _make_one_by_one(self, makers: dict[str, Maker]) -> None:
        """Make requests one by one, so that it shows which one ends the server."""
        self._doing = "sending invalid requests"
        while makers:
            name = next(iter(makers))
            make = makers.pop(name)
            await self._make(name, make)
            if self.evidence.exchanges[name].seconds >= HEAD_TIMEOUT_S:
                # A server that is silent to all of them would take a minute.
                await self._make_all(makers)
                return

    async def _load(self) -> None:
        """Open several streams, leave, and open one more."""
        self._doing = "opening several streams, and leaving them"
        if self.evidence.unanswered:
            return
        if self.evidence.is_one_at_a_time:
            self._skip("several-1", "the server serves one stream at a time")
            self._skip(connections.AFTER_LEAVING, "the server serves one stream at a time")
            return
        target, exchanges = self.evidence.target, self.evidence.exchanges
        streams = [exchange(target, connections.STREAM_AT_ONCE) for _ in range(1, connections.SEVERAL)]
        for number, made in enumerate(await asyncio.gather(*streams), 1):
            exchanges[f"several-{number}"] = made
        for request in connections.LEAVES:
            await asyncio.gather(*(exchange(target, request) for _ in range(connections.LEAVING)))
        await self._make(connections.AFTER_LEAVING, partial(exchange, request=connections.NEW_STREAM))

    async def _make(self, name: str, make: Maker) -> None:
        """Make a request; once more if the server limits requests; none if the server is gone."""
        evidence = self.evidence
        async with self._turns:
            if evidence.unanswered:
                self._skip(name, "no connection to the server was possible any more")
                return
            made = await make(evidence.target)
            if made.response.status in (429, 503):
                await asyncio.sleep(_pause_s(made.response))
                made = await make(evidence.target)
            if not made.responses and made.seconds < HEAD_TIMEOUT_S and not await self._is_up():
                evidence.unanswered.append(made.sent)
                self._skip(name, "no connection to the server was possible after it")
                return
        evidence.exchanges[name] = made

    async def _is_up(self) -> bool:
        """Return whether the server can be reached; it may be restarting."""
        for _ in range(RESTART_TRIES):
            # A process that ends closes its connections and its listening socket one after the other.
            await asyncio.sleep(RESTART_PAUSE_S)
            connection = Connection(self.evidence.target)
            try:
                await connection.open()
            except OSError:
                continue
            else:
                return True
            finally:
                connection.close()
        return False

    def _skip(self, name: str, why: str) -> None:
        self.evidence.exchanges[name] = Exchange("", skipped=why)

    async def _resume(self, listening: asyncio.Task[None]) -> None:
        """Open the stream again after an earlier event, once there are enough of them."""
        if self.only and "resume" not in self.only:
            return
        parser, seen, found = EventParser(), 0, list[str]()
        while True:
            body = self.evidence.response.body
            for piece in body[seen:]:
                with suppress(ValueError):
                    # An event without an id has that of the one before.
                    for event in parser.feed(piece.data):
                        if event.id and event.id not in found[-1:]:
                            found.append(event.id)
            seen = len(body)
            if len(found) > resume.MISSED_EVENTS or listening.done():
                break
            await asyncio.wait([listening], timeout=RESUME_POLL_S)
        if len(found) <= resume.MISSED_EVENTS:
            self._skip(resume.RESUME, "fewer than three events had an id")
            return
        after = found[-1 - resume.MISSED_EVENTS]
        self.evidence.resumed_after = after
        request = Request(
            f"with Last-Event-ID: {printable(after[:60])}",
            lines=(resume.header_of(after.encode()),),
            until="time",
            body_s=resume.RESUME_S,
        )
        request = self._shortened(request)
        await self._make(resume.RESUME, partial(exchange, request=request))

    async def _reconnect(self) -> None:
        """Open a stream again that the server has ended, as EventSource does."""
        evidence = self.evidence
        if not evidence.stream_ended or evidence.target.method != "GET":
            self._skip(resume.RECONNECT, "the server did not end the stream")
            return
        last = ids.event_ids(evidence)
        lines = (resume.header_of(last[-1]),) if last else ()
        request = Request("again, after the stream ended", lines=lines, until="event")
        await self._make(resume.RECONNECT, partial(exchange, request=request))


async def _read_head(connection: Connection, reading: Reading, target: Target) -> None:
    try:
        await connection.open()
        connection.write(Request("").encode(target))
        await reading.run(connection, "head", 0, head_s=OPEN_TIMEOUT_S)
    except OSError as error:
        reason = network_reason(error)
        problem, fix = f"cannot be reached: {reason}", NOT_RUNNING
        if isinstance(error, ssl.SSLCertVerificationError):
            problem = f"has a certificate that is not trusted: {reason}"
            fix = "name the certificate of its authority in SSL_CERT_FILE"
        elif isinstance(error, ssl.SSLError):
            problem = f"fails at TLS: {reason}"
            fix = f"if it does not use TLS, give {target.url.replace('https', 'http', 1)}"
        raise NotTestableError(target.url, problem, fix) from error


def _redirected(target: Target, response: Response) -> Target:
    location = response.value("Location") or ""
    try:
        url = urljoin(target.url, location)
        old, new = urlsplit(target.url), urlsplit(url)
    except ValueError as error:
        seen = f"redirects to what is no URL: {printable(location[:200])}"
        raise NotTestableError(target.url, seen, "send a valid Location") from error
    if not location:
        raise NotTestableError(
            target.url, f"answered {response.status} without Location", "send Location"
        )
    # The user's headers, which may have a secret, are for this server alone.
    if (old.scheme, old.netloc) != (new.scheme, new.netloc):
        raise NotTestableError(
            target.url, f"redirects to another server: {printable(url[:200])}", "give that URL"
        )
    return target.at(url)


def _check_stream(url: str, made: Exchange, given: str) -> None:
    """Raise if there is nothing to test; `given` is the URL before redirects."""
    response = made.response
    kind = response.media_type
    if not response.status:
        raise NotTestableError(url, f"sent {made.outcome}", "is this an HTTP server?")
    if not 200 <= response.status < 300 or response.status == 204:
        default = "see the server's log" if response.status >= 500 else "give the URL of a stream"
        raise NotTestableError(url, f"answered {response.status}", _FIXES.get(response.status, default))
    if "event" not in kind and kind not in _LIKELY_STREAMS:
        fix = "give the URL of an event stream"
        if url == f"{given}/":
            fix = f"if rtdemo is there, give the address with the slash: {printable(url[:200])}"
        elif kind == "text/html" and not urlsplit(url).path.endswith("/api/sse"):
            # Such as that of the view, which `rtdemo serve` prints.
            fix = f"{fix}; {printable(hint_at_server(url))}"
        raise NotTestableError(url, f"answered {response.status} with {printable(kind)}", fix)


def _pause_s(response: Response) -> float:
    value = response.value("Retry-After") or ""
    return min(int(value[:9]), OVERLOAD_PAUSE_S) if value.isascii() and value.isdigit() else 1.0


def tls_context(url: str) -> ssl.SSLContext | None:
    """Return what a connection to a URL needs of TLS; None for `http`."""
    if urlsplit(url).scheme != "https":
        return None
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
