"""Outages of the path between the page and the server, each of any length.

The tests make short ones. By hand, with the lengths that the page has to survive:

    python -m tests.browser.outages
    python -m tests.browser.outages --engine firefox "half open" "browser stopped"

It prints how long each side took to be back after the end of each outage, and what was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.browser.engines.by_name import ENGINES, Run
from tests.browser.engines.chromium import chromium
from tests.browser.engines.engine import Engine, Unsupported
from tests.cluster.process import Process, rtdemo
from tests.tcp_proxy import TcpProxy

SIDES = ("websocket", "sse")
MAX_BACK_S = 10.0
"""Seconds after the end of an outage in which both sides have to be back."""
GIVE_UP_S = 25.0
"""Seconds after which a side counts as not back: less than a driver gives one script."""
ON_THE_WAY = 4
"""Messages that arrive before an outage has begun, or that the page has not yet counted."""
NOTHING_LOST = "0 lost, 0 repeated, 0 out of order"
TICKS = """
from rtdemo import producer
from itertools import count

numbers = count(1)

@producer(every=0.25, shared=True)
def tick():
    return f"tick {next(numbers)}"
"""
"""Messages that have to arrive, whatever happens."""
FIGURES = """
    const figures = (name) => Object.fromEntries(["websocket", "sse"].map((side) => {
        const part = document.querySelector(`[data-side="${side}"] [data-part="${name}"]`);
        return [side, part.textContent];
    }));
    const counts = () => {
        const texts = Object.entries(figures("received"));
        return Object.fromEntries(texts.map(([side, text]) => [side, Number(text.replaceAll(",", ""))]));
    };
"""
BACK = """
    const [before, found, start] = [%s, {}, performance.now()];
    const elapsed = () => (performance.now() - start) / 1000;
    while (Object.keys(found).length < 2 && elapsed() < %s) {
        for (const [side, count] of Object.entries(counts())) {
            if (count > before[side]) found[side] ??= elapsed();
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { found, elapsed: elapsed() };
"""


@dataclass
class Place:
    """A page that reads a server through a proxy.

    Attributes:
        stopped: ids of the browser's processes that do not run.
    """

    server: Process
    proxy: TcpProxy
    engine: Engine
    stopped: list[int] = field(default_factory=list)

    async def counts(self) -> dict[str, int]:
        """Return the number of messages that each side has received."""
        return dict(await self.engine.run(f"{FIGURES} return counts()"))

    async def figures(self, name: str) -> list[str]:
        """Return the text of a part of each side."""
        return list(await self.engine.run(f"{FIGURES} return Object.values(figures('{name}'))"))


Step = Callable[[Place], Awaitable[object]]


@dataclass(frozen=True)
class Outage:
    """How an outage begins and ends, and the seconds that it lasts when it is run by hand.

    Attributes:
        page_runs: whether the page can be asked for its figures meanwhile.
    """

    begin: Step
    end: Step
    seconds: tuple[float, ...]
    page_runs: bool = True


async def _stop_server(place: Place) -> None:
    place.server.signal(signal.SIGSTOP)


async def _continue_server(place: Place) -> None:
    place.server.signal(signal.SIGCONT)


async def _stop_browser(place: Place) -> None:
    place.stopped = await place.engine.processes()
    _signal(place.stopped, signal.SIGSTOP)


async def _continue_browser(place: Place) -> None:
    _signal(place.stopped, signal.SIGCONT)
    place.stopped = []


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


async def _refuse(place: Place) -> None:
    place.proxy.refuse()


async def _listen(place: Place) -> None:
    await place.proxy.start()


async def _swallow(place: Place) -> None:
    place.proxy.swallow()


async def _restore(place: Place) -> None:
    place.proxy.restore()


async def _offline(place: Place) -> None:
    await place.engine.set_offline(True)
    # Chromium leaves an open event stream alone; without a network nothing arrives on it.
    place.proxy.hold()


async def _online(place: Place) -> None:
    place.proxy.release()
    await place.engine.set_offline(False)


async def _leave(place: Place) -> None:
    await place.engine.run("window.wasKept = true")
    await place.engine.open(f"http://127.0.0.1:{place.proxy.port}/healthz")


async def _back(place: Place) -> None:
    await place.engine.back()
    if not await place.engine.run("return window.wasKept ?? false"):
        raise Unsupported("the browser did not keep the page")


OUTAGES = {
    "server stopped": Outage(_stop_server, _continue_server, (20, 60)),
    "browser stopped": Outage(_stop_browser, _continue_browser, (20, 60), page_runs=False),
    "reset and refused": Outage(_refuse, _listen, (3, 15, 60)),
    "half open": Outage(_swallow, _restore, (20, 60)),
    "browser offline": Outage(_offline, _online, (20,)),
    "page in the back/forward cache": Outage(_leave, _back, (5,), page_runs=False),
}


@asynccontextmanager
async def place(engine: Engine, folder: Path) -> AsyncIterator[Place]:
    """Start a server and a proxy, open the page through it, and connect both sides."""
    plugin = folder / "ticks.py"
    plugin.write_text(TICKS)
    server = rtdemo(folder, "server", str(plugin))
    await server.start()
    proxy = TcpProxy(server.port)
    await proxy.start()
    found = Place(server, proxy, engine)
    try:
        await engine.open(f"http://127.0.0.1:{proxy.port}/")
        await engine.connect(*SIDES)
        connected = await back(found, dict.fromkeys(SIDES, 4))
        assert math.inf not in connected.values(), "the page did not connect"
        yield found
    finally:
        await _continue_browser(found)
        await _continue_server(found)
        await proxy.close()
        await server.kill()


async def back(place: Place, before: Mapping[str, int]) -> dict[str, float]:
    """Wait until each side receives messages again.

    Arguments:
        place: whose outage has just ended.
        before: the messages that each side had received at its end.

    Returns:
        The seconds that each side took; infinite for one that is not back.
    """
    start = time.monotonic()
    answer = await place.engine.run(FIGURES + BACK % (json.dumps(before), GIVE_UP_S))
    # The browser may begin with the script some time after it was asked to.
    later = time.monotonic() - start - answer["elapsed"]
    return {side: later + answer["found"].get(side, math.inf) for side in SIDES}


async def run(engine: Engine, name: str, seconds: float) -> tuple[str, bool]:
    """Run an outage; return its figures, and whether both sides were back in time with nothing lost.

    Arguments:
        engine: shows the page.
        name: of the outage.
        seconds: its length.
    """
    outage = OUTAGES[name]
    with tempfile.TemporaryDirectory() as folder:
        async with place(engine, Path(folder)) as found:
            try:
                before = {side: count + ON_THE_WAY for side, count in (await found.counts()).items()}
                await outage.begin(found)
                await asyncio.sleep(seconds)
                if outage.page_runs:
                    before = await found.counts()
                await outage.end(found)
                took = await back(found, before)
            except Unsupported as error:
                return f"not run: {error}", True
            # What was missed comes at once; the ledger sees a gap as soon as a later one comes.
            await asyncio.sleep(2)
            ledgers = await found.figures("lost")
            reconnects = await found.figures("reconnects")
            latencies = await found.figures("latency")
    holds = all(each <= MAX_BACK_S for each in took.values()) and ledgers == [NOTHING_LOST] * 2
    times = "  ".join(f"{side} {_after(took[side])}" for side in SIDES)
    losses = NOTHING_LOST if ledgers == [NOTHING_LOST] * 2 else " | ".join(ledgers)
    more = f"reconnects {' and '.join(reconnects)}  latency {' and '.join(latencies)} ms  {losses}"
    return f"{times}  {more}", holds


def _after(seconds: float) -> str:
    return f"not back after {GIVE_UP_S:g} s" if seconds == math.inf else f"back after {seconds:4.1f} s"


async def main() -> int:
    """Run the outages, and print a line for each; return 1 if one was not survived."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.browser.outages", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", default=list(OUTAGES), help="outages to run")
    parser.add_argument("--engine", choices=ENGINES, default="chromium", help="browser")
    given = parser.parse_args()
    # The browser without windows has no back/forward cache.
    engines: dict[str, Run] = {**ENGINES, "chromium": partial(chromium, is_whole=True)}
    async with engines[given.engine]() as engine:
        survived = True
        for name in given.names:
            for seconds in OUTAGES[name].seconds:
                figures, holds = await run(engine, name, seconds)
                print(f"{name}, {seconds:.0f} s:  {figures}  {'ok' if holds else 'FAILED'}", flush=True)
                survived = survived and holds
    return int(not survived)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
