"""Run all checks: one after the other where they would disturb each other, else at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Literal, NamedTuple

import msgspec

from rtdemo.lab.busy import BusyWatch
from rtdemo.lab.doctor import (
    clock,
    events,
    latency,
    lifetime,
    network,
    request,
    sse,
    websocket,
)
from rtdemo.lab.doctor.causes import fold
from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.errors import (
    AnswerError,
    CannotRunError,
    Diagnosis,
    NotJudgedError,
    NotTestedError,
    UnansweredError,
    describe,
)
from rtdemo.lab.doctor.monitor import StreamMonitor
from rtdemo.lab.doctor.plugin_checks import run_plugin_check
from rtdemo.lab.doctor.report import Report, Result
from rtdemo.lab.doctor.resume import resume
from rtdemo.lab.doctor.websocket_client import RefusedError
from rtdemo.plugin_system.checks import Check, Finding
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import Transport

CHECK_TIMEOUT_S = 60.0
"""Seconds for a check of ours, beyond its own limits, except those that wait on purpose."""
FIRST_MESSAGE_TIMEOUT_S = 5.0
"""Seconds for the normal streams to receive a message before the other checks start."""
_NOUNS: dict[Transport | None, tuple[str, str]] = {
    "sse": ("sse-not-open", "the stream"),
    "websocket": ("ws-not-open", "the WebSocket"),
    None: ("no-http", "the request"),
}
"""Code and subject of a finding about an error."""
Phase = Literal["in turn", "in background", "at the end"]
Run = Callable[..., Awaitable[Finding]]


class CheckSpec(NamedTuple):
    """How and when to run one check.

    Arguments:
        name: printed before its finding.
        run: runs the check; it gets the context, and a version of HTTP if it is of a transport.
        needs: what must be available, separated by blanks; see `Context.available`.
        transport: over each version of HTTP of which it runs; None for a check that runs once.
        phase: "in turn" for a check with figures that other load would distort, "in background" for
            one that mostly waits, "at the end" for one that sums up the run.
    """

    name: str
    run: Run
    needs: str = ""
    transport: Transport | None = None
    phase: Phase = "in turn"


async def _check_server(context: Context) -> Diagnosis:
    await request.identify_server(context)
    context.http2_fault = await request.learn_http2(context)
    return request.server(context, [spec.name for spec in CHECKS if not context.has(spec.needs)])


FIRST_CHECKS = (
    CheckSpec("DNS", network.dns),
    CheckSpec("TCP", network.tcp),
    CheckSpec("TLS", network.tls),
)
"""Run first; if one raises CannotRunError, the run ends. TLS is last: a plain address skips it."""
SERVER_CHECK = CheckSpec("server", _check_server)
"""Runs after FIRST_CHECKS, and finds out which of CHECKS can run."""
LOGIN_CHECK = "login"
"""Name of the finding that the login token has expired during the run."""
UPGRADE_CHECK = CheckSpec("WebSocket upgrade", websocket.upgrade, "stream websocket", "websocket")
CHECKS = (
    CheckSpec("HTTP version", request.version, phase="at the end"),
    CheckSpec("page", request.page, "page"),
    CheckSpec("headers", request.headers, "probes rtdemo"),
    CheckSpec("origin rule", request.origin, "rtdemo"),
    CheckSpec("SSE first byte", sse.first_byte, "stream sse", "sse"),
    CheckSpec("SSE events", events.sse, "probes sse", "sse"),
    CheckSpec("SSE compression", events.compression, "probes sse", "sse"),
    CheckSpec("SSE seven streams", sse.seven_streams, "probes sse", "sse"),
    CheckSpec("SSE caching", sse.caching, "probes sse", "sse"),
    CheckSpec("SSE POST", sse.post, "probes rtdemo sse", "sse"),
    CheckSpec("SSE idle", partial(lifetime.idle, transport="sse"), "probes sse", "sse", "in background"),
    CheckSpec("SSE age", partial(lifetime.life, transport="sse"), "stream sse", "sse", "at the end"),
    CheckSpec("SSE resume", partial(resume, transport="sse"), "rtdemo sse", "sse", "in background"),
    CheckSpec("SSE latency", latency.sse, "rtdemo sse", "sse", "at the end"),
    UPGRADE_CHECK,
    CheckSpec("WebSocket offers", websocket.offers, "probes websocket", "websocket"),
    CheckSpec("WebSocket events", events.websocket, "probes websocket", "websocket"),
    CheckSpec("WebSocket 64 KiB", websocket.large, "probes websocket", "websocket"),
    CheckSpec(
        "WebSocket idle",
        partial(lifetime.idle, transport="websocket"),
        "probes websocket",
        "websocket",
        "in background",
    ),
    CheckSpec(
        "WebSocket age",
        partial(lifetime.life, transport="websocket"),
        "stream websocket",
        "websocket",
        "at the end",
    ),
    CheckSpec(
        "WebSocket resume",
        partial(resume, transport="websocket"),
        "rtdemo websocket",
        "websocket",
        "in background",
    ),
    CheckSpec(
        "WebSocket latency", latency.websocket, "probes rtdemo websocket", "websocket", "at the end"
    ),
    CheckSpec("clock", clock.offset, "rtdemo", phase="at the end"),
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
        turn: held by a check whose figures other load would distort; examinations of several addresses
            at the same time share it.
    """

    def __init__(
        self,
        address: Address,
        idle: int,
        checks: Iterable[Check],
        report: Report,
        progress: Callable[[int, int], object] = lambda _done, _all: None,
        turn: asyncio.Lock | None = None,
    ) -> None:
        self._context = Context(address, idle)
        self._report = report
        self._progress = progress
        self._turn = turn or asyncio.Lock()
        self._done = 0
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
        first = [spec.name for spec in (*FIRST_CHECKS, SERVER_CHECK)]
        order = [*first, LOGIN_CHECK, *(spec.name for spec in self._checks)]
        self._context.busy = BusyWatch()
        try:
            await self._run()
        finally:
            self._context.busy.stop()
            self._report.checks.sort(key=lambda result: order.index(result.check))
            self._report.checks[:] = fold(self._report.checks)
            self._report.seconds = round(time.monotonic() - started, 1)
            self._report.proxies = self._context.proxies

    async def _run(self) -> None:
        context = self._context
        for spec in FIRST_CHECKS if context.address.secure else FIRST_CHECKS[:-1]:
            if not await self._run_required(spec):
                return
        async with context.open_session() as context.http:
            is_answered = await self._run_required(SERVER_CHECK)
            self._fix_certificate()
            if not is_answered:
                return
            self._checks = [spec for spec in self._checks if context.has(spec.needs)]
            # Without a stream there is nothing of either transport to check.
            self._report.could_run = context.has("stream")
            async with asyncio.TaskGroup() as group:
                await self._run_available(group)
            if context.token_expired:
                seen = "the login token expired during the run, so the rest could not be checked"
                self._add(LOGIN_CHECK, {"": context.fault("token-expired", seen, "expired")})

    def _fix_certificate(self) -> None:
        """Add the fix for the certificate, now that the proxies are known."""
        context, checks = self._context, self._report.checks
        if context.certificate_symptom:
            fix = context.fix(context.certificate_symptom, host=context.address.host)
            checks[:] = [
                msgspec.structs.replace(result, fix=fix) if result.check == "TLS" else result
                for result in checks
            ]

    async def _run_required(self, spec: CheckSpec) -> bool:
        """Run a check that all others need; return whether they can run."""
        try:
            self._add(spec.name, {"": await spec.run(self._context)})
        except CannotRunError as error:
            self._report.could_run = False
            self._add(spec.name, {"": Diagnosis("fail", str(error), error.fix, error.code)})
        except Exception as error:
            self._report.could_run = False
            fix = self._context.fix("no answer")
            self._add(
                spec.name, {"": Diagnosis("fail", f"the server {describe(error)}", fix, "no-http")}
            )
        return self._report.could_run

    async def _run_available(self, group: asyncio.TaskGroup) -> None:
        context = self._context
        if UPGRADE_CHECK in self._checks:
            # First: the other WebSocket checks depend on its result.
            await self._run_check(UPGRADE_CHECK)
        monitors = self._new_monitors()
        monitoring = [group.create_task(monitor.run(context)) for monitor in monitors]
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_MESSAGE_TIMEOUT_S):
                await asyncio.gather(*(monitor.wait_for_first_message() for monitor in monitors))
        background = [
            group.create_task(self._run_check(spec)) for spec in self._in_phase("in background")
        ]
        # The normal streams are monitored for the whole silence, even if silent ones are cut early.
        background.append(group.create_task(asyncio.sleep(context.idle if monitoring else 0)))
        await self._run_in_turn()
        await asyncio.wait(background)
        for spec in self._in_phase("at the end"):
            await self._run_check(spec)
        for task in monitoring:
            task.cancel()

    def _new_monitors(self) -> list[StreamMonitor]:
        """Make a monitor of each transport over each version of HTTP, as far as it opens."""
        context = self._context
        if context.has("stream"):
            for transport in context.address.transports:
                for version in _versions(context, transport):
                    if not context.causes.get((transport, version)):
                        context.monitors[transport, version] = StreamMonitor(transport, version)
        return list(context.monitors.values())

    async def _run_in_turn(self) -> None:
        context = self._context
        try:
            if context.has("probes"):
                async with self._turn:
                    await events.examine(context)
        finally:
            context.delivered.set()
        for spec in self._in_phase("in turn"):
            if spec is not UPGRADE_CHECK:
                async with self._turn:
                    await self._run_check(spec)

    def _in_phase(self, phase: Phase) -> list[CheckSpec]:
        return [spec for spec in self._checks if spec.phase == phase]

    async def _run_check(self, spec: CheckSpec) -> None:
        context = self._context
        if spec.transport is None:
            found = {"": await _finding(spec, partial(spec.run, context), context)}
        else:
            versions = _versions(context, spec.transport)
            runs = (_finding(spec, partial(spec.run, context, version), context) for version in versions)
            found = dict(zip(versions, await asyncio.gather(*runs), strict=True))
        self._add(spec.name, found)
        self._done += 1
        self._progress(self._done, len(self._checks))

    def _add(self, name: str, found: dict[str, Finding]) -> None:
        """Add the findings of a check: one for all versions of HTTP that show the same."""
        by_code: dict[tuple[str, str], list[str]] = {}
        for version, finding in found.items():
            by_code.setdefault((finding.verdict, _code(finding)), []).append(version)
        for (_, code), versions in by_code.items():
            finding = found[versions[-1]]
            figures = finding.figures if isinstance(finding, Diagnosis) else {}
            verdict = "skip" if code == "not-judged" else finding.verdict
            http = [version for version in versions if version]
            self._report.checks.append(
                Result(name, verdict, code, http, finding.seen, finding.fix, figures)
            )


def _versions(context: Context, transport: Transport) -> tuple[str, ...]:
    return context.versions if transport == "sse" else context.websocket_versions


def _code(finding: Finding) -> str:
    if isinstance(finding, Diagnosis):
        return finding.code
    return "ok" if finding.verdict == "ok" else "plugin"


async def _finding(spec: CheckSpec, run: Callable[[], Awaitable[Finding]], context: Context) -> Finding:
    """Run a check; what it found after the token expired is no fault of the path."""
    found = await _result(spec, run, context)
    if context.token_expired and isinstance(found, Diagnosis) and found.code != "ok":
        return _not_judged(LOGIN_CHECK)
    return found


async def _result(spec: CheckSpec, run: Callable[[], Awaitable[Finding]], context: Context) -> Finding:
    """Run a check; turn any exception into a finding."""
    limit = None if spec.phase == "in background" else CHECK_TIMEOUT_S + 4 * context.patience
    try:
        try:
            async with asyncio.timeout(limit):
                return await run()
        except RefusedError as error:
            return websocket.explain_refusal(context, error)
        except (TimeoutError, UnansweredError):
            context.check_patience()
            raise
    except NotTestedError as error:
        return Diagnosis("warn", f"not tested: {error}", "", "not-tested")
    except NotJudgedError as error:
        return _not_judged(str(error))
    except AnswerError as error:
        if context.limited and error.diagnosis.code in ("overloaded", "rate-limited"):
            return _not_judged("SSE seven streams")
        return error.diagnosis
    except Exception as error:
        code, noun = _NOUNS[spec.transport]
        return Diagnosis("fail", f"{noun} {describe(error)}", context.fix("no answer"), code)


def _not_judged(because: str) -> Diagnosis:
    return Diagnosis("ok", f"not judged: see {because}", "", "not-judged", {"because": because})


async def _check_of_plugin(context: Context, check: Check) -> Finding:
    return await run_plugin_check(check, context.address.origin)


async def examine(
    address: Address,
    inner: Iterable[tuple[str, Address]],
    idle: int,
    checks: Iterable[Check],
    report: Report,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> None:
    """Run all checks on an address, and at the same time on inner ones.

    Arguments:
        address: the server to check.
        inner: the same server without its outermost proxies: URLs as given and addresses, from the
            outside to the inside.
        idle: seconds of silence to test.
        checks: those of plugins.
        report: of the run.
        progress: called after each check of the outermost address.
    """
    turn = asyncio.Lock()
    outer = Examination(address, idle, checks, report, progress, turn)
    runs = [outer.run()]
    for url, hop in inner:
        report.hops.append(Report(url))
        runs.append(Examination(hop, idle, (), report.hops[-1], turn=turn).run())
    try:
        await asyncio.gather(*runs)
    finally:
        if report.hops:
            report.compare_hops()
