"""Load the view, and measure it, and measure beside it.

A server publishes so many producers' values. The page that compares measures one more producer over both
transports: first alone, then while a second page of the same browser shows all values as charts. Between
the two, that second page is recorded while the first one goes on. Last, the page compares a transport
with itself beside the charts (A/A): the right verdict names no side.

    python -m tests.browser.view_load
    python -m tests.browser.view_load --producers 20 --rate 50 --seconds 180 --json load.json

The lines:

- `frames`: a second, and the times between two frames of the view.
- `long tasks`: tasks of the view that blocked it for more than 50 ms by the clock, those of them that
  took as much of their own CPU time, and tasks of more than 25 ms.
- `drawing`, `main thread`: frames as Chromium counts them, and the CPU time of all tasks.
- `host`: how much longer the same work took beside the view: so much this machine stretches any task.
- `heap`: of the view, after a collection of garbage: after its first minute, and at the end.
- `closed`, `open`: the page's own figures, with the view closed and open.
- `A/A`: the verdicts beside the charts.

The exit code is 1 if a task was longer than 50 ms by the clock, the heap grew by more than 5 MiB after
the first minute, there were fewer than 55 frames a second, or a verdict named a side. Run it on a quiet
machine with two cores or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from playwright.async_api import Page

from tests.browser.engines.chromium import Chromium, chromium
from tests.browser.engines.engine import Engine
from tests.browser.main_thread import LONG_MS, MainThread, collect_garbage, percentile, record
from tests.browser.same_transport import SIDES, Run, compare
from tests.cluster.process import rtdemo

PLUGIN = """
import itertools
import math

from rtdemo import producer


def wave(number):
    steps = itertools.count()

    @producer(every={period!r}, shared=True, name=f"wave_{{number:02}}", unit="V")
    def value():
        return math.sin(next(steps) / 50 + number)

    return value


globals().update({{f"wave_{{number:02}}": wave(number) for number in range({count})}})


@producer(every=0.1)
def steady():
    return "steady"
"""
MEASURED = "?producers=steady"
"""The page measures one producer: the values are for the view."""
MEASURED_RATE = 10.0
PARTS = 3
"""Into which the time of the view is divided: each ends with a collection of garbage."""
WARM_S = 60.0
"""After it the view has its full number of points in the newest minute."""
TIMEOUT_S = 30.0
MAX_GROWTH_MIB = 5.0
MIN_FRAMES = 55.0
MIB = 1024 * 1024

WATCH = """() => {
    globalThis.frames = [];
    const frame = (at) => {
        frames.push(at);
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""
TAKE = """() => {
    const gaps = frames.slice(1).map((at, index) => at - frames[index]);
    return { gaps, isHidden: document.hidden };
}"""
CLEAR = "() => { frames.length = 0; }"


@dataclass(frozen=True)
class Figures:
    """What the page shows of one side.

    Attributes:
        p50, p99: latency in milliseconds, with its error, as the page writes it.
        received: messages.
    """

    p50: str
    p99: str
    received: str


@dataclass
class Load:
    """What a run has found.

    Attributes:
        closed, opened: the page's figures by side, with the view closed and open.
        gaps: times between two frames, in milliseconds.
        thread: the view's main thread.
        heap: seconds after the view was opened, and its heap in bytes.
        runs: comparisons of a transport with itself beside the view.
    """

    closed: dict[str, Figures] = field(default_factory=dict)
    opened: dict[str, Figures] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)
    thread: MainThread = field(default_factory=MainThread)
    heap: list[tuple[float, int]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    @property
    def frames(self) -> float:
        """Frames a second."""
        return 1000 * len(self.gaps) / sum(self.gaps)

    @property
    def growth_mib(self) -> float:
        """Growth of the heap after the first minute."""
        return (self.heap[-1][1] - self.heap[0][1]) / MIB

    @property
    def failures(self) -> list[str]:
        """Return which aims were missed, each as one line."""
        named = sum(run.is_named for run in self.runs)
        long = len(self.thread.long)
        aims = {
            f"{long} tasks over {LONG_MS:.0f} ms": long == 0,
            f"the heap grew by {self.growth_mib:.1f} MiB": self.growth_mib <= MAX_GROWTH_MIB,
            f"{self.frames:.1f} frames a second": self.frames >= MIN_FRAMES,
            f"{named} verdicts named a side": named == 0,
        }
        return [line for line, is_met in aims.items() if not is_met]

    def lines(self) -> str:
        """Return the run as lines of text."""
        heap = ", ".join(f"{at:.0f} s: {size / MIB:.1f} MiB" for at, size in self.heap)
        middle, late, longest = (percentile(self.gaps, share) for share in (0.5, 0.99, 1.0))
        rows = {
            "frames": f"{self.frames:.1f} a second; between two: median {middle:.1f},"
            f" p99 {late:.1f}, longest {longest:.1f} ms",
            **self.thread.rows(),
            "heap": f"{heap}; growth {self.growth_mib:+.1f} MiB",
            **{f"closed, {side}": _figures(found) for side, found in self.closed.items()},
            **{f"open, {side}": _figures(found) for side, found in self.opened.items()},
            **{f"A/A {number}": run.line() for number, run in enumerate(self.runs, 1)},
        }
        return "\n".join(f"{name:18}{text}" for name, text in rows.items())


def _figures(found: Figures) -> str:
    return f"p50 {found.p50}, p99 {found.p99} ms; {found.received} messages"


async def measure(engine: Engine, url: str, seconds: float) -> dict[str, Figures]:
    """Open the page, connect both sides, and return its figures after a time.

    Arguments:
        engine: opens the page.
        url: of the server.
        seconds: that it measures.
    """
    await engine.open(f"{url}/healthz")
    await engine.run("sessionStorage.clear()")
    await engine.open(f"{url}/{MEASURED}")
    await engine.until("/known to/.test(document.body.textContent)", TIMEOUT_S)
    # Figures in folded details are not painted.
    await engine.run("for (const part of document.querySelectorAll('main > details')) part.open = true")
    await engine.connect(*SIDES)
    await asyncio.sleep(seconds)
    found = {}
    for side in SIDES:
        p50, p99, received = [await engine.text(name, side) for name in ("p50", "p99", "received")]
        found[side] = Figures(p50, p99, received)
    return found


async def watch(page: Page, load: Load, seconds: float) -> None:
    """Note the view's frames, main thread and heap.

    Garbage is collected between the times in which frames and tasks count: that task is not the view's.

    Arguments:
        page: the view.
        load: gets the figures.
        seconds: after the first minute.
    """
    begin = asyncio.get_running_loop().time()

    async def note_heap() -> None:
        size = await collect_garbage(page)
        load.heap.append((asyncio.get_running_loop().time() - begin, size))
        await page.evaluate(CLEAR)

    await asyncio.sleep(WARM_S)
    await note_heap()
    for _ in range(PARTS):
        await record(page, load.thread, seconds / PARTS)
        found = await page.evaluate(TAKE)
        assert not found["isHidden"], "the browser shows only one of the two pages"
        load.gaps += found["gaps"]
        await note_heap()


async def run(folder: Path, producers: int, rate: float, seconds: float, runs: int) -> Load:
    """Start a server and a browser, and measure.

    Arguments:
        folder: for the plugin and the server's log.
        producers: that the view shows.
        rate: values a second of each one.
        seconds: that the page measures, with the view closed and open.
        runs: comparisons of a transport with itself.
    """
    plugin = folder / "load.py"
    plugin.write_text(PLUGIN.format(count=producers, period=1 / rate))
    server = rtdemo(folder, "view_load", str(plugin))
    await server.start()
    load = Load()
    try:
        async with chromium() as browser:
            load.closed = await measure(browser, server.url, seconds)
            view = await open_view(browser, server.url, producers)
            # What a trace costs would be in the page's figures.
            await watch(view, load, seconds)
            load.opened = await measure(browser, server.url, seconds)
            for number in range(runs):
                first = SIDES[number % 2]
                how = (MEASURED_RATE, "websocket", first, 0.0, MEASURED)
                load.runs.append(await compare(browser, server.url, *how))
    finally:
        await server.kill()
    return load


async def open_view(browser: Chromium, url: str, producers: int) -> Page:
    """Open the view in a second page, and wait for a card of each producer.

    Arguments:
        browser: has the first page.
        url: of the server.
        producers: number of cards.
    """
    running = browser.page.context.browser
    assert running is not None
    view = await running.new_page(viewport={"width": 1920, "height": 1080})
    names = ",".join(f"wave_{number:02}" for number in range(producers))
    await view.goto(f"{url}/view?window=60&producers={names}")
    await view.wait_for_function(f"() => document.querySelectorAll('.card').length === {producers}")
    await view.evaluate(WATCH)
    return view


def main() -> None:
    """Measure, print the lines, and exit with 1 if an aim was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.browser.view_load",
        description="Load the view, and measure it, and measure beside it.",
    )
    parser.add_argument("--producers", type=int, default=20, help="that the view shows")
    parser.add_argument("--rate", type=float, default=50.0, help="values a second of each producer")
    parser.add_argument("--seconds", type=float, default=180.0, help="that each part takes")
    parser.add_argument("--runs", type=int, default=4, help="comparisons of a transport with itself")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        how = (given.producers, given.rate, given.seconds, given.runs)
        load = asyncio.run(run(Path(folder), *how))
    print(load.lines())
    if given.json is not None:
        given.json.write_text(json.dumps(asdict(load), indent=1) + "\n")
    for line in load.failures:
        print(f"missed: {line}")
    sys.exit(bool(load.failures))


if __name__ == "__main__":
    main()
