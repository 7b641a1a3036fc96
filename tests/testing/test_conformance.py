"""`rtdemo plugins check` accepts good producers, and finds each problem of bad ones.

The asyncio sleeps are in virtual time. The one real sleep, 0.11 s, is a problem to be found.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from rtdemo import Client, Producer, hookimpl
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.testing.conformance import OverlapDetector, check, check_plugins

CLIENT = Client("sse")
LEAKED_TASKS: list[asyncio.Task[None]] = []


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    LEAKED_TASKS.clear()


def checked(function: Any, every: float | None = 1.0, **traits: Any) -> str:
    result = check(Producer("p", function, every=every, **traits), CLIENT)
    assert result.is_ok is str(result).startswith("ok ")
    return str(result)


async def awaits() -> str:
    await asyncio.sleep(5)
    return "x"


async def ticks() -> AsyncIterator[str]:
    while True:
        await asyncio.sleep(60)
        yield "x"


async def three() -> AsyncIterator[str]:
    for number in "123":
        yield number


@pytest.mark.parametrize(
    ("function", "traits", "runs"),
    [
        (lambda: "x", {}, 100),
        (lambda client: {"for": client.transport}, {"jitter": 0.5}, 100),
        (lambda: None, {"every": None}, 100),
        (awaits, {}, 100),
        (ticks, {"every": None}, 60),
        (three, {"every": None}, 3),
        (lambda: "x", {"thread": True}, 100),
        (lambda: "x", {"every": 0.01}, 100),
    ],
)
def test_good_producers_pass(function: Any, traits: dict[str, Any], runs: int) -> None:
    """Each kind runs a hundred times; an async generator runs for at most an hour."""
    assert checked(function, **traits).startswith(f"ok    p: {runs} run")


class Flaky:
    """Raise at the fiftieth run."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> str:
        self.runs += 1
        return "x" if self.runs < 50 else str(1 / 0)


async def never() -> str:
    await asyncio.Event().wait()
    return "x"


async def leaks() -> str:
    LEAKED_TASKS.append(asyncio.ensure_future(asyncio.sleep(1e6)))
    return "x"


async def deaf() -> str:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(5)
    return "x"


async def stubborn() -> AsyncIterator[str]:
    while True:
        try:
            await asyncio.sleep(1)
            yield "x"
        except asyncio.CancelledError:
            pass


async def spins() -> AsyncIterator[str]:
    while True:
        yield "x"


async def blocks() -> str:
    time.sleep(0.11)  # noqa: ASYNC251 - that is the fault
    return "x"


@pytest.mark.parametrize(
    ("function", "traits", "words"),
    [
        (Flaky(), {}, ["of test_conformance.py", "ZeroDivisionError", "return None"]),
        (lambda: {5}, {}, ["a value of type set", "str(...)"]),
        (lambda: "\ud800", {}, ["UnicodeEncodeError", "errors='replace'"]),
        (lambda: "x" * 66_000, {}, ["bytes; a message may have 65536", "send less"]),
        (never, {}, ["took over 10 s", "timeout=SECONDS"]),
        (leaks, {}, ["leaves a task behind: sleep", "TaskGroup"]),
        (deaf, {"every": 2}, ["goes on after its client has left", "CancelledError"]),
        (stubborn, {"every": None}, ["goes on after its client has left"]),
        (spins, {"every": None}, ["never waits", "asyncio.sleep"]),
        (blocks, {}, ["blocked the loop for", "thread=True"]),
        (exit, {"every": None}, ["SystemExit"]),
    ],
)
def test_bad_producers_fail_with_a_fix(function: Any, traits: dict[str, Any], words: list[str]) -> None:
    """One line names the problem and the fix."""
    line = checked(function, **traits)
    assert line.startswith("fail  p: ")
    assert [word for word in words if word not in line] == []
    assert "\n" not in line


def test_one_that_never_returns_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check ends, in the event loop and in a thread."""
    monkeypatch.setattr("rtdemo.testing.conformance.HANG_TIMEOUT_S", 0.05)
    release = threading.Event()
    hangs = checked(release.wait, timeout=0.05)
    # In a thread it is given up by its own timeout, however long a busy machine takes for that.
    monkeypatch.setattr("rtdemo.testing.conformance.HANG_TIMEOUT_S", 60.0)
    in_thread = checked(release.wait, timeout=0.05, thread=True)
    release.set()
    assert hangs.startswith("fail  p: did not return within 0.05 s")
    assert in_thread.startswith("fail  p: RunTimeoutError: took over 0.05 s")


def test_overlapping_runs_are_detected() -> None:
    """The server never makes runs overlap, so the test nests two calls."""
    detector = OverlapDetector()
    inner = Producer("p", lambda: "x", every=1, thread=True)
    watched = detector.watch(inner)
    assert (watched(), detector.is_overlapped) == ("x", False)
    nested = detector.watch(Producer("p", lambda: watched(), every=1, thread=True))
    assert (nested(), detector.is_overlapped) == ("x", True)


def test_slow_threads_are_run_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer that takes real time runs fewer than a hundred times."""
    monkeypatch.setattr("rtdemo.testing.conformance.MAX_REAL_S", 0.0)
    assert checked(lambda: "x", thread=True).startswith("ok    p: 1 run")


def test_every_producer_of_a_plugin_is_checked() -> None:
    """Declared, hooked and shared producers, each over the transports that it runs on."""

    def broken_on_sse(client: Client) -> str:
        if client.transport == "sse":
            raise OSError("sse")
        return "x"

    plugin = SimpleNamespace(
        declared=Producer("declared", broken_on_sse, every=1),
        narrow=Producer("narrow", lambda: "x", every=1, transports=["sse"]),
        shared=Producer("shared", lambda: "x", every=1, shared=True),
        producers=hookimpl(
            specname="producers", function=lambda client: [Producer("hooked", lambda: client.label)]
        ),
    )
    manager = PluginManager(lambda: 0.0)
    manager.register(plugin, "plugin", "test")
    lines = [str(result) for result in check_plugins(manager)]
    assert lines[0].startswith("fail  declared: line ")
    assert lines[1:] == [
        "ok    hooked: 200 runs",
        "ok    narrow (sse): 100 runs",
        "ok    shared (shared): 100 runs",
    ]
