"""Send a request over HTTP/1.1 or HTTP/2, and record how the answer arrives."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Literal, cast

from rtdemo.errors import network_reason
from rtdemo.lab import http2
from rtdemo.lab.connect import connect
from rtdemo.lab.http2 import Http2Connection
from rtdemo.lab.http2_exchange import Head, Http2Error
from rtdemo.lab.http_response import ResponseReader
from rtdemo.lab.server_clock import now
from rtdemo.lab.token_stream.recording import Ending, Recording
from rtdemo.lab.token_stream.request import Request
from rtdemo.protocol.address import Address

Version = Literal["1.1", "2"]
"""A version of HTTP."""

CONNECT_TIMEOUT_S = 15.0
"""Seconds for TCP and TLS."""
SILENCE_TIMEOUT_S = 330.0
"""Seconds without a byte after which an answer is given up: longer than the limits of usual proxies."""
TOTAL_TIMEOUT_S = 900.0
"""Seconds after which an answer is given up in any case."""
HTTP2_FRAME_HEAD_BYTES = 9
"""Bytes before the data of a frame (RFC 9113 section 4.1)."""


class UnreachableError(Exception):
    """Report that an address cannot be reached, and what to do."""

    def __init__(self, address: Address, cause: Exception) -> None:
        super().__init__(
            f"{address.origin} cannot be reached ({network_reason(cause)}); {_advice(cause)}"
        )


def _advice(cause: Exception) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "set SSL_CERT_FILE to the certificate of its authority, or check the host name"
    if isinstance(cause, ssl.SSLError):
        return "if it has no TLS, give http://"
    return "is the server running, and is the port right?"


class _Http1Client(asyncio.Protocol):
    """Sends one request, and records its answer at each read.

    Attributes:
        has_ended: is set at the end of the answer.
    """

    def __init__(self, request: Request, recording: Recording) -> None:
        self.has_ended = asyncio.Event()
        self._request, self._recording = request, recording
        self._reader = ResponseReader(["POST"])
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._transport = cast("asyncio.Transport", transport)
        request = self._request.encode()
        self._recording.sent_at = now()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Record the bytes of one read."""
        at, recording = now(), self._recording
        self._reader.feed(data, at)
        response = self._reader.response
        if recording.head is None and response.head_at is not None:
            recording.take_head(Head(response.status, response.fields), at)
        recording.take(b"".join(piece.data for piece in response.body), len(data), at)
        response.body.clear()
        if response.broken:
            self._end("cut", at, f"the answer is not HTTP/1.1: {response.broken}")
        elif response.is_complete:
            self._end("complete", at)
        elif recording.ending:
            self._end(recording.ending, at)

    def connection_lost(self, exc: Exception | None) -> None:
        """Record the end of the connection."""
        self._reader.feed_eof()
        if self._reader.response.is_complete and exc is None:
            self._end("complete", now())
        else:
            self._end("cut", now(), "reset" if isinstance(exc, ConnectionResetError) else "closed")

    def abort(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _end(self, ending: Ending, at: float, reason: str = "") -> None:
        self._recording.end(ending, at, reason)
        self.has_ended.set()
        self.abort()


async def versions(address: Address) -> tuple[Version, ...]:
    """Return the versions of HTTP that an address offers; HTTP/2 only with TLS, as to browsers.

    Raises:
        UnreachableError: if there is no connection.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            transport, _ = await connect(address, asyncio.Protocol, _tls(address, "h2", "http/1.1"))
    except (OSError, TimeoutError, UnicodeError) as error:
        raise UnreachableError(address, error) from error
    connection = transport.get_extra_info("ssl_object")
    transport.abort()
    has_http2 = connection is not None and connection.selected_alpn_protocol() == "h2"
    return ("1.1", "2") if has_http2 else ("1.1",)


async def ask(request: Request, version: Version) -> Recording:
    """Send a request on a connection of its own; return its answer, or how it failed."""
    recording = Recording()
    try:
        await _ASK[version](request, recording)
    except TimeoutError:
        recording.end("cut", now(), f"no connection in {CONNECT_TIMEOUT_S:g} s")
    except Http2Error as error:
        recording.end("cut", now(), str(error))
    except (OSError, UnicodeError) as error:
        recording.end("cut", now(), network_reason(error))
    return recording


async def _ask_http1(request: Request, recording: Recording) -> None:
    address = request.address
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        _, client = await connect(
            address, lambda: _Http1Client(request, recording), _tls(address, "http/1.1")
        )
    try:
        await _patiently(recording, client.has_ended.wait())
    finally:
        client.abort()


async def _ask_http2(request: Request, recording: Recording) -> None:
    address = request.address
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await stack.enter_async_context(http2.connect(address, _tls(address, "h2")))
        recording.sent_at = now()
        await _patiently(recording, _read_http2(connection, request, recording))


async def _read_http2(connection: Http2Connection, request: Request, recording: Recording) -> None:
    sending = connection.request("POST", request.target, request.headers, request.body)
    async with sending as exchange:
        head = await exchange.head()
        recording.take_head(head, now())
        async for chunk in exchange:
            recording.take(chunk.data, len(chunk.data) + HTTP2_FRAME_HEAD_BYTES, chunk.at)
            if recording.ending:
                return
    recording.end("complete", now())


async def _patiently(recording: Recording, reading: Coroutine[Any, Any, Any]) -> None:
    """Read an answer until it ends, or our patience does."""
    task = asyncio.ensure_future(reading)
    try:
        while not task.done():
            elapsed = (now() - recording.sent_at) / 1000
            left = min(recording.last_s + SILENCE_TIMEOUT_S, TOTAL_TIMEOUT_S) - elapsed
            if left <= 0:
                recording.end("silent", now(), f"no end in {elapsed:.0f} s")
                return
            await asyncio.wait([task], timeout=left)
        await task
    finally:
        task.cancel()


def _tls(address: Address, *protocols: str) -> ssl.SSLContext | None:
    """Return parameters of TLS that offer protocols in ALPN; None for an address without TLS."""
    if not address.secure:
        return None
    context = ssl.create_default_context()
    context.set_alpn_protocols(list(protocols))
    return context


_ASK: dict[Version, Callable[[Request, Recording], Awaitable[None]]] = {
    "1.1": _ask_http1,
    "2": _ask_http2,
}
