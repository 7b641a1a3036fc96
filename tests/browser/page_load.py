"""Load the page that compares: 200 messages a second of each side, and what its main thread does.

    python -m tests.browser.page_load
    python -m tests.browser.page_load --rate 200 --seconds 300 --json load.json

The lines:

- `received`: messages of WebSocket and of SSE.
- `heap`: before and after, each after a collection of garbage.
- `long tasks`: tasks of the page that blocked it for more than 50 ms by the clock, those of them that
  took as much of their own CPU time, and tasks of more than 25 ms.
- `drawing`: frames as Chromium counts them.
- `main thread`: the CPU time of all its tasks.
- `host`: how much longer the same work took beside the page: so much this machine stretches any task.

The exit code is 1 if more than one task was longer than 50 ms by the clock, the heap grew by more than
2.3 MB, or more than 6 of 1,609 frames were dropped. Run it on a quiet machine with two cores or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.browser.engines.chromium import chromium
from tests.browser.main_thread import LONG_MS, MainThread, collect_garbage, record
from tests.browser.same_transport import SIDES, WITHOUT, producers
from tests.cluster.process import rtdemo

WARM_S = 10.0
"""After it the page has compiled what it runs often."""
TIMEOUT_S = 30.0
MAX_TASKS = 1
MAX_GROWTH_MB = 2.3
MAX_DROPPED = 6 / 1609
MB = 1e6


@dataclass
class Load:
    """What a run has found.

    Attributes:
        received: messages of each side, as the page writes their number.
        heap: before and after, bytes.
        thread: the page's main thread.
    """

    received: list[str] = field(default_factory=list)
    heap: list[int] = field(default_factory=list)
    thread: MainThread = field(default_factory=MainThread)

    @property
    def growth_mb(self) -> float:
        """Growth of the heap."""
        return (self.heap[-1] - self.heap[0]) / MB

    @property
    def failures(self) -> list[str]:
        """Return which aims were missed, each as one line."""
        thread = self.thread
        aims = {
            f"{len(thread.long)} tasks over {LONG_MS:.0f} ms": len(thread.long) <= MAX_TASKS,
            f"the heap grew by {self.growth_mb:.1f} MB": self.growth_mb <= MAX_GROWTH_MB,
            f"{thread.dropped} frames dropped": thread.dropped <= MAX_DROPPED * thread.drawn,
        }
        return [line for line, is_met in aims.items() if not is_met]

    def lines(self) -> str:
        """Return the run as lines of text."""
        before, after = (size / MB for size in self.heap)
        rows = {
            "received": " and ".join(self.received),
            "heap": f"{before:.2f} to {after:.2f} MB; growth {self.growth_mb:+.2f} MB",
            **self.thread.rows(),
        }
        return "\n".join(f"{name:18}{text}" for name, text in rows.items())


async def run(folder: Path, rate: float, seconds: float) -> Load:
    """Start a server and a browser, and measure.

    Arguments:
        folder: for the plugin and the server's log.
        rate: messages a second of each side.
        seconds: for which the page is measured.
    """
    plugin = folder / "steady.py"
    plugin.write_text(producers(rate))
    without = [word for name in WITHOUT for word in ("--without", name)]
    server = rtdemo(folder, "page_load", *without, str(plugin))
    await server.start()
    load = Load()
    try:
        async with chromium() as browser:
            await browser.open(f"{server.url}/?connect=1")
            await browser.until("/known to/.test(document.body.textContent)", TIMEOUT_S)
            await asyncio.sleep(WARM_S)
            load.heap.append(await collect_garbage(browser.page))
            await record(browser.page, load.thread, seconds)
            load.heap.append(await collect_garbage(browser.page))
            load.received += [await browser.text("received", side) for side in SIDES]
    finally:
        await server.kill()
    return load


def main() -> None:
    """Measure, print the lines, and exit with 1 if an aim was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.browser.page_load",
        description="Load the page that compares, and measure its main thread.",
    )
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second of each side")
    parser.add_argument("--seconds", type=float, default=300.0, help="that it takes")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        load = asyncio.run(run(Path(folder), given.rate, given.seconds))
    print(load.lines())
    if given.json is not None:
        given.json.write_text(json.dumps(asdict(load), indent=1) + "\n")
    for line in load.failures:
        print(f"missed: {line}")
    sys.exit(bool(load.failures))


if __name__ == "__main__":
    main()
