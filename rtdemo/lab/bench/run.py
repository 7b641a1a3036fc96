"""Carry a whole run out: find the server, measure the transports in turns, note what was seen."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import aiohttp
import msgspec

from rtdemo.errors import ServerError
from rtdemo.lab import server_clock
from rtdemo.lab.address import Address
from rtdemo.lab.bench import fairness, machine, target
from rtdemo.lab.bench.analysis import SENT_AT_ROUNDING_MS
from rtdemo.lab.bench.processes import Processes, own_server, processes
from rtdemo.lab.bench.protocol import SETTLE_S, Ready, Window, WindowEnd, WorkerResult, order
from rtdemo.lab.bench.result import Round, Run
from rtdemo.lab.bench.target import Target, Usage
from rtdemo.protocol.client import LABELS, Transport
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.timing.histogram import Latencies

WARM_UP_CONNECTIONS = 10
"""Connections before memory is measured, so that what is loaded once is not told of each."""
MIN_WINDOW_S = 1.0
"""Seconds that a window must have lasted to count."""
Progress = Callable[[str, int, int], object]
"""Takes what is done now, the number of the round and of how many."""


async def measure(run: Run, address: Address | None, progress: Progress) -> None:
    """Add to a run what is measured; Ctrl-C or SIGTERM leaves it with what was until then.

    Arguments:
        address: None for a server of our own.

    Raises:
        ServerError: where a server is not there or sends nothing.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a run is a task")
    # As asyncio does on SIGINT: our own server must not outlive us.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await _measure(run, address, progress)
    except asyncio.CancelledError:
        run.cut_short = True
        task.uncancel()
    finally:
        fairness.note(run)


async def _measure(run: Run, address: Address | None, progress: Progress) -> None:
    memory: dict[Transport, float | None] = {}
    if address is None:
        for transport in run.settings.transports:
            progress(f"memory, {LABELS[transport]}", 0, 0)
            memory[transport] = await _memory(run, transport)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        there = address if address is not None else await stack.enter_async_context(own_server())
        subject = await _subject(run, http, there)
        routes: dict[Transport, ConnectionInfo | None] = {}
        try:
            await _rounds(run, subject, http, routes, progress)
        finally:
            by_transport = {name: run.of(name) for name in run.transports}
            run.parity = fairness.check_parity(subject.server_info, routes, by_transport)
            for one in run.rounds:
                one.memory = memory.get(one.transport)


async def _memory(run: Run, transport: Transport) -> float | None:
    """Return the memory for each connection of a server that had none of either transport before."""
    async with aiohttp.ClientSession() as http, own_server() as there:
        subject = await _subject(run, http, there)
        await measure_memory(subject, transport, min(WARM_UP_CONNECTIONS, run.settings.connections))
        return await measure_memory(subject, transport, run.settings.connections)


async def _subject(run: Run, http: aiohttp.ClientSession, address: Address) -> Target:
    settings = run.settings
    server_info = await target.fetch_server_info(http, address)
    chosen = target.choose(server_info, settings.transports, settings.producers, address.origin)
    subject = Target(address, server_info, settings, chosen)
    subject.find_processes()
    await subject.update_clock()
    server = f"rtdemo {server_info.version}" if server_info.version else fairness.NOT_RTDEMO
    run.environment = msgspec.structs.replace(run.environment, server=server)
    run.notes = _notes(subject)
    return subject


def _notes(subject: Target) -> list[str]:
    notes = []
    if subject.producers:
        left_out = target.left_out(subject.server_info, subject.settings.transports, subject.producers)
        words = f"; left out: {', '.join(left_out)}" if left_out else ""
        notes.append(f"measured producers: {subject.producers}{words}")
    if subject.clock is None:
        notes.append(
            "one-way latency is not told: the server is on another machine and has no /api/time,"
            " so that its clock is not known here"
        )
    return notes


async def _opened(
    run: Run,
    subject: Target,
    http: aiohttp.ClientSession,
    routes: dict[Transport, ConnectionInfo | None],
    transport: Transport,
    ready: list[Ready],
) -> None:
    """Note how connecting went, and the first time through what a connection came."""
    client = next((one.client for one in ready if one.client), "")
    if transport not in routes and client:
        route = routes[transport] = await target.route(http, subject.address, client)
        if route is not None:
            subject.check_processes(route)
        if subject.process_problem and not any(subject.process_problem in note for note in run.notes):
            run.notes.append(f"server CPU and memory are not told: {subject.process_problem}")
    missing = run.settings.connections - sum(one.opened for one in ready)
    if missing:
        problem = next(one.problem for one in ready if one.problem)
        run.warnings.append(f"{LABELS[transport]}: {missing} connections did not open: {problem}")


async def _rounds(
    run: Run,
    subject: Target,
    http: aiohttp.ClientSession,
    routes: dict[Transport, ConnectionInfo | None],
    progress: Progress,
) -> None:
    turns = order(run.settings.transports, run.settings.rounds)
    for number, transport in enumerate(turns, 1):
        progress(LABELS[transport], number, len(turns))

        opened = partial(_opened, run, subject, http, routes, transport)
        found, was_cut = await measure_round(subject, transport, opened)
        if not was_cut or found.seconds >= MIN_WINDOW_S:
            run.rounds.append(found)
        if was_cut:
            run.cut_short = True
            return
        if not found.figures.messages:
            run.rounds.pop()
            what = f"sent no message with `sentAt` within {found.seconds:g} s"
            url = subject.address.stream(transport)
            raise ServerError(url, what, "does it send any by itself, and is --seconds long enough?")


ALL_OPEN_TIMEOUT_S = 60.0
OPEN_EXTRA_PER_CONNECTION_S = 0.05
"""Seconds for all connections to open, and besides for each."""
MAX_CLOCK_SLEW_MS = 1.0
"""Milliseconds by which a clock that is being set may move within a round."""
RESULT_TIMEOUT_S = 300.0
"""Seconds to work the figures of a window out."""


async def connect(
    subject: Target, these: Processes, transport: Transport, connections: int
) -> list[Ready]:
    """Wait until the connections are open.

    Raises:
        ServerError: where none opens.
    """
    ready = await these.hear(Ready, ALL_OPEN_TIMEOUT_S + OPEN_EXTRA_PER_CONNECTION_S * connections)
    if not any(one.opened for one in ready):
        problem = next(one.problem for one in ready)
        raise ServerError(subject.address.stream(transport), problem, "is it the right address?")
    return ready


async def measure_memory(subject: Target, transport: Transport, connections: int) -> float | None:
    """Return the bytes that the server comes to hold for each connection, and close them."""
    before = machine.resident_bytes(subject.pids)
    async with processes(subject.plans(transport, connections)) as these:
        ready = await connect(subject, these, transport, connections)
        return _each(subject, before, ready)


def _each(subject: Target, before: int, ready: list[Ready]) -> float | None:
    if not subject.pids:
        return None
    return (machine.resident_bytes(subject.pids) - before) / sum(one.opened for one in ready)


async def measure_round(
    subject: Target, transport: Transport, opened: Callable[[list[Ready]], Awaitable[object]]
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
        await subject.update_clock()
        go = Window(server_clock.now() + SETTLE_S * 1000, subject.settings.seconds)
        these.send_all(go)
        used, was_cut = await _pass(subject, go)
        await subject.update_clock()
        end = go.start + go.seconds * 1000
        these.send_all(_settlement(subject, end))
        outcomes = await these.hear(WorkerResult, RESULT_TIMEOUT_S)
    found = _round(transport, ready, outcomes)
    _set_clock_error(found, subject, end)
    if subject.pids:
        found.server_cpu = used.server
        cost = used.own + used.server + sum(cost.cpu for cost in found.costs)
        found.others = max(0.0, (used.machine - cost) / found.seconds) if found.seconds else None
    return found, was_cut


def _settlement(subject: Target, at: float) -> WindowEnd:
    clock = subject.clock
    if clock is None:
        return WindowEnd(None)
    error = (
        clock.error_at(at) + SENT_AT_ROUNDING_MS + MAX_CLOCK_SLEW_MS
        if subject.clock_is_assumed
        else None
    )
    return WindowEnd(clock.offset, error)


def _set_clock_error(found: Round, subject: Target, at: float) -> None:
    """Note how far the clock may be off; where it was assumed and cannot be, latency is not told."""
    found.clock_is_assumed = subject.clock_is_assumed
    if found.figures.refuted:
        found.figures.clear_latencies()
    elif subject.clock is not None:
        found.clock_error = subject.clock.error_at(at) + SENT_AT_ROUNDING_MS * found.figures.whole


async def _pass(subject: Target, go: Window) -> tuple[Usage, bool]:
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


def _round(transport: Transport, ready: list[Ready], outcomes: list[WorkerResult]) -> Round:
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
