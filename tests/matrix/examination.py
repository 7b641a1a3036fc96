"""Examine one set-up: measure the facts, run doctor, judge its lines, and try its fixes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.free_port import free_port
from tests.matrix import fixing, judge, truth
from tests.matrix.backend import Backend, Heads
from tests.matrix.certificates import Authority
from tests.matrix.chain import StartError, chain, program
from tests.matrix.facts import Facts
from tests.matrix.judge import Complaint
from tests.matrix.setup import Setup
from tests.redis_server import RedisServer

HEAD_START_S = 10.0
"""Seconds in which the facts about events are measured."""
DOCTOR_EXTRA_S = 150.0
"""Seconds that doctor may take in addition to its silence."""


@dataclass
class Outcome:
    """What came out of one set-up.

    Arguments:
        setup: the set-up.
        facts: as measured.
        report: doctor's, as JSON; empty without one.
        complaints: what is wrong with the report.
        unlike: faults of the set-up that the facts do not show.
        error: why the set-up could not be examined.
        fixed: facts after doctor's fixes; None if none could be applied.
        applied: the directives that were applied.
        seconds: duration.
    """

    setup: Setup
    facts: Facts = field(default_factory=Facts)
    report: dict[str, Any] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    error: str = ""
    fixed: Facts | None = None
    applied: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """`right`, `misleading`, `wrong` or `not run`."""
        if self.error or self.unlike:
            return "not run"
        kinds = {complaint.kind for complaint in self.complaints}
        return next((kind for kind in ("wrong", "misleading") if kind in kinds), "right")

    def json(self) -> dict[str, Any]:
        """Return it for a file."""
        return {**asdict(self), "verdict": self.verdict}

    @classmethod
    def load(cls, fields: Mapping[str, Any], setup: Setup) -> Outcome:
        """Return an outcome from such a file."""
        return cls(
            setup,
            Facts.load(fields["facts"]),
            fields["report"],
            [Complaint(**one) for one in fields["complaints"]],
            fields["unlike"],
            fields["error"],
            Facts.load(fields["fixed"]) if fields["fixed"] else None,
            tuple(fields["applied"]),
            fields["seconds"],
        )


@dataclass(frozen=True)
class Laboratory:
    """What all set-ups share.

    Arguments:
        folder: for files.
        authority: certificates.
        heads: of rtdemo's answers.
    """

    folder: Path
    authority: Authority
    heads: Heads


async def prepare(folder: Path) -> Laboratory:
    """Make certificates, and record the heads of rtdemo's answers."""
    folder.chmod(0o755)
    certificates = folder / "certificates"
    certificates.mkdir()
    port = free_port()
    async with rtdemo(port, folder / "rtdemo.log"):
        return Laboratory(folder, Authority(certificates), await Heads.record(port))


@asynccontextmanager
async def rtdemo(port: int, log: Path, *arguments: str) -> AsyncIterator[None]:
    """Run rtdemo on a port of loopback."""
    site = ("--host", "127.0.0.1", "--port", str(port), "--single-site", "--log-level", "warning")
    command = (sys.executable, "-m", "rtdemo", "serve", *site, *arguments)
    async with program(command, port, log):
        yield


async def examine(
    setup: Setup,
    laboratory: Laboratory,
    *,
    only_truth: bool = False,
    is_quick: bool = False,
    known: Facts | None = None,
) -> Outcome:
    """Examine one set-up; it never raises.

    Arguments:
        setup: the set-up.
        laboratory: what all set-ups share.
        only_truth: whether to measure the facts only.
        is_quick: whether to measure less, and to try no fixes.
        known: facts of an earlier run; None to measure them.
    """
    outcome = Outcome(setup)
    measuring: asyncio.Task[Facts] | None = None
    began = time.monotonic()
    folder = laboratory.folder / "".join(c if c.isalnum() else "-" for c in setup.name)
    try:
        folder.mkdir()
        folder.chmod(0o755)
        new = partial(measure, setup, laboratory, folder / "truth", is_brief=is_quick)
        work = _return(known) if known else new()
        measuring = asyncio.ensure_future(work)
        if is_quick:
            # So many servers and doctors start then that they would disturb the first measurements.
            await asyncio.wait([measuring], timeout=HEAD_START_S)
        if not only_truth:
            # At the same time, through other processes: both mostly wait.
            await _run_doctor(outcome, laboratory, folder / "doctor", measuring)
        outcome.facts = await measuring
        outcome.unlike = judge.unlike(setup, outcome.facts)
        if outcome.report:
            outcome.complaints = list(judge.complaints(setup, outcome.facts, outcome.report))
        if outcome.report and not is_quick:
            await _try_fixes(outcome, laboratory, folder / "fixed")
    except Exception as error:
        outcome.error = f"{type(error).__name__}: {error}"[:1500]
    finally:
        if measuring is not None:
            measuring.cancel()
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


async def _return(facts: Facts) -> Facts:
    return facts


async def measure(
    setup: Setup, laboratory: Laboratory, folder: Path, *, is_brief: bool = False
) -> Facts:
    """Return the facts about a set-up, with servers of our own behind it."""
    folder.mkdir()
    folder.chmod(0o755)
    async with AsyncExitStack() as stack:
        backends = []
        base = setup.path if setup.keeps_path else ""
        for number in range(setup.servers if setup.server == "rtdemo" else 0):
            backend = Backend(f"server{number}", laboratory.heads, base)
            await backend.start()
            stack.push_async_callback(backend.stop)
            backends.append(backend)
        ports = tuple(backend.port for backend in backends) or (free_port(),)
        if setup.server == "silent":
            await stack.enter_async_context(_silent(ports[0]))
        authority = laboratory.authority
        url = await stack.enter_async_context(chain(setup, ports, folder, authority))
        return await truth.measure(url, backends, setup, authority.path, is_brief=is_brief)


@asynccontextmanager
async def _silent(port: int) -> AsyncIterator[None]:
    """Listen on a port, accept connections, and answer nothing."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


async def _run_doctor(
    outcome: Outcome, laboratory: Laboratory, folder: Path, measuring: asyncio.Future[Facts]
) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    setup = outcome.setup
    arguments = ["--heartbeat", f"{setup.heartbeat_s:g}", *setup.arguments]
    count = len([hop for hop in setup.hops if hop.reads_http])
    if count and "--trusted-proxies" not in setup.arguments:
        arguments += ["--trusted-proxies", str(count)]
    if setup.keeps_path:
        arguments += ["--base-path", setup.path]
    async with AsyncExitStack() as stack:
        if setup.redis:
            (folder / "redis").mkdir()
            redis = RedisServer(folder / "redis")
            await redis.start()
            stack.push_async_callback(redis.stop)
            arguments += ["--engine", redis.url]
        ports = tuple(free_port() for _ in range(setup.servers))
        if setup.server == "rtdemo":
            await asyncio.gather(
                *(
                    stack.enter_async_context(rtdemo(port, folder / f"{port}.log", *arguments))
                    for port in ports
                )
            )
        elif setup.server == "silent":
            await stack.enter_async_context(_silent(ports[0]))
        authority = laboratory.authority
        url = await stack.enter_async_context(chain(setup, ports, folder, authority))
        outcome.report = await doctor(url + ("/" if setup.path else ""), setup, authority.path)
        await truth.measure_rtdemo(await measuring, url, authority.path, setup.headers)


async def doctor(url: str, setup: Setup, authority: Path) -> dict[str, Any]:
    """Run `rtdemo doctor`; return its JSON with the exit code as `exitCode`."""
    words = ["doctor", url, "--json", "--idle", str(setup.idle_s), *setup.doctor]
    for name, value in setup.headers.items():
        words += ["--header", f"{name}: {value}"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtdemo", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SSL_CERT_FILE": str(authority)},
    )
    try:
        timeout = setup.idle_s + DOCTOR_EXTRA_S
        out, err = await asyncio.wait_for(process.communicate(), timeout)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise TimeoutError(f"doctor took more than {timeout:g} s") from None
    if b"Traceback" in err or not out:
        raise ValueError(f"doctor: {err.decode(errors='replace')[-1200:]}")
    report: dict[str, Any] = json.loads(out)
    for check in report["checks"]:
        check.setdefault("code", "ok" if check["verdict"] == "ok" else "?")
        check.setdefault("http", [])
        check.setdefault("figures", {})
    return {**report, "exitCode": process.returncode}


async def _try_fixes(outcome: Outcome, laboratory: Laboratory, folder: Path) -> None:
    """Apply the directives of doctor's fixes where a program can, and measure the facts again."""
    better = fixing.apply(outcome.setup, outcome.report)
    if better is None:
        return
    outcome.applied = better.changes
    applied = f"applied: {'; '.join(better.changes)}"
    try:
        outcome.fixed = await measure(better.setup, laboratory, folder)
    except StartError as error:
        line = str(error).strip().splitlines()[-1][:300]
        outcome.complaints.append(Complaint("wrong", applied, f"the proxy does not start: {line}"))
        return
    for name in judge.remaining(outcome.setup, outcome.fixed, better.codes):
        outcome.complaints.append(Complaint("wrong", applied, f"after the fix still: {name}"))
