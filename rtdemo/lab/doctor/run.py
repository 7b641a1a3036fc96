"""Make all checks: in their order where they would disturb each other, side by side where not."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Literal, NamedTuple

from rtdemo.errors import one_line
from rtdemo.lab.address import Address
from rtdemo.lab.doctor import latency, lifetime, network, request, sse, websocket
from rtdemo.lab.doctor.context import Path
from rtdemo.lab.doctor.errors import CannotRunError, NotTestedError, describe
from rtdemo.lab.doctor.report import Report
from rtdemo.lab.doctor.resume import resume
from rtdemo.lab.doctor.streams import Watch
from rtdemo.plugin_system.checks import Check, Finding
from rtdemo.plugin_system.isolation import Threads, raise_if_stopped

CHECK_LIMIT_S = 30.0
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


UPGRADE = Row("WebSocket upgrade", websocket.upgrade, "stream websocket")
ROWS = (
    Row("HTTP version", request.version),
    Row("page", request.page, "page"),
    Row("headers", request.headers, "probes"),
    Row("origin rule", request.origin, "rtdemo"),
    Row("SSE first byte", sse.first_byte, "stream sse"),
    Row("SSE buffering", sse.buffering, "probes"),
    Row("SSE compression", sse.compression, "probes"),
    Row("SSE 64 KiB", sse.large, "probes"),
    Row("SSE seven streams", sse.seven, "probes"),
    Row("SSE idle cut", partial(lifetime.idle, transport="sse"), "probes", "meanwhile"),
    Row("SSE life", partial(lifetime.life, transport="sse"), "stream sse", "at the end"),
    Row("SSE resume", partial(resume, transport="sse"), "rtdemo", "meanwhile"),
    Row("SSE latency", partial(latency.latency, transport="sse"), "rtdemo", "at the end"),
    UPGRADE,
    Row("WebSocket offers", websocket.negotiated, "probes"),
    Row("WebSocket 64 KiB", websocket.large, "probes"),
    Row("WebSocket idle cut", partial(lifetime.idle, transport="websocket"), "probes", "meanwhile"),
    Row(
        "WebSocket life", partial(lifetime.life, transport="websocket"), "stream websocket", "at the end"
    ),
    Row("WebSocket resume", partial(resume, transport="websocket"), "rtdemo", "meanwhile"),
    Row("WebSocket latency", partial(latency.latency, transport="websocket"), "probes", "at the end"),
    Row("clock", latency.offset, "rtdemo"),
)
"""Every further check, in the order in which it is shown."""


async def _server(path: Path) -> Finding:
    await request.learn(path)
    return request.server(path, [row.name for row in ROWS if not path.has(row.needs)])


async def _of_plugin(path: Path, check: Check) -> Finding:
    return await make(check, path.address.origin)


REACH = (Row("DNS", network.name), Row("TCP", network.port), Row("TLS", network.tls))
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
        async with asyncio.timeout(None if row.when == "meanwhile" else CHECK_LIMIT_S):
            return await row.run(path)
    except NotTestedError as error:
        return Finding("warn", f"not tested: {error}")
    except Exception as error:
        # What does not come on a stream is held back: nothing else takes as long.
        is_held = isinstance(error, TimeoutError) and row.name.startswith("SSE ")
        return Finding("fail", describe(error), path.fix("buffering") if is_held else "")


PLUGIN_CHECK_LIMIT_S = 30.0
"""Seconds that a check of a plugin may take."""
VERDICTS = ("ok", "warn", "fail")


async def make(check: Check, url: str) -> Finding:
    """Return what a plugin's check found; what it raises, or that it hangs, is a failed check."""
    # In a daemon thread, async or not: one that hangs keeps nothing else from its end.
    thread = Threads(1)
    try:
        async with asyncio.timeout(PLUGIN_CHECK_LIMIT_S) as limit:
            found = await thread.run(_run, check, url)
    except BaseException as error:
        raise_if_stopped(error)
        if limit.expired():
            return Finding("fail", f"came to no end in {PLUGIN_CHECK_LIMIT_S:g} s")
        return Finding("fail", one_line(error))
    finally:
        thread.close()
    if isinstance(found, Finding) and found.verdict in VERDICTS:
        return found
    return Finding(
        "fail", f"returned {type(found).__name__}; a check returns a Finding, ok, warn or fail"
    )


def _run(check: Check, url: str) -> Any:
    found = check.run(url)
    return asyncio.run(_awaited(found)) if inspect.isawaitable(found) else found


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
