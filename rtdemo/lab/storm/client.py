"""A client that reconnects after each loss, as its rule says, and resumes where it was."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from rtdemo.errors import network_reason
from rtdemo.lab.bench.connection import Endpoint
from rtdemo.lab.storm.backoff import Backoff
from rtdemo.lab.storm.connection import Failure, Stream
from rtdemo.lab.storm.delivery import Delivery
from rtdemo.lab.storm.timeline import Timeline

NO_ANSWER = "no answer in time"
"""Reason of an attempt that failed by its time limit."""
MAX_RESUME_CHARACTERS = 1024
"""Longest event id that a client sends back; a server may send any."""


class Side:
    """What the clients of one transport have in common.

    Arguments:
        url: of the stream.
        endpoint: where they connect.
        backoff: their rule.
        now: returns seconds of a monotonic clock.

    Attributes:
        timeline: counts their connections.
        failures: number of attempts that failed, by reason; counted once the timeline has begun.
        clients: all of them.
    """

    def __init__(self, url: str, endpoint: Endpoint, backoff: Backoff, now: Callable[[], float]) -> None:
        self.url = url
        self.endpoint = endpoint
        self.backoff = backoff
        self.now = now
        self.timeline = Timeline(now)
        self.failures: Counter[str] = Counter()
        self.clients: list[Client] = []


class Client:
    """One client.

    Arguments:
        side: what it has in common with others.

    Attributes:
        delivery: what it received.
        is_open: whether its stream is open.
        gave_up: the failure after which it never tries again; None while it does.
        lost_at: when its stream first ended after `watch`; None while it has not.
        back_at: when its last stream opened after that; None if none is open since.
    """

    __slots__ = (
        *("_failures", "_last_event_id", "_retry_s", "_side", "_watched"),
        *("back_at", "delivery", "gave_up", "is_open", "lost_at"),
    )

    def __init__(self, side: Side) -> None:
        self.delivery = Delivery()
        self.is_open = False
        self.gave_up: Failure | None = None
        self.lost_at: float | None = None
        self.back_at: float | None = None
        self._side = side
        self._failures = 0
        self._retry_s: float | None = None
        self._last_event_id = ""
        self._watched = False

    @property
    def url(self) -> str:
        """URL of its stream."""
        return self._side.url

    def watch(self) -> None:
        """Note from now on when the stream ends and opens."""
        self._watched = True

    async def open(self) -> Stream | Failure:
        """Make one attempt; return the open stream, or why there is none."""
        side = self._side
        side.timeline.add("attempts")
        failure: Failure | None
        stream = Stream(
            side.endpoint, self._resume, lambda: side.timeline.add("connects"), self._receive
        )
        family, at = side.endpoint.at
        secure = side.endpoint.tls
        try:
            async with asyncio.timeout(side.backoff.attempt_timeout_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: stream,
                    *at[:2],
                    family=family,
                    ssl=secure,
                    server_hostname=side.endpoint.host if secure else None,
                )
                failure = await stream.opened
        except TimeoutError:
            failure = Failure(NO_ANSWER)
        except OSError as error:
            failure = Failure(network_reason(error))
        except BaseException:
            stream.close()
            raise
        if failure is not None:
            stream.close()
            return failure
        self.is_open = True
        self.back_at = side.now() if self.lost_at is not None else None
        side.timeline.add("opened")
        return stream

    async def stay(self, stream: Stream) -> None:
        """Keep a stream, and reconnect after each end, until cancelled or a failure is final.

        Arguments:
            stream: from `open`.
        """
        current: Stream | None = stream
        while current is not None:
            await self._until_end(current)
            current = await self._reconnect()

    async def _until_end(self, stream: Stream) -> None:
        try:
            await stream.ended
        finally:
            stream.close()
        self.is_open = False
        self.back_at = None
        if self._watched and self.lost_at is None:
            self.lost_at = self._side.now()
        self._side.timeline.add("ended")
        if stream.retry_s is not None:
            self._retry_s = stream.retry_s
        self._last_event_id = stream.last_event_id or self._last_event_id

    async def _reconnect(self) -> Stream | None:
        """Return the next stream; None after a failure that is final."""
        backoff, retry_after_s = self._side.backoff, None
        while True:
            wait_s = backoff.wait_s(self._failures, self._retry_s, retry_after_s, random.random)
            await asyncio.sleep(wait_s)
            found = await self.open()
            if isinstance(found, Stream):
                return found
            self._failures += 1
            if self._side.timeline.began is not None:
                self._side.failures[found.reason] += 1
            if found.status and backoff.gives_up:
                self.gave_up = found
                return None
            retry_after_s = found.retry_after_s

    def _receive(self, payload: bytes) -> None:
        self._failures = 0
        self.delivery.add(payload)

    @property
    def _resume(self) -> str:
        """What the next request resumes after; only rtdemo resumes WebSockets."""
        if self._side.endpoint.transport == "websocket":
            return str(self.delivery.position or "")
        given = self._last_event_id
        return given if given.isprintable() and len(given) <= MAX_RESUME_CHARACTERS else ""
