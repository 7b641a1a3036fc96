"""Follow a server over either transport: come back when the connection ends, and miss nothing."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import aiohttp

from rtdemo.errors import ServerError, one_line
from rtdemo.lab.address import Address
from rtdemo.lab.event_stream import EventParser
from rtdemo.protocol.client import Transport

FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0
"""Seconds before the next try, doubling, half of it chance."""
CONNECT_TIMEOUT = 10.0
SILENCE = 90.0
"""Seconds without a byte after which a stream counts as lost: rtdemo says something every 25 s."""
MAX_TEXT = 4 * 1024 * 1024
_FINAL_CODES = (1002, 1003, 1007, 1008, 1009)
_LATER = (408, 429, 500, 502, 503, 504)
_FAULTS = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


class Follower:
    """Give the texts of one stream, across as many connections as it takes.

    Arguments:
        http: whose connections are used; without a total timeout.
        address: the server.
        transport: over which.
        producers: those that are wanted, separated by commas; None for all.
        note: takes a sentence about each break and each return.

    Attributes:
        position: of the last message that has one; behind it the next connection goes on.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        address: Address,
        transport: Transport,
        producers: str | None = None,
        note: Callable[[str], object] = lambda _sentence: None,
    ) -> None:
        self.position: str | None = None
        self._http = http
        self._url = address.stream(transport, {"producers": producers})
        self._stream = {"websocket": self._websocket, "sse": self._sse}[transport]
        self._note = note
        self._pause = FIRST_PAUSE
        self._was_open = False

    async def texts(self) -> AsyncGenerator[str, None]:
        """Give each text until cancelled.

        Raises:
            ServerError: where coming back would be no use, or the first connection fails.
        """
        while True:
            try:
                async with aclosing(self._stream()) as texts:
                    async for text in texts:
                        self._heard(text)
                        yield text
            except _FAULTS as error:
                await self._wait(explain(self._url, error))
            except ServerError as error:
                await self._wait(error)

    def _heard(self, text: str) -> None:
        self._was_open = True
        self._pause = FIRST_PAUSE
        try:
            message: Any = json.loads(text)
        except ValueError:
            return
        if isinstance(message, dict) and isinstance(message.get("id"), str):
            self.position = message["id"]

    async def _wait(self, why: ServerError) -> None:
        if not why.retryable or not self._was_open:
            raise why
        pause = (
            why.retry_after
            if why.retry_after is not None
            else random.uniform(self._pause / 2, self._pause)
        )
        self._note(f"{why.url} {why.problem}; trying again in {pause:.1f} s")
        await asyncio.sleep(pause)
        self._pause = min(self._pause * 2, LAST_PAUSE)

    @property
    def _resume(self) -> dict[str, str]:
        return {"last_event_id": self.position} if self.position else {}

    async def _websocket(self) -> AsyncGenerator[str, None]:
        timeout = aiohttp.ClientWSTimeout(ws_receive=SILENCE, ws_close=1.0)
        params = self._resume
        async with (
            asyncio.timeout(CONNECT_TIMEOUT) as opening,
            self._http.ws_connect(
                self._url, params=params, timeout=timeout, max_msg_size=MAX_TEXT, autoping=True
            ) as socket,
        ):
            opening.reschedule(None)
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    yield frame.data
            code = socket.close_code or 1006
            problem = f"ended the connection with code {code}"
            raise ServerError(self._url, problem, "coming back", retryable=code not in _FINAL_CODES)

    async def _sse(self) -> AsyncGenerator[str, None]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if self.position:
            headers["Last-Event-ID"] = self.position
        async with (
            asyncio.timeout(CONNECT_TIMEOUT) as opening,
            self._http.get(self._url, headers=headers) as answer,
        ):
            opening.reschedule(None)
            if answer.status != 200:
                raise refusal(self._url, answer.status, await answer.text(), answer.headers)
            if answer.content_type != "text/event-stream":
                raise ServerError(self._url, f"sends {answer.content_type}", "it is no event stream")
            parser = EventParser()
            while chunk := await self._chunk(answer):
                for event in parser.feed(chunk):
                    self.position = event.id or self.position
                    yield event.data.decode(errors="replace")
            wait = parser.retry / 1000 if parser.retry is not None else None
            raise ServerError(
                self._url, "ended the stream", "coming back", retryable=True, retry_after=wait
            )

    @staticmethod
    async def _chunk(answer: aiohttp.ClientResponse) -> bytes:
        async with asyncio.timeout(SILENCE):
            return await answer.content.readany()


def refusal(url: str, status: int, body: str, headers: Any) -> ServerError:
    """Return a refused connection as an error that tells whether to come back."""
    words = " ".join(body.split())[:300]
    later = headers.get("Retry-After", "")
    wait = float(later) if later.isdecimal() else None
    problem = f"answered {status}" + (f": {words}" if words else "")
    return ServerError(url, problem, "see its log", retryable=status in _LATER, retry_after=wait)


def explain(url: str, error: Exception) -> ServerError:
    """Return what went wrong on the way to a server as an error that says what to do."""
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return refusal(url, error.status, error.message, error.headers or {})
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        mend = "name the certificate of its authority in SSL_CERT_FILE"
        return ServerError(url, f"has no certificate that is trusted here: {one_line(error)}", mend)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        scheme, _, rest = url.partition(":")
        mend = f"if it speaks no TLS, give {scheme.removesuffix('s')}:{rest}"
        return ServerError(url, f"fails at TLS: {one_line(error)}", mend)
    if isinstance(error, TimeoutError):
        return ServerError(url, "says nothing", "is it the right address?", retryable=True)
    mend = "is the server running?"
    return ServerError(url, f"cannot be reached: {one_line(error)}", mend, retryable=True)
