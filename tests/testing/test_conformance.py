"""The conformance kit finds what it says that it finds.

Its asyncio sleeps are in virtual time and wait for nothing; the one real sleep, 0.11 s, is the
fault that the kit must find.
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
KEPT: list[asyncio.Task[None]] = []


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    KEPT.clear()


def judged(function: Any, every: float | None = 1.0, **traits: Any) -> str:
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
def test_good_ones_pass(function: Any, traits: dict[str, Any], runs: int) -> None:
    """Every shape that behaves is run a hundred times, an async generator for an hour at most."""
    assert judged(function, **traits).startswith(f"ok    p: {runs} run")


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
    KEPT.append(asyncio.ensure_future(asyncio.sleep(1e6)))
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
        (lambda: 5, {}, ["returned int", "str(...)"]),
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
def test_bad_ones_fail_with_the_mend(function: Any, traits: dict[str, Any], words: list[str]) -> None:
    """One line says what is wrong and what to do."""
    line = judged(function, **traits)
    assert line.startswith("fail  p: ")
    assert [word for word in words if word not in line] == []
    assert "\n" not in line


def test_one_that_never_returns_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the loop and in a thread alike."""
    monkeypatch.setattr("rtdemo.testing.conformance.HANG_TIMEOUT_S", 0.05)
    release = threading.Event()
    hangs = judged(release.wait, timeout=0.05)
    # In a thread it is given up by its own timeout, however long a busy machine takes for that.
    monkeypatch.setattr("rtdemo.testing.conformance.HANG_TIMEOUT_S", 60.0)
    in_thread = judged(release.wait, timeout=0.05, thread=True)
    release.set()
    assert hangs.startswith("fail  p: did not return within 0.05 s")
    assert in_thread.startswith("fail  p: RunTimeoutError: took over 0.05 s")


def test_a_doubled_run_would_be_noticed() -> None:
    """The server promises that there is none, so only a forged one can show it."""
    detector = OverlapDetector()
    inner = Producer("p", lambda: "x", every=1, thread=True)
    watched = detector.watch(inner)
    assert (watched(), detector.is_overlapped) == ("x", False)
    nested = detector.watch(Producer("p", lambda: watched(), every=1, thread=True))
    assert (nested(), detector.is_overlapped) == ("x", True)


def test_slow_threads_are_run_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What really takes long is not run a hundred times."""
    monkeypatch.setattr("rtdemo.testing.conformance.MAX_REAL_S", 0.0)
    assert judged(lambda: "x", thread=True).startswith("ok    p: 1 run")


def test_every_producer_of_a_plugin_is_checked() -> None:
    """Declared ones, those of hooks, shared ones; each over the transports that it runs on."""

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
