"""Two clocks that differ by seconds: what the page measures, and what the naive way gives."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.downloads import saved
from tests.browser.modules import run
from tests.browser.panel import Panel, clock_is_known, stay_awake
from tests.browser.truth import READINGS, SET
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
async def settable(tmp_path: Path) -> AsyncIterator[Process]:
    """A server in its own process, with a clock that a client's text sets by so many milliseconds."""
    plugin = tmp_path / "settable.py"
    plugin.write_text(SET)
    process = rtdemo(tmp_path, "settable", str(plugin))
    await process.start()
    yield process
    await process.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def shifted(tmp_path: Path) -> AsyncIterator[Process]:
    """A server in its own process, with a clock three seconds ahead of the browser's."""
    plugin = tmp_path / "apart.py"
    plugin.write_text(APART)
    process = rtdemo(tmp_path, "apart", str(plugin))
    await process.start()
    yield process
    await process.stop()


async def test_latency_is_true_though_the_clocks_are_apart(
    shifted: Process, open_page: Open, side: str, tmp_path: Path
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
    await stay_awake(page)
    await clock_is_known(page)
    await panel.connect()
    await panel.received(30)
    await panel.press("Disconnect")
    run = json.loads(await saved(page, "JSON", tmp_path))
    error = run["clockError"]
    rows = run[side]["samples"]["rows"]
    naive = await page.evaluate("window.naive")
    pairs = zip((row[1] for row in rows if row[4] == "tenth"), naive, strict=True)
    known = [(one, other) for one, other in pairs if one is not None]
    assert len(known) > len(naive) / 2
    measured = median(one for one, _ in known)
    assert all(other < one - 2900 for one, other in known)
    # Both share one true clock here, so the truth is the naive reading plus the shift, to a millisecond.
    assert median(abs(one - (other + 3000)) for one, other in known) <= error + 1
    assert 0 < error < 100
    assert float(await panel.part("p50").inner_text()) <= max(measured * 1.02, 0) + 2 * error


@pytest.mark.parametrize("by", [-3_600_000, -1_000, 5_000])
async def test_a_clock_that_is_set_changes_no_figure(
    settable: Process, open_page: Open, side: str, by: int
) -> None:
    """Messages since the last reading have no latency; none counts as hidden or caught up."""
    panel = Panel(await open_page("/?producers=tenth", server=Served(settable.url)), side)
    await stay_awake(panel.page)
    await panel.connect()
    await panel.received(20)
    await panel.send_text(f"set {by}")
    await expect(panel.part("left-out")).to_have_text(re.compile(r"^\d+ while the clock was unknown$"))
    counted = int((await panel.part("received").inner_text()).replace(",", ""))
    await panel.received(counted + 30)
    await expect(panel.part("left-out")).to_have_text(re.compile(r"^\d+ while the clock was unknown$"))
    label = re.compile(r": \d+ messages, .*largest (under )?[\d,.]+ ms\.")
    await expect(panel.part("strip")).to_have_accessible_name(label)


@pytest.mark.empty_page
async def test_no_reading_is_outside_its_claim(page: Page) -> None:
    """Page and server share a machine here, and Chromium reports its time origin to the microsecond."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    origin = next(metric["value"] for metric in metrics if metric["name"] == "NavigationStart") * 1000
    before = _since_boot()
    body = f"""
        const {{ measureTick }} = await import("/static/measure/tick.js");
        const tick = measureTick();
        const readings = [];
        while (readings.length < {READINGS}) readings.push(await m.probe("/api/time", tick));
        return readings;
    """
    readings = await run(page, "measure/server_clock", body)
    # A clock that is being adjusted may be off by a little more at the end.
    truth, adjusted = before + origin, abs(_since_boot() - before) + 0.002
    claims = [(abs(reading["offset"] - truth), reading["error"]) for reading in readings]
    assert len(claims) == READINGS
    assert [claim for claim in claims if claim[0] > claim[1] + adjusted] == []


def _since_boot() -> float:
    """Return the system's time minus the monotonic clock's, milliseconds."""
    # The tightest of some pairs: the process may be interrupted between the two.
    pairs = []
    for _ in range(9):
        start, now, end = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        pairs.append((end - start, now - (start + end) / 2))
    return min(pairs)[1] / 1e6
