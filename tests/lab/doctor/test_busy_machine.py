"""What is missing on a machine that stops doctor itself is not blamed on a proxy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from rtdemo.lab.doctor.context import MAX_OWN_PAUSE_S, Context
from rtdemo.lab.doctor.errors import UnansweredError
from rtdemo.lab.doctor.run import CheckSpec, _finding
from rtdemo.protocol import address


@pytest.mark.parametrize("error", [TimeoutError(), UnansweredError("has not sent what was missed")])
@pytest.mark.parametrize(
    ("pause_s", "verdict", "code"),
    [(0.0, "fail", "sse-not-open"), (MAX_OWN_PAUSE_S + 0.1, "warn", "not-tested")],
)
async def test_missing_answer_proves_nothing_on_a_busy_machine(
    error: Exception, pause_s: float, verdict: str, code: str
) -> None:
    """The server may be on the same machine, and as late."""
    context = Context(address.parse("http://h"), idle=1)
    context.busy = cast("Any", SimpleNamespace(longest_delay_s=pause_s))

    async def run() -> Any:
        raise error

    found = await _finding(CheckSpec("SSE resume", run, transport="sse"), run, context)
    assert (found.verdict, getattr(found, "code", "")) == (verdict, code)
    assert ("too busy, it stopped doctor for up to 0.6 s" in found.seen) is bool(pause_s)
