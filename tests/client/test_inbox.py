"""Messages that wait for the program, bounded in size."""

from __future__ import annotations

import asyncio

import pytest

from rtdemo.client.inbox import MAX_WAITING_CHARACTERS, Inbox
from rtdemo.client.message import Message

HALF = Message("x" * (MAX_WAITING_CHARACTERS // 2), "")


async def test_a_reader_waits_while_too_much_waits_for_the_program() -> None:
    """So nothing is read from the socket, and memory is bounded."""
    inbox = Inbox()
    puts = [asyncio.create_task(inbox.put(HALF, str(number))) for number in range(4)]
    await asyncio.sleep(0)
    assert [put.done() for put in puts] == [True, True, False, False]
    assert [(await inbox.get())[1] for _ in range(4)] == ["0", "1", "2", "3"]
    assert inbox.is_empty


async def test_an_error_comes_after_the_last_message() -> None:
    """What arrived before it is for the program."""
    inbox = Inbox()
    await inbox.put(HALF, "1")
    inbox.end(KeyError("the end"))
    assert (await inbox.get())[1] == "1"
    with pytest.raises(KeyError, match="the end"):
        await inbox.get()
