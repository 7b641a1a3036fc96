"""Try a plugin's producers as the server would run them, and say what a person should mend."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import wraps
from time import perf_counter
from typing import Any

from rtdemo.plugin_system.manager import PluginManager
from rtdemo.plugin_system.producer import Producer
from rtdemo.plugin_system.supervisor import ContentTypeError, RunTimeoutError, Supervisor
from rtdemo.protocol.client import TRANSPORTS, Client, Transport
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.testing import virtual_time as virtual
from rtdemo.testing.run_producer import MessageSizeError, Trial, describe
from rtdemo.testing.virtual_time import TimeStandsStillError, VirtualTimeLoop
from rtdemo.timing.schedule import TIMER_RESOLUTION_S

RUNS = 100
REAL_SECONDS = 10.0
"""Real time after which fewer runs do, as for what works in threads."""
QUIET = 10.0
"""Virtual seconds for which nothing may come after the client has left."""
HANGING = 1.0
"""Real seconds over a producer's `timeout` after which its run is given up."""
LONGEST = 3600.0
"""Virtual seconds for which an async generator is read."""
BLOCKED = 2
"""Runs that block the loop until that is held against the producer; one may be the machine's."""


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
class Verdict:
    """Say how a producer did.

    Arguments:
        producer: its name, and over which transport where that matters.
        runs: how often it ran.
        problem: what is wrong; empty where nothing is.
        mend: what to do about it.
    """

    producer: str
    runs: int
    problem: str = ""
    mend: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem

    def __str__(self) -> str:
        if self.is_ok:
            return f"ok    {self.producer}: {self.runs} run{'s' if self.runs != 1 else ''}"
        return f"fail  {self.producer}: {self.problem}; {self.mend}"


class Fault(Exception):  # noqa: N818 - a finding, not an error of this program
    """Report what is wrong with a producer, and the mend."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.problem, self.mend = problem, mend


def check_plugins(plugins: PluginManager) -> Iterator[Verdict]:
    """Check every producer of the loaded plugins over each transport that it runs on."""
    clients = {transport: Client(transport, "127.0.0.1") for transport in TRANSPORTS}
    found: dict[Supervisor, list[tuple[Producer, Transport]]] = {}
    for transport, client in clients.items():
        for producer, account in plugins.producers_for(client):
            found.setdefault(account, []).append((producer, transport))
    for cases in found.values():
        label = _label(cases[0][0], [transport for _, transport in cases])
        runs = 0
        for producer, transport in cases:
            verdict = check(producer, clients[transport])
            runs += verdict.runs
            if not verdict.is_ok:
                break
        yield replace(verdict, producer=label, runs=runs)
    plugins.collect_shared()
    for producer, _ in plugins.shared:
        yield replace(check(producer, None), producer=f"{producer.name} (shared)")


def _label(producer: Producer, transports: list[Transport]) -> str:
    return producer.name + (f" ({transports[0]})" if len(transports) == 1 else "")


def check(producer: Producer, client: Client | None) -> Verdict:
    """Run one producer 100 times on virtual time, let its client leave, and look at what is left.

    Arguments:
        producer: what is checked.
        client: whom it runs for; None where it is shared.
    """
    examination = _Examination(producer, client)
    # A daemon thread: a function that never returns can only be left behind.
    thread = threading.Thread(target=examination.run, daemon=True)
    thread.start()
    before = -1
    while thread.is_alive() and examination.loop.turns != before:
        before = examination.loop.turns
        thread.join(producer.timeout + HANGING)
    if thread.is_alive():
        fault = Fault(
            f"did not return within {producer.timeout:g} s and keeps the loop from everyone",
            "wait with `await`, or use thread=True and give what it calls a timeout",
        )
        return examination.verdict(fault)
    if examination.error is not None:
        raise examination.error
    return examination.verdict(examination.fault)


class _Examination:
    """Examine one producer, in a thread of its own."""

    def __init__(self, producer: Producer, client: Client | None) -> None:
        self.loop = VirtualTimeLoop()
        self.fault: Fault | None = None
        self.error: BaseException | None = None
        self._producer = producer
        self._client = client
        self._runs = 0

    def run(self) -> None:
        """Examine; afterwards `fault` has the first thing that is wrong."""
        try:
            virtual.run(self._examine(), self.loop)
        except TimeStandsStillError:
            problem = "yields and never waits, so that nobody else gets a turn"
            self.fault = Fault(problem, "put `await asyncio.sleep(SECONDS)` between two yields")
        except Fault as fault:
            self.fault = fault
        except BaseException as error:
            self.error = error

    def verdict(self, fault: Fault | None) -> Verdict:
        """Return the outcome."""
        name = self._producer.name
        return Verdict(name, self._runs, *((fault.problem, fault.mend) if fault else ()))

    async def _examine(self) -> None:
        entries = _Entries()
        trial = Trial(entries.watch(self._producer), self._client, MAX_MESSAGE_BYTES)
        await self._run_often(trial)
        if entries.doubled:
            raise Fault("ran twice at once for one client", "report this: rtdemo must not do that")
        await self._leave(trial)
        trial = Trial(self._producer, self._client, MAX_MESSAGE_BYTES)
        trial.start()
        # Leave in the middle of a run, where there is a middle.
        await asyncio.sleep((self._producer.every or 0.0) + self._producer.jitter + TIMER_RESOLUTION_S)
        await self._leave(trial)

    async def _run_often(self, trial: Trial) -> None:
        producer, account, started = trial.producer, trial.account, perf_counter()
        once = producer.every is None and not producer.is_stream
        span = LONGEST if producer.is_stream else RUNS * ((producer.every or 1.0) + producer.timeout)
        end = self.loop.time() + span
        trial.start()
        while account.runs < RUNS and not account.ended and self.loop.time() < end:
            await asyncio.sleep(producer.every or 1.0)
            self._runs = account.runs
            if account.errors or account.blocked >= BLOCKED:
                break
            if perf_counter() - started > REAL_SECONDS:
                break
            if once:
                trial.start()
        self._runs = account.runs
        self._judge(trial)

    def _judge(self, trial: Trial) -> None:
        if trial.account.errors:
            raise _fault(trial.account.errors[0])
        if trial.account.blocked >= BLOCKED:
            raise Fault(str(trial.account.last_error), "use thread=True, or await what it waits for")

    async def _leave(self, trial: Trial) -> None:
        mine = {asyncio.current_task()}
        trial.stop()
        await asyncio.sleep(QUIET)
        self._judge(trial)
        left = asyncio.all_tasks() - mine
        names = [getattr(task.get_coro(), "__qualname__", str(task)) for task in left]
        if trial.late or any(name.startswith(("Account.", "Supervisor.")) for name in names):
            problem = "goes on after its client has left"
            raise Fault(problem, "let asyncio.CancelledError pass, and await nothing long in `finally`")
        if names:
            problem = f"leaves a task behind: {names[0]}"
            raise Fault(problem, "await it, use asyncio.TaskGroup, or cancel it in `finally`")


class _Entries:
    """Notice a function that is entered while it runs.

    Attributes:
        doubled: whether that happened.
    """

    def __init__(self) -> None:
        self.doubled = False
        self._under_way = 0
        self._lock = threading.Lock()

    def watch(self, producer: Producer) -> Producer:
        """Return the producer with its function watched; only one in threads can be entered twice."""
        if not producer.thread:
            return producer
        function: Any = producer.function

        @wraps(function)
        def watched(*arguments: Any) -> Any:
            self._count(1)
            try:
                return function(*arguments)
            finally:
                self._count(-1)

        return replace(producer, function=watched)

    def _count(self, change: int) -> None:
        with self._lock:
            self._under_way += change
            self.doubled = self.doubled or self._under_way > 1


def _fault(error: BaseException) -> Fault:
    fix = next((fix for kind, fix in FIXES if isinstance(error, kind)), OTHER_FIX)
    return Fault(describe(error), fix)
