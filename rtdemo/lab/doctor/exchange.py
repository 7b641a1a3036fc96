"""Send one request over HTTP/1.1 or HTTP/2, and read its answer with the times of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from rtdemo.lab import http2
from rtdemo.lab.content_coding import Decoder
from rtdemo.lab.doctor.errors import StreamError
from rtdemo.lab.http2 import Http2Connection
from rtdemo.lab.http2_exchange import Chunk
from rtdemo.lab.server_clock import now

if TYPE_CHECKING:
    from rtdemo.lab.doctor.context import Context

HTTP1, HTTP2 = "1.1", "2"
"""Names of the versions of HTTP that browsers use over TCP."""
MAX_BODY_BYTES = 4 * 1024 * 1024
"""Bytes of an answer that are read: the server may be any."""
MAX_TEXT_BYTES = 256 * 1024
"""Bytes of an answer that is read as a text."""
CLOSED_CHECK_S = 0.5
"""Seconds between two checks whether the connection of a silent body is closed."""
TEXT_TIMEOUT_S = 3.0
"""Seconds for the text of an answer that may have no end."""
EVENT_STREAM = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
"""Headers with which a browser asks for an event stream."""


class Answer:
    """The answer to one request.

    Arguments:
        version: of HTTP, in which it was asked for.
        status: HTTP status.
        headers: names, as they were written, and values.
        chunks: the body, as it arrives.

    Attributes:
        at: when the head arrived, in ms of `server_clock.now()`.
    """

    def __init__(
        self,
        version: str,
        status: int,
        headers: list[tuple[str, str]],
        chunks: AsyncIterable[Chunk],
    ) -> None:
        self.version = version
        self.status = status
        self.headers = headers
        self.at = now()
        self._chunks = chunks

    def header(self, name: str) -> str:
        """Return the value of a header; empty if there is none."""
        wanted = name.lower()
        return ", ".join(value for each, value in self.headers if each.lower() == wanted)

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    async def chunks(self, most: float = MAX_BODY_BYTES) -> AsyncGenerator[Chunk, None]:
        """Yield the body as it arrives, with its content coding.

        Arguments:
            most: bytes that may arrive.

        Raises:
            StreamError: after more bytes.
        """
        read = 0
        async for chunk in self._chunks:
            read += len(chunk.data)
            yield chunk
            if read > most:
                raise StreamError(f"sent over {MAX_BODY_BYTES >> 20} MiB")

    async def text(self) -> str:
        """Return the body as text, as much as comes in 3 s and fits into 256 KiB."""
        data = b""
        decoder = Decoder(self.header("Content-Encoding"), MAX_BODY_BYTES)
        try:
            async with asyncio.timeout(TEXT_TIMEOUT_S):
                async for chunk in self.chunks():
                    data += decoder.feed(chunk.data)
                    if len(data) > MAX_TEXT_BYTES:
                        break
        except (TimeoutError, OSError, ValueError, StreamError, aiohttp.ClientError):
            pass  # what has come is enough for a finding
        return data[:MAX_TEXT_BYTES].decode(errors="replace")


@asynccontextmanager
async def request(
    context: Context,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    version: str = HTTP1,
    method: str = "GET",
    body: bytes = b"",
    connection: Http2Connection | None = None,
) -> AsyncIterator[Answer]:
    """Send a request, without following redirects; yield its answer once its head has arrived.

    The caller limits the time. Leaving the context ends the answer.

    Arguments:
        context: of the run.
        path: of rtdemo, such as `/api/sse?a=b`, or the URL of one stream.
        headers: further ones.
        version: of HTTP.
        method: of the request.
        body: of the request.
        connection: an HTTP/2 connection to use; by default a new one.

    Raises:
        ExpiredError: if the login token has expired.
    """
    context.check_token()
    url = path if "://" in path else context.url(path)
    wanted = {"Accept": "*/*", "Accept-Encoding": "identity"} | dict(headers or {})
    if version == HTTP1:
        # As browsers send it, although each request has a connection of its own.
        wanted["Connection"] = "keep-alive"
        async with context.http.request(
            method, url, headers=wanted, data=body or None, allow_redirects=False
        ) as response:
            raw = [
                (name.decode(errors="replace"), value.decode(errors="replace"))
                for name, value in response.raw_headers
            ]
            pieces = _pieces(response)
            answer = Answer(version, response.status, raw, pieces)
            context.note_http1(response.version, response.request_info.headers)
            is_stream = answer.status == 200 and answer.media_type == "text/event-stream"
            context.open_connections += is_stream
            try:
                yield answer
            finally:
                context.open_connections -= is_stream
        return
    if connection is None:
        async with (
            http2.connect(context.address, context.tls_parameters()) as opened,
            _request_over(context, opened, method, url, wanted, body) as answer,
        ):
            yield answer
        return
    async with _request_over(context, connection, method, url, wanted, body) as answer:
        yield answer


@asynccontextmanager
async def _request_over(
    context: Context,
    connection: Http2Connection,
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
) -> AsyncIterator[Answer]:
    wanted = headers | dict(context.address.headers) | context.cookie_headers()
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    async with connection.request(method, path or "/", wanted, body) as exchange:
        head = await exchange.head()
        for name, value in head.headers:
            if name == "set-cookie":
                _keep_cookie(context, value)
        yield Answer(HTTP2, head.status, head.headers, exchange)


def _keep_cookie(context: Context, value: str) -> None:
    try:
        context.http.cookie_jar.update_cookies(SimpleCookie(value))
    except CookieError:
        return  # a browser ignores it too


async def _pieces(response: aiohttp.ClientResponse) -> AsyncGenerator[Chunk, None]:
    """Yield the body of an answer over HTTP/1.1.

    aiohttp closes a connection on which a chunk is malformed, but does not end the body. h2o ends a
    stream so whose time is over.
    """
    while True:
        try:
            async with asyncio.timeout(CLOSED_CHECK_S):
                data = await response.content.readany()
        except TimeoutError:
            connection = response.connection
            transport = connection.transport if connection is not None else None
            if transport is None or transport.is_closing():
                raise ConnectionResetError from None
            continue
        if not data:
            return
        yield Chunk(now(), data)
