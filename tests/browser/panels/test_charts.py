"""The charts: what they draw, when, and their descriptions for screen readers."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from rtdemo.server.server import Server
from tests.browser.charts import (
    BLUE,
    DARK_GREEN,
    DRAWN,
    GREEN,
    GREY,
    HIDE,
    drawn,
    figures,
    happened,
    looked,
    strip,
)
from tests.browser.conftest import Open
from tests.browser.panel import NONE, Panel, both, clock_is_known, stay_awake
from tests.browser.same_transport import SIDES

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_messages_are_drawn_in_their_colour(page: Page, side: str) -> None:
    """A strip has its side's colour once messages arrived, and the other strip has not."""
    other = "sse" if side == "websocket" else "websocket"
    colour = {"websocket": BLUE, "sse": GREEN}
    before = (await looked(strip(page, side)))["count"]
    assert colour[side] not in before
    await Panel(page, side).connect()
    await drawn(page, strip(page, side), colour[side], 9)
    assert colour[other] not in (await looked(strip(page, other)))["count"]
    await drawn(page, page.locator('[data-part="histogram"]'), colour[side], 100)


async def test_nothing_is_drawn_without_need(open_page: Open) -> None:
    """Without a connection no chart is drawn, however often the page is painted."""
    page = await open_page(folded=True)
    reset = page.get_by_role("button", name="Reset SSE")
    # A pause of a busy browser would be a sleep, which the charts show: this clock has none.
    await page.clock.install()
    await page.reload()
    await page.clock.run_for(1_000)
    nothing = "SSE latency over the last minute: no messages yet."
    await expect(strip(page, "sse")).to_have_accessible_name(nothing)
    await page.evaluate(
        """() => {
            window.wiped = 0;
            const wipe = CanvasRenderingContext2D.prototype.clearRect;
            CanvasRenderingContext2D.prototype.clearRect = function (...box) {
                window.wiped += 1;
                wipe.apply(this, box);
            };
        }"""
    )
    for _ in range(5):
        await reset.click()
        await page.clock.run_for(1_000)
    assert await page.evaluate("window.wiped") == 0
    await page.get_by_role("button", name="10 min in the charts").click()
    await page.wait_for_function("() => window.wiped >= 2")


COUNT_FRAMES = """() => {
    globalThis.frames = new Map();
    let frame = 0;
    const wait = requestAnimationFrame;
    globalThis.requestAnimationFrame = (callback) => wait((at) => {
        frame += 1;
        callback(at);
    });
    // Before the first frame that is counted, several may have begun.
    const note = (what) => frame > 0 && frames.set(frame, (frames.get(frame) ?? new Set()).add(what));
    const sideOf = (element) => element.closest("[data-side]")?.dataset.side;
    const wipe = CanvasRenderingContext2D.prototype.clearRect;
    CanvasRenderingContext2D.prototype.clearRect = function (...box) {
        note(`${this.canvas.dataset.part} of ${sideOf(this.canvas)}`);
        wipe.apply(this, box);
    };
    for (const list of document.querySelectorAll("[data-part=messages]")) {
        const name = `messages of ${sideOf(list)}`;
        new MutationObserver(() => note(name)).observe(list, { subtree: true, childList: true });
    }
}"""


async def test_a_frame_has_one_part_of_the_page(open_page: Open, flooded: Server) -> None:
    """The messages of one side, or one chart; none is drawn in a folded section."""
    page = await open_page(server=flooded, folded=True)
    for panel in both(page):
        await panel.press("Connect")
    for panel in both(page):
        await panel.becomes("connected")
    await page.evaluate(COUNT_FRAMES)
    await page.wait_for_function("() => frames.size > 40")
    frames = await page.evaluate("[...frames.values()].map((each) => [...each].join())")
    assert set(frames) == {f"{what} of {side}" for what in ("messages", "strip") for side in SIDES}


async def test_a_strip_is_as_sharp_as_the_screen(open_page: Open) -> None:
    """Two pixels of the canvas to one of the page on such a screen, also after a resize."""
    page = await open_page(device_scale_factor=2, viewport={"width": 1280, "height": 800})
    for width in (1280, 500):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.wait_for_function(
            """() => [...document.querySelectorAll("canvas")].every(
                (canvas) => Math.abs(canvas.width - 2 * canvas.clientWidth) <= 2
                    && Math.abs(canvas.height - 2 * canvas.clientHeight) <= 2)"""
        )


async def test_dark(page: Page) -> None:
    """The colours follow the reader's scheme at once."""
    await Panel(page, "sse").connect()
    await drawn(page, strip(page, "sse"), GREEN, 9)
    await page.emulate_media(color_scheme="dark")
    await drawn(page, strip(page, "sse"), DARK_GREEN, 9)
    assert GREEN not in (await looked(strip(page, "sse")))["count"]


async def test_pictures_are_told_in_words(page: Page, side: str) -> None:
    """Each chart is an image with a name that gives the figures and the events."""
    panel = Panel(page, side)
    await panel.connect()
    await expect(strip(page, side)).to_have_role("img")
    label = {"websocket": "WebSocket", "sse": "SSE"}[side]
    for canvas in (strip(page, side), page.locator('[data-part="histogram"]')):
        await expect(canvas).to_have_accessible_name(figures(label))
    await panel.press("Disconnect")
    await expect(strip(page, side)).to_have_accessible_name(happened("closed"))


async def test_hidden_samples_are_left_out(open_page: Open, flooded: Server, side: str) -> None:
    """What arrives in a hidden tab is drawn in grey, counted aside, and in no figure."""
    page = await open_page(server=flooded)
    panel, colour = Panel(page, side), {"websocket": BLUE, "sse": GREEN}[side]
    await stay_awake(page)
    await clock_is_known(page)
    grey = (await looked(strip(page, side)))["count"][GREY]
    await page.evaluate(HIDE, True)
    await panel.connect_and_flood(60)
    await drawn(page, strip(page, side), GREY, grey + 9)
    assert colour not in (await looked(strip(page, side)))["count"]
    await expect(panel.part("p50")).to_have_text(NONE)
    await expect(panel.part("latency")).to_have_text(NONE)
    await page.evaluate(HIDE, False)
    await drawn(page, strip(page, side), colour, 9)
    await expect(strip(page, side)).to_have_accessible_name(happened("tab hidden: "))
    await panel.press("Disconnect")
    await panel.becomes("disconnected")
    # A state may be seen with the figures and charts of a moment before.
    await page.evaluate(DRAWN)
    left = await panel.part("left-out").inner_text()
    assert re.fullmatch(r"\d+ while the tab was hidden", left)
    label = await strip(page, side).get_attribute("aria-label") or ""
    counted = int(label.split(": ")[1].split()[0])
    received = int((await panel.part("received").inner_text()).replace(",", ""))
    assert int(left.split()[0]) + counted == received
