"""Run bench: find the server, measure the transports in turns, and record what they delivered."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial

import aiohttp
import msgspec

from rtdemo.client.failures import GIVE_TOKEN
from rtdemo.client.request_headers import middlewares
from rtdemo.errors import ServerError
from rtdemo.lab import server_clock
from rtdemo.lab.bench import failing, fairness, machine
from rtdemo.lab.bench.advice import forecast
from rtdemo.lab.bench.analysis import SENT_AT_ROUNDING_MS
from rtdemo.lab.bench.connection import NEEDS_LOGIN, REDIRECTS, WEB_PAGE
from rtdemo.lab.bench.processes import Workers, own_server, start_workers
from rtdemo.lab.bench.protocol import SETTLE_S, Ready, Window, WindowEnd, WorkerResult
from rtdemo.lab.bench.result import Finding, Round, Run
from rtdemo.lab.bench.target import (
    ServerInfo,
    Target,
    Usage,
    choose_producers,
    fetch_connection_info,
    fetch_server_info,
    left_out_producers,
)
from rtdemo.lab.bench.verdict import MIN_MESSAGES, rounds_to_decide
from rtdemo.protocol.address import Address, hint_at_server
from rtdemo.protocol.client import LABELS, Transport
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.timing.histogram import Latencies

WARM_UP_CONNECTIONS = 10
"""Opened before memory is measured, so that what the server loads once does not count."""
MIN_WINDOW_S = 1.0
"""An interrupted window that is shorter does not count."""
ALL_OPEN_TIMEOUT_S = 60.0
OPEN_EXTRA_PER_CONNECTION_S = 0.05
"""Added to ALL_OPEN_TIMEOUT_S for each connection."""
RESULT_TIMEOUT_S = 300.0
"""For the workers' analysis of a window."""
MIN_EXPECTED_MESSAGES = 20
"""Expected messages from which a round without any is an error."""
MAX_CLOCK_SLEW_MS = 1.0
"""Distance that a clock under adjustment may move within a round."""
Progress = Callable[[str, int, int], object]
"""Function that takes what is being done, the number of the round, and the number of rounds."""
Report = Callable[[str], object]
"""Function that takes a sentence for the user."""


async def measure(
    run: Run,
    address: Address | None,
    progress: Progress,
    body: bytes | None = None,
    report: Report = lambda _sentence: None,
) -> None:
    """Measure, and add the results to a run; Ctrl-C and SIGTERM keep what was measured until then.

    Arguments:
        run: to add to.
        address: of the server; None to start one.
        progress: called before each step.
        body: of POST requests to one stream; None for GET requests.
        report: takes a sentence before the first round if the run will have too little data, and each
            time that it goes on because the comparison is not decided.

    Raises:
        ServerError: if the server cannot be reached, or sends nothing.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("measure() must run in a task")
    # asyncio does the same for SIGINT. Without it our own server would keep running.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await _measure(run, address, progress, body, report)
    except asyncio.CancelledError:
        run.cut_short = True
        task.uncancel()
    finally:
        fairness.add_warnings(run)


async def _measure(
    run: Run, address: Address | None, progress: Progress, body: bytes | None, report: Report
) -> None:
    memory: dict[Transport, float | None] = {}
    if address is None:
        for transport in run.settings.transports:
            progress(f"memory, {LABELS[transport]}", 0, 0)
            memory[transport] = await _measure_memory(run, transport)
    async with AsyncExitStack() as stack:
        server = address if address is not None else await stack.enter_async_context(own_server())
        session = aiohttp.ClientSession(middlewares=middlewares(server))
        http = await stack.enter_async_context(session)
        target = await _new_target(run, http, server, body)
        infos: dict[Transport, ConnectionInfo | None] = {}
        try:
            await _measure_rounds(run, target, http, infos, progress, report)
            run.warnings += await failing.warnings(http, target)
        finally:
            for one in run.rounds:
                one.memory = memory.get(one.transport)


async def _new_target(
    run: Run, http: aiohttp.ClientSession, address: Address, body: bytes | None = None
) -> Target:
    settings = run.settings
    # A stream that is requested by POST is not rtdemo's.
    info = await fetch_server_info(http, address) if body is None else ServerInfo()
    chosen = choose_producers(info, settings.transports, settings.producers, address.origin)
    target = Target(address, info, settings, chosen, body)
    target.find_processes()
    await target.update_clock()
    server = f"rtdemo {info.version}" if info.version else fairness.NOT_RTDEMO
    run.environment = msgspec.structs.replace(run.environment, server=server)
    run.notes = _notes(target)
    return target


def _notes(target: Target) -> list[Finding]:
    notes = []
    if target.producers:
        transports = target.settings.transports
        names = left_out_producers(target.server_info, transports, target.producers)
        left_out = f"; left out: {', '.join(names)}" if names else ""
        text = f"measured producers: {target.producers}{left_out}"
        notes.append(Finding("measured-producers", text))
    if target.clock is None:
        text = "the server is on another machine and has no /api/time, so its clock is unknown"
        notes.append(Finding("clock-unknown", f"one-way latency is unknown: {text}"))
    return notes


async def _measure_rounds(
    run: Run,
    target: Target,
    http: aiohttp.ClientSession,
    infos: dict[Transport, ConnectionInfo | None],
    progress: Progress,
    report: Report,
) -> None:
    for number, of, transport in planned_turns(run, report):
        progress(LABELS[transport], number, of)

        on_open = partial(_record_opening, run, target, http, infos, transport, report)
        found, was_cut = await measure_round(target, transport, on_open)
        if not was_cut or found.seconds >= MIN_WINDOW_S:
            run.rounds.append(found)
            by_transport = {name: run.of(name) for name in run.transports}
            run.parity = fairness.check_parity(target.server_info, infos, by_transport)
        if was_cut:
            run.cut_short = True
            return
        # If few are expected, there may be none by chance.
        expected = target.expected_messages(transport)
        if not found.figures.messages and not 0 < expected < MIN_EXPECTED_MESSAGES:
            run.rounds.pop()
            raise await _no_message_error(target, http, transport, found.seconds)


async def _no_message_error(
    target: Target, http: aiohttp.ClientSession, transport: Transport, seconds: float
) -> ServerError:
    """Return the error of a round without messages, with the producers that fail as its reason."""
    url, problem = target.address.stream(transport), f"sent no message within {seconds:g} s"
    if why := await failing.warnings(http, target):
        return ServerError(url, problem, "; ".join(each.text for each in why))
    return ServerError(url, problem, "does it send without a request? try a longer --seconds")


def planned_turns(run: Run, report: Report) -> Iterator[tuple[int, int, Transport]]:
    """Yield each turn of a run: its number, the number of turns in all, and its transport.

    After the turns of the settings, more follow while they would probably decide the comparison. It is
    judged only where the planned turns end: who looks after each one finds a difference by chance.

    Arguments:
        run: to which each round is added before the next turn.
        report: takes a sentence each time that the run goes on.
    """
    settings = run.settings
    done, wanted = 0, settings.rounds
    while done < wanted:
        turns = turn_order(settings.transports, wanted)
        first = done * len(settings.transports)
        for number, transport in enumerate(turns[first:], first + 1):
            yield number, len(turns), transport
        done = wanted
        if done < settings.max_rounds and (needed := rounds_to_decide(run)) is not None:
            wanted = min(needed, settings.max_rounds)
            report(
                f"not decided after {done} rounds of each; measuring {wanted - done} more"
                " (Ctrl-C ends this and keeps what was measured)"
            )


def turn_order(transports: tuple[Transport, ...], rounds: int) -> list[Transport]:
    """Return the order of all rounds, with every second pair reversed so that drift cancels (ABBA).

    Arguments:
        transports: to measure.
        rounds: number for each transport.
    """
    turns: list[Transport] = []
    for number in range(rounds):
        turns.extend(transports if number % 2 == 0 else transports[::-1])
    return turns


async def _record_opening(
    run: Run,
    target: Target,
    http: aiohttp.ClientSession,
    infos: dict[Transport, ConnectionInfo | None],
    transport: Transport,
    report: Report,
    ready: list[Ready],
) -> None:
    """Add a warning for failed connections; on the first round, fetch a connection's information."""
    expected = target.expected_in_all_rounds()
    if not run.rounds and expected is not None:
        # Not before connections are open: an error has its line alone.
        periods = target.plans(transport, 1)[0].periods.values()
        sentence = forecast(run.settings, *expected, MIN_MESSAGES, periods)
        if sentence:
            report(sentence)
    client = next((one.client for one in ready if one.client), "")
    if transport not in infos and client:
        info = infos[transport] = await fetch_connection_info(http, target.address, client)
        if info is not None:
            target.check_processes(info)
        problem = target.process_problem
        if problem and not any(problem in note.text for note in run.notes):
            text = f"server CPU and memory are unknown: {problem}"
            run.notes.append(Finding("processes-unknown", text))
    missing = run.settings.connections - sum(one.opened for one in ready)
    if missing:
        problem = next(one.problem for one in ready if one.problem)
        text = f"{LABELS[transport]}: {missing} connections did not open: {problem}"
        run.warnings.append(Finding("connections-failed", text))


async def measure_round(
    target: Target, transport: Transport, on_open: Callable[[list[Ready]], Awaitable[object]]
) -> tuple[Round, bool]:
    """Measure a transport for one window.

    Arguments:
        target: the server.
        transport: to measure.
        on_open: awaited with every worker's answer when the connections are open.

    Returns:
        The round, and whether a cancellation cut it short; that cancellation is then over.

    Raises:
        ServerError: if no connection opens, or a worker fails.
    """
    wanted = target.settings.connections
    async with start_workers(target.plans(transport, wanted)) as workers:
        ready = await _wait_open(target, workers, transport, wanted)
        await on_open(ready)
        await target.update_clock()
        window = Window(server_clock.now() + SETTLE_S * 1000, target.settings.seconds)
        workers.send_all(window)
        used, was_cut = await _wait_window(target, window)
        await target.update_clock()
        end = window.start + window.seconds * 1000
        workers.send_all(_window_end(target, end))
        results = await workers.receive(WorkerResult, RESULT_TIMEOUT_S)
    found = _combine(transport, ready, results)
    _set_clock_error(found, target, end)
    if target.pids:
        found.server_cpu = used.server
        cost = used.own + used.server + sum(cost.cpu for cost in found.costs)
        found.others = max(0.0, (used.machine - cost) / found.seconds) if found.seconds else None
    return found, was_cut


async def _wait_open(
    target: Target, workers: Workers, transport: Transport, connections: int
) -> list[Ready]:
    """Wait until all connections are open.

    Raises:
        ServerError: if none opens.
    """
    timeout_s = ALL_OPEN_TIMEOUT_S + OPEN_EXTRA_PER_CONNECTION_S * connections
    ready = await workers.receive(Ready, timeout_s)
    if not any(one.opened for one in ready):
        url, problem = target.address.stream(transport), next(one.problem for one in ready)
        if unknown := target.unknown_producers():
            names = sorted({producer.name for producer in target.server_info.producers})
            raise ServerError(url, f"has no producer {unknown[0]!r}", f"it has {', '.join(names)}")
        fix = "is the address right?" if target.body is None else "are the address and the body right?"
        if problem.startswith(NEEDS_LOGIN):
            fix = GIVE_TOKEN
        elif problem.startswith(REDIRECTS):
            fix = "give that address"
        elif problem.startswith(WEB_PAGE) and target.body is None and not target.address.is_whole:
            # Such as that of the view, which `rtdemo serve` prints.
            fix = hint_at_server(url)
        raise ServerError(url, problem, fix)
    return ready


async def _wait_window(target: Target, window: Window) -> tuple[Usage, bool]:
    """Wait until the window ends; return the CPU time used in it, and whether it was cut short."""
    was_cut = False
    await asyncio.sleep((window.start - server_clock.now()) / 1000)
    first = target.usage()
    try:
        await asyncio.sleep(window.start / 1000 + window.seconds - server_clock.now() / 1000)
    except asyncio.CancelledError:
        # Ctrl-C ends the window; the messages until now are still analysed.
        was_cut = True
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
    return target.usage().since(first), was_cut


def _window_end(target: Target, at: float) -> WindowEnd:
    clock = target.clock
    if clock is None:
        return WindowEnd(None)
    error = None
    if target.clock_is_assumed:
        error = clock.error_at(at) + SENT_AT_ROUNDING_MS + MAX_CLOCK_SLEW_MS
    return WindowEnd(clock.offset, error)


def _combine(transport: Transport, ready: list[Ready], results: list[WorkerResult]) -> Round:
    """Combine the answers of all workers into a round."""
    first, *others = results
    for result in others:
        first.figures.add(result.figures)
        first.received.add(result.received)
    steps: dict[str, Latencies] = {}
    for found in (*(one.steps for one in ready), *(result.steps for result in results)):
        for step, took in found.items():
            steps.setdefault(step, Latencies()).add(took)
    ended: Counter[str] = Counter()
    for result in results:
        ended.update(result.ended)
    return Round(
        transport=transport,
        seconds=min(result.seconds for result in results),
        connections=sum(one.opened for one in ready),
        steps=steps,
        figures=first.figures,
        received=first.received,
        clock_error=None,
        costs=[result.cost for result in results],
        ended=dict(ended),
        unread=sum(result.unread for result in results),
        left_out=sum(result.left_out for result in results),
        repeats=sum(result.repeats for result in results),
    )


def _set_clock_error(found: Round, target: Target, at: float) -> None:
    """Set the error of the latencies; remove the latencies if the assumed clock was wrong."""
    found.clock_is_assumed = target.clock_is_assumed
    if found.figures.refuted:
        found.figures.clear_latencies()
    elif target.clock is not None:
        found.clock_offset = target.clock.offset
        found.clock_error = target.clock.error_at(at) + SENT_AT_ROUNDING_MS * found.figures.whole


async def _measure_memory(run: Run, transport: Transport) -> float | None:
    """Return the bytes per connection of a new server, so that neither transport profits."""
    async with aiohttp.ClientSession() as http, own_server() as address:
        target = await _new_target(run, http, address)
        await measure_memory(target, transport, min(WARM_UP_CONNECTIONS, run.settings.connections))
        return await measure_memory(target, transport, run.settings.connections)


async def measure_memory(target: Target, transport: Transport, connections: int) -> float | None:
    """Open connections, measure the growth of the server's memory, and close them.

    Arguments:
        target: the server.
        transport: to measure.
        connections: number to open.

    Returns:
        Bytes per connection; None if the server's processes are unknown.

    Raises:
        ServerError: if no connection opens.
    """
    before = machine.resident_bytes(target.pids)
    async with start_workers(target.plans(transport, connections)) as workers:
        ready = await _wait_open(target, workers, transport, connections)
        if not target.pids:
            return None
        return (machine.resident_bytes(target.pids) - before) / sum(one.opened for one in ready)
