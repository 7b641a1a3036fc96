"""WebSocket connections (RFC 6455): reads their frames, and handles their texts in order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from aiohttp import hdrs, web
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

try:
    from websockets.speedups import apply_mask
except ImportError:  # installed without a C compiler
    from websockets.utils import apply_mask

from rtdemo.errors import OverLimit
from rtdemo.hub import control
from rtdemo.hub.outbox import OUTBOX_LIMIT_BYTES
from rtdemo.protocol import wire
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.protocol.wire import WireFormat
from rtdemo.web import compression, heartbeat, probe_streams
from rtdemo.web.admission import admit, check_origin
from rtdemo.web.app_keys import READ_BUFFER
from rtdemo.web.closing_handshake import ClosingHandshake
from rtdemo.web.handshake import accept_handshake, check_handshake
from rtdemo.web.http_connection import LEFT
from rtdemo.web.limits import check_connect
from rtdemo.web.login import identify

log = logging.getLogger(__name__)

TEXTS_PER_TURN = 16
"""Texts of one client that are handled before other tasks of the event loop run."""
FRAMES_PER_TURN = 64
"""Frames of one client, of any kind, that are read before other tasks of the event loop run."""
LONG_BYTES = 1024
"""A frame counts once more for each of these that it has. One of 64 KiB may arrive compressed, in 86."""
READ_BYTES = 64 * 1024
"""Bytes of a client that are read from its socket at once."""
REPLIES_LIMIT_BYTES = 64 * 1024
"""Bytes that may wait for a client while its texts are still handled. Its unread texts take memory too,
so this is less than the outbox's limit."""
PARSED_BYTES = 1024
"""Bytes that the parser gets at once: it does not stop before it has read all of them."""
COMPRESSED_BYTES = 128
"""The same where they may be compressed: these hold two texts of 64 KiB at the most."""
UNREAD_BYTES = 32 * 1024
"""Bytes of a client that may wait to be parsed; above this, nothing more is read from its socket."""
CLOSING_BYTES = 16 * 1024
"""Bytes that are read from a client that a limit has ended, to find its close frame among them."""
FINISH_TIMEOUT_S = 2.0
"""Seconds for plugins to handle texts that arrived before the connection was lost."""
_FIN, _MASKED = 0x80, 0x80
_SHORT_HEAD_BYTES = 6
"""Bytes before the payload of a short masked frame: two, and the key of four."""
_SHORT_BYTES = 125
"""Largest payload of a short frame (RFC 6455 section 5.2)."""
_DATA = frozenset((Opcode.TEXT, Opcode.BINARY, Opcode.CONT))
_TEXTS = (_FIN | Opcode.TEXT, _FIN | Opcode.BINARY)
_PING, _PONG, _CLOSE = _FIN | Opcode.PING, _FIN | Opcode.PONG, _FIN | Opcode.CLOSE
_SHORT_KINDS = frozenset((*_TEXTS, _PING, _PONG, _CLOSE))
_RATE_LIMIT = Reason.RATE_LIMIT
"""Looked up here: each text is compared with it, and an Enum's attributes are slow in Python 3.11."""


async def socket(request: web.Request) -> web.StreamResponse:
    """Answer a WebSocket handshake, and serve the connection until it ends.

    Raises:
        Refused: 400, 401, 403, 426, 429 or 503 instead of the upgrade; for a probe also 404.
    """
    check_handshake(request)
    check_origin(request)
    address = check_connect(request)
    identity = await identify(request)
    admitted = admit(request, "websocket", address, identity.user)
    heartbeat_s = heartbeat.requested(request)
    agreed = compression.negotiate(request)
    transport = request.transport
    if transport is None or transport.is_closing():
        return LEFT
    probe = probe_streams.open_probe(request)
    more = {} if probe is None else probe_streams.accept_offers(request)
    opened: WebSocket
    if agreed is None:
        kind = WebSocket if probe is None else ProbeWebSocket
        opened, head = kind(request, transport, admitted.client), accept_handshake(request, more)
    else:
        compressed = CompressedWebSocket if probe is None else CompressedProbeWebSocket
        opened = compressed(request, transport, admitted.client, agreed.wire_format)
        head = accept_handshake(request, more | {hdrs.SEC_WEBSOCKET_EXTENSIONS: agreed.answer})
    return opened.run(request, head, admitted, identity.expires, heartbeat_s, probe)


class WebSocket(ClosingHandshake, asyncio.BufferedProtocol):
    """Protocol of an open WebSocket.

    A short frame that arrives as a whole is read here: this is how nearly all clients send, and it
    costs a connection nothing but these lines. The first frame that is anything else goes to the
    parser of `websockets`, with all that follows.

    Texts are handled in order, each to its end, even if the client disconnects meanwhile. While one
    waits for a plugin, or for a client that does not read its replies, what arrives is kept, up to a
    bound. So the end of the connection is noticed meanwhile.

    Arguments:
        request, transport, client, wire_format: as `StreamProtocol` takes them.
    """

    # fmt: off
    __slots__ = (
        "_buffer",
        "_is_alive",
        "_message",
        "_task",
        "_texts",
        "_texts_in_turn",
        "_unread",
        "_without_text",
    )
    # fmt: on

    _parsed_bytes = PARSED_BYTES

    def __init__(
        self,
        request: web.Request,
        transport: asyncio.Transport,
        client: Client,
        wire_format: WireFormat = wire.websocket_frame,
    ) -> None:
        super().__init__(request, transport, client, wire_format)
        self._buffer = request.app[READ_BUFFER]
        self._is_alive = True
        # The fragments of a message so far, joined: an object for each costs more than its bytes.
        self._message: bytearray | None = None
        # Texts that wait for their turn, and bytes behind them; None while none has to.
        self._texts: deque[str] | None = None
        self._unread = b""
        self._texts_in_turn = 0
        # Frames without a text since the last heartbeat; after a limit ended the connection, bytes.
        self._without_text = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def encode_heartbeat(self) -> Callable[[bytes], bytes]:
        """Make a text frame from the JSON of a heartbeat; it is too short to compress."""
        return wire.websocket_frame

    def beat(self) -> None:
        """Send a ping; end the connection if nothing has come since the last one."""
        self._without_text = 0
        if self.connection.reason is not None:
            return  # nothing may follow a close frame
        # While too much of it is unread, its pong cannot arrive. If that is because it does not read
        # its replies, then what it reads is the sign of life.
        if not self._is_alive and (self.transport.is_reading() or self._is_full):
            self.connection.end(Reason.CONNECTION_LOST)
            return
        self._is_alive = False
        self.write(wire.websocket_control(wire.PING))

    def start(self, first: bytes) -> None:
        """Become the transport's protocol; see `SocketOutbox`.

        Arguments:
            first: what the peer gets first.
        """
        super().start(first)
        # uvloop looks for `get_buffer` only when it begins to read, which `run` lets it do.
        self.transport.pause_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the transport writes what it reads: all connections share it.

        Without it, a transport reads up to 256 KiB at once, and all of it may have to wait.
        """
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Handle what the transport has read.

        Arguments:
            nbytes: its size.
        """
        self.data_received(self._buffer[:nbytes].tobytes())

    def data_received(self, data: bytes) -> None:
        """Handle what the client sends, or keep it while an earlier text waits."""
        self._is_alive = True
        if self.connection.reason is _RATE_LIMIT and not self._may_read_on(len(data)):
            return
        if self._texts is None or not self._is_busy:
            self._texts_in_turn = 0
            self._read(data)
            return
        self._keep(self._unread + data)

    def _keep(self, unread: bytes) -> None:
        """Keep bytes until it is their turn, and read no more from the socket if they are many."""
        self._unread = unread
        if len(unread) > UNREAD_BYTES and self.transport.is_reading():
            self.transport.pause_reading()

    def _may_read_on(self, size: int) -> bool:
        """Return whether to read bytes after a limit has ended the connection: not many of them.

        Otherwise a flood would go on at full speed until its client answers the close frame, or until
        the timer aborts the connection.
        """
        self._without_text += size
        if self._without_text <= CLOSING_BYTES:
            return True
        self.transport.pause_reading()
        return False

    def _read(self, data: bytes) -> None:
        """Read frames until a text has to wait, or other tasks of the event loop have their turn."""
        at = self._read_short_frames(data) if self.parser is None else 0
        size = len(data)
        if at == size:
            return
        # Frames, not pieces: the parser takes 25 us for each, and 64 pieces may have 10,000 pings.
        frames = 0
        while at < size and frames < FRAMES_PER_TURN and not self._is_busy:
            parser = self.get_parser()
            parser.receive_data(data[at : at + self._parsed_bytes])
            at = min(at + self._parsed_bytes, size)
            frames += self._handle_frames(parser)
        is_over = self.connection.reason is _RATE_LIMIT
        if at < size and (not is_over or self._may_read_on(size - at)):
            self._keep(data[at:] + self._unread)
            self._go_on_later()

    def _read_short_frames(self, data: bytes) -> int:
        """Handle the short frames that data begins with; return where the rest for the parser begins."""
        at, end = 0, len(data)
        for _ in range(FRAMES_PER_TURN):
            if end - at < _SHORT_HEAD_BYTES or self.parser is not None:
                break
            if self._texts is not None and self._is_busy:
                break
            kind, length = data[at], data[at + 1] ^ _MASKED
            payload_at = at + _SHORT_HEAD_BYTES
            stop = payload_at + length
            if length > _SHORT_BYTES or stop > end or kind not in _SHORT_KINDS:
                break
            payload = apply_mask(data[payload_at:stop], data[at + 2 : payload_at])
            if kind in _TEXTS:
                try:
                    text = payload.decode()
                except UnicodeDecodeError:
                    break
                self._receive(text)
            elif kind == _CLOSE:
                # Nothing counts after it.
                return end if self.answer_close(payload) else at
            else:
                self._count_frame()
                if kind == _PING:
                    self._pong(payload)
            at = stop
        else:
            self._go_on_later()
        return at

    def _pong(self, payload: bytes) -> None:
        if self.connection.reason is None:
            self.write(wire.websocket_control(wire.PONG, payload))
            if self._is_full:
                self._wait()

    def _count_frame(self) -> None:
        """Count a frame that completes no text; too many of them end the connection."""
        self._without_text += 1
        if self._without_text > self.hub.limits.frames_per_heartbeat and self.connection.reason is None:
            self._refuse(self.hub.limits.refuse_frames())

    def _refuse(self, error: OverLimit) -> None:
        """Send the client the limit that it exceeds, and end the connection."""
        self._without_text = 0  # it counts bytes from now on
        control.send_error(self.connection, error.sentence)
        self.connection.end(Reason.RATE_LIMIT)

    def _handle_frames(self, parser: Protocol) -> int:
        """Handle what the parser has read; return how many frames, 1 or more; long ones count more."""
        frames = parser.events_received()
        count = len(frames)
        for frame in frames:
            if not isinstance(frame, Frame) or frame.opcode not in _DATA:
                self._count_frame()
                if isinstance(frame, Frame) and frame.opcode is Opcode.PING:
                    self._pong(bytes(frame.data))
                continue
            message: bytes | bytearray = bytes(frame.data)
            count += len(message) // LONG_BYTES
            if self._message is not None:
                self._message += message
                message = self._message
            if frame.fin:
                self._message = None
                try:
                    text = message.decode()
                except UnicodeDecodeError:
                    parser.fail(Reason.BAD_UTF8.code, Reason.BAD_UTF8.text)
                    break
                self._receive(text)
            else:
                if self._message is None:
                    self._message = bytearray(message)
                self._count_frame()
        # A connection that has ended handles no more texts: its client's close frame is the last.
        if self._texts is None or self.connection.reason is not None:
            self.send_close()
        return max(1, count)

    def _receive(self, text: str) -> None:
        """Handle a text now, or after those that wait."""
        if self.connection.reason is not None and not self.is_lost:
            return
        if self._texts is not None:
            self._texts.append(text)
            return
        self._texts_in_turn += 1
        rest = self._handle(text)
        if rest is not None:
            self._await(rest)
        elif self._is_waiting and self._is_full:
            self._wait()
        elif self._texts_in_turn >= TEXTS_PER_TURN:
            self._go_on_later()

    def _handle(self, text: str) -> Coroutine[Any, Any, None] | None:
        try:
            self.hub.limits.check_text(self.connection)
            return self.hub.receive(self.connection, text)
        except OverLimit as error:
            self._refuse(error)
            return None
        except Exception:
            log.exception("%s: internal server error", self.connection.client)
            self.connection.end(Reason.SERVER_ERROR)
            return None

    @property
    def _is_busy(self) -> bool:
        """Whether what arrives has to wait. After the end, only the client's close frame counts."""
        return self._texts is not None and (self.connection.reason is None or self.is_lost)

    @property
    def _is_full(self) -> bool:
        """Whether the client's texts have to wait because it does not read.

        While it gets the history, as much as the outbox takes may wait: many clients share these bytes.
        """
        if not self._is_waiting or self.is_lost:
            return False
        limit = OUTBOX_LIMIT_BYTES if self.connection.replaying else REPLIES_LIMIT_BYTES
        return self.get_write_buffer_size() > limit

    def _wait(self) -> None:
        """Handle nothing more until `_go_on`."""
        if self._texts is None:
            self._texts = deque()

    def _await(self, rest: Coroutine[Any, Any, None]) -> None:
        self._wait()
        self._task = asyncio.ensure_future(rest)
        self._task.add_done_callback(self._go_on)

    def _go_on_later(self) -> None:
        """Let other tasks of the event loop run, and go on then."""
        if self._texts is None:
            self._wait()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self, done: asyncio.Task[None] | None = None) -> None:
        """Handle what waits: first the texts, then what is not parsed."""
        if done is not None:
            self._task = None
        if self._texts is None or self._task is not None:
            return
        for _ in range(TEXTS_PER_TURN):
            if not self._texts or self._is_full:
                break
            rest = self._handle(self._texts.popleft())
            if rest is not None:
                self._await(rest)
                return
        if self._is_full:
            return  # `resume_writing` goes on
        if self._texts:
            asyncio.get_running_loop().call_soon(self._go_on)
            return
        self._texts = None
        self._texts_in_turn = 0
        unread, self._unread = self._unread, b""
        if unread:
            self._read(unread)
        if self._texts is None:
            self._read_on()

    def _read_on(self) -> None:
        """Everything that has arrived is handled: read more, or leave a connection that is lost."""
        if self.is_lost:
            self.leave(Reason.CONNECTION_LOST)
            return
        self.send_close()
        if not self.transport.is_closing() and not self.transport.is_reading():
            self._is_alive = True
            self.transport.resume_reading()

    def resume_writing(self) -> None:
        """Go on with the texts of a client that reads again."""
        self._is_alive = True
        super().resume_writing()
        self._go_on()

    def hang_up(self, reason: Reason) -> None:
        """Drop what waits, and end the connection."""
        if self._texts is not None:
            self._texts.clear()
        self._unread = b""
        super().hang_up(reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let plugins finish the texts that have arrived, and leave the hub."""
        super().connection_lost(exc)
        self.connection.mark_ended(Reason.CONNECTION_LOST)
        if self._texts is None:
            self.leave(Reason.CONNECTION_LOST)
            return
        self._close_timer = asyncio.get_running_loop().call_later(FINISH_TIMEOUT_S, self._give_up)
        self._go_on()

    def _give_up(self) -> None:
        """Leave although a plugin has not finished."""
        self._unread = b""
        if self._texts is not None:
            self._texts.clear()
        if self._task is not None:
            self._task.cancel()
        # The plugin may catch the cancellation.
        self.leave(Reason.CONNECTION_LOST)


class CompressedWebSocket(WebSocket):
    """Protocol of an open WebSocket whose peers may compress their messages (RFC 7692)."""

    __slots__ = ("_decompression",)

    _parsed_bytes = COMPRESSED_BYTES

    def new_parser(self) -> Protocol:
        """Return a parser that decompresses messages."""
        parser = Protocol(Side.SERVER, max_size=MAX_MESSAGE_BYTES + compression.OVERHEAD_BYTES)
        self._decompression = compression.Decompression()
        parser.extensions.append(self._decompression)
        return parser

    def _handle_frames(self, parser: Protocol) -> int:
        frames = super()._handle_frames(parser)
        # A few bytes may ask for an echo of 64 KiB: then they count as several texts.
        if texts := self._decompression.take_uncounted():
            self.hub.limits.add_texts(self.connection, texts)
        return frames

    def connection_info(self) -> ConnectionInfo:
        """Return what the connection came through."""
        return msgspec.structs.replace(super().connection_info(), compression="permessage-deflate")


class ProbeWebSocket(WebSocket):
    """Protocol of a probe's WebSocket: a text is sent back as a message, whatever the plugins do."""

    __slots__ = ()

    def _handle(self, text: str) -> Coroutine[Any, Any, None] | None:
        try:
            self.hub.limits.check_text(self.connection)
            self.connection.send(probe_streams.PRODUCER, text, periodic=False)
        except OverLimit as error:
            self._refuse(error)
        return None


class CompressedProbeWebSocket(ProbeWebSocket, CompressedWebSocket):
    """Protocol of a probe's WebSocket whose peers may compress their messages."""

    __slots__ = ()
