"""Detection of a stalled connection."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.conftest import Open
from tests.browser.modules import run
from tests.browser.panel import Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_stall(page: Page) -> None:
    """Ten seconds are long at the usual rate, a hundred at a tenth of it; a pick is named as a cause."""
    body = """
        const stall = new m.StallDetector();
        const at = (speed, producers = null) => stall.sentence({ speed, producers }, "Look there.");
        return [at("1"), at("20"), at("0.1"), at("x"), at("1", [])];
    """
    ten = "Nothing has arrived for 10 s. Look there."
    assert await run(page, "connection/stall", body) == [
        *(ten, ten, ten.replace("10 s", "100 s"), ten),
        "Nothing has arrived for 10 s from the selected producers. Switch on more of them below.",
    ]


async def test_patience_knows_the_producers(page: Page) -> None:
    """What speaks once a minute has not stalled after ten seconds; a stream may speak at any time."""
    body = """
        const account = (period, stream = false) => ({ period, stream, always: false, shared: false });
        const producer = (name, websocket, sse) => ({ name, shared: false, on: { websocket, sse } });
        const stall = new m.StallDetector();
        const all = { producers: null, speed: "1" };
        const found = [stall.timeout(all)];
        const fast = producer("fast", account(2), account(2));
        stall.setProducers([producer("slow", account(60), null), fast], "websocket");
        const slow = { producers: ["slow"], speed: "1" };
        found.push(stall.timeout(all), stall.timeout(slow));
        found.push(stall.timeout({ ...slow, speed: "2" }));
        stall.setProducers([producer("own", account(null, true), null)], "websocket");
        return [...found, stall.timeout({ producers: ["own"], speed: "0.1" })];
    """
    assert await run(page, "connection/stall", body) == [10_000, 10_000, 90_000, 45_000, 100_000]


async def test_silence(open_page: Open, side: str) -> None:
    """A connection on which nothing arrives for ten seconds is stalled until something does."""
    page = await open_page("/?producers=welcome")
    await page.clock.install()
    panel = Panel(page, side)
    await panel.connect()
    await page.clock.fast_forward(9_000)
    await panel.becomes("connected")
    await page.clock.fast_forward(3_000)
    await panel.becomes("stalled")
    await panel.send_text("anybody there?")
    await panel.becomes("connected")
