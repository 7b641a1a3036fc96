"""A test that leaves a connection open fails, and no later one in its place."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.checked_loop import CheckedLoop
from tests.garbage import collect_garbage


async def leave_open(leaves: bool) -> None:
    """Serve a client whose connection the server closes or forgets."""

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not leaves:
            writer.close()
        accepted.set()

    accepted = asyncio.Event()
    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await accepted.wait()
        writer.close()


def test_loop_reports_a_connection_that_is_open() -> None:
    """It ends it as well, so that the garbage collector finds nothing to warn of."""
    collect_garbage()
    loop = CheckedLoop()
    loop.run_until_complete(leave_open(leaves=True))
    with pytest.raises(AssertionError, match=r"left connections open:\n<_SelectorSocketTransport"):
        loop.close()
    assert loop.is_closed()
    del loop
    gc.collect()


def test_loop_closes_after_a_test_that_has_closed_its_connections() -> None:
    with asyncio.Runner(loop_factory=CheckedLoop) as runner:
        runner.run(leave_open(leaves=False))
