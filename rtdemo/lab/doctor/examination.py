"""Make all checks: in their order where they would disturb each other, side by side where not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Literal, NamedTuple

from rtdemo.checks import Check, Finding
from rtdemo.lab.address import Address
from rtdemo.lab.doctor import (
    arrival,
    clocks,
    events,
    lasting,
    plugin_checks,
    policy,
    reach,
    sockets,
)
from rtdemo.lab.doctor.outcome import CannotRunError, NotTestedError, describe
from rtdemo.lab.doctor.path import Path
from rtdemo.lab.doctor.report import Report
from rtdemo.lab.doctor.resume import resume
from rtdemo.lab.doctor.watch import Watch

LIMIT = 30.0
"""Seconds that a check may take which does not wait on purpose."""

BEGINNING = 5.0
"""Seconds for the normal streams to begin, before the others do."""

When = Literal["in turn", "meanwhile", "at the end"]
Run = Callable[[Path], Awaitable[Finding]]


class Row(NamedTuple):
    """Describe a check.

    Arguments:
        name: as it stands before its line.
        run: makes it.
        needs: what has to be there, separated by blanks: what `Path.there` may hold.
        when: one after the other, since load would show in the figures; beside everything, since it
            waits; or at the end, since it sums up.
    """

    name: str
    run: Run
    needs: str = ""
    when: When = "in turn"


UPGRADE = Row("WebSocket upgrade", sockets.upgrade, "stream websocket")
ROWS = (
    Row("HTTP version", arrival.version),
    Row("page", arrival.page, "page"),
    Row("headers", arrival.headers, "probes"),
    Row("origin rule", policy.origin, "rtdemo"),
    Row("SSE first byte", events.first_byte, "stream sse"),
    Row("SSE buffering", events.buffering, "probes"),
    Row("SSE compression", events.compression, "probes"),
    Row("SSE 64 KiB", events.large, "probes"),
    Row("SSE seven streams", events.seven, "probes"),
    Row("SSE idle cut", partial(lasting.idle, transport="sse"), "probes", "meanwhile"),
    Row("SSE life", partial(lasting.life, transport="sse"), "stream sse", "at the end"),
    Row("SSE resume", partial(resume, transport="sse"), "rtdemo", "meanwhile"),
    Row("SSE latency", partial(clocks.latency, transport="sse"), "rtdemo", "at the end"),
    UPGRADE,
    Row("WebSocket offers", sockets.negotiated, "probes"),
    Row("WebSocket 64 KiB", sockets.large, "probes"),
    Row("WebSocket idle cut", partial(lasting.idle, transport="websocket"), "probes", "meanwhile"),
    Row(
        "WebSocket life", partial(lasting.life, transport="websocket"), "stream websocket", "at the end"
    ),
    Row("WebSocket resume", partial(resume, transport="websocket"), "rtdemo", "meanwhile"),
    Row("WebSocket latency", partial(clocks.latency, transport="websocket"), "probes", "at the end"),
    Row("clock", clocks.offset, "rtdemo"),
)
"""Every further check, in the order in which it is shown."""


async def _server(path: Path) -> Finding:
    await arrival.learn(path)
    return arrival.server(path, [row.name for row in ROWS if not path.has(row.needs)])


async def _of_plugin(path: Path, check: Check) -> Finding:
    return await plugin_checks.make(check, path.address.origin)


REACH = (Row("DNS", reach.name), Row("TCP", reach.port), Row("TLS", reach.tls))
SERVER = Row("server", _server)
"""What comes first; where one of these fails there is nothing to examine."""


class Examination:
    """Examine one address.

    Arguments:
        address: where the server is.
        idle: seconds of silence to look at.
        checks: those of plugins.
        report: takes what is found, as it is found.
        progress: told how many checks are made, and how many there are.
    """

    def __init__(
        self,
        address: Address,
        idle: int,
        checks: Iterable[Check],
        report: Report,
        progress: Callable[[int, int], object] = lambda _made, _all: None,
    ) -> None:
        self._path = Path(address, idle)
        self._report = report
        self._progress = progress
        self._rows = [
            *ROWS,
            *(Row(c.name, partial(_of_plugin, check=c), when="meanwhile") for c in checks),
        ]

    async def run(self) -> None:
        """Make every check that can be made; what is found until a cancellation stays in the report."""
        started = time.monotonic()
        order = [row.name for row in (*REACH, SERVER, *self._rows)]
        try:
            await self._run()
        finally:
            self._report.checks.sort(key=lambda result: order.index(result.check))
            self._report.seconds = round(time.monotonic() - started, 1)
            self._report.proxy = self._path.proxy

    async def _run(self) -> None:
        path = self._path
        for row in REACH if path.address.secure else REACH[:-1]:
            if not await self._begin(row):
                return
        async with path.session() as path.http:
            if not await self._begin(SERVER):
                return
            self._rows = [row for row in self._rows if path.has(row.needs)]
            # Where no stream is known there is nothing of either transport to test.
            self._report.could_run = path.has("stream")
            async with asyncio.TaskGroup() as group:
                await self._examine(group)

    async def _begin(self, row: Row) -> bool:
        """Make a check without which there is nothing to examine; tell whether there is."""
        try:
            self._report.add(row.name, await row.run(self._path))
        except CannotRunError as error:
            self._report.could_run = False
            self._report.add(row.name, Finding("fail", str(error)))
        return self._report.could_run

    async def _examine(self, group: asyncio.TaskGroup) -> None:
        path = self._path
        if UPGRADE in self._rows:
            # First: what needs a WebSocket asks whether there is one.
            await self._make(UPGRADE)
        if path.has("stream"):
            path.watches = {n: Watch(n, path.address.stream(n)) for n in path.address.transports}
        watching = [group.create_task(watch.run(path.http)) for watch in path.watches.values()]
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGINNING):
                await asyncio.gather(*(watch.begun() for watch in path.watches.values()))
        waiting = [group.create_task(self._make(row)) for row in self._due("meanwhile")]
        # However early the silent ones are cut, the normal streams are watched for as long.
        waiting.append(group.create_task(asyncio.sleep(path.idle if watching else 0)))
        for row in self._due("in turn"):
            if row is not UPGRADE:
                await self._make(row)
        await asyncio.wait(waiting)
        for row in self._due("at the end"):
            await self._make(row)
        for task in watching:
            task.cancel()

    def _due(self, when: When) -> list[Row]:
        return [row for row in self._rows if row.when == when]

    async def _make(self, row: Row) -> None:
        self._report.add(row.name, await _found(row, self._path))
        self._progress(len(self._report.checks), len(self._rows))


async def _found(row: Row, path: Path) -> Finding:
    """Make a check; whatever it meets is a finding."""
    try:
        async with asyncio.timeout(None if row.when == "meanwhile" else LIMIT):
            return await row.run(path)
    except NotTestedError as error:
        return Finding("warn", f"not tested: {error}")
    except Exception as error:
        # What does not come on a stream is held back: nothing else takes as long.
        is_held = isinstance(error, TimeoutError) and row.name.startswith("SSE ")
        return Finding("fail", describe(error), path.fix("buffering") if is_held else "")
