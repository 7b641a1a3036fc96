"""How a WebSocket ends: the closing handshake (RFC 6455 section 7)."""

from __future__ import annotations

import asyncio

from aiohttp import web
from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode, Opcode
from websockets.protocol import Protocol, Side, State

from rtdemo.protocol import wire
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.protocol.wire import WireFormat
from rtdemo.web.streaming import CLOSE_TIMEOUT_S, StreamProtocol

LINGER_S = 1.0
"""Seconds for which a peer that broke the protocol can read the close frame."""
_OPCODE = 0x0F
"""Bits of a frame's first byte that are its opcode (RFC 6455 section 5.2)."""
_ERRORS = {
    reason.code: reason
    for reason in (Reason.PROTOCOL_ERROR, Reason.UNSUPPORTED, Reason.BAD_UTF8, Reason.TOO_BIG)
}


class ClosingHandshake(StreamProtocol):
    """The part of a WebSocket's protocol that ends it, from either side or after an error.

    Arguments:
        request, transport, client, wire_format: as `StreamProtocol` takes them.

    Attributes:
        parser: of the library `websockets`, which handles all errors, and the close frames that
            `answer_close` does not; None until the connection needs one, as a parser takes memory.
    """

    __slots__ = ("parser",)

    def __init__(
        self,
        request: web.Request,
        transport: asyncio.Transport,
        client: Client,
        wire_format: WireFormat,
    ) -> None:
        super().__init__(request, transport, client, wire_format)
        self.parser: Protocol | None = None

    def get_parser(self) -> Protocol:
        """Return the parser; make it at the first call."""
        if self.parser is None:
            self.parser = self.new_parser()
        return self.parser

    def new_parser(self) -> Protocol:
        """Return a parser for messages as this connection may receive them."""
        return Protocol(Side.SERVER, max_size=MAX_MESSAGE_BYTES)

    def send_close(self) -> None:
        """Send the parser's close frame, if it has made one, and end the connection."""
        parser = self.parser
        if parser is None:
            return
        if parser.state is not State.OPEN:
            # Nothing may follow a close frame.
            self.connection.mark_ended(_reason(parser))
        for data in parser.data_to_send():
            if data and data[0] & _OPCODE == wire.PONG:
                continue  # sent already, in the order of the frames
            if data:
                self.write(data if parser.close_rcvd is None else _echo(parser.close_rcvd))
            elif parser.close_rcvd is not None:
                self.close_after_writing()
            else:
                self._close_after_error()

    def answer_close(self, payload: bytes) -> bool:
        """Answer a client's close frame without a parser; return False if that needs one.

        To make a parser takes longer than all else that a client costs as it leaves.

        Arguments:
            payload: of the frame, of an open connection without a parser.
        """
        try:
            close = Close.parse(payload)
        except (ProtocolError, UnicodeDecodeError):
            return False
        if self.connection.reason is not None:
            return False
        self.connection.mark_ended(Reason.CLIENT_LEFT)
        self.write(_echo(close))
        self.close_after_writing()
        return True

    def _close_after_error(self) -> None:
        """Half-close, and read on for a second.

        The rest of a frame that was not accepted is still unread. If the server closed at once, the
        kernel would send RST, and the peer would lose the close frame. What arrived before the peer left
        may be read after it: then nothing is left to close.
        """
        if self.transport.is_closing():
            return
        self.hand_over()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.abort_later(LINGER_S)

    def hang_up(self, reason: Reason) -> None:
        """End the connection: by a close frame after the bytes in the outbox, or by a cut."""
        if reason is Reason.CONNECTION_LOST:
            # It may not be sent (RFC 6455 section 7.4.1): the peer sees no close frame.
            self.transport.abort()
            return
        parser = self.get_parser()
        if parser.state is State.OPEN:
            parser.send_close(reason.code, reason.text)
        self.send_close()
        self.abort_later(CLOSE_TIMEOUT_S)
        if not self.transport.is_closing() and not self.transport.is_reading():
            self.transport.resume_reading()

    def leave(self, reason: Reason) -> None:
        """Remove the connection from the hub; see `StreamProtocol`."""
        if self.parser is not None and self.parser.close_rcvd is not None:
            # The client's close frame may have been read only after it was gone.
            self.connection.correct_loss(Reason.CLIENT_LEFT)
        super().leave(reason)


def _reason(parser: Protocol) -> Reason:
    """Return why the parser has closed the connection."""
    if parser.close_rcvd is not None:
        return Reason.CLIENT_LEFT
    code = parser.close_sent.code if parser.close_sent is not None else None
    return _ERRORS.get(code, Reason.PROTOCOL_ERROR) if code is not None else Reason.CONNECTION_LOST


def _echo(close: Close) -> bytes:
    """Return the frame that answers a peer's close frame, with its code.

    A frame without a code is answered with 1000. The parser takes a close frame within a fragmented
    message for an error, but any control frame may be there (RFC 6455 section 5.4).
    """
    code = CloseCode.NORMAL_CLOSURE if close.code == CloseCode.NO_STATUS_RCVD else close.code
    return wire.websocket_control(Opcode.CLOSE, Close(code, close.reason).serialize())
