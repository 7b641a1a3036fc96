"""A small HTTP/2 client (RFC 9113) that shows when each part of an answer arrived.

It keeps one connection, and any number of exchanges on it:

    async with http2.connect(address, context) as connection:
        async with connection.request("GET", "/api/sse", {"accept": "text/event-stream"}) as exchange:
            status, headers = await exchange.head()
            async for chunk in exchange:
                print(chunk.at, chunk.data)

The extended CONNECT of RFC 8441 opens a WebSocket: `connection.request("CONNECT", path, headers,
protocol="websocket", ends=False)`. Everything that is read is bounded: the server may be any.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from rtdemo.lab.connect import connect as connect_tcp
from rtdemo.lab.http2_exchange import Chunk, Exchange, Head, Http2Error, ResetError, code_name
from rtdemo.lab.server_clock import now
from rtdemo.protocol.address import Address

STREAM_WINDOW_BYTES = 6 * 1024 * 1024
"""Bytes that a server may send in an exchange before it waits for the client; Chromium has the same."""
CONNECTION_WINDOW_BYTES = 15 * 1024 * 1024
"""The same for all exchanges of a connection together."""
SETTINGS_TIMEOUT_S = 10.0
"""Seconds for the server's SETTINGS, which have to be the first that it sends."""
MAX_HEADERS = 500
"""Headers of an answer that are kept."""
FRAME_HEAD_BYTES, MAX_FRAME_BYTES = 9, 16_384
"""Bytes before a frame's payload, and of the longest payload that is allowed (RFC 9113 section 4.2)."""
_GOAWAY, _GOAWAY_BYTES = 7, 8
"""Type of a GOAWAY frame, and bytes of its payload at least (RFC 9113 section 6.8)."""
EXTENDED_CONNECT = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL


class Http2Connection(asyncio.Protocol):
    """One HTTP/2 connection; `connect` opens it.

    Attributes:
        error: how the connection ended; None while it is open.
    """

    def __init__(self, address: Address) -> None:
        self.error: Http2Error | None = None
        self._address = address
        # A proxy may send what the strict checks of h2 refuse; a browser is as lenient.
        configuration = h2.config.H2Configuration(
            client_side=True, header_encoding=None, validate_outbound_headers=False
        )
        self._h2 = h2.connection.H2Connection(configuration)
        # Initial values: those that are set later count only once the server has acknowledged them.
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
            },
        )
        self._exchanges: dict[int, Exchange] = {}
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._has_settings = asyncio.Event()
        self._is_going_away = False

    @property
    def max_streams(self) -> int | None:
        """Exchanges that the server allows at the same time; None if it does not limit them."""
        given = self._h2.remote_settings.get(h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS)
        # h2 assumes 2^32 + 1 where the server sent nothing.
        return None if given is None or given >= 2**31 else int(given)

    @property
    def offers_websocket(self) -> bool:
        """Whether the server offers WebSockets over HTTP/2 (RFC 8441 section 3)."""
        return bool(self._h2.remote_settings.get(EXTENDED_CONNECT))

    @property
    def takes_requests(self) -> bool:
        """Whether a further request may be sent on this connection."""
        return self.error is None and not self._is_going_away

    async def wait_for_settings(self) -> None:
        """Wait for the server's SETTINGS, without which it does not answer with HTTP/2.

        Raises:
            Http2Error: if something else comes, or nothing.
        """
        try:
            async with asyncio.timeout(SETTINGS_TIMEOUT_S):
                await self._has_settings.wait()
        except TimeoutError as error:
            raise Http2Error(f"sent no HTTP/2 settings in {SETTINGS_TIMEOUT_S:g} s") from error
        if self.error is not None:
            raise self.error

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        protocol: str = "",
        ends: bool = True,
    ) -> AsyncIterator[Exchange]:
        """Send a request; leaving the context resets it if its answer has not ended.

        Arguments:
            method: such as `GET`.
            path: with the query.
            headers: further ones; names are sent in lower case.
            body: of the request.
            protocol: of an extended CONNECT, such as `websocket`.
            ends: whether the body is complete; if not, `Exchange.send` goes on with it.

        Raises:
            Http2Error: if the connection takes no request.
        """
        if not self.takes_requests:
            raise self.error or Http2Error("the server takes no further request (GOAWAY)")
        netloc = self._address.origin.partition("://")[2]
        pseudo = [
            (":method", method),
            (":scheme", "https" if self._address.secure else "http"),
            (":authority", netloc),
            (":path", path),
        ]
        if protocol:
            pseudo.append((":protocol", protocol))
        named = {name.lower(): value for name, value in (headers or {}).items()}
        if body:
            named.setdefault("content-length", str(len(body)))
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, [*pseudo, *named.items()], end_stream=ends and not body)
        except h2.exceptions.ProtocolError as error:
            raise Http2Error("does not take the request") from error
        exchange = self._exchanges[number] = Exchange(self, number)
        self._flush()
        try:
            if body:
                await exchange.send(body, ends)
            yield exchange
        finally:
            del self._exchanges[number]
            if not exchange.has_ended and exchange.error is None:
                self.reset(number)

    def room(self, number: int) -> int:
        """Return the number of bytes that an exchange may send now."""
        try:
            window = self._h2.local_flow_control_window(number)
        except h2.exceptions.ProtocolError:
            raise Http2Error("has ended") from None
        return int(min(window, self._h2.max_outbound_frame_size))

    def send_data(self, number: int, data: bytes, ends: bool) -> None:
        """Send bytes of an exchange for which there is room."""
        try:
            self._h2.send_data(number, data, end_stream=ends)
        except h2.exceptions.ProtocolError as error:
            raise Http2Error("takes no data") from error
        self._flush()

    def reset(self, number: int) -> None:
        """End an exchange that nobody needs any more."""
        try:
            self._h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        except h2.exceptions.ProtocolError:
            return  # it has ended
        self._flush()

    def close(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end(Http2Error("was closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface and the settings."""
        self._transport = transport  # type: ignore[assignment]  # a TCP or TLS connection
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW_BYTES)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Give each exchange what arrived for it."""
        at = now()
        if not self._has_settings.is_set() and data.startswith(b"HTTP/"):
            # To h2, this would be the beginning of a frame of 4.7 MiB.
            self._fail("answers with HTTP/1.1")
            return
        try:
            for frames in self._frames(data):
                if frames[3] == _GOAWAY:
                    self._go_away(frames)
                    continue
                for event in self._h2.receive_data(frames):
                    self._handle(event, at)
        except (h2.exceptions.ProtocolError, ValueError, IndexError, KeyError):
            self._flush()
            self._fail("breaks HTTP/2")
            return
        self._flush()

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """Yield the frames that are complete: each GOAWAY by itself, others together.

        h2 refuses everything after a GOAWAY, but its connection goes on with the exchanges that it has
        (RFC 9113 section 6.8): nginx sends one after `keepalive_requests`, and at a reload.
        """
        data = self._rest + data
        begin = at = 0
        while len(data) >= at + FRAME_HEAD_BYTES:
            size = int.from_bytes(data[at : at + 3])
            end = at + FRAME_HEAD_BYTES + size
            if size > MAX_FRAME_BYTES:
                at = len(data)  # h2 refuses it
            elif end > len(data):
                break
            elif data[at + 3] != _GOAWAY or size < _GOAWAY_BYTES:
                at = end
            else:
                if at > begin:
                    yield data[begin:at]
                yield data[at:end]
                begin = at = end
        self._rest = data[at:]
        if at > begin:
            yield data[begin:at]

    def connection_lost(self, exc: Exception | None) -> None:
        """End all exchanges."""
        self._end(Http2Error("was cut"))

    def _handle(self, event: h2.events.Event, at: float) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self._has_settings.set()
            self._wake_all()
        elif isinstance(event, h2.events.WindowUpdated):
            self._wake_all()
        elif isinstance(event, h2.events.DataReceived):
            self._take_data(event, at)
        else:
            number = getattr(event, "stream_id", None)
            exchange = self._exchanges.get(number) if number is not None else None
            if exchange is None:
                return
            if isinstance(event, h2.events.ResponseReceived):
                exchange.add_head(_head(event.headers))
            elif isinstance(event, h2.events.StreamEnded):
                exchange.end()
            elif isinstance(event, h2.events.StreamReset):
                exchange.end(ResetError(event.error_code))

    def _take_data(self, event: h2.events.DataReceived, at: float) -> None:
        number, length = event.stream_id or 0, event.flow_controlled_length or 0
        exchange = self._exchanges.get(number)
        if length:
            # An exchange that has ended needs no window.
            with suppress(h2.exceptions.ProtocolError):
                self._h2.acknowledge_received_data(length, number)
        if exchange is not None and event.data:
            exchange.add_chunk(Chunk(at, event.data))

    def _go_away(self, frame: bytes) -> None:
        """Note that no further request is taken; end the exchanges that the server did not see."""
        self._is_going_away = True
        payload = frame[FRAME_HEAD_BYTES:]
        last, code = int.from_bytes(payload[:4]) & 0x7FFF_FFFF, int.from_bytes(payload[4:8])
        for number, exchange in list(self._exchanges.items()):
            if number > last:
                exchange.end(Http2Error(f"was refused by GOAWAY ({code_name(code)})"))

    def _fail(self, sentence: str) -> None:
        self._end(Http2Error(sentence))
        if self._transport is not None:
            self._transport.abort()

    def _end(self, error: Http2Error) -> None:
        if self.error is None:
            self.error = error
        for exchange in list(self._exchanges.values()):
            exchange.end(error)
        self._has_settings.set()

    def _wake_all(self) -> None:
        for exchange in list(self._exchanges.values()):
            exchange.wake()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


@asynccontextmanager
async def connect(address: Address, context: ssl.SSLContext | None) -> AsyncIterator[Http2Connection]:
    """Open an HTTP/2 connection; leaving the context closes it.

    Arguments:
        address: of the server.
        context: parameters of TLS, without protocols: `h2` alone is offered here. None for HTTP/2
            without TLS (RFC 9113 section 3.3), which browsers do not use.

    Raises:
        Http2Error: if the server does not answer with HTTP/2.
        OSError: if it cannot be reached, or TLS fails.
    """
    if context is not None:
        context.set_alpn_protocols(["h2"])
    _, connection = await connect_tcp(address, lambda: Http2Connection(address), context)
    try:
        await connection.wait_for_settings()
        yield connection
    finally:
        connection.close()


def _head(headers: object) -> Head:
    """Return the head from h2's headers, which are pairs of bytes."""
    status, kept = 0, []
    for name, value in list(headers)[:MAX_HEADERS]:  # type: ignore[call-overload]  # pairs, as above
        if name == b":status":
            status = int(value) if value.isdigit() and len(value) == 3 else 0
        else:
            kept.append((name.decode(errors="replace"), value.decode(errors="replace")))
    return Head(status, kept)
