"""Publish from asyncio: each call waits until the server has the message."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from types import TracebackType

from rtdemo.errors import PublishError
from rtdemo.publisher import publication
from rtdemo.publisher.publish import DEFAULT_URL, TOKEN_VARIABLE, URL_VARIABLE
from rtdemo.publisher.sender import Sender
from rtdemo.publisher.waiting import MAX_BATCH, MAX_BATCH_BYTES

MAX_WAITING = 10_000
"""Calls that wait for the server; each further one waits before it joins them."""


class AsyncPublisher:
    """Publish to a server from an event loop: `async with AsyncPublisher() as publisher: ...`.

    Calls that wait at the same time are sent in one request. While the server cannot be reached, they
    wait; nothing is dropped. Requests run in a thread.

    Arguments:
        url: of the server; by default that in RTDEMO_URL, or http://localhost:3000.
        token: publish token of the server; by default that in RTDEMO_PUBLISH_TOKEN.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._sender = Sender(
            url or os.environ.get(URL_VARIABLE) or DEFAULT_URL,
            os.environ.get(TOKEN_VARIABLE, "") if token is None else token,
        )
        self._waiting: deque[tuple[bytes, asyncio.Future[str]]] = deque()
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AsyncPublisher:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def publish(self, producer: str, value: object, message: str | None = None) -> str:
        """Publish a value; return its position in the log, `<epoch>-<offset>`.

        Arguments:
            producer: the name to publish under, such as `loss`.
            value: a number, bool, dict or list, or a text. A NaN or an infinity becomes null.
            message: text for people; None for that of the value.

        Raises:
            TypeError: if JSON cannot hold the value.
            PublishError: if the server does not take the message, or the publisher is closed before.
        """
        payload = publication.encode(producer, value, message)
        async with self._room:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self._waiting.append((payload, future))
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._send_all())
            return await future

    async def close(self) -> None:
        """Stop sending: calls that still wait raise an error."""
        self._sender.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._sender.close()

    async def _send_all(self) -> None:
        while batch := self._take():
            payloads = [payload for payload, _ in batch]
            outcomes = await asyncio.to_thread(self._sender.send, payloads)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, PublishError):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _take(self) -> list[tuple[bytes, asyncio.Future[str]]]:
        batch: list[tuple[bytes, asyncio.Future[str]]] = []
        size = 0
        while self._waiting and len(batch) < MAX_BATCH:
            size += len(self._waiting[0][0]) + 1
            if batch and size > MAX_BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch
