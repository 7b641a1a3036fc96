"""Two clocks that differ by seconds: what the page measures then, and what the naive way would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import Open
from tests.browser.panel import Panel
from tests.cluster.process import Process, rtdemo

pytestmark = pytest.mark.asyncio(loop_scope="session")

APART = """
import time

from rtdemo import producer

real = time.time_ns
time.time_ns = lambda: real() + 3_000_000_000


@producer(every=0.1)
def tenth():
    return "ten a second"
"""


@dataclass
class Served:
    """What a page is opened by."""

    web_url: str


@pytest_asyncio.fixture(loop_scope="session")
async def shifted(tmp_path: Path) -> AsyncIterator[Process]:
    """A server of its own process whose clock is three seconds ahead of the browser's."""
    plugin = tmp_path / "apart.py"
    plugin.write_text(APART)
    process = rtdemo(tmp_path, "apart", str(plugin))
    await process.start()
    yield process
    await process.stop()


async def test_latency_is_true_though_the_clocks_are_apart(
    shifted: Process, open_page: Open, side: str
) -> None:
    """The median is within its error of the truth, and Date.now() - sentAt is 3 s off."""
    page = await open_page("/?producers=tenth", server=Served(shifted.url))
    await page.evaluate(
        """() => {
            window.naive = [];
            const parse = JSON.parse;
            JSON.parse = (text) => {
                const value = parse(text);
                if (value?.producer === "tenth") window.naive.push(Date.now() - value.sentAt);
                return value;
            };
        }"""
    )
    panel = Panel(page, side)
    await panel.connect()
    await panel.received(30)
    await expect(panel.part("p50-note")).to_contain_text("clock error" if await under(panel) else "±")
    shown = float(await panel.part("p50").inner_text())
    assert 0 <= shown < 100
    error = float((await page.locator('[data-part="clock"]').inner_text()).split()[-2])
    assert 0 < error < 100
    naive = sorted(await page.evaluate("window.naive"))
    # Server and browser share one true clock here, so the truth is the naive reading plus the shift.
    truth = naive[len(naive) // 2] + 3000
    assert naive[len(naive) // 2] < -2900
    assert abs(shown - truth) <= error + 2 or (await under(panel) and truth <= shown + 1)


async def under(panel: Panel) -> bool:
    """Tell whether the median is given as a bound."""
    return await panel.part("p50-prefix").inner_text() == "under"
