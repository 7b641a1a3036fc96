"""The tools for plugin authors' tests: virtual time, `run_producer` and `serve`.

The asyncio sleeps are in virtual time, so none of them waits.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rtdemo import Client, Message, Producer, producer
from rtdemo.errors import PluginError, ProducerError
from rtdemo.protocol.client import Transport
from rtdemo.testing import (
    EndedError,
    LiveServer,
    ProducerFailedError,
    TimeStandsStillError,
    VirtualClock,
    VirtualTimeLoop,
    run_producer,
    serve,
)
from rtdemo.testing.virtual_time import run
from tests.clients import eventually

pytest_plugins = ["rtdemo.testing.pytest_plugin"]

Serve = Callable[..., AbstractAsyncContextManager[LiveServer]]
BOTH: list[Transport] = ["websocket", "sse"]


@pytest.fixture(params=BOTH)
def over(request: pytest.FixtureRequest) -> Transport:
    """Each transport in turn."""
    transport: Transport = request.param
    return transport


@producer(every=2)
def even() -> str:
    return "tick"


# Virtual time


def test_sleeping_a_day_takes_no_time() -> None:
    """The loop's time jumps from timer to timer, in the order of their times."""
    order: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        await asyncio.gather(sleeper("day", 86_400), sleeper("hour", 3600), sleeper("now", 0))

    run(main())
    assert order == [("now", 0.0), ("hour", 3600.0), ("day", 86_400.0)]


def test_no_virtual_time_passes_during_a_thread() -> None:
    """Waiting for a thread does not time out, even with a tiny virtual timeout."""
    release = threading.Event()

    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        work = asyncio.ensure_future(asyncio.to_thread(release.wait, 10))
        loop.call_soon(release.set)
        async with asyncio.timeout(0.001):
            await work
        return "done", loop.time()

    assert run(main()) == ("done", 0.0)


def test_a_loop_that_never_waits_is_ended() -> None:
    """It raises instead of turning for ever, and the `finally` of the code runs."""
    ended = []

    async def spin() -> None:
        try:
            while True:
                await asyncio.sleep(0)
        finally:
            ended.append(True)

    with pytest.raises(TimeStandsStillError):
        run(spin())
    assert ended == [True]


def test_run_cancels_remaining_tasks_and_closes() -> None:
    """A task that resists its cancellation does not keep `run` from returning."""
    loop = VirtualTimeLoop()

    async def resist() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)

    async def main() -> int:
        main.task = asyncio.ensure_future(resist())  # type: ignore[attr-defined]  # a place to keep it
        await asyncio.sleep(5)
        return 7

    assert run(main(), loop) == 7
    assert loop.is_closed()


def test_next_due_skips_what_was_cancelled() -> None:
    """`next_due` is the time of the next callback that is not cancelled."""
    clock = VirtualClock()
    clock.call_at(1.0, print).cancel()
    clock.call_at(2.0, str)
    assert clock.next_due == 2.0
    clock.advance_to(2.0)
    assert clock.next_due is None


# run_producer


async def coroutine() -> str:
    await asyncio.sleep(0.5)
    return "tick"


async def generator() -> AsyncIterator[str]:
    while True:
        await asyncio.sleep(2)
        yield "tick"


KINDS = {
    "sync": (Producer("p", lambda: "tick", every=2), 2000.0),
    "async": (Producer("p", coroutine, every=2), 2500.0),
    "async generator": (Producer("p", generator), 2000.0),
    "thread": (Producer("p", lambda: "tick", every=2, thread=True), 2000.0),
    "shared": (Producer("p", lambda: "tick", every=2, shared=True), 2000.0),
    "dict": (Producer("p", lambda: {"t": 1}, every=2), 2000.0),
    "message": (Producer("p", lambda: Message("tick"), every=2), 2000.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_runs_an_hour(kind: str) -> None:
    """Messages have virtual times and sequence numbers, and their number is exact."""
    declared, first = KINDS[kind]
    sent = run_producer(declared, 3600 if kind != "thread" else 60)
    expected = 1800 if kind not in ("async", "thread") else {"async": 1799, "thread": 30}[kind]
    assert len(sent) == expected
    assert sent[0].sent_at == first
    assert sent[-1].sent_at - sent[-2].sent_at == 2000.0
    assert [m.seq for m in sent] == list(range(1, expected + 1))
    assert {m.producer for m in sent} == {"p"}
    assert set(sent.texts) == {'{"t":1}' if kind == "dict" else "tick"}


def test_once_at_connect_speed_and_client() -> None:
    """A bare function runs once; speed divides the period; the producer gets the given client."""
    assert run_producer(lambda: "hello", 10).texts == ["hello"]
    assert len(run_producer(even, 60, speed=2)) == 60
    named = run_producer(
        Producer("p", lambda client: client.user, every=1), 1, client=Client("sse", user="Ann")
    )
    assert named.texts == ["Ann"]
    label = Producer("p", lambda client: client.label)
    assert [run_producer(label, transport=t).texts for t in BOTH] == [["WebSocket"], ["SSE"]]


def fails() -> str:
    raise OSError("no such sensor")


async def never() -> str:
    await asyncio.Event().wait()
    return "never"


def test_failure_is_raised_with_its_place() -> None:
    """The cause is the producer's exception; the text names its line."""
    with pytest.raises(
        ProducerFailedError, match=r"'p': line \d+ of test_testing.py: OSError: no such"
    ) as failed:
        run_producer(Producer("p", fails, every=1))
    assert isinstance(failed.value.__cause__, OSError)
    with pytest.raises(ProducerFailedError, match="took over 10 s"):
        run_producer(Producer("p", never, every=1))
    with pytest.raises(ProducerFailedError, match="returned a Message of int"):
        run_producer(Producer("p", lambda: Message(5), every=1))  # type: ignore[arg-type]  # the fault
    with pytest.raises(ProducerFailedError, match="surrogates not allowed"):
        run_producer(Producer("p", lambda: "\ud800", every=1))


def test_failures_can_be_kept() -> None:
    """With `keep` it runs on as on the server: after 1, 2, 4, 8, 16 and 30 s."""
    sent = run_producer(Producer("p", fails, every=1), 61, failures="keep")
    assert (list(sent), sent.failures, sent.state) == ([], 6, "backing off")
    assert sent.last_error == "OSError: no such sensor"


def test_producer_that_blocks_the_loop_fails() -> None:
    """Two blocking runs in a row are a failure; one may come from a busy machine."""

    def blocks() -> str:
        time.sleep(0.11)
        return "x"

    with pytest.raises(ProducerFailedError, match="'p': blocked the loop for"):
        run_producer(Producer("p", blocks, every=1), 2)


def test_generator_that_never_waits_fails() -> None:
    """The test of it ends with an error that names the reason."""

    async def spin() -> AsyncIterator[None]:
        while True:
            yield None

    with pytest.raises(ProducerFailedError, match="'spin' never waits"):
        run_producer(spin)


def test_wrong_transport_and_thread_that_hangs() -> None:
    """A wrong transport and a thread over its timeout each raise one line."""
    with pytest.raises(ProducerError, match="give transport=sse"):
        run_producer(Producer("p", lambda: "x", transports=["sse"]))
    release = threading.Event()

    def hangs() -> str:
        return str(release.wait())

    with pytest.raises(ProducerFailedError, match=r"took over 0.05 s"):
        run_producer(Producer("p", hangs, every=1, thread=True, timeout=0.05), 5)
    release.set()


async def test_run_producer_inside_a_running_loop() -> None:
    """It runs in a thread, and failures are raised as usual."""
    assert len(run_producer(even, 3600)) == 1800
    with pytest.raises(ProducerFailedError):
        run_producer(Producer("p", fails, every=1))


# The server


async def test_one_api_for_both_transports(rtdemo_server: Serve, over: Transport) -> None:
    """`connect`, `receive`, `take`, `say` and `leave` work the same over both transports."""
    async with rtdemo_server(even) as server:
        peer = await server.connect(over, "speed=2")
        assert peer.welcome.client
        await server.advance(3)
        assert [(m.producer, m.seq) for m in peer.take()] == [("even", 1), ("even", 2), ("even", 3)]
        server.clock.advance(1)
        assert (await peer.receive()).seq == 4
        await peer.say("hello")
        assert (await peer.receive()).message == "Echo: hello"
        await peer.leave()
        await eventually(lambda: len(server.server.hub) == 0)


async def test_files_modules_and_functions(tmp_path: Path, over: Transport) -> None:
    """A plugin may be a file, a module or a function; a broken one raises one line."""
    file = tmp_path / "dice.py"
    file.write_text("from rtdemo import producer\n@producer(every=1)\ndef dice(): return 'six'\n")
    module = ModuleType("package.coins")
    vars(module)["coins"] = Producer("coins", lambda: "heads", every=1, shared=True)
    async with serve(file, module, lambda: "hi") as server:
        peer = await server.connect(over)
        await server.advance(1)
        assert {m.message for m in peer.take()} == {"six", "heads", "hi"}
    (tmp_path / "bad.py").write_text("def (")
    with pytest.raises(PluginError, match="line 1: SyntaxError"):
        async with serve(tmp_path / "bad.py"):
            pass


async def test_async_runs_are_all_made(over: Transport) -> None:
    """No run is skipped, however far time is moved at once."""

    async def quick() -> str:
        await asyncio.sleep(0)
        return "quick"

    async with serve(Producer("quick", quick, every=1)) as server:
        peer = await server.connect(over)
        await server.advance(600)
        assert [m.seq for m in peer.take()] == list(range(1, 601))


async def test_large_messages_all_arrive(over: Transport) -> None:
    """Time waits for clients that have much to read, so that no outbox overflows."""
    async with serve(Producer("long", lambda: "x" * 10_000, every=1)) as server:
        peer = await server.connect(over)
        await server.advance(300)
        assert len(peer.take()) == 300


async def test_refusal_and_end(over: Transport) -> None:
    """A refused client raises with the status; a client of a stopped server raises `EndedError`."""
    async with serve() as server:
        with pytest.raises(AssertionError, match="400"):
            await server.connect(over, "speed=9000")
        peer = await server.connect(over)
        await server.server.stop()
        with pytest.raises(EndedError) as ended:
            await peer.receive()
        assert ended.value.code == (1001 if over == "websocket" else None)


async def test_no_message_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names `advance`, which a test may have forgotten to call."""
    async with serve(even) as server:
        peer = await server.connect("sse")
        # Not before: a busy machine takes longer for the welcome.
        monkeypatch.setattr("rtdemo.testing.clients.RECEIVE_TIMEOUT_S", 0.01)
        with pytest.raises(AssertionError, match=r"await server\.advance"):
            await peer.receive()


@pytest.mark.uncovered
async def test_an_hour_at_100_connections(record_property: Callable[[str, Any], None]) -> None:
    """Every message of the built-in plugins arrives over real sockets, in a few seconds."""
    async with serve(built_in=("welcome", "message", "status")) as server:
        peers = [await server.connect(BOTH[n % 2]) for n in range(100)]
        started = time.perf_counter()
        await server.advance(3600)
        record_property("seconds", time.perf_counter() - started)
        assert {len(p.take()) for p in peers if p.transport == "websocket"} == {1800 + 1200}
        assert {len(p.take()) for p in peers if p.transport == "sse"} == {1800 + 720}
        assert server.server.hub.schedule.skipped == 0


def test_clock_fixture(rtdemo_clock: VirtualClock) -> None:
    """The fixture `rtdemo_clock` is a new clock."""
    assert rtdemo_clock.time() == 0.0


def test_importing_it_does_not_import_pytest() -> None:
    """`rtdemo.testing` works without pytest."""
    code = "import sys, rtdemo.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
