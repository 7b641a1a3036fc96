"""A server of an event stream that keeps every rule, and breaks those that a test seeds.

It is written by hand on asyncio streams: a library would not let most of these faults happen.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate

PERIOD_S = 0.05
"""Seconds between two events; `slow` makes it longer."""
SLOW_PERIOD_S = 0.7
HISTORY = 3
"""Events before the present one that a new client gets, too."""
MAX_PLACES = 12
"""Streams at the same time with the fault `places-not-freed`."""
_EVENT_STREAM = re.compile(r"\*/\*|text/\*|text/event-stream", re.IGNORECASE)
_NAMES = ("GET", "HEAD", "OPTIONS")


class Request:
    """A request, as far as it could be read.

    Attributes:
        error: status with which it is refused; 0 if it is valid.
    """

    def __init__(self, head: bytes, faults: frozenset[str]) -> None:
        self.error = 0
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        self.method, self.target, self.version = words if len(words) == 3 else ("", "", "")
        self.fields: dict[str, str] = {}
        hosts = 0
        for line in filter(None, lines):
            if line[0] in " \t":
                self.error = 500 if "folding-fails" in faults else 400
                continue
            name, _, value = line.partition(":")
            if name != name.strip() and "space-before-colon" not in faults:
                self.error = 400
            stripped = value.removeprefix(" ") if "whitespace" in faults else value.strip(" \t")
            self.fields[name.lower()] = stripped
            hosts += (name if "case" in faults else name.title()) == "Host"
        self._check(hosts, faults)

    def _check(self, hosts: int, faults: frozenset[str]) -> None:
        get = self.fields.get
        host = get("host", "") if "whitespace" in faults else get("host", "").strip()
        is_1_1 = self.version == "HTTP/1.1"
        length = max(map(len, self.fields.values()), default=0)
        refused = (
            (not self.version.startswith("HTTP/1.") or "(" in self.method, 400),
            (hosts == 0 and is_1_1 and "no-host" not in faults, 400),
            (hosts > 1 and "two-hosts" not in faults, 400),
            (
                " " in (host if "whitespace" in faults else host.strip()) and "bad-host" not in faults,
                400,
            ),
            ("\0" in "".join(self.fields.values()), 500 if "null-fails" in faults else 400),
            (not get("content-length", "0").isdigit() and "bad-length" not in faults, 400),
            (get("transfer-encoding", "chunked") != "chunked" and "coding" not in faults, 501),
            (len(self.fields) > 100 and "many-fields" in faults, 500),
            (length > 10_000 and "long-field" in faults, 500),
            (self.is_1_0 and "no-1.0" in faults, 400),
        )
        for is_wrong, status in refused:
            if is_wrong:
                self.error = status

    @property
    def is_1_0(self) -> bool:
        return self.version == "HTTP/1.0"

    @property
    def wants_close(self) -> bool:
        return self.is_1_0 or self.fields.get("connection", "").lower() == "close"


DESCENDS_FROM = 1_000_000
"""Id before the first one of the server whose ids descend."""


class SeededServer:
    """The server. Its events are numbered from its start: all clients see the same.

    Arguments:
        faults: names of the seeded faults; none for a server that keeps all rules.

    Attributes:
        streams: that are open.
        answers: that were sent, without those of streams that are open.
    """

    def __init__(self, *faults: str) -> None:
        self.faults = frozenset(faults)
        self.url = ""
        self.streams = self.answers = 0
        self._started = 0.0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def period_s(self) -> float:
        return SLOW_PERIOD_S if self.faults & {"blank-line-first", "slow"} else PERIOD_S

    def has(self, fault: str) -> bool:
        """Return whether this fault is seeded."""
        return fault in self.faults

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._started = asyncio.get_running_loop().time() - HISTORY * self.period_s
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, limit=256 * 1024, ssl=tls
        )
        self.url = (
            f"http{'s' if tls else ''}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/events"
        )

    async def stop(self) -> None:
        """Stop listening, and end all connections."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while await self._serve(reader, writer):
                    pass
                if self.has("never-closes"):
                    await reader.read()
        except asyncio.CancelledError:
            writer.transport.abort()  # the client may never read what is left
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection takes another one."""
        head = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
        if head.startswith(b"\r\n") and not self.has("empty-line"):
            head = head.removeprefix(b"\r\n")
        if not head:
            return True
        request = Request(head, self.faults)
        if " b" in request.fields.get("host", "") and self.has("dies"):
            await self._die(writer)
        if request.fields.get("expect", "").lower() == "100-continue" and not self.has("no-continue"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.error == 0:
            length = request.fields.get("content-length", "0")
            await reader.readexactly(int(length) if length.isdigit() else 0)
        answer = Answer(self, request, writer)
        if "(" in request.method and self.has("bad-method-silent"):
            return False
        is_stream = await answer.send()
        self.answers += 1
        if is_stream or request.error or request.wants_close or self.has("until-closed"):
            return False
        return not (self.has("one-request") or self.has("silent-close"))

    async def _die(self, writer: asyncio.StreamWriter) -> None:
        assert self._server is not None
        self._server.close()
        writer.transport.abort()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        raise asyncio.CancelledError

    @property
    def now(self) -> int:
        """Number of the present event."""
        return int((asyncio.get_running_loop().time() - self._started) / self.period_s)

    async def numbers(self, after: int | None) -> AsyncIterator[int]:
        """Yield the numbers of the events after one; None for the present."""
        number = self.now - HISTORY if after is None else max(after, self.now - 2000)
        number = 0 if self.has("replays") else number
        if after is not None and self.has("shuffles"):
            yield after + 2
            yield after + 1
            number = after + 2
        first = number
        while True:
            if self.has("finite") and number - first > 8:
                return
            number += 1
            delay = self._started + number * self.period_s - asyncio.get_running_loop().time()
            if delay > 0:
                await asyncio.sleep(delay)
            yield number


class Answer:
    """The answer to one request."""

    def __init__(self, server: SeededServer, request: Request, writer: asyncio.StreamWriter) -> None:
        self.server, self.request, self.writer = server, request, writer
        self.has = server.has
        self.fields: list[tuple[str, str]] = [("Date", formatdate(usegmt=True))]

    async def send(self) -> bool:
        """Send it; return whether it was a stream."""
        request, has = self.request, self.has
        status = request.error or self._status()
        self._change_date(status)
        if status != 200 or (request.method == "OPTIONS" and not has("options-is-stream")):
            self._send_short(status)
            return False
        if request.method == "HEAD":
            await self._send_head()
            return False
        while self._is_full():
            if has("places-not-freed"):
                self._send_short(503)
                return False
            await asyncio.sleep(0.05)
        self._add_stream_fields()
        self.server.streams += 1
        try:
            await self._send_stream()
        finally:
            if not has("places-not-freed"):
                self.server.streams -= 1
        return True

    def _change_date(self, status: int) -> None:
        if self.has("no-date") or (self.has("no-date-on-errors") and status >= 400):
            self.fields = []
        if self.has("date-form"):
            self.fields = [("Date", formatdate())]

    async def _send_head(self) -> None:
        if self.has("head-silent"):
            await asyncio.sleep(60)
        self._add_stream_fields()
        if self.has("head-fields"):
            self.fields.append(("Vary", "Cookie"))
        if self.has("close-not-kept") and not self.request.wants_close:
            self.fields.append(("Connection", "close"))
        self._write_head(200)
        if self.has("head-content"):
            self.writer.write(b"data: x\n\n")
        if self.has("head-hangs") or self.has("close-not-kept"):
            await asyncio.sleep(60)

    def _is_full(self) -> bool:
        if self.has("one-at-a-time"):
            return self.server.streams >= 1
        return self.has("places-not-freed") and self.server.streams >= MAX_PLACES

    def _status(self) -> int:
        request, has = self.request, self.has
        path = request.target if has("absolute-form") else re.sub(r"^https?://[^/]+", "", request.target)
        if request.method == "CONFORM" and not has("any-method"):
            return 501
        is_allowed = request.method in _NAMES or (request.method == "POST" and has("post"))
        if not is_allowed and not has("any-method"):
            return 405
        if path.startswith("/moved"):
            return 302
        if path.partition("?")[0] != "/events":
            return 404
        if len(request.target) > 1000 and has("short-target"):
            return 414
        if request.method == "HEAD" and has("no-head"):
            return 405
        if request.method == "OPTIONS":
            return 200 if has("options-is-stream") else 204
        if request.fields.get("expect") and has("expectation"):
            return 500
        if any(name.startswith("!") for name in request.fields) and has("unknown-field"):
            return 400
        return self._status_by_accept() or self._status_by_id() or 200

    def _status_by_accept(self) -> int:
        accept = self.request.fields.get("accept")
        if self.has("accept-exact") and accept != "text/event-stream":
            return 406
        if accept == "image/png":
            statuses = {"accept-fails": 500, "busy": 503, "page": 200}
            return next((status for fault, status in statuses.items() if self.has(fault)), 406)
        if "identity;q=0" in self.request.fields.get("accept-encoding", "") and self.has(
            "identity-fails"
        ):
            return 500
        if self.has("whitespace") and accept is not None and accept != accept.strip():
            return 406
        excluded = accept is not None and not _EVENT_STREAM.search(accept)
        return 406 if excluded else 0

    def _status_by_id(self) -> int:
        given = self.request.fields.get("last-event-id")
        if given is None:
            return 0
        if self.has("id-fails") and not (given.isdigit() and len(given) < 20):
            return 500
        if self.has("id-refused") and given:
            return 400
        return 0

    def _send_short(self, status: int) -> None:
        fields, has = self.fields, self.has
        methods = "GET, HEAD, OPTIONS" + (", POST" if has("post") else "")
        methods = "HEAD, OPTIONS" if has("allow-incomplete") else methods
        if status == 204 or (status == 405 and not has("no-allow")):
            fields.append(("Allow", methods))
        if status == 302:
            fields.append(("Location", "/events"))
        if status == 503 and not has("busy"):
            fields.append(("Retry-After", "1"))
        if status == 204:
            self._add_cors()
            if has("length-with-204"):
                fields.append(("Content-Length", "0"))
            self._write_head(204)
            return
        content = b"" if self.request.method == "HEAD" else b"no stream here\n"
        length = len(content) + (5 if has("length-wrong") else 0)
        fields += [("Content-Type", "text/plain"), ("Content-Length", str(length))]
        if self.request.error or self.request.wants_close:
            self._add_close()
        self._write_head(status)
        self.writer.write(content)
        if has("excess"):
            self.writer.write(b"more")

    def _add_close(self) -> None:
        if not self.has("close-not-announced"):
            self.fields.append(("Connection", "close"))

    def _add_cors(self) -> None:
        fields, has = self.fields, self.has
        origin = self.request.fields.get("origin", "https://own.invalid")
        if has("no-cors"):
            return
        echoes = has("cors-echo") or has("cors-echo-credentials")
        fields.append(("Access-Control-Allow-Origin", origin if echoes else "*"))
        if has("cors-two"):
            fields.append(("Access-Control-Allow-Origin", "https://own.invalid"))
        if has("cors-wildcard") or has("cors-echo-credentials"):
            fields.append(("Access-Control-Allow-Credentials", "true"))
        if has("cors-credentials-value"):
            fields.append(("Access-Control-Allow-Credentials", "True"))
        if has("cors-echo-credentials"):
            fields.append(("Vary", "Origin"))
        if not has("cors-preflight"):
            fields.append(("Access-Control-Allow-Headers", "Last-Event-ID"))

    def _add_stream_fields(self) -> None:
        has, request = self.has, self.request
        kind = "text/plain" if has("media-type") else "text/event-stream"
        if has("page") and request.fields.get("accept") == "image/png":
            kind = "text/html"
        control = "no-cache, no-transform"
        control = "public, max-age=3600, no-transform" if has("fresh") else control
        control = "no-cache no-transform; no-store=" if has("control-syntax") else control
        control = "no-cache" if has("transform") else control
        is_chunked = not (has("until-closed") or has("length-on-stream"))
        is_chunked = is_chunked and (not request.is_1_0 or has("chunks-to-1.0"))
        fields = (
            ("Content-Type", kind + ("; charset=iso-8859-1" if has("charset") else ""), True),
            ("Content-Type", kind, has("two-types")),
            ("Cache-Control", control, not has("no-cache-control")),
            ("X-Accel-Buffering", "no", not has("nginx")),
            ("Age", "60", has("age")),
            ("Vary", "Accept-Encoding", self._is_gzip and not has("gzip-no-vary")),
            ("Content-Encoding", "gzip", self._is_gzip),
            ("Content-Encoding", "rot13", has("unknown-coding")),
            ("Keep-Alive", "timeout=5", has("keep-alive-field")),
            ("X-Bad", "a\x01b", has("null-in-field")),
            ("X Bad", "1", has("field-name")),
            ("Transfer-Encoding", "chunked", is_chunked),
            ("Transfer-Encoding", "chunked", is_chunked and has("coding-twice")),
            ("Content-Length", "1000000", has("length-on-stream") or has("two-framings")),
            ("Content-Length", "1000x", has("bad-content-length")),
        )
        self.fields += [(name, value) for name, value, is_sent in fields if is_sent]
        self._add_cors()
        if request.wants_close or has("until-closed"):
            self._add_close()

    @property
    def _is_gzip(self) -> bool:
        accepted = "gzip" in self.request.fields.get("accept-encoding", "")
        return (accepted and "q=0" not in self.request.fields["accept-encoding"]) or self.has(
            "gzip-always"
        )

    def _write_head(self, status: int) -> None:
        has = self.has
        version = "1.0" if has("version-1.0") and status == 200 else "1.1"
        line = f"HTTP/{version} {status} {'' if has('no-reason') else 'Reason'}"
        lines = [line.rstrip() if has("no-reason") else line]
        for name, value in self.fields:
            colon = " :" if has("colon-space") and name == "Date" else ":"
            fold = "\r\n " if has("fold") and name == "Cache-Control" else " "
            lines.append(f"{name}{colon}{fold}{value}")
        end = "\n" if has("lf-heads") else "\r\n"
        if self.request.is_1_0 and has("interim-to-1.0"):
            self.writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        self.writer.write((end.join(lines) + end * 2).encode("latin-1"))

    async def _send_stream(self) -> None:
        has = self.has
        if has("late-head") and self.server.streams == 1:
            await asyncio.sleep(2.3)
        self._write_head(200)
        is_chunked = any(name == "Transfer-Encoding" for name, _ in self.fields)
        if self._is_gzip:
            self.compressor = zlib.compressobj(wbits=31)
        if not has("no-retry"):
            retry = "3s" if has("retry-unit") else "0" if has("retry-0") else "3000"
            self._write(f"retry: {retry}\n\n".encode(), is_chunked)
        after = self._resume_after()
        if after is not None and has("repeats"):
            after -= 1
        async for number in self.server.numbers(after):
            self._write(event(number, self.server.faults), is_chunked)
            if has("cut") and number % 20 == 0:
                self._reset()
                return
            await self.writer.drain()
            if self.writer.transport.is_closing():
                return
        if has("truncated"):
            self._write(b"event: tick\ndata: the end\n", is_chunked)
        if is_chunked and not has("no-last-chunk"):
            self.writer.write(b"0\r\n\r\n")

    def _reset(self) -> None:
        """Close the connection with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def _resume_after(self) -> int | None:
        """Return the event after which the client continues; None for the present."""
        given = self.request.fields.get("last-event-id", "")
        if self.has("id-not-ascii") and given:
            return self.server.now  # it knows no such id, and has no history: what was missed is lost
        if self.has("ids-descend") and given.isdigit() and len(given) < 8:
            given = str(DESCENDS_FROM - int(given))
        is_number = given.isdigit() and len(given) < 3000 and not self.has("no-resume")
        return int(given) if is_number and int(given) <= self.server.now else None

    def _write(self, data: bytes, is_chunked: bool) -> None:
        if self._is_gzip and not self.has("gzip-not-gzip"):
            data = self.compressor.compress(data)
            data += b"" if self.has("gzip-not-flushed") else self.compressor.flush(zlib.Z_SYNC_FLUSH)
        if not data:
            return
        if is_chunked:
            size = f"0x{len(data):x}" if self.has("chunk-size") else f"{len(data):x}"
            data = f"{size}\r\n".encode() + data + b"\r\n"
        self.writer.write(data)


def event(number: int, faults: frozenset[str]) -> bytes:
    """Return an event with the seeded faults."""

    def has(fault: str) -> bool:
        return fault in faults

    identity = str(DESCENDS_FROM - number) if has("ids-descend") else str(number)
    identity = str(number // 2) if has("ids-repeat") else identity
    identity = f"{number}\0" if has("id-null") else identity
    identity = f"{number} " if has("id-space") else identity
    identity = f"é{number}" if has("id-not-ascii") else identity
    identity = f"{'0' * 2000}{number}" if has("id-long") else identity
    kind = "error" if has("type-reserved") else "tick " if has("type-space") else "tick"
    lines = [f"id: {identity}"] if not has("no-ids") else []
    if has("id-reset") and number % 2:
        lines = ["id"]
    lines.append(f"event: {kind}")
    if has("two-types-of-event"):
        lines.append("event: tock")
    lines += _data(number, faults)
    if has("unknown-field-name"):
        lines.append("time: 12")
    end = "\r" if has("cr") else "\r\n" if has("mixed-ends") and number % 2 else "\n"
    text = end.join(lines) + end
    if has("blank-line-first"):
        text = end + text
    elif not has("no-blank-line"):
        text += end
    data = text.encode("latin-1" if has("latin-1") else "utf-8")
    return b"\xef\xbb\xbf" + data if has("bom") else data


def _data(number: int, faults: frozenset[str]) -> list[str]:
    text = f"tick {number} é"
    if "no-data" in faults and number % 2:
        return []
    if "stray-line" in faults:
        return [f"data: {text}", "and a second line"]
    if "upper-case" in faults:
        return [f"Data: {text}"] if number % 2 else [f"data: {text}"]
    if "space-in-name" in faults:
        return [f"data : {text}"] if number % 2 else [f"data: {text}"]
    if "mixed-spaces" in faults and number % 2:
        return [f"data:{text}"]
    if "wrapped" in faults:
        return [f"data: data: {text}"]
    if "large" in faults and number % 20 == 10:
        return [f"data: {'x' * 1_100_000}"]
    return [f"data: {text}"]


@asynccontextmanager
async def seeded(*faults: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[SeededServer]:
    """Run a server with these faults, with TLS or without."""
    server = SeededServer(*faults)
    await server.start(tls)
    try:
        yield server
    finally:
        await server.stop()
