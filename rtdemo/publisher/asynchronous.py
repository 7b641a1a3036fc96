"""Publish from asyncio: each call waits until the server has the message."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from rtdemo.publisher import publication, server_address
from rtdemo.publisher.sender import Sender
from rtdemo.publisher.waiting import MAX_BATCH, MAX_BATCH_BYTES, MAX_WAITING_BYTES

MAX_WAITING = 10_000
"""Calls that wait for the server; each further one waits before it joins them.

So does a call whose message does not fit into `MAX_WAITING_BYTES` beside the others.
"""


class AsyncPublisher:
    """Publish to a server from an event loop: `async with AsyncPublisher() as publisher: ...`.

    Calls that wait at the same time are sent in one request. While the server cannot be reached, they
    wait; nothing is dropped. Requests run in a thread. A call that is cancelled, as by a timeout, is not
    sent, unless its request has begun.

    Arguments:
        url: of the server; by default that in RTDEMO_URL, or http://localhost:3000.
        token: publish token of the server; by default that in RTDEMO_PUBLISH_TOKEN.

    Raises:
        AddressError: if `url`, or RTDEMO_URL, is not the address of a server.
        PublishError: if no header can have the token.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._sender = Sender(server_address.checked_url_of(url), server_address.token_of(token))
        self._waiting: OrderedDict[asyncio.Future[str], bytes] = OrderedDict()
        self._bytes = 0
        self._room = asyncio.Semaphore(MAX_WAITING)
        # Whoever waits for room in bytes has the lock, so that the order of the calls is kept.
        self._next = asyncio.Lock()
        self._has_room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AsyncPublisher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def publish(self, producer: str, value: object, message: str | None = None) -> str:
        """Publish a value; return its position in the log, `<epoch>-<offset>`.

        Arguments:
            producer: the name to publish under, such as `loss`.
            value: a number, bool, dict or list, or a text. A NaN or an infinity becomes null.
            message: text for people; None for that of the value.

        Raises:
            TypeError: if JSON cannot hold the value, or the name is no text.
            RecursionError: if it is nested too deeply, or contains itself.
            UnicodeEncodeError: if a text has a lone surrogate.
            PublishError: if the server does not take the message, or the publisher is closed before.
        """
        payload, _ = publication.encode(producer, value, message)
        async with self._room:
            await self._wait_for_room(len(payload))
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self._waiting[future] = payload
            self._bytes += len(payload)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._send_all())
            try:
                return await future
            finally:
                if future in self._waiting:
                    self._leave(future)

    async def close(self) -> None:
        """Stop sending: calls that still wait raise an error."""
        self._sender.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._sender.close()

    async def _send_all(self) -> None:
        while batch := self._take():
            outcomes: Sequence[str | Exception]
            try:
                outcomes = await asyncio.to_thread(self._sender.send, list(batch.values()))
            except Exception as error:
                # A bug, or the interpreter ends. The other calls are still tried.
                outcomes = [error] * len(batch)
            for future, outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, str):
                    future.set_result(outcome)
                else:
                    future.set_exception(outcome)

    async def _wait_for_room(self, size: int) -> None:
        async with self._next:
            while self._waiting and self._bytes + size > MAX_WAITING_BYTES:
                self._has_room.clear()
                await self._has_room.wait()

    def _take(self) -> dict[asyncio.Future[str], bytes]:
        batch: dict[asyncio.Future[str], bytes] = {}
        size = 0
        while self._waiting and len(batch) < MAX_BATCH:
            future = next(iter(self._waiting))
            size += len(self._waiting[future]) + 1
            if batch and size > MAX_BATCH_BYTES:
                break
            batch[future] = self._leave(future)
        return batch

    def _leave(self, future: asyncio.Future[str]) -> bytes:
        payload = self._waiting.pop(future)
        self._bytes -= len(payload)
        self._has_room.set()
        return payload
