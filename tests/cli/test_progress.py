"""How far a command is, on a standard error that is no terminal."""

from __future__ import annotations

import asyncio
from io import StringIO

import pytest
from rich.console import Console

from rtdemo.cli import progress


async def test_each_progress_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A progress that has not changed is not printed again."""
    monkeypatch.setattr(progress, "PIPE_PERIOD_S", 0.001)
    states = iter(
        ("", "starting the server", "starting the server", "", "starting the server", "9 of 10")
    )
    done = asyncio.get_running_loop().create_future()
    printed = StringIO()

    def words() -> str:
        state = next(states, None)
        if state is None and not done.done():
            done.set_result(None)
        return state or ""

    await progress.with_progress(done, words, Console(file=printed))
    assert printed.getvalue().splitlines() == ["rtdemo: starting the server", "rtdemo: 9 of 10"]
