"""What the page promises, in Firefox and in WebKitGTK; the other tests of the page run in Chromium."""

from __future__ import annotations

import json
import re

import pytest

from tests.browser.engines.engine import Engine, text
from tests.browser.figures import is_latency, number
from tests.browser.outages import NOTHING_LOST, SIDES
from tests.browser.truth import CLOCK, READINGS, SLEW_MS, outside
from tests.tcp_proxy import TcpProxy

pytestmark = pytest.mark.asyncio(loop_scope="session")

STATES = " && ".join(f"{text('state', side)} === '%s'" for side in SIDES)


async def test_compare_gives_a_verdict(engine: Engine, url: str) -> None:
    """One press connects both and measures; a sentence and figures of both sides come out."""
    await engine.resize(1280, 900)
    await engine.open(url)
    await engine.press("compare")
    await engine.until(f"{text('compare')} === 'Compare again'")
    verdict = r"(Equally fast here|Not decided|(WebSocket|SSE) is .* faster at)"
    assert re.match(verdict, await engine.text("verdict-sentence"))
    for side in SIDES:
        for name in ("p50", "p99"):
            # p99 needs a hundred messages; where the machine stood still, they come after the verdict.
            await engine.until(f"{text(f'{side}-{name}')}.includes('±')")
            assert is_latency(await engine.text(f"{side}-{name}"))
        assert await engine.text("lost", side) == NOTHING_LOST
        assert number(await engine.text("latency", side)) < 1000
    assert await engine.errors() == []


async def test_no_reading_of_the_clock_is_outside_its_claim(engine: Engine, url: str) -> None:
    """The browser's and the server's times bound the truth; the page is isolated."""
    await engine.open(url)
    found = await engine.run(CLOCK)
    assert found["isolated"]
    assert len(found["readings"]) == READINGS
    assert found["low"] <= found["high"] + SLEW_MS
    assert outside(found) == []
    assert await engine.errors() == []


async def test_both_sides_are_back_after_an_outage(engine: Engine, url: str, proxy: TcpProxy) -> None:
    """The path is reset and refuses; nothing is lost or repeated."""
    await engine.open(url)
    await engine.press("both")
    await engine.until(STATES.replace("%s", "connected"))
    proxy.refuse()
    await engine.until(STATES.replace("%s", "reconnecting"))
    await proxy.start()
    await engine.until(STATES.replace("%s", "connected"))
    for side in SIDES:
        before = await engine.text("received", side)
        await engine.until(f"{text('received', side)} !== '{before}'")
        assert await engine.text("lost", side) == NOTHING_LOST
        assert await engine.text("reconnects", side) == "1"


async def test_no_sideways_scrolling(engine: Engine, url: str) -> None:
    """With all details unfolded and all explanations shown."""
    await engine.open(url)
    await engine.press("explain")
    await engine.run("for (const part of document.querySelectorAll('main > details')) part.open = true")
    for width in (320, 390, 1280):
        await engine.resize(width, 844)
        # A scroll bar takes some of the width.
        shown, needed = await engine.run("return [innerWidth, document.documentElement.scrollWidth]")
        assert shown == width
        assert needed <= width


async def test_view_shows_a_value_and_its_chart(engine: Engine, url: str) -> None:
    """Live over WebSocket; the arrow keys read the chart."""
    await engine.open(url)
    body = [{"producer": "loss", "value": value} for value in (0.5, 0.25)]
    sent = f"(await fetch('api/publish', {{ method: 'POST', body: '{json.dumps(body)}' }})).status"
    assert await engine.run(f"return {sent}") == 200
    await engine.open(f"{url}view?producers=loss")
    await engine.until("document.querySelector('.number')?.textContent === '0.25'")
    # The value may be that of the page itself, which shows it before it is connected.
    await engine.until(f"{text('sentence')} === 'Live over WebSocket.'")
    await engine.until("document.querySelector('.chart').ariaLabel.startsWith('Chart of loss')")
    press = "new KeyboardEvent('keydown', { key: 'ArrowLeft' })"
    await engine.run(f"document.querySelector('.chart').dispatchEvent({press})")
    await engine.until(f"{text('readout')}.endsWith('0.25')")
    assert await engine.errors() == []
