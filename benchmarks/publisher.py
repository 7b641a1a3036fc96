"""Publish messages by POST on one connection that stays open."""

import asyncio
import json
from typing import cast

from benchmarks.workloads import PRODUCER, PUBLISH_PERIOD

ANSWER_TIMEOUT = 30.0


class Publisher(asyncio.Protocol):
    """Sends one request at a time and waits for its answer."""

    def __init__(self, host: str) -> None:
        """Prepare the requests.

        Arguments:
            host: address and port of the server.
        """
        self._host = host
        self._answer = b""
        self._answered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    async def publish(self, text: str) -> None:
        """Publish one message and wait for the answer; ConnectionError where it is refused."""
        body = json.dumps({"message": text, "producer": PRODUCER})
        head = (
            f"POST /api/publish HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write((head + body).encode())
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await self._answered

    def data_received(self, data: bytes) -> None:
        """Read an answer to its end."""
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        _, announced, length = head.lower().partition(b"content-length:")
        if not end or (announced and len(body) < int(length.split()[0])):
            return
        self._answer = b""
        if head.startswith(b"HTTP/1.1 2"):
            if self._answered and not self._answered.done():
                self._answered.set_result(None)
        else:
            self._fail(
                f"publishing was refused: {head.decode('latin-1').splitlines()[0]} {body[:200]!r}"
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits for an answer."""
        self._fail("the publishing connection was closed")

    def _fail(self, why: str) -> None:
        if self._answered and not self._answered.done():
            self._answered.set_exception(ConnectionError(why))


async def publish_for(seconds: float, address: str, port: int) -> None:
    """Publish a message each period for a number of seconds."""
    loop = asyncio.get_running_loop()
    transport, publisher = await loop.create_connection(
        lambda: Publisher(f"{address}:{port}"), address, port
    )
    due = loop.time()
    for number in range(round(seconds / PUBLISH_PERIOD)):
        await publisher.publish(f"message {number}")
        due = max(due + PUBLISH_PERIOD, loop.time())
        await asyncio.sleep(due - loop.time())
    transport.close()
