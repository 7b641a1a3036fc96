"""Check a plugin's producers on virtual time, as `rtdemo plugins check` does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import wraps
from time import perf_counter
from typing import Any

from rtdemo.plugin_system.discovery import described
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.plugin_system.producer import Producer
from rtdemo.plugin_system.supervisor import ContentTypeError, RunTimeoutError, Supervisor
from rtdemo.protocol.client import TRANSPORTS, Client, Transport
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.testing import virtual_time as virtual
from rtdemo.testing.run_producer import MessageSizeError, Trial
from rtdemo.testing.virtual_time import TimeStandsStillError, VirtualTimeLoop
from rtdemo.timing.schedule import SLOT_S

RUNS = 100
"""Runs of a producer over one transport."""
MAX_STREAM_S = 3600.0
"""Virtual seconds after which an async generator has run long enough, with fewer runs."""
MAX_REAL_S = 10.0
"""Real seconds after which fewer runs are enough, such as runs in threads."""
HANG_TIMEOUT_S = 1.0
"""Real seconds, added to a producer's `timeout`, after which a run that blocks the loop is given up."""
QUIET_S = 10.0
"""Virtual seconds after the client has left in which nothing may be sent."""
MAX_BLOCKED_RUNS = 1
"""Runs that may block the loop: a busy machine can make one run slow, but hardly two."""

FIXES: tuple[tuple[type[BaseException], str], ...] = (
    (RunTimeoutError, "set a timeout for what it awaits, or give it timeout=SECONDS"),
    (ContentTypeError, "convert it with str(...)"),
    (UnicodeEncodeError, "decode bytes with errors='replace'"),
    (MessageSizeError, "send less per message"),
)
"""What to do about each kind of failed run."""
OTHER_FIX = "catch it, and return None to send nothing this time"
"""What to do about any other exception."""


@dataclass(frozen=True)
class CheckResult:
    """What the check of one producer found.

    Arguments:
        producer: the producer's name, with the transport if it runs over one only.
        runs: number of runs.
        problem: what is wrong; empty if nothing is.
        fix: what to do about it.
    """

    producer: str
    runs: int
    problem: str = ""
    fix: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problem

    def __str__(self) -> str:
        if self.is_ok:
            return f"ok    {self.producer}: {self.runs} run{'s' if self.runs != 1 else ''}"
        return f"fail  {self.producer}: {self.problem}; {self.fix}"


def check_plugins(plugins: PluginManager) -> Iterator[CheckResult]:
    """Check every producer of the loaded plugins, over each transport that it runs on."""
    clients = {transport: Client(transport, "127.0.0.1") for transport in TRANSPORTS}
    found: dict[Supervisor, list[tuple[Producer, Transport]]] = {}
    for transport, client in clients.items():
        for producer, supervisor in plugins.producers_for(client):
            found.setdefault(supervisor, []).append((producer, transport))
    for cases in found.values():
        label = _label(cases[0][0], [transport for _, transport in cases])
        runs = 0
        for producer, transport in cases:
            result = check(producer, clients[transport])
            runs += result.runs
            if not result.is_ok:
                break
        yield replace(result, producer=label, runs=runs)
    plugins.collect_shared()
    for producer, _ in plugins.shared:
        yield replace(check(producer, None), producer=f"{producer.name} (shared)")


def _label(producer: Producer, transports: list[Transport]) -> str:
    return producer.name + (f" ({transports[0]})" if len(transports) == 1 else "")


def check(producer: Producer, client: Client | None) -> CheckResult:
    """Run a producer 100 times on virtual time, then let its client leave twice, and look for problems.

    Arguments:
        producer: the producer.
        client: the client that it runs for; None if it is shared.
    """
    examination = _Examination(producer, client)
    # A daemon thread, because a function that never returns cannot be stopped.
    thread = threading.Thread(target=examination.run, daemon=True)
    thread.start()
    turns_before = -1
    while thread.is_alive() and examination.loop.turns != turns_before:
        turns_before = examination.loop.turns
        thread.join(producer.timeout + HANG_TIMEOUT_S)
    if thread.is_alive():
        problem = _Problem(
            f"did not return within {producer.timeout:g} s and blocks the loop",
            "wait with `await`, or use thread=True and set a timeout for what it calls",
        )
        return examination.result(problem)
    if examination.error is not None:
        raise examination.error
    return examination.result(examination.problem)


class OverlapDetector:
    """Detect that a function is called while another call of it runs.

    Attributes:
        is_overlapped: whether that happened.
    """

    def __init__(self) -> None:
        self.is_overlapped = False
        self._running = 0
        self._lock = threading.Lock()

    def watch(self, producer: Producer) -> Producer:
        """Return a copy of a producer with its function watched.

        A producer that is not in threads is returned unchanged, since its calls cannot overlap.
        """
        if not producer.thread:
            return producer
        function: Any = producer.function

        @wraps(function)
        def watched(*arguments: Any) -> Any:
            self._add(1)
            try:
                return function(*arguments)
            finally:
                self._add(-1)

        return replace(producer, function=watched)

    def _add(self, change: int) -> None:
        with self._lock:
            self._running += change
            self.is_overlapped = self.is_overlapped or self._running > 1


class _Problem(Exception):  # noqa: N818 - a finding about a plugin, not an error of this program
    """A problem of the producer, and what to do about it."""

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(text, fix)
        self.text, self.fix = text, fix


class _Examination:
    """The check of one producer, which runs in a thread of its own.

    Attributes:
        loop: its event loop.
        problem: the first problem that it found.
        error: an error of the check itself.
    """

    def __init__(self, producer: Producer, client: Client | None) -> None:
        self.loop = VirtualTimeLoop()
        self.problem: _Problem | None = None
        self.error: BaseException | None = None
        self._producer = producer
        self._client = client
        self._runs = 0

    def run(self) -> None:
        """Run the check, and set `problem` or `error`."""
        try:
            virtual.run(self._examine(), self.loop)
        except TimeStandsStillError:
            text = "yields and never waits, so that nothing else can run"
            self.problem = _Problem(text, "put `await asyncio.sleep(SECONDS)` between two yields")
        except _Problem as problem:
            self.problem = problem
        except BaseException as error:
            self.error = error

    def result(self, problem: _Problem | None) -> CheckResult:
        """Return the result of the check."""
        name = self._producer.name
        return CheckResult(name, self._runs, *((problem.text, problem.fix) if problem else ()))

    async def _examine(self) -> None:
        detector = OverlapDetector()
        trial = Trial(detector.watch(self._producer), self._client, MAX_MESSAGE_BYTES)
        await self._run_often(trial)
        if detector.is_overlapped:
            raise _Problem("ran twice at once for one client", "report this as a bug of rtdemo")
        await self._leave(trial)
        trial = Trial(self._producer, self._client, MAX_MESSAGE_BYTES)
        trial.start()
        # Leave during a run, if the producer has runs that take time.
        await asyncio.sleep((self._producer.every or 0.0) + self._producer.jitter + SLOT_S)
        await self._leave(trial)

    async def _run_often(self, trial: Trial) -> None:
        producer, supervisor, started = trial.producer, trial.supervisor, perf_counter()
        runs_once = producer.every is None and not producer.is_stream
        longest_run = (producer.every or 1.0) + producer.timeout
        end = self.loop.time() + (MAX_STREAM_S if producer.is_stream else RUNS * longest_run)
        trial.start()
        while supervisor.runs < RUNS and not supervisor.ended and self.loop.time() < end:
            await asyncio.sleep(producer.every or 1.0)
            self._runs = supervisor.runs
            if supervisor.errors or supervisor.blocked > MAX_BLOCKED_RUNS:
                break
            if perf_counter() - started > MAX_REAL_S:
                break
            if runs_once:
                trial.start()
        self._runs = supervisor.runs
        self._raise_failure(trial)

    def _raise_failure(self, trial: Trial) -> None:
        supervisor = trial.supervisor
        if supervisor.errors:
            error = supervisor.errors[0]
            fix = next((fix for kind, fix in FIXES if isinstance(error, kind)), OTHER_FIX)
            raise _Problem(described(error), fix)
        if supervisor.blocked > MAX_BLOCKED_RUNS:
            raise _Problem(str(supervisor.last_error), "use thread=True, or await what it waits for")

    async def _leave(self, trial: Trial) -> None:
        own_task = {asyncio.current_task()}
        trial.stop()
        await asyncio.sleep(QUIET_S)
        self._raise_failure(trial)
        remaining = asyncio.all_tasks() - own_task
        if trial.late or trial.supervisor.outlived or remaining & trial.tasks:
            fix = "let asyncio.CancelledError pass, and do not await for long in `finally`"
            raise _Problem("goes on after its client has left", fix)
        if remaining:
            task = next(iter(remaining))
            name = getattr(task.get_coro(), "__qualname__", str(task))
            fix = "await it, use asyncio.TaskGroup, or cancel it in `finally`"
            raise _Problem(f"leaves a task behind: {name}", fix)
