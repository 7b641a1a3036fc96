"""Agree with a WebSocket client on compression (RFC 7692), and decompress what it sends."""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import hdrs, web
from websockets.exceptions import InvalidHeader, NegotiationError, PayloadTooBig
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.headers import build_extension, parse_extension

from rtdemo.errors import Refused
from rtdemo.protocol.deflate import deflated_frame
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.protocol.wire import WireFormat
from rtdemo.web.app_keys import SETTINGS

OVERHEAD_BYTES = 4096
"""Bytes by which a compressed frame may be longer than its data: 33 for 64 KiB that cannot shrink."""
MAX_WINDOW_BITS = 15
"""Window for what clients send: it fits every client, and exists only while a message is read."""
MAX_OFFER_CHARACTERS = 1000
"""Characters of a client's offers. Browsers send 45; to parse 64 KiB would take a tenth of a second."""
FREE_BYTES = 4096
"""Bytes of a message that count as one text, however short it was compressed."""
FREE_RATIO = 16
"""By what a longer message may be compressed to count as one text. Readings as JSON, 64 KiB of them, are
9 times shorter. Without a limit, 0.8 KB asked for an echo that takes 49 KB, compressed too."""
_FACTORY = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True
)


class Compression(NamedTuple):
    """What a client and the server have agreed on.

    Arguments:
        wire_format: for the messages to the client.
        answer: value of the header `Sec-WebSocket-Extensions` in the answer to the handshake.
    """

    wire_format: WireFormat
    answer: str


def negotiate(request: web.Request) -> Compression | None:
    """Return what the server accepts of a handshake's offers; None for no compression.

    Raises:
        Refused: 400 for a header that is too long, or cannot be parsed (RFC 6455 section 9.1).
    """
    if not request.app[SETTINGS].compress or hdrs.SEC_WEBSOCKET_EXTENSIONS not in request.headers:
        return None
    given = ", ".join(request.headers.getall(hdrs.SEC_WEBSOCKET_EXTENSIONS))
    if len(given) > MAX_OFFER_CHARACTERS:
        most = f"{MAX_OFFER_CHARACTERS} characters"
        raise Refused(400, f"Sec-WebSocket-Extensions is over {most}; send fewer offers")
    try:
        offers = parse_extension(given)
    except InvalidHeader as error:
        raise Refused(400, "Sec-WebSocket-Extensions cannot be parsed") from error
    for name, parameters in offers:
        if name != _FACTORY.name:
            continue
        try:
            accepted, extension = _FACTORY.process_request_params(parameters, [])
        except NegotiationError:
            continue  # a later offer, which the client prefers less, may be acceptable
        wire_format = deflated_frame(extension.local_max_window_bits)
        return Compression(wire_format, build_extension([(name, accepted)]))
    return None


class Decompression(PerMessageDeflate):
    """Decompress messages of up to 64 KiB for a parser, and keep nothing between two messages.

    The parser's own limit has to be higher by `OVERHEAD_BYTES`: it applies to each compressed frame,
    which may be larger than its data. It also ends the decompression of a bomb.
    """

    def __init__(self) -> None:
        super().__init__(
            remote_no_context_takeover=True,
            local_no_context_takeover=True,
            remote_max_window_bits=MAX_WINDOW_BITS,
            local_max_window_bits=MAX_WINDOW_BITS,
        )
        # Bytes of the current message, decompressed and as they came.
        self._size = self._compressed = 0
        # Bytes for which no text was counted yet.
        self._uncounted = 0

    def take_uncounted(self) -> float:
        """Return as how many more texts the messages since the last call count."""
        uncounted, self._uncounted = self._uncounted, 0
        return uncounted / FREE_BYTES

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Return a frame, decompressed if it is compressed.

        Raises:
            PayloadTooBig: for a message over 64 KiB.
            ProtocolError: for data that is not compressed as RFC 7692 requires.
        """
        decoded = super().decode(frame, max_size=max_size)
        if frame.opcode in CTRL_OPCODES:
            return decoded
        if frame.opcode is not Opcode.CONT:
            self._size = self._compressed = 0
        self._size += len(decoded.data)
        self._compressed += len(frame.data)
        if self._size > MAX_MESSAGE_BYTES:
            raise PayloadTooBig(self._size, MAX_MESSAGE_BYTES)
        if frame.fin:
            self._uncounted += max(0, self._size - max(FREE_BYTES, FREE_RATIO * self._compressed))
        return decoded
