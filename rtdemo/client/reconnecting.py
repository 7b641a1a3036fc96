"""Receive from one server over as many connections as necessary."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import aiohttp

from rtdemo.client import failures
from rtdemo.client.choice import TransportChoice
from rtdemo.client.connection import OPENERS, Connection, Received, Request
from rtdemo.client.credentials import Credentials
from rtdemo.client.inbox import Inbox
from rtdemo.client.ledger import Ledger
from rtdemo.client.message import Message, parse
from rtdemo.client.rewinds import Rewinds
from rtdemo.client.waits import MAX_ASKED_S, Waits, asked_s
from rtdemo.errors import LoginError, RefusedError, ServerError
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import LABELS, Transport
from rtdemo.protocol.message import parse_position

MAX_POSITION_CHARACTERS = 1000
"""Characters of the longest position that is sent back to a server."""

_HOW_TO_REWIND = "; --rewind or rewind= asks for those that the log still has"


@dataclass(frozen=True, slots=True)
class Options:
    """What a client asks for, and how.

    Arguments:
        address: of the server.
        headers: those of the address. Each connection's token is written into them.
        transports: that may be used, in order of preference.
        query: of each connection: producers, and the past for a new client.
        heartbeat: parameter that asks for heartbeats; none for another server than rtdemo.
        credentials: login of each connection.
        with_reports: whether the program gets the welcomes and the reports of losses too.
        waits_for_server: whether the first connection is tried as often as a later one.
        report: takes one sentence about each lost connection.
        waits: times in seconds.
    """

    address: Address
    headers: dict[str, str]
    transports: tuple[Transport, ...]
    query: Mapping[str, str | None]
    heartbeat: Mapping[str, str]
    credentials: Credentials
    with_reports: bool
    waits_for_server: bool
    report: Callable[[str], object]
    waits: Waits


class Reconnecting:
    """Fill an inbox with the messages of a server, until cancelled or an error is final.

    Arguments:
        http: makes the connections; without a total timeout.
        options: what to ask for.
        position: after which the first connection continues; empty for a new client.

    Attributes:
        inbox: messages for the program.
        ledger: counts them.
        choice: the transport.
        opened: done once the first connection is open; has the error if none opens.
        ready: set while a text can be sent.
        connection: that is open now; None for none.
        client: id of this connection's client; empty before the welcome.
        position: after which the next connection continues; empty for a new client.
        has_ended: whether no connection will be open any more.
    """

    def __init__(self, http: aiohttp.ClientSession, options: Options, position: str) -> None:
        self.inbox = Inbox()
        self.ledger = Ledger()
        self.choice = TransportChoice(options.transports)
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ready = asyncio.Event()
        self.connection: Connection | None = None
        self.client = ""
        self.position = position
        self.has_ended = False
        self._http = http
        self._time = asyncio.get_running_loop().time
        self._opened_at = 0.0
        self._options = options
        asks_for_past = options.query.get("latest") or options.query.get("rewind")
        self._rewinds = Rewinds(options.waits, is_wanted=asks_for_past is not None)
        self._failures = 0
        self._had_messages = False
        self._has_heartbeats = False
        self._is_away = False
        self._retry_s = 0.0
        # Why the transport was changed, and the sentence about it.
        self._unreported = ("", "")

    async def run(self) -> None:
        """Receive until cancelled, or until an error that no further try can mend."""
        try:
            await self._run()
        except Exception as error:
            if self.opened.done():
                self.inbox.end(error)
            else:
                self.opened.set_exception(error)
        finally:
            self.has_ended = True
            self._unreported = ("", "")
            # Who waits to send a text waits no longer.
            self.ready.set()

    async def _run(self) -> NoReturn:
        while True:
            error = await self._connect()
            if error is None:
                continue
            is_final = self._is_final(error)
            if error.problem != self._unreported[0]:
                self._report_change()
            if self.choice.ended(error, self._had_messages):
                label = LABELS[self.choice.current]
                self._unreported = error.problem, f"{error.url} {error.problem}; trying {label}"
                late_s = self._options.waits.refusal if isinstance(error, RefusedError) else 0.0
                if late_s:
                    asyncio.get_running_loop().call_later(late_s, self._report_change)
                else:
                    self._report_change()
                continue
            if is_final:
                raise error
            self._report_change()
            await self._pause(error)

    def _report_change(self) -> None:
        """Report why the other transport is tried, unless that is done.

        A refusal is reported only once the other transport has opened or failed, or takes long: where
        that is refused for the same reason, such as a wrong name of a producer, the error at the end is
        enough.
        """
        _, sentence = self._unreported
        self._unreported = ("", "")
        if sentence:
            self._options.report(sentence)

    def _is_final(self, error: ServerError) -> bool:
        """Return whether no further try is made."""
        if isinstance(error, LoginError) and self._had_messages and self._options.credentials.can_renew:
            return False
        if not error.retryable:
            # A refusal by a proxy that forwards only the other transport says nothing about the server.
            return isinstance(error, LoginError) or not self.choice.only_other_worked
        is_first = not self.opened.done()
        return is_first and error.retry_after is None and not self._options.waits_for_server

    async def _pause(self, error: ServerError) -> None:
        waits = self._options.waits
        if error.retry_after is not None:
            delay = asked_s(error.retry_after, random.random)
        else:
            delay = waits.backoff_s(self._failures, random.random)
        if self.choice.current == "sse":
            delay = max(delay, self._retry_s)
        self._failures += 1
        self._options.report(f"{error.url} {error.problem}; reconnecting in {delay:.1f} s")
        await asyncio.sleep(delay)

    async def _connect(self) -> ServerError | None:
        """Open a connection and receive; return why it ended, or None once a past is to be asked for."""
        self._had_messages = self._has_heartbeats = False
        if self._rewinds.begin(self.position, self._time()):
            self.position = ""
            self.ledger.rewound()
        url = self._options.address.stream(self.choice.current, self._options.query)
        was_open = has_answered = False
        try:
            if self._is_away:
                await self._ask(url)
                has_answered = True
            request = await self._request(url)
            async with OPENERS[self.choice.current](self._http, request) as connection:
                was_open = True
                self._opened(connection)
                try:
                    await self._receive_all(connection)
                finally:
                    self._closed(connection)
                return None
        except failures.NETWORK_ERRORS as error:
            if was_open:
                return failures.cut_error(url, error)
            return self._not_opened(url, error, has_answered)
        except ServerError as error:
            return error

    async def _ask(self, url: str) -> None:
        """Wait until the server answers another request. Any answer counts: a proxy may refuse it.

        Raises:
            UnreachableError: if nothing answers.
        """
        options = self._options
        health = options.address.url("/healthz")
        try:
            async with (
                asyncio.timeout(options.waits.attempt),
                self._http.get(health, allow_redirects=False),
            ):
                self._is_away = False
        except failures.NETWORK_ERRORS as error:
            raise failures.away_error(url, error) from error

    def _not_opened(self, url: str, error: Exception, has_answered: bool) -> ServerError:
        """Return why a connection did not open.

        Where one has opened before, a try without an answer is no reason to change the transport: the
        network may be away. It is one only after the server has answered another request. client.js
        has the same rule.
        """
        is_choice = len(self._options.transports) > 1 and self.opened.done()
        self._is_away = is_choice and isinstance(error, TimeoutError) and not has_answered
        return (failures.away_error if self._is_away else failures.to_server_error)(url, error)

    async def _request(self, url: str) -> Request:
        options, address = self._options, self._options.address
        try:
            async with asyncio.timeout(options.waits.attempt):
                options.headers.update(await options.credentials.header())
                ticket = await options.credentials.query()
        except Exception as error:
            raise failures.no_login_error(url, error) from error
        position = self.position
        return Request(
            url=url,
            hidden={**options.heartbeat, **ticket},
            position=position if len(position) <= MAX_POSITION_CHARACTERS else "",
            messages_url=address.url("/api/messages") if address.is_whole else None,
            seconds=options.waits.attempt,
        )

    def _opened(self, connection: Connection) -> None:
        self._report_change()
        self.connection = connection
        self._opened_at = self._time()
        self.ledger.opened()
        if self.choice.current == "websocket" or not self._options.address.is_whole:
            self.ready.set()
        if not self.opened.done():
            self.opened.set_result(None)

    def _closed(self, connection: Connection) -> None:
        self.connection = None
        self.client = ""
        self.ready.clear()
        # A connection that ends soon after its welcome is one more failure.
        if self._had_messages and self._time() - self._opened_at > self._options.waits.max_retry:
            self._failures = 0
        if connection.retry_s is not None:
            self._retry_s = min(connection.retry_s, MAX_ASKED_S)

    async def _receive_all(self, connection: Connection) -> None:
        """Receive until the connection ends, which raises, or until the past is to be asked for."""
        mute_at = self._time() + self._options.waits.mute
        while (now := self._time()) < self._rewinds.due_at:
            seconds = self._longest_silence()
            silent_at = mute_at if seconds is None else now + seconds
            ends_at = min(silent_at, self._rewinds.due_at)
            try:
                async with asyncio.timeout(ends_at - now):
                    received = await connection.receive()
            except TimeoutError as error:
                if ends_at < silent_at:
                    return
                silence = self._options.waits.mute if seconds is None else seconds
                raise failures.silent_error(connection.url, silence) from error
            for one in received:
                await self._take(one)

    def _longest_silence(self) -> float | None:
        """Return the seconds after which silence ends a connection; None until the first message."""
        waits = self._options.waits
        if self._has_heartbeats:
            return waits.dead
        return waits.silence if self._had_messages or not self._options.address.is_whole else None

    async def _take(self, received: Received) -> None:
        message = parse(received.text)
        if not self._had_messages:
            self._had_messages = True
            self.choice.worked()
        position = message.id if message.id is not None else received.position
        if position is None:
            position = self.position
        if self._is_for_program(message):
            await self.inbox.put(message, position)
        # Not before: while the inbox has no room, the program cannot have the message.
        self.position = position

    def _is_for_program(self, message: Message) -> bool:
        """Note what a message says about the connection; return whether the program gets it."""
        if message.is_heartbeat:
            self._has_heartbeats = True
            return False
        if message.is_position:
            # Of these only the number counts: the position is the client's.
            self.ledger.enter(replace(message, id=None), is_known=True)
            return self._options.with_reports and message.truncated
        # What `latest` sends may be older than the loss. Its opening position is never known.
        is_known = self._rewinds.has(message.id or "")
        self.ledger.enter(message, is_known)
        if message.lost:
            self._report_loss(message)
        elif message.client is None:
            return not is_known
        else:
            self.client = message.client
            self.ready.set()
        return self._options.with_reports

    def _report_loss(self, message: Message) -> None:
        seconds = self._rewinds.lost(message.id, self._time())
        then = _HOW_TO_REWIND if _has_past(message) else ""
        if seconds is not None:
            then = f"; asking for the past again in {seconds:.1f} s"
        url = self._options.address.stream(self.choice.current)
        self._options.report(f"{url} has lost messages before this client received them{then}")


def _has_past(loss: Message) -> bool:
    """Return whether the log had messages before the position at which the client continues.

    The log of a server that was just started has none, so no past would help.
    """
    position = parse_position(loss.id or "")
    return position is not None and position.offset > 0
