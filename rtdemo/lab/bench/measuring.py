"""Carry a whole run out: find the server, measure the transports in turns, note what was seen."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import aiohttp
import msgspec

from rtdemo.client import LABELS, Transport
from rtdemo.errors import ServerError
from rtdemo.lab.address import Address
from rtdemo.lab.bench import doubts, inspection, parity, rounds
from rtdemo.lab.bench.answers import Ready
from rtdemo.lab.bench.own_server import own_server
from rtdemo.lab.bench.plan import order
from rtdemo.lab.bench.result import Run
from rtdemo.lab.bench.subject import Subject
from rtdemo.route import Route

WARM_UP = 10
"""Connections before memory is measured, so that what is loaded once is not told of each."""
SHORTEST = 1.0
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
        doubts.note(run)


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
        routes: dict[Transport, Route | None] = {}
        try:
            await _rounds(run, subject, http, routes, progress)
        finally:
            by_transport = {name: run.of(name) for name in run.transports}
            run.parity = parity.audit(subject.offered, routes, by_transport)
            for one in run.rounds:
                one.memory = memory.get(one.transport)


async def _memory(run: Run, transport: Transport) -> float | None:
    """Return the memory for each connection of a server that had none of either transport before."""
    async with aiohttp.ClientSession() as http, own_server() as there:
        subject = await _subject(run, http, there)
        await rounds.memory(subject, transport, min(WARM_UP, run.settings.connections))
        return await rounds.memory(subject, transport, run.settings.connections)


async def _subject(run: Run, http: aiohttp.ClientSession, address: Address) -> Subject:
    settings = run.settings
    offered = await inspection.offers(http, address)
    chosen = inspection.choose(offered, settings.transports, settings.producers, address.origin)
    subject = Subject(address, offered, settings, chosen)
    subject.find_processes()
    await subject.look_at_clock()
    server = f"rtdemo {offered.version}" if offered.version else doubts.NO_RTDEMO
    run.environment = msgspec.structs.replace(run.environment, server=server)
    run.notes = _notes(subject)
    return subject


def _notes(subject: Subject) -> list[str]:
    notes = []
    if subject.producers:
        left_out = inspection.left_out(subject.offered, subject.settings.transports, subject.producers)
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
    subject: Subject,
    http: aiohttp.ClientSession,
    routes: dict[Transport, Route | None],
    transport: Transport,
    ready: list[Ready],
) -> None:
    """Note how connecting went, and the first time through what a connection came."""
    client = next((one.client for one in ready if one.client), "")
    if transport not in routes and client:
        route = routes[transport] = await inspection.route(http, subject.address, client)
        if route is not None:
            subject.check_processes(route)
        if subject.why_untold and not any(subject.why_untold in note for note in run.notes):
            run.notes.append(f"server CPU and memory are not told: {subject.why_untold}")
    missing = run.settings.connections - sum(one.opened for one in ready)
    if missing:
        problem = next(one.problem for one in ready if one.problem)
        run.warnings.append(f"{LABELS[transport]}: {missing} connections did not open: {problem}")


async def _rounds(
    run: Run,
    subject: Subject,
    http: aiohttp.ClientSession,
    routes: dict[Transport, Route | None],
    progress: Progress,
) -> None:
    turns = order(run.settings.transports, run.settings.rounds)
    for number, transport in enumerate(turns, 1):
        progress(LABELS[transport], number, len(turns))

        opened = partial(_opened, run, subject, http, routes, transport)
        found, was_cut = await rounds.measure(subject, transport, opened)
        if not was_cut or found.seconds >= SHORTEST:
            run.rounds.append(found)
        if was_cut:
            run.cut_short = True
            return
        if not found.figures.messages:
            run.rounds.pop()
            what = f"sent no message with `sentAt` within {found.seconds:g} s"
            url = subject.address.stream(transport)
            raise ServerError(url, what, "does it send any by itself, and is --seconds long enough?")
