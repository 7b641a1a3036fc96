"""A server that misbehaves, and what a client must make of it: the same table for every client.

The server speaks bytes of its own, over both transports. A case is a function that serves one
connection, and the outcome that is wanted.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rtdemo.protocol import wire
from rtdemo.protocol.client import TRANSPORTS

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Of RFC 6455 section 1.3."""
CLOSE, PONG = 0x8, 0xA
AUTO = ("auto",)
_ASKED = ("/ws", "/api/sse", "/api/messages", "/api/ticket")
"""Paths that a case serves."""
PATIENCE_S = 1.0
"""Time for a try and for its first message, where one waits in vain: the next try must not, on a busy
machine either."""
HUGE = 5 * 1024 * 1024
"""Characters of a message that is longer than a client takes."""


class Left(Exception):
    """The client has closed the connection."""


class Peer:
    """One connection of the client under test.

    Attributes:
        transport: `websocket` or `sse`; or `post` for a request that posts.
        number: of this connection among those of its transport, from 0. A browser's client may ask over
            SSE why its WebSocket was refused.
        after: position at which the client resumes; empty for none.
        head: of its request, by names in lower case.
    """

    def __init__(
        self,
        transport: str,
        number: int,
        head: Mapping[str, str],
        after: str,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.transport = transport
        self.number = number
        self.after = after
        self.head = head
        self._reader, self._writer = streams

    async def accept(self, headers: str = "", welcomes: bool = True) -> None:
        """Open the stream, and send the welcome."""
        if self.transport == "websocket":
            key = sha1((self.head["sec-websocket-key"] + _GUID).encode()).digest()
            answer = "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            answer += f"Sec-WebSocket-Accept: {b64encode(key).decode()}\r\n"
        else:
            answer = "200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
        await self.raw(f"HTTP/1.1 {answer}{headers}\r\n".encode())
        if welcomes:
            await self.raw(self.framed(self.welcome()))

    def welcome(self) -> dict[str, Any]:
        """Return the first message of a connection."""
        position = self.after or "a1-0"
        return {**news("hello", 1), "producer": "welcome", "client": "c" * 32, "id": position}

    async def say(self, text: str, number: int, **changes: Any) -> None:
        """Send a message."""
        await self.raw(self.framed({**news(text, number), **changes}))

    def framed(self, message: Mapping[str, Any]) -> bytes:
        """Return a message as the transport sends it."""
        payload = json.dumps(message, ensure_ascii=False).encode()
        if self.transport == "websocket":
            return wire.websocket_frame(payload)
        position = message.get("id") if "client" not in message else None
        return wire.sse_event(payload, position)

    async def raw(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def refuse(self, status: str, line: str, headers: str = "") -> None:
        """Answer with an error, or a redirect."""
        body = f"{line}\n".encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        await self.raw(f"{head}Connection: close\r\n{headers}\r\n".encode() + body)
        self._writer.close()

    async def close(self, code: int = 1001, reason: str = "") -> None:
        """End the stream in the regular way."""
        if self.transport == "websocket":
            await self.raw(wire.websocket_control(CLOSE, code.to_bytes(2, "big") + reason.encode()))
            await self.stay()
        self._writer.close()

    def cut(self) -> None:
        """End the connection by RST or FIN, in the middle of anything."""
        self._writer.transport.abort()

    async def stay(self) -> None:
        """Keep the connection until the client leaves."""
        while True:
            if await self.opcode() == CLOSE:
                self._writer.close()
                return

    async def opcode(self) -> int:
        """Return the opcode of the client's next frame.

        Raises:
            Left: if the client leaves. Only over WebSocket it sends something else.
        """
        if self.transport != "websocket":
            while await self._reader.read(1024):
                pass
            raise Left
        try:
            first, second = await self._reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                length = int.from_bytes(await self._reader.readexactly(2), "big")
            await self._reader.readexactly(4 + length)
        except asyncio.IncompleteReadError as error:
            raise Left from error
        return first & 0xF


def news(text: str, number: int, epoch: str = "a1") -> dict[str, Any]:
    """Return a shared message."""
    return {"message": text, "sentAt": 0, "producer": "news", "seq": number, "id": f"{epoch}-{number}"}


Script = Callable[[Peer], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """A way to misbehave, and the outcome that is wanted.

    Arguments:
        serve: serves one connection.
        messages: texts that the program receives, in order.
        transports: that the client is started with.
        ledger: counts other than 0; `received` is the number of messages if it is not here.
        after: positions at which the client resumes, without repetitions; None where that is not the
            point. For cases over one transport.
        error: kind of the error that ends the stream, or `not sent`; empty for none.
        words: part of a sentence that the client reports.
        used: transport at the end; empty where that is not the point.
        waits: of the client, in seconds, where time has to pass.
        sent: text that the client sends after its welcome; empty for none.
        rewind: past that the client asks for; None for none.
    """

    serve: Script
    messages: list[str] = field(default_factory=list)
    transports: tuple[str, ...] = TRANSPORTS
    ledger: Mapping[str, int] = field(default_factory=dict)
    after: list[str] | None = None
    error: str = ""
    words: str = ""
    used: str = ""
    waits: Mapping[str, float] = field(default_factory=dict)
    sent: str = ""
    rewind: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """All counts of the ledger."""
        names = ("missing", "repeated", "late", "lost", "unreadable")
        return dict.fromkeys(names, 0) | {"received": len(self.messages), **self.ledger}


CASES: dict[str, Case] = {}


def case(*messages: str, **wanted: Any) -> Callable[[Script], Script]:
    """Add a function to the table."""

    def add(serve: Script) -> Script:
        CASES[serve.__name__] = Case(serve, list(messages), **wanted)
        return serve

    return add


@case("one")
async def behaves(peer: Peer) -> None:
    await peer.accept()
    await peer.say("one", 1)
    await peer.stay()


@case(error="refused", words="not on Sundays")
async def refuses(peer: Peer) -> None:
    await peer.refuse("403 Forbidden", "not on Sundays")


@case(error="login", words="send a token")
async def needs_a_login(peer: Peer) -> None:
    await peer.refuse("401 Unauthorized", "send a token", "WWW-Authenticate: Bearer\r\n")


@case(error="refused", words="not on Sundays", transports=AUTO)
async def refuses_both_transports(peer: Peer) -> None:
    await peer.refuse("403 Forbidden", "not on Sundays")


@case("one", words="the house is full")
async def refuses_for_a_moment(peer: Peer) -> None:
    if peer.number == 0:
        await peer.refuse("503 Service Unavailable", "the house is full", "Retry-After: 0\r\n")
        return
    await behaves(peer)


@case("one", words="too early")
async def refuses_what_is_too_early(peer: Peer) -> None:
    """It invites another try (RFC 8470 section 5.2)."""
    if peer.number == 0:
        await peer.refuse("425 Too Early", "too early", "Retry-After: 0\r\n")
        return
    await behaves(peer)


@case(error="refused", words="not here")
async def implements_no_streams(peer: Peer) -> None:
    """Another try would be in vain (RFC 9110 section 15.6.2), whatever it says."""
    await peer.refuse("501 Not Implemented", "not here", "Retry-After: 0\r\n")


@case("one", "two", words="reconnecting")
async def is_away_behind_its_proxy(peer: Peer) -> None:
    if peer.number in (1, 2):
        await peer.refuse("502 Bad Gateway", "<html>nginx</html>")
        return
    await peer.accept()
    if peer.number == 0:
        await peer.say("one", 1)
        await peer.close()
        return
    await peer.say("two", 2)
    await peer.stay()


@case(error="refused", words="redirect", transports=("websocket", "sse", "auto"))
async def redirects(peer: Peer) -> None:
    await peer.refuse(
        "307 Temporary Redirect", "moved", "Location: http://elsewhere.test/?key=secret\r\n"
    )


@case(error="not sent", words="redirect", transports=("sse",), sent="hello")
async def redirects_a_text(peer: Peer) -> None:
    if peer.transport == "post":
        await redirects(peer)
        return
    await peer.accept()
    await peer.stay()


@case("one", "two", after=["", "a1-1"], words="reconnecting")
async def cuts_in_the_middle_of_an_event(peer: Peer) -> None:
    await peer.accept()
    if peer.number == 0:
        await peer.say("one", 1)
        await peer.raw(peer.framed(news("two", 2))[:-4])
        peer.cut()
        return
    await peer.say("two", 2)
    await peer.stay()


@case("grün", after=["", "a1-0"])
async def cuts_in_the_middle_of_a_letter(peer: Peer) -> None:
    await peer.accept()
    data = peer.framed(news("grün", 1))
    middle = data.index("ü".encode()) + 1
    await peer.raw(data[:middle])
    if peer.number == 0:
        peer.cut()
        return
    await asyncio.sleep(0.01)  # another segment
    await peer.raw(data[middle:])
    await peer.stay()


@case("grün")
async def sends_byte_by_byte(peer: Peer) -> None:
    await peer.accept()
    for byte in peer.framed(news("grün", 1)):
        await peer.raw(bytes((byte,)))
        await asyncio.sleep(0)
    await peer.stay()


@case("one", "one", "two", ledger={"repeated": 1})
async def repeats(peer: Peer) -> None:
    await peer.accept()
    for text, number in (("one", 1), ("one", 1), ("two", 2)):
        await peer.say(text, number)
    await peer.stay()


@case("one", "four", "three", ledger={"missing": 1, "late": 1})
async def skips(peer: Peer) -> None:
    await peer.accept()
    for text, number in (("one", 1), ("four", 4), ("three", 3)):
        await peer.say(text, number)
    await peer.stay()


@case("one", "nine", ledger={"lost": 1}, words="lost", after=["", "a1-1"])
async def has_lost_messages(peer: Peer) -> None:
    await peer.accept()
    if peer.number == 0:
        await peer.say("one", 1)
        await peer.close(1013)
        return
    await peer.say("lost", 0, producer="resume", seq=1, id="a1-8", lost=True)
    await peer.say("nine", 9)
    await peer.stay()


@case(
    *("one", "nine", "seven", "eight", "ten"),
    ledger={"lost": 1},
    words="lost",
    after=["", "a1-1", ""],
    rewind="10m",
)
async def has_lost_messages_of_a_past(peer: Peer) -> None:
    """The past has them, and one that the client has received since."""
    if peer.number < 2:
        await has_lost_messages(peer)
        return
    await peer.accept()
    for number, text in enumerate(("seven", "eight", "nine", "ten"), 7):
        await peer.say(text, number)
    await peer.stay()


@case("one", "nine", "other", "ten", ledger={"lost": 1}, after=["", "a1-1", ""], rewind="1s")
async def sends_the_newest_message_of_another_producer(peer: Peer) -> None:
    """The past begins after the last message; an older one has the opening position of the client."""
    if peer.number < 2:
        await has_lost_messages(peer)
        return
    await peer.accept(welcomes=False)
    await peer.raw(peer.framed({**peer.welcome(), "id": "a1-9.0"}))
    await peer.say("other", 3, producer="other", id="a1-9.3")
    await peer.say("ten", 10)
    await peer.stay()


@case("one", ledger={"missing": 1}, rewind="10m")
async def has_nothing_left_of_a_past(peer: Peer) -> None:
    """Its position says so, and counts among the messages of rtdemo, of which the fourth is missing."""
    await peer.accept()
    for number in (1, 2, 3, 5):
        await peer.say("{}", 0, producer="rtdemo", seq=number, id="a1-8", truncated=True)
    await peer.say("one", 9)
    await peer.stay()


@case("one", "new", after=["", "a1-7"])
async def restarts_with_new_ids(peer: Peer) -> None:
    await peer.accept()
    if peer.number == 0:
        await peer.say("one", 7)
        peer.cut()
        return
    await peer.say("new", 1, id="b2-1")
    await peer.stay()


@case("1", "2", "3", "4", after=["", "a1-1", "a1-2", "a1-3"])
async def closes_after_each_event(peer: Peer) -> None:
    await peer.accept()
    await peer.say(str(peer.number + 1), peer.number + 1)
    if peer.number < 3:
        await peer.close(1001)
        return
    await peer.stay()


@case("one", transports=AUTO, used="sse", words="SSE", waits={"mute": PATIENCE_S})
async def is_mute_over_one_transport(peer: Peer) -> None:
    if peer.transport == "sse":
        await behaves(peer)
        return
    await peer.accept(welcomes=False)
    await peer.stay()


@case("one", transports=AUTO, used="sse", words="SSE")
async def forwards_no_upgrade(peer: Peer) -> None:
    if peer.transport == "sse":
        await behaves(peer)
        return
    await peer.refuse("400 Bad Request", "<html>bad gateway</html>")


@case("one", "two", transports=AUTO, used="websocket", words="no such page")
async def forwards_no_event_stream(peer: Peer) -> None:
    if peer.transport == "sse":
        await peer.refuse("404 Not Found", "no such page")
        return
    await is_away_behind_its_proxy(peer)


@case("one", transports=AUTO, used="sse", words="SSE")
async def cuts_each_websocket(peer: Peer) -> None:
    if peer.transport == "sse":
        await behaves(peer)
        return
    await peer.accept(welcomes=False)
    peer.cut()


@case("one", transports=AUTO, used="sse", waits={"attempt": PATIENCE_S})
async def never_answers_an_upgrade(peer: Peer) -> None:
    if peer.transport == "sse":
        await behaves(peer)
        return
    await peer.stay()


@case("one", "two", after=["", "a1-1"], waits={"attempt": PATIENCE_S})
async def never_answers_once(peer: Peer) -> None:
    if peer.number == 1:
        await peer.stay()
        return
    await peer.accept()
    if peer.number == 0:
        await peer.say("one", 1)
        peer.cut()
        return
    await peer.say("two", 2)
    await peer.stay()


@case("one", "two", after=["", "a1-1"], waits={"dead": 0.2})
async def goes_silent_without_an_end(peer: Peer) -> None:
    await peer.accept()
    if peer.number == 0:
        await peer.say("one", 1)
        await peer.raw(peer.framed({"message": '{"heartbeat":2}', "sentAt": 0, "producer": "rtdemo"}))
        await peer.stay()
        return
    await peer.say("two", 2)
    await peer.stay()


@case("no JSON", "[1]", "one", ledger={"unreadable": 2})
async def sends_garbage(peer: Peer) -> None:
    await peer.accept()
    for text in ("no JSON", "[1]"):
        data = text.encode()
        frames = {
            "websocket": wire.websocket_frame(data),
            "sse": b"nothing\nx: y\n" + wire.sse_event(data),
        }
        await peer.raw(frames[peer.transport])
    await peer.say("one", 1)
    await peer.stay()


@case(error="no stream", transports=("sse",), words="text/html")
async def answers_with_a_page(peer: Peer) -> None:
    body = "<!doctype html><title>Welcome to nginx</title>"
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close"
    )
    await peer.raw(f"{head}\r\n\r\n{body}".encode())
    await peer.stay()


@case("one", "three", transports=("sse",), after=["", "a1-1"])
async def sends_an_event_without_end(peer: Peer) -> None:
    await peer.accept()
    if peer.number == 0:
        await peer.say("one", 1)
        await peer.raw(b"data: " + b"x" * HUGE)
        await peer.stay()
        return
    await peer.say("three", 3, seq=2)
    await peer.stay()


@case("one", transports=("websocket",))
async def pings(peer: Peer) -> None:
    await peer.accept()
    await peer.raw(wire.websocket_control(wire.PING, b"are you there"))
    while await peer.opcode() != PONG:
        pass
    await peer.say("one", 1)
    await peer.stay()


@case("one", transports=("sse",))
async def compresses_the_stream(peer: Peer) -> None:
    await peer.accept("Content-Encoding: gzip\r\n", welcomes=False)
    await peer.raw(gzip.compress(peer.framed(peer.welcome()) + peer.framed(news("one", 1))))
    await peer.stay()


@case("one", "two", transports=("websocket",), after=["", "a1-1"])
async def compresses_without_agreement(peer: Peer) -> None:
    await peer.accept()
    if peer.number == 0:
        await peer.say("one", 1)
        await peer.raw(b"\xc1\x03abc")  # RSV1 (RFC 6455 section 5.2)
        await peer.stay()
        return
    await peer.say("two", 2)
    await peer.stay()


@case("one", "two", transports=("sse",))
async def ends_lines_by_crlf_and_by_cr(peer: Peer) -> None:
    await peer.accept()
    await peer.raw(peer.framed(news("one", 1)).replace(b"\n", b"\r\n"))
    await peer.raw(peer.framed(news("two", 2)).replace(b"\n", b"\r") + b":\r")
    await peer.stay()


@case("one", transports=("sse",))
async def sends_events_of_a_later_version(peer: Peer) -> None:
    await peer.accept()
    await peer.raw(b"event: later\n" + peer.framed(news("zero", 1)))
    await peer.say("one", 1)
    await peer.stay()


@case("one", transports=("sse",))
async def begins_with_a_byte_order_mark(peer: Peer) -> None:
    await peer.accept(welcomes=False)
    await peer.raw(b"\xef\xbb\xbf" + peer.framed(peer.welcome()) + peer.framed(news("one", 1)))
    await peer.stay()


@case("one", transports=("sse",))
async def floods_with_comments(peer: Peer) -> None:
    await peer.accept()
    for _ in range(100):
        await peer.raw(b": nothing at all\n" * 1000)
    await peer.say("one", 1)
    await peer.stay()


@case("one", error="login", words="expired")
async def ends_an_expired_login(peer: Peer) -> None:
    await peer.accept()
    await peer.say("one", 1)
    if peer.transport == "sse":
        await peer.raw(wire.SSE_EXPIRED)
    await peer.close(1008, "token expired")


@case("one", error="refused", words="rate limit", transports=("websocket",))
async def ends_a_client_over_a_limit(peer: Peer) -> None:
    await peer.accept()
    await peer.say("one", 1)
    await peer.close(1008, "rate limit")


class MisbehavingServer:
    """Serve one case, and beside it what a page needs.

    Arguments:
        serve: serves each connection for a stream.
        files: other paths with their content type and content.

    Attributes:
        url: of the server.
        after: position at which each connection wanted to resume, by transport.
    """

    def __init__(self, serve: Script, files: Mapping[str, tuple[str, str]] | None = None) -> None:
        self.begin(serve)
        self._files = {"/healthz": ("text/plain", "ok"), **(files or {})}
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    def begin(self, serve: Script) -> None:
        """Begin a case: forget the connections of an earlier one."""
        self._serve = serve
        self.after: dict[str, list[str]] = {transport: [] for transport in (*TRANSPORTS, "post")}

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task that ends with the server."""
        task = asyncio.ensure_future(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, Left, asyncio.IncompleteReadError):
                await self._request(reader, writer)
        finally:
            writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        head = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
        target = urlsplit(first.split(" ")[1])
        if target.path in self._files:
            await self._send_file(target.path, writer)
            return
        # What is not read when a connection is closed would cut the answer.
        await reader.readexactly(int(head.get("content-length", "0")))
        if not target.path.endswith(_ASKED):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        after = head.get("last-event-id") or dict(parse_qsl(target.query)).get("last_event_id", "")
        transport = "websocket" if "upgrade" in head else "post" if first.startswith("POST") else "sse"
        peer = Peer(transport, len(self.after[transport]), head, after, (reader, writer))
        self.after[transport].append(after)
        await self._serve(peer)
        await writer.drain()

    async def _send_file(self, path: str, writer: asyncio.StreamWriter) -> None:
        kind, text = self._files[path]
        body = text.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()

    async def close(self) -> None:
        """End each connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def misbehaving(
    serve: Script, files: Mapping[str, tuple[str, str]] | None = None
) -> AsyncIterator[MisbehavingServer]:
    """Start a server for a case; it dies with the test."""
    server = MisbehavingServer(serve, files)
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await server.close()
