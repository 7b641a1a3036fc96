"""Run a producer as the server does, on a loop of virtual time, and keep what it sends."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

from rtdemo import message as messages
from rtdemo.backoff import Backoff
from rtdemo.client import Client
from rtdemo.feed import Feed
from rtdemo.guard import one_line
from rtdemo.message import Message
from rtdemo.paths import PACKAGE
from rtdemo.producers import Producer, Series
from rtdemo.schedule import Schedule
from rtdemo.supervisor import Emit, Supervisor
from rtdemo.testing.loop import VirtualTimeLoop


class Account(Supervisor):
    """Keep a producer's account, its errors, and virtual time while its threads work.

    Attributes:
        errors: what its runs raised.
        ended: whether an async generator came to its end.
    """

    def __init__(self, producer: Producer, loop: VirtualTimeLoop) -> None:
        super().__init__("test", producer, loop.time)
        self.errors: list[BaseException] = []
        self.ended = False
        self._loop = loop

    def run(
        self, producer: Producer, client: Client | Series | None, emit: Emit, backoff: Backoff
    ) -> Coroutine[Any, Any, None] | None:
        """Run a function once; time stands still while it is in a thread."""
        rest = super().run(producer, client, emit, backoff)
        return self._hold(rest) if rest is not None and producer.thread else rest

    async def stream(
        self, producer: Producer, client: Client | Series | None, emit: Emit, backoff: Backoff
    ) -> bool:
        """Iterate over an async generator and note its end."""
        self.ended = await super().stream(producer, client, emit, backoff)
        return self.ended

    async def _hold(self, rest: Coroutine[Any, Any, None]) -> None:
        with self._loop.held(self.producer.timeout):
            await rest

    def _failed(self, error: BaseException, backoff: Backoff) -> None:
        self.errors.append(error)
        super()._failed(error, backoff)


class Trial:
    """Put one producer to work on the running `VirtualTimeLoop`.

    Arguments:
        producer: what runs.
        client: whom it runs for; a shared one runs for nobody.
        limit: bytes that a message may have; more is the producer's failure.

    Attributes:
        account: counts its runs and failures.
        sent: what it sent, stamped in virtual milliseconds.
        late: how many messages came after `stop`.
    """

    def __init__(self, producer: Producer, client: Client | None, limit: float = float("inf")) -> None:
        self.loop = cast("VirtualTimeLoop", asyncio.get_running_loop())
        self.producer = producer
        self.account = Account(producer, self.loop)
        self.sent: list[Message] = []
        self.late = 0
        self._client = Series(lambda: len(self.sent) + 1) if producer.shared else client
        self._limit = limit
        self._schedule = Schedule(self.loop)
        self._feeds: list[Feed] = []
        self._stopped = False

    def start(self, speed: float = 1.0) -> None:
        """Start it for one more connection of the client."""
        feed = Feed(self.producer, self.account, self._client, self._emit, self._schedule)
        self._feeds.append(feed)
        feed.start(speed)

    def stop(self) -> None:
        """Stop it, as when the client leaves."""
        self._stopped = True
        for feed in self._feeds:
            feed.stop()
        self._schedule.close()
        self.account.close()

    def _emit(self, content: str | Message) -> None:
        if self._stopped:
            self.late += 1
            return
        message = content if isinstance(content, Message) else Message(content)
        text: object = message.message  # nothing makes sure that it is a str
        if not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(f"returned a Message of {kind}; its message is a str")
        stamp = round(self.loop.time() * 1000, 3)
        message = message.sent(stamp, self.producer.name, len(self.sent) + 1)
        size = len(messages.encode(message))
        if size > self._limit:
            raise ValueError(f"sent {size} bytes; a message has {self._limit} at the most")
        self.sent.append(message)


def describe(error: BaseException) -> str:
    """Return one line on an error with its place in the plugin's code."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not Path(frame.filename).is_relative_to(PACKAGE)]
    place = f"line {own[-1].lineno} of {Path(own[-1].filename).name}: " if own else ""
    return place + one_line(error)
