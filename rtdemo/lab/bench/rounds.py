"""Measure one round: open, settle, wait for the window to pass, gather."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from rtdemo.client import Transport
from rtdemo.errors import ServerError
from rtdemo.lab import server_clock
from rtdemo.lab.bench import machine
from rtdemo.lab.bench.answers import Outcome, Ready
from rtdemo.lab.bench.figures import WHOLE
from rtdemo.lab.bench.latencies import Latencies
from rtdemo.lab.bench.plan import SETTLE, Go, Settlement
from rtdemo.lab.bench.processes import Processes, processes
from rtdemo.lab.bench.result import Round
from rtdemo.lab.bench.subject import Subject, Usage

OPENING = 60.0
OPENING_EACH = 0.05
"""Seconds for all connections to open, and besides for each."""
SLEWED = 1.0
"""Milliseconds by which a clock that is being set may move within a round."""
WORKING_OUT = 300.0
"""Seconds to work the figures of a window out."""


async def connect(
    subject: Subject, these: Processes, transport: Transport, connections: int
) -> list[Ready]:
    """Wait until the connections are open.

    Raises:
        ServerError: where none opens.
    """
    ready = await these.hear(Ready, OPENING + OPENING_EACH * connections)
    if not any(one.opened for one in ready):
        problem = next(one.problem for one in ready)
        raise ServerError(subject.address.stream(transport), problem, "is it the right address?")
    return ready


async def memory(subject: Subject, transport: Transport, connections: int) -> float | None:
    """Return the bytes that the server comes to hold for each connection, and close them."""
    before = machine.resident_bytes(subject.pids)
    async with processes(subject.plans(transport, connections)) as these:
        ready = await connect(subject, these, transport, connections)
        return _each(subject, before, ready)


def _each(subject: Subject, before: int, ready: list[Ready]) -> float | None:
    if not subject.pids:
        return None
    return (machine.resident_bytes(subject.pids) - before) / sum(one.opened for one in ready)


async def measure(
    subject: Subject, transport: Transport, opened: Callable[[list[Ready]], Awaitable[object]]
) -> tuple[Round, bool]:
    """Measure a transport for one window.

    Arguments:
        opened: awaited with how connecting went.

    Returns: the round, and whether it was cut short by a cancellation, which then is over.
    """
    wanted = subject.settings.connections
    async with processes(subject.plans(transport, wanted)) as these:
        ready = await connect(subject, these, transport, wanted)
        await opened(ready)
        await subject.look_at_clock()
        go = Go(server_clock.now() + SETTLE * 1000, subject.settings.seconds)
        these.say_all(go)
        used, was_cut = await _pass(subject, go)
        await subject.look_at_clock()
        end = go.start + go.seconds * 1000
        these.say_all(_settlement(subject, end))
        outcomes = await these.hear(Outcome, WORKING_OUT)
    found = _round(transport, ready, outcomes)
    _tell_clock(found, subject, end)
    if subject.pids:
        found.server_cpu = used.server
        cost = used.own + used.server + sum(cost.cpu for cost in found.costs)
        found.others = max(0.0, (used.machine - cost) / found.seconds) if found.seconds else None
    return found, was_cut


def _settlement(subject: Subject, at: float) -> Settlement:
    clock = subject.clock
    if clock is None:
        return Settlement(None)
    error = clock.error_at(at) + WHOLE + SLEWED if subject.clock_is_assumed else None
    return Settlement(clock.offset, error)


def _tell_clock(found: Round, subject: Subject, at: float) -> None:
    """Note how far the clock may be off; where it was assumed and cannot be, latency is not told."""
    found.clock_is_assumed = subject.clock_is_assumed
    if found.figures.refuted:
        found.figures.untell()
    elif subject.clock is not None:
        found.clock_error = subject.clock.error_at(at) + WHOLE * found.figures.whole


async def _pass(subject: Subject, go: Go) -> tuple[Usage, bool]:
    """Wait for the window, doing nothing; return what was used in it and whether it was cut."""
    was_cut = False
    await asyncio.sleep((go.start - server_clock.now()) / 1000)
    first = subject.usage()
    try:
        await asyncio.sleep(go.start / 1000 + go.seconds - server_clock.now() / 1000)
    except asyncio.CancelledError:
        # Ctrl-C: what came until now is worked out all the same.
        was_cut = True
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
    return subject.usage().since(first), was_cut


def _round(transport: Transport, ready: list[Ready], outcomes: list[Outcome]) -> Round:
    first, *others = outcomes
    for outcome in others:
        first.figures.add(outcome.figures)
        first.received.add(outcome.received)
    steps: dict[str, Latencies] = {}
    for one in ready:
        for step, took in one.steps.items():
            steps.setdefault(step, Latencies()).add(took)
    ended: Counter[str] = Counter()
    for outcome in outcomes:
        ended.update(outcome.ended)
    return Round(
        transport=transport,
        seconds=min(outcome.seconds for outcome in outcomes),
        connections=sum(one.opened for one in ready),
        steps=steps,
        figures=first.figures,
        received=first.received,
        clock_error=None,
        costs=[outcome.cost for outcome in outcomes],
        ended=dict(ended),
        unread=sum(outcome.unread for outcome in outcomes),
        left_out=sum(outcome.left_out for outcome in outcomes),
    )
