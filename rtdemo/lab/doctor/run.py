"""Run all checks: one after the other where they would disturb each other, else at the same time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

from rtdemo.errors import one_line
from rtdemo.lab.address import Address
from rtdemo.lab.doctor import latency, lifetime, network, request, sse, websocket
from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.errors import CannotRunError, NotTestedError, describe
from rtdemo.lab.doctor.report import Report
from rtdemo.lab.doctor.resume import resume
from rtdemo.lab.doctor.streams import StreamMonitor
from rtdemo.plugin_system.checks import Check, Finding, Verdict
from rtdemo.plugin_system.isolation import Threads, raise_if_cancelled

CHECK_TIMEOUT_S = 30.0
"""Seconds for a check of ours, except those that wait on purpose."""
PLUGIN_CHECK_TIMEOUT_S = 30.0
"""Seconds for a check of a plugin."""
FIRST_MESSAGE_TIMEOUT_S = 5.0
"""Seconds for the normal streams to receive a message before the other checks start."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Phase = Literal["in turn", "in background", "at the end"]


class CheckSpec(NamedTuple):
    """How and when to run one check.

    Arguments:
        name: printed before its finding.
        run: runs the check.
        needs: what must be available, separated by blanks; see `Context.available`.
        phase: "in turn" for a check with figures that other load would distort, "in background" for
            one that mostly waits, "at the end" for one that sums up the run.
    """

    name: str
    run: Callable[[Context], Awaitable[Finding]]
    needs: str = ""
    phase: Phase = "in turn"


async def _check_server(context: Context) -> Finding:
    await request.identify_server(context)
    return request.server(context, [spec.name for spec in CHECKS if not context.has(spec.needs)])


FIRST_CHECKS = (
    CheckSpec("DNS", network.dns),
    CheckSpec("TCP", network.tcp),
    CheckSpec("TLS", network.tls),
)
"""Run first; if one raises CannotRunError, the run ends. TLS is last: a plain address skips it."""
SERVER_CHECK = CheckSpec("server", _check_server)
"""Runs after FIRST_CHECKS, and finds out which of CHECKS can run."""
UPGRADE_CHECK = CheckSpec("WebSocket upgrade", websocket.upgrade, "stream websocket")
CHECKS = (
    CheckSpec("HTTP version", request.version),
    CheckSpec("page", request.page, "page"),
    CheckSpec("headers", request.headers, "probes"),
    CheckSpec("origin rule", request.origin, "rtdemo"),
    CheckSpec("SSE first byte", sse.first_byte, "stream sse"),
    CheckSpec("SSE buffering", sse.buffering, "probes"),
    CheckSpec("SSE compression", sse.compression, "probes"),
    CheckSpec("SSE 64 KiB", sse.large, "probes"),
    CheckSpec("SSE seven streams", sse.seven_streams, "probes"),
    CheckSpec("SSE idle cut", partial(lifetime.idle, transport="sse"), "probes", "in background"),
    CheckSpec("SSE life", partial(lifetime.life, transport="sse"), "stream sse", "at the end"),
    CheckSpec("SSE resume", partial(resume, transport="sse"), "rtdemo", "in background"),
    CheckSpec("SSE latency", partial(latency.latency, transport="sse"), "rtdemo", "at the end"),
    UPGRADE_CHECK,
    CheckSpec("WebSocket offers", websocket.offers, "probes"),
    CheckSpec("WebSocket 64 KiB", websocket.large, "probes"),
    CheckSpec(
        "WebSocket idle cut", partial(lifetime.idle, transport="websocket"), "probes", "in background"
    ),
    CheckSpec(
        "WebSocket life", partial(lifetime.life, transport="websocket"), "stream websocket", "at the end"
    ),
    CheckSpec("WebSocket resume", partial(resume, transport="websocket"), "rtdemo", "in background"),
    CheckSpec(
        "WebSocket latency", partial(latency.latency, transport="websocket"), "probes", "at the end"
    ),
    CheckSpec("clock", latency.clock_offset, "rtdemo"),
)
"""All further checks, in the order in which their findings are printed."""


class Examination:
    """Run all checks on one address.

    Arguments:
        address: the server to check.
        idle: seconds of silence to test.
        checks: those of plugins.
        report: receives each finding as soon as it is made.
        progress: called after each check with the number of findings so far and of all checks.
    """

    def __init__(
        self,
        address: Address,
        idle: int,
        checks: Iterable[Check],
        report: Report,
        progress: Callable[[int, int], object] = lambda _done, _all: None,
    ) -> None:
        self._context = Context(address, idle)
        self._report = report
        self._progress = progress
        self._checks = [
            *CHECKS,
            *(
                CheckSpec(check.name, partial(_check_of_plugin, check=check), phase="in background")
                for check in checks
            ),
        ]

    async def run(self) -> None:
        """Run every check that can run; if cancelled, the report keeps the findings so far."""
        started = time.monotonic()
        order = [spec.name for spec in (*FIRST_CHECKS, SERVER_CHECK, *self._checks)]
        try:
            await self._run()
        finally:
            self._report.checks.sort(key=lambda result: order.index(result.check))
            self._report.seconds = round(time.monotonic() - started, 1)
            self._report.proxy = self._context.proxy

    async def _run(self) -> None:
        context = self._context
        for spec in FIRST_CHECKS if context.address.secure else FIRST_CHECKS[:-1]:
            if not await self._run_required(spec):
                return
        async with context.open_session() as context.http:
            if not await self._run_required(SERVER_CHECK):
                return
            self._checks = [spec for spec in self._checks if context.has(spec.needs)]
            # Without a stream there is nothing of either transport to check.
            self._report.could_run = context.has("stream")
            async with asyncio.TaskGroup() as group:
                await self._run_available(group)

    async def _run_required(self, spec: CheckSpec) -> bool:
        """Run a check that all others need; return whether they can run."""
        try:
            self._report.add(spec.name, await spec.run(self._context))
        except CannotRunError as error:
            self._report.could_run = False
            self._report.add(spec.name, Finding("fail", str(error)))
        return self._report.could_run

    async def _run_available(self, group: asyncio.TaskGroup) -> None:
        context = self._context
        if UPGRADE_CHECK in self._checks:
            # First: the other WebSocket checks depend on its result.
            await self._run_check(UPGRADE_CHECK)
        if context.has("stream"):
            context.monitors = {
                transport: StreamMonitor(transport, context.address.stream(transport))
                for transport in context.address.transports
            }
        monitors = context.monitors.values()
        monitoring = [group.create_task(monitor.run(context.http)) for monitor in monitors]
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_MESSAGE_TIMEOUT_S):
                await asyncio.gather(*(monitor.wait_for_first_message() for monitor in monitors))
        background = [
            group.create_task(self._run_check(spec)) for spec in self._in_phase("in background")
        ]
        # The normal streams are monitored for the whole silence, even if silent ones are cut early.
        background.append(group.create_task(asyncio.sleep(context.idle if monitoring else 0)))
        for spec in self._in_phase("in turn"):
            if spec is not UPGRADE_CHECK:
                await self._run_check(spec)
        await asyncio.wait(background)
        for spec in self._in_phase("at the end"):
            await self._run_check(spec)
        for task in monitoring:
            task.cancel()

    def _in_phase(self, phase: Phase) -> list[CheckSpec]:
        return [spec for spec in self._checks if spec.phase == phase]

    async def _run_check(self, spec: CheckSpec) -> None:
        self._report.add(spec.name, await _finding(spec, self._context))
        self._progress(len(self._report.checks), len(self._checks))


async def _finding(spec: CheckSpec, context: Context) -> Finding:
    """Run a check; turn any exception into a finding."""
    try:
        async with asyncio.timeout(None if spec.phase == "in background" else CHECK_TIMEOUT_S):
            return await spec.run(context)
    except NotTestedError as error:
        return Finding("warn", f"not tested: {error}")
    except Exception as error:
        # Only a proxy that buffers keeps events back until a check times out.
        is_buffered = isinstance(error, TimeoutError) and spec.name.startswith("SSE ")
        return Finding("fail", describe(error), context.fix("buffering") if is_buffered else "")


async def _check_of_plugin(context: Context, check: Check) -> Finding:
    return await run_plugin_check(check, context.address.origin)


async def run_plugin_check(check: Check, url: str) -> Finding:
    """Return the finding of a plugin's check; an exception or a time-out is a failed check.

    Arguments:
        check: the plugin's check.
        url: origin of the server, such as `https://example.org`.
    """
    # In a daemon thread, sync or async: a check that hangs cannot keep this program from ending.
    thread = Threads(1)
    try:
        async with asyncio.timeout(PLUGIN_CHECK_TIMEOUT_S) as limit:
            found = await thread.run(_call, check, url)
    except BaseException as error:
        raise_if_cancelled(error)
        if limit.expired():
            return Finding("fail", f"did not finish in {PLUGIN_CHECK_TIMEOUT_S:g} s")
        return Finding("fail", one_line(error))
    finally:
        thread.close()
    if isinstance(found, Finding) and found.verdict in VERDICTS:
        return found
    name = type(found).__name__
    return Finding("fail", f"returned {name}; return a Finding with verdict ok, warn or fail")


def _call(check: Check, url: str) -> Any:
    found = check.run(url)
    return asyncio.run(_await(found)) if inspect.isawaitable(found) else found


async def _await(awaitable: Any) -> Any:
    return await awaitable
