"""Queue messages for Redis and hand them over in order, each once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis.exceptions import ResponseError

from rtdemo import message as messages
from rtdemo.engine import scripts
from rtdemo.engine.health import READY, Health
from rtdemo.engine.interface import KEY_SECONDS, Draft, fingerprint
from rtdemo.engine.link import FAULTS, Keys, Redis, raise_if_cancelled
from rtdemo.engine.log import FOLLOWED, Log
from rtdemo.errors import KeyReused, NotLeading, Unavailable
from rtdemo.guard import one_line
from rtdemo.position import Position, new_epoch

log = logging.getLogger(__name__)

WAITING = 1000
"""Publications that may wait for Redis; each has 64 KiB at the most."""
TOGETHER = 64
"""Publications that go in one round trip."""
UNREACHED = 2**53 - 1
"""An offset that no log has."""

Answer = asyncio.Future[list[Position]]


@dataclass(frozen=True, slots=True)
class Publication:
    """Hold messages on their way, and the future that is told of their positions."""

    drafts: Sequence[Draft]
    key: str
    leading: bool
    answer: Answer


class Outbound:
    """Hand publications to Redis, in order, by one task.

    Arguments:
        redis: whose log it is.
        keys: its names there.
        log: this server's copy.
        server: this server's name, as in the lease.
        now: milliseconds since the epoch.
        health: told whether Redis takes what is written.

    Attributes:
        away: called with the error when Redis cannot be reached.
        refused: called when Redis says that another server leads.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        log: Log,
        server: str,
        now: Callable[[], float],
        health: Health,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._log = log
        self._server = server
        self._now = now
        self._health = health
        self._waiting: asyncio.Queue[Publication] = asyncio.Queue(WAITING)
        self.away: Callable[[Exception], object] = lambda error: None
        self.refused: Callable[[], object] = lambda: None

    def put(self, drafts: Sequence[Draft], key: str, leading: bool) -> Answer:
        """Queue messages; where nothing can be published, the answer has failed already."""
        answer: Answer = asyncio.get_running_loop().create_future()
        if self._health.state != READY:
            answer.set_exception(Unavailable(self._health.state))
        elif self._waiting.full():
            answer.set_exception(Unavailable(f"{WAITING} publications wait for redis"))
        else:
            self._waiting.put_nowait(Publication(drafts, key, leading, answer))
        return answer

    def fail(self, why: str) -> None:
        """Give up on all that waits."""
        while not self._waiting.empty():
            _fail(self._waiting.get_nowait().answer, Unavailable(why))

    async def work(self) -> None:
        """Hand over until cancelled."""
        while True:
            raise_if_cancelled()
            together = [await self._waiting.get()]
            while len(together) < TOGETHER and not self._waiting.empty():
                together.append(self._waiting.get_nowait())
            try:
                await self._hand_over(together)
            except FAULTS as error:
                for publication in together:
                    _fail(publication.answer, Unavailable(one_line(error)))
                self.away(error)
            except Exception:
                # A bug costs these messages, not all that are still to come.
                log.exception("publishing failed")
                for publication in together:
                    _fail(publication.answer, Unavailable("the server failed; its log says why"))
            finally:
                for publication in together:
                    _fail(publication.answer, Unavailable("the server is stopping"))

    async def ensure_epoch(self, afresh: bool = False) -> None:
        """Begin a log where Redis has none, or only an older state of ours.

        Arguments:
            afresh: also where it has gone on from there, if nobody has begun a new one meanwhile.
        """
        reached = self._log.last
        if afresh:
            reached = Position(reached.epoch, UNREACHED)
        nothing = Publication([], "", False, asyncio.get_running_loop().create_future())
        await self._redis.eval(*self._command(nothing, reached))

    async def _hand_over(self, together: list[Publication]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for publication in together:
            pipeline.eval(*self._command(publication, self._log.last))
        results = await pipeline.execute(raise_on_error=False)
        for publication, result in zip(together, results, strict=True):
            if isinstance(result, ResponseError):
                self._health.refused(result)
                _fail(publication.answer, Unavailable(self._health.state))
            elif isinstance(result, Exception):
                _fail(publication.answer, Unavailable(one_line(result)))
            else:
                self._settle(publication, result)

    def _settle(self, publication: Publication, result: list[str]) -> None:
        if result[0] == "lead":
            self.refused()
            _fail(publication.answer, NotLeading())
        elif result[0] == "key":
            _fail(publication.answer, KeyReused())
        elif not publication.answer.done():
            epoch, first = result[1], int(result[2])
            offsets = range(first, first + len(publication.drafts))
            publication.answer.set_result([Position(epoch, offset) for offset in offsets])

    def _command(self, publication: Publication, reached: Position) -> tuple[str | int | float, ...]:
        keys, limits, now = self._keys, self._log.limits, self._now()
        names = (
            keys.meta,
            keys.numbers,
            keys.log,
            keys.leader,
            keys.idempotency(publication.key),
            keys.names,
        )
        who = self._server if publication.leading else ""
        oldest = now - limits.seconds * 1000
        what = fingerprint(publication.drafts) if publication.key else ""
        head = (new_epoch(), *reached, who, what, int(KEY_SECONDS * 1000))
        bounds = (limits.count, limits.bytes, oldest, FOLLOWED)
        flat: list[str | int | float] = []
        for draft in publication.drafts:
            message = messages.encode(draft.message).decode()
            flat += [draft.producer, message, repr(now), ",".join(draft.transports)]
        return (scripts.PUBLISH, len(names), *names, *head, *bounds, *flat)


def _fail(answer: Answer, error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
