"""Outages of the path between the page and the server, each of any length.

The tests make short ones. By hand, with the lengths that the page has to survive:

    python -m tests.browser.outages

It prints how long each side took to be back after the end of each outage, and what was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.browser.panel import Panel
from tests.cluster.process import Process, rtdemo
from tests.system_packages import CHROMIUM, require
from tests.tcp_proxy import TcpProxy

SIDES = ("websocket", "sse")
MAX_BACK_S = 10.0
"""Seconds after the end of an outage in which both sides have to be back."""
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


@dataclass
class Place:
    """A page that reads a server through a proxy."""

    server: Process
    proxy: TcpProxy
    page: Page

    @property
    def panels(self) -> list[Panel]:
        """Both sides."""
        return [Panel(self.page, side) for side in SIDES]

    async def counts(self) -> dict[str, int]:
        """Return the number of messages that each side has received."""
        found = {}
        for panel in self.panels:
            text = await panel.part("received").text_content() or ""
            found[panel.side] = int(text.replace(",", ""))
        return found


Step = Callable[[Place], Awaitable[object]]


@dataclass(frozen=True)
class Outage:
    """How an outage begins and ends, and the seconds that it lasts when it is run by hand."""

    begin: Step
    end: Step
    seconds: tuple[float, ...]


async def _pause(place: Place) -> None:
    place.server.signal(signal.SIGSTOP)


async def _go_on(place: Place) -> None:
    place.server.signal(signal.SIGCONT)


async def _refuse(place: Place) -> None:
    place.proxy.refuse()


async def _listen(place: Place) -> None:
    await place.proxy.start()


async def _swallow(place: Place) -> None:
    place.proxy.swallow()


async def _restore(place: Place) -> None:
    place.proxy.restore()


async def _offline(place: Place) -> None:
    # Chromium leaves an open event stream alone; without a network nothing arrives on it.
    place.proxy.hold()
    await place.page.context.set_offline(True)


async def _online(place: Place) -> None:
    place.proxy.release()
    await place.page.context.set_offline(False)


async def _leave(place: Place) -> None:
    await place.page.evaluate("window.wasKept = true")
    await place.page.goto(f"http://127.0.0.1:{place.proxy.port}/healthz")


async def _back(place: Place) -> None:
    await place.page.go_back(wait_until="commit")
    assert await place.page.evaluate("window.wasKept"), "the browser did not keep the page"


OUTAGES = {
    "server stopped": Outage(_pause, _go_on, (20, 60)),
    "reset and refused": Outage(_refuse, _listen, (3, 15, 60)),
    "half open": Outage(_swallow, _restore, (20, 60)),
    "browser offline": Outage(_offline, _online, (20,)),
    "page in the back/forward cache": Outage(_leave, _back, (5,)),
}


@asynccontextmanager
async def place(browser: Browser, folder: Path) -> AsyncIterator[Place]:
    """Start a server and a proxy, open the page through it, and connect both sides."""
    plugin = folder / "ticks.py"
    plugin.write_text(TICKS)
    server = rtdemo(folder, "server", str(plugin))
    await server.start()
    proxy = TcpProxy(server.port)
    await proxy.start()
    context = await browser.new_context()
    try:
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{proxy.port}/")
        found = Place(server, proxy, page)
        for panel in found.panels:
            await panel.press("Connect")
            await panel.received(5)
        yield found
    finally:
        server.signal(signal.SIGCONT)
        await context.close()
        await proxy.close()
        await server.kill()


async def back(place: Place, before: dict[str, int]) -> dict[str, float]:
    """Wait until each side receives messages again; return the seconds that it took.

    Arguments:
        place: whose outage has just ended.
        before: the messages that each side had received at its end.
    """
    start, found = time.monotonic(), {}

    async def wait(panel: Panel) -> None:
        await panel.received(before[panel.side] + 1)
        found[panel.side] = time.monotonic() - start

    await asyncio.gather(*map(wait, place.panels))
    return found


async def main() -> int:
    """Run the outages, and print a line for each; return 1 if one was not survived."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", default=list(OUTAGES), help="outages to run")
    failed = False
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            # The browser without windows has no back/forward cache.
            executable_path=shutil.which("chromium") or require(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--headless=new"],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        for name in parser.parse_args().names:
            for seconds in OUTAGES[name].seconds:
                failed |= not await _run(browser, name, seconds)
        await browser.close()
    return int(failed)


async def _run(browser: Browser, name: str, seconds: float) -> bool:
    outage = OUTAGES[name]
    with tempfile.TemporaryDirectory() as folder:
        async with place(browser, Path(folder)) as found:
            await outage.begin(found)
            await asyncio.sleep(seconds)
            is_away = "/healthz" in found.page.url
            before = dict.fromkeys(SIDES, 0) if is_away else await found.counts()
            await outage.end(found)
            before = await found.counts() if is_away else before
            took = await back(found, before)
            # What was missed comes at once; the ledger sees a gap as soon as a later one comes.
            await asyncio.sleep(2)
            ledgers = [await panel.part("lost").text_content() or "" for panel in found.panels]
            reconnects = [await panel.part("reconnects").text_content() for panel in found.panels]
    in_time = all(each <= MAX_BACK_S for each in took.values())
    holds = in_time and ledgers == [NOTHING_LOST] * 2
    times = "  ".join(f"{side} back after {took[side]:4.1f} s" for side in SIDES)
    losses = NOTHING_LOST if ledgers == [NOTHING_LOST] * 2 else " | ".join(ledgers)
    more = f"reconnects {' and '.join(map(str, reconnects))}  {losses}"
    print(f"{name}, {seconds:.0f} s:  {times}  {more}  {'ok' if holds else 'FAILED'}")
    return holds


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
