"""What a page's main thread does: its long tasks, by the clock and by its own CPU time, and its frames.

Chromium notes both times of each task. By the clock, a task also contains what else the machine did.
Its own CPU time does not. But on a virtual machine it still contains what the host did: where the host
takes the processor away, the guest's CPU time goes on. So a small piece of work is done again and again
beside the page, and its CPU time tells how much the host stretches any work.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import CDPSession, Page

LONG_MS = 50.0
"""From here on a task is long (W3C Long Tasks)."""
HALF_MS = LONG_MS / 2
PART_S = 15.0
"""Time of one trace: its events are in memory until it ends."""
MARK = "main thread"
CATEGORIES = ("toplevel", "blink.user_timing", "disabled-by-default-devtools.timeline.frame")
TASK = "ThreadControllerImpl::RunTask"

PIECES = """
import json, sys, threading, time
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
took = []
while not done.wait(0.05):
    before = time.thread_time()
    sum(number * number for number in range(10_000))
    took.append(1000 * (time.thread_time() - before))
print(json.dumps(took))
"""


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        wall: its length by the clock, milliseconds.
        cpu: its own CPU time, milliseconds.
    """

    wall: float
    cpu: float


@dataclass
class MainThread:
    """What a page's main thread has done.

    Attributes:
        seconds: for which it was recorded.
        cpu: seconds of its own CPU time in all tasks.
        tasks: those that took more than half as long as a long one by the clock.
        drawn: frames.
        late: frames that were shown without what the main thread had for them; the next one had it.
        dropped: frames of which nothing was shown.
        pieces: CPU time of each piece of the same work beside the page, milliseconds.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    tasks: list[Task] = field(default_factory=list)
    drawn: int = 0
    late: int = 0
    dropped: int = 0
    pieces: list[float] = field(default_factory=list)

    @property
    def long(self) -> list[Task]:
        """The tasks that were long by the clock."""
        return [task for task in self.tasks if task.wall > LONG_MS]

    @property
    def long_by_cpu(self) -> list[Task]:
        """The long tasks whose own CPU time is long too."""
        return [task for task in self.long if task.cpu > LONG_MS]

    def rows(self) -> dict[str, str]:
        """Return what was found as texts by their names."""
        wall = max((task.wall for task in self.tasks), default=0.0)
        cpu = max((task.cpu for task in self.tasks), default=0.0)
        found = {
            "long tasks": f"{len(self.long)} by the clock, {len(self.long_by_cpu)} of them by their own"
            f" CPU time; {len(self.tasks)} over {HALF_MS:.0f} ms; longest {wall:.0f} ms,"
            f" of CPU time {cpu:.0f} ms",
            "drawing": f"{self.drawn} frames drawn, {self.late} late, {self.dropped} dropped",
            "main thread": f"{1000 * self.cpu / self.seconds:.0f} ms of CPU time a second",
        }
        if self.pieces:
            middle = statistics.median(self.pieces)
            found["host"] = (
                f"the same work took {middle:.2f} ms of CPU time at the median,"
                f" {percentile(self.pieces, 0.99):.1f} at p99, {max(self.pieces):.1f} at the most:"
                f" {max(self.pieces) / middle:.0f} times as long"
            )
        return found


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile by nearest rank."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def record(page: Page, found: MainThread, seconds: float) -> None:
    """Record the main thread of a page.

    It is recorded in parts. What the browser does to hand over a part does not count.

    Arguments:
        page: of Chromium.
        found: gets the figures.
        seconds: in all.
    """
    session = await page.context.new_cdp_session(page)
    left = seconds
    async with _pieces(found):
        while left > 0:
            part = min(left, PART_S)
            _add(found, await _trace(session, page, part))
            found.seconds += part
            left -= part
    await session.detach()


async def collect_garbage(page: Page) -> int:
    """Collect the garbage of a page, and return its heap in bytes."""
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    size = (await session.send("Runtime.getHeapUsage"))["usedSize"]
    await session.detach()
    return int(size)


async def _trace(session: CDPSession, page: Page, seconds: float) -> list[dict[str, Any]]:
    """Return the events of some time."""
    events: list[dict[str, Any]] = []
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def take(data: Any) -> None:
        events.extend(data["value"])

    session.on("Tracing.dataCollected", take)
    session.once("Tracing.tracingComplete", lambda end: ended.set_result(end["dataLossOccurred"]))
    config = {"includedCategories": list(CATEGORIES)}
    await session.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})
    await page.evaluate("(mark) => void performance.mark(mark)", MARK)
    await asyncio.sleep(seconds)
    await session.send("Tracing.end")
    assert not await ended, "the browser had no room for all events"
    session.remove_listener("Tracing.dataCollected", take)
    return events


def _add(found: MainThread, events: Sequence[dict[str, Any]]) -> None:
    """Add the figures of a trace, which has the events of all processes."""
    process, thread = next((each["pid"], each["tid"]) for each in events if each["name"] == MARK)
    for event in events:
        name = event["name"]
        if event["pid"] != process:
            continue
        if name == TASK and event["tid"] == thread:
            task = Task(event.get("dur", 0) / 1000, event.get("tdur", 0) / 1000)
            found.cpu += task.cpu / 1000
            if task.wall > HALF_MS:
                found.tasks.append(task)
        elif name == "DrawFrame":
            found.drawn += 1
        elif name == "DroppedFrame":
            if event["args"].get("hasPartialUpdate"):
                found.late += 1
            else:
                found.dropped += 1


@asynccontextmanager
async def _pieces(found: MainThread) -> AsyncIterator[None]:
    """Do pieces of the same work in another process for the block, and note their CPU times."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PIECES, stdin=pipe, stdout=pipe)
    try:
        yield
    finally:
        output, _ = await process.communicate(b"")
        found.pieces += json.loads(output)
