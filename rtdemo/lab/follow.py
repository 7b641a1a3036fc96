"""Follow a server over either transport: reconnect when the connection ends, and resume."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp

from rtdemo.errors import ServerError, network_reason, printable
from rtdemo.lab.address import Address
from rtdemo.lab.event_stream import EventParser
from rtdemo.protocol.client import Transport

FIRST_RETRY_S, MAX_RETRY_S = 0.5, 30.0
"""Delay before the next try; it doubles after each failure, and half of it is random."""
CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 90.0
"""Time without a byte after which a connection counts as lost; rtdemo sends something every 25 s."""
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_LOCATION_CHARS = 200
"""Characters of an address to which a server redirects that are shown."""
NEW_TOKEN = "give a new login token with --token"  # noqa: S105 - a sentence
"""What to do after a token has expired."""
LOGIN_STATUSES = (401,)
"""HTTP statuses of a server that needs a login."""
_SEE_LOG = "see the server log"
_POLICY = 1008
"""WebSocket close code after the expiry of a token, or over a limit."""
_FINAL_CLOSE_CODES = (1002, 1003, 1007, 1008, 1009)
"""WebSocket close codes after which another try would fail, too."""
_RETRY_STATUSES = (408, 429, 500, 502, 503, 504)
"""HTTP statuses after which another try may succeed."""
_NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


class Follower:
    """Yield the messages of one stream, over as many connections as necessary.

    Arguments:
        http: makes the connections; without a total timeout.
        address: of the server.
        transport: to use.
        producers: to receive, separated by commas; None for all.
        report: takes one sentence about each lost connection.

    Attributes:
        position: of the last message that has one; the next connection resumes after it.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        address: Address,
        transport: Transport,
        producers: str | None = None,
        report: Callable[[str], object] = lambda _sentence: None,
    ) -> None:
        self.position: str | None = None
        self._http = http
        self._url = address.stream(transport, {"producers": producers})
        self._stream = {"websocket": self._websocket, "sse": self._sse}[transport]
        self._report = report
        self._retry_s = FIRST_RETRY_S
        self._was_open = False

    async def texts(self) -> AsyncGenerator[str, None]:
        """Yield the text of each message until cancelled.

        Raises:
            ServerError: if the first connection fails, or another try would fail, too.
        """
        while True:
            try:
                async with aclosing(self._stream()) as texts:
                    async for text in texts:
                        self._received(text)
                        yield text
            except _NETWORK_ERRORS as error:
                await self._wait(to_server_error(self._url, error))
            except ServerError as error:
                await self._wait(error)

    def _received(self, text: str) -> None:
        self._was_open = True
        self._retry_s = FIRST_RETRY_S
        try:
            message: Any = json.loads(text)
        except ValueError:
            return
        if isinstance(message, dict) and isinstance(message.get("id"), str):
            self.position = message["id"]

    async def _wait(self, why: ServerError) -> None:
        """Wait before the next try; raise the error if there is to be none."""
        if not why.retryable or not self._was_open:
            raise why
        delay = why.retry_after
        if delay is None:
            delay = random.uniform(self._retry_s / 2, self._retry_s)
        self._report(f"{why.url} {why.problem}; reconnecting in {delay:.1f} s")
        await asyncio.sleep(delay)
        self._retry_s = min(self._retry_s * 2, MAX_RETRY_S)

    @property
    def _resume(self) -> dict[str, str]:
        return {"last_event_id": self.position} if self.position else {}

    async def _websocket(self) -> AsyncGenerator[str, None]:
        timeout = aiohttp.ClientWSTimeout(ws_receive=SILENCE_TIMEOUT_S, ws_close=1.0)
        async with (
            asyncio.timeout(CONNECT_TIMEOUT_S) as opening,
            self._http.ws_connect(
                self._url,
                params=self._resume,
                timeout=timeout,
                max_msg_size=MAX_MESSAGE_BYTES,
                autoping=True,
            ) as socket,
        ):
            opening.reschedule(None)
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    yield frame.data
            code = socket.close_code or 1006
            problem = f"ended the connection with code {code}"
            retryable = code not in _FINAL_CLOSE_CODES
            fix = f"{NEW_TOKEN}, or send less" if code == _POLICY else _SEE_LOG
            raise ServerError(self._url, problem, fix, retryable=retryable)

    async def _sse(self) -> AsyncGenerator[str, None]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if self.position:
            headers["Last-Event-ID"] = self.position
        async with (
            asyncio.timeout(CONNECT_TIMEOUT_S) as opening,
            self._http.get(self._url, headers=headers) as answer,
        ):
            opening.reschedule(None)
            if answer.status != 200:
                raise refusal_error(self._url, answer.status, await answer.text(), answer.headers)
            if answer.content_type != "text/event-stream":
                problem = f"sends {answer.content_type}, which is not an event stream"
                raise ServerError(self._url, problem, "is it the right address?")
            parser = EventParser()
            while chunk := await self._chunk(answer):
                for event in parser.feed(chunk):
                    if event.type == "expired":
                        raise ServerError(self._url, "ended the stream: token expired", NEW_TOKEN)
                    self.position = event.id or self.position
                    yield event.data.decode(errors="replace")
            retry_after = parser.retry / 1000 if parser.retry is not None else None
            problem = "ended the stream"
            raise ServerError(self._url, problem, _SEE_LOG, retryable=True, retry_after=retry_after)

    @staticmethod
    async def _chunk(answer: aiohttp.ClientResponse) -> bytes:
        async with asyncio.timeout(SILENCE_TIMEOUT_S):
            return await answer.content.readany()


async def stop_at_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Report a redirect instead of following it, as a middleware of a session.

    A WebSocket is not redirected (WHATWG WebSockets section 2), and no command of rtdemo but `conform`
    follows: its user should know which server it is about.

    Raises:
        ServerError: with the address to give.
    """
    answer = await handler(request)
    if 300 <= answer.status < 400 and (location := answer.headers.get("Location")):
        answer.close()
        there = printable(location.partition("?")[0][:MAX_LOCATION_CHARS])
        raise ServerError(str(request.url), f"redirects to {there}", "give that address")
    return answer


def refusal_error(url: str, status: int, body: str, headers: Mapping[str, str]) -> ServerError:
    """Return an HTTP error status as an error that allows another try if that may succeed.

    Arguments:
        url: of the request.
        status: of the response.
        body: text of the response.
        headers: of the response.
    """
    words = " ".join(body.split())[:300]
    later = headers.get("Retry-After", "")
    retry_after = float(later) if later.isdecimal() else None
    problem = f"answered {status}" + (f": {words}" if words else "")
    retryable = status in _RETRY_STATUSES
    fix = "give a login token with --token" if status in LOGIN_STATUSES else _SEE_LOG
    if words.endswith(fix):
        fix = ""
    return ServerError(url, problem, fix, retryable=retryable, retry_after=retry_after)


def to_server_error(url: str, error: Exception) -> ServerError:
    """Return an error of the network as an error with the next step for the user.

    Arguments:
        url: of the request.
        error: of aiohttp, ssl or the socket.
    """
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return refusal_error(url, error.status, error.message, error.headers or {})
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        fix = "name the certificate of its authority in SSL_CERT_FILE"
        return ServerError(url, f"has a certificate that is not trusted: {network_reason(error)}", fix)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        scheme, _, rest = url.partition(":")
        fix = f"if it does not use TLS, give {scheme.removesuffix('s')}:{rest}"
        return ServerError(url, f"fails at TLS: {network_reason(error)}", fix)
    if isinstance(error, TimeoutError):
        return ServerError(url, "does not respond", "is it the right address?", retryable=True)
    fix = "is the server running?"
    return ServerError(url, f"cannot be reached: {network_reason(error)}", fix, retryable=True)
