"""The number of a shared producer's next message."""

from __future__ import annotations

import asyncio

from rtdemo.engine.log import Log, make_entry
from rtdemo.errors import Unavailable
from rtdemo.hub.shared_producers import SequenceNumber
from rtdemo.protocol.message import Message, Position, new_epoch, now


def arrive(log: Log) -> Position:
    """Append the producer's next message, as the engine's reader does."""
    position = Position(log.last.epoch, log.last.offset + 1)
    message = Message("x")
    log.append(make_entry(message, "tick", log.seq("tick") + 1, position, now(), ("sse",)))
    return position


async def test_number_counts_messages_that_are_not_in_the_copy_yet() -> None:
    """A message counts before its answer, and from then until it is in this server's copy."""
    log, answers = Log(), [asyncio.get_running_loop().create_future() for _ in range(2)]
    sequence = SequenceNumber(log, "tick")
    failed: list[str] = []
    for number, answer in enumerate(answers):
        assert sequence.next() == number + 1
        sequence.follow(answer, lambda name, _error: failed.append(name))
    answers[0].set_result([Position(log.last.epoch, 1)])
    await asyncio.sleep(0)
    assert sequence.next() == 3
    arrive(log)
    assert sequence.next() == 3
    answers[1].set_exception(Unavailable("away"))
    await asyncio.sleep(0)
    assert (sequence.next(), failed) == (2, ["tick"])
    # The engine reported an error, but Redis had taken the message.
    arrive(log)
    assert sequence.next() == 3


async def test_message_that_arrives_before_its_answer_counts_once() -> None:
    """The reader and the publisher each have a connection, and either may be first."""
    log, answer = Log(), asyncio.get_running_loop().create_future()
    sequence = SequenceNumber(log, "tick")
    sequence.follow(answer, lambda _name, _error: None)
    position = arrive(log)
    assert sequence.next() == 2
    answer.set_result([position])
    await asyncio.sleep(0)
    assert sequence.next() == 2


async def test_number_restarts_with_a_new_log() -> None:
    """Messages in a log that is lost do not count."""
    log = Log()
    sequence = SequenceNumber(log, "tick")
    answer = asyncio.get_running_loop().create_future()
    answer.set_result([Position(log.last.epoch, 1)])
    sequence.follow(answer, lambda _name, _error: None)
    assert sequence.next() == 2
    log.restart(Position(new_epoch(), 0))
    assert sequence.next() == 1
