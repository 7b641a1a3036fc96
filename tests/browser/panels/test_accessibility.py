"""Contrast, keyboard, screen readers and layout stability."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from rtdemo.server.server import Server
from tests.browser.conftest import Open
from tests.browser.contrast import CONTRAST
from tests.browser.panel import Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")

SETTLED = ["idle", "connected", "disconnected"]


UNSETTLED = ["connecting", "stalled", "reconnecting", "refused", "lost"]


TEXTS = (
    "h1, h2, .quiet, .sentence, .state, .number, .unit, .note, .label, .direction span, .empty,"
    " .term, .explanation, button, th, td, .log time, .log .text,"
    " .verdict, .words, .result, h2, h3, summary, .export label"
)
ENDS_OF_EXPLANATION = """() => {
    const all = [...document.querySelectorAll(".explanation")];
    const shown = all.filter((each) => each.checkVisibility({ visibilityProperty: true }));
    const { left, right } = shown[0]?.getBoundingClientRect() ?? {};
    return shown.length === 1 ? [left, right] : null;
}"""
"""Of the only one that is shown, in CSS pixels; null if there are none, or several."""


async def test_every_control_has_a_name(page: Page) -> None:
    """Each control has an accessible name, and no two share one."""
    tools = await page.context.new_cdp_session(page)
    tree: dict[str, Any] = await tools.send("Accessibility.getFullAXTree")
    names = [
        node["name"]["value"]
        for node in tree["nodes"]
        if node.get("role", {}).get("value") in {"button", "textbox", "link", "switch", "slider"}
        and not node["ignored"]
    ]
    assert len(names) > 20
    assert all(names)
    assert [name for name, count in Counter(names).items() if count > 1] == []


async def test_landmarks_and_table(page: Page) -> None:
    """The page has its landmarks, and the comparison is a table although it is laid out as a grid."""
    for role in ("banner", "main"):
        await expect(page.get_by_role(role)).to_have_count(1)
    for name in ("Result", "WebSocket", "Server-Sent Events"):
        await expect(page.get_by_role("region", name=name, exact=True)).to_have_count(1)
    for name in ("All figures", "Fair comparison?", "Simulate a fault", "Producers", "How they differ"):
        await expect(page.get_by_role("heading", name=name, exact=True)).to_have_count(1)
    table = page.get_by_role("table", name="How they differ")
    await expect(table.get_by_role("columnheader")).to_have_count(3)
    await expect(table.get_by_role("rowheader")).to_have_count(12)
    await expect(table.get_by_role("cell")).to_have_count(24)
    snapshot = await table.aria_snapshot()
    assert "rowheader" in snapshot


async def test_only_states_are_announced(open_page: Open, flooded: Server, side: str) -> None:
    """A new state is announced once; hundreds of messages are not."""
    page = await open_page(server=flooded)
    panel = Panel(page, side)
    live = page.locator("[aria-live]:not([aria-live=off]), [role=status], [role=alert], output")
    await expect(live).to_have_count(4)
    await panel.press("Connect")
    announcement = panel.part("announcement")
    await expect(announcement).to_contain_text("connected. Messages arrive")
    await page.evaluate(
        """() => {
            window.announced = 0;
            const watch = new MutationObserver((changes) => { window.announced += changes.length; });
            for (const live of document.querySelectorAll("[role=status]")) {
                watch.observe(live, { childList: true, characterData: true, subtree: true });
            }
        }"""
    )
    await panel.received(200)
    assert await page.evaluate("window.announced") == 0
    await panel.press("Disconnect")
    await expect(announcement).to_contain_text("disconnected")
    assert await page.evaluate("window.announced") > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_contrast(open_page: Open, scheme: str) -> None:
    """Every text in every state has a contrast of 4.5, the edge of a control 3 (WCAG 2.2 AA)."""
    page = await open_page(color_scheme=scheme)
    await Panel(page, "sse").connect()
    papers = set()
    for state in SETTLED + UNSETTLED:
        found = await page.evaluate(CONTRAST, [state, TEXTS, "button, input, .dot"])
        papers.add(found["paper"])
        assert found["texts"] > 100
        assert found["weak"] == [], state
    lightness = {"light": "253", "dark": "19"}[scheme]
    assert len(papers) == 1
    assert papers.pop().startswith(f"rgb({lightness},")


async def test_nothing_moves(open_page: Open, flooded: Server) -> None:
    """With a hundred messages a second on both sides nothing on the page shifts."""
    page = await open_page(server=flooded)
    await page.evaluate(
        """() => {
            window.shifts = [];
            const note = (list) => window.shifts.push(...list.getEntries().map(({ value }) => value));
            new PerformanceObserver(note).observe({ type: "layout-shift", buffered: true });
        }"""
    )
    await page.get_by_role("button", name="Connect both").click()
    for side in ("websocket", "sse"):
        await Panel(page, side).received(300)
    # A unit that makes room for a digit is 0.00002, a row that moved with each message would be over 1.
    assert sum(await page.evaluate("window.shifts")) < 0.01
    # The observer does see what shifts.
    await page.evaluate(
        """() => {
            const block = document.createElement("div");
            block.style.height = "5rem";
            document.querySelector("main").prepend(block);
        }"""
    )
    await page.wait_for_function("() => window.shifts.reduce((a, b) => a + b, 0) > 0.01")


async def explained(page: Page, term: Locator) -> list[float]:
    """Point at a term until one explanation is shown, and return where it begins and ends.

    What is measured meanwhile may move the term away from the pointer.
    """
    for _ in range(100):
        await term.hover()
        ends: list[float] | None = await page.evaluate(ENDS_OF_EXPLANATION)
        if ends is not None:
            return ends
    raise AssertionError(f"{await term.inner_text()} has no explanation")


@pytest.mark.parametrize("width", [320, 390, 800, 1280])
async def test_no_sideways_scrolling(open_page: Open, width: int) -> None:
    """No screen scrolls sideways, with an endless word on the list and each explanation shown."""
    page = await open_page(viewport={"width": width, "height": 844})
    panel = Panel(page, "websocket")
    await panel.connect()
    await panel.send_text("w" * 2000)
    await expect(panel.texts.filter(has_text="Echo: www")).to_have_count(1)
    await page.get_by_role("button", name="Explain the words").click()
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    await page.get_by_role("button", name="Explain the words").click()
    # Nothing is under the pointer there.
    await page.mouse.move(0, 0)
    for term in await page.locator(".term:visible").all():
        left, right = await explained(page, term)
        assert left >= 0
        assert right <= width, await term.inner_text()


async def test_figures_explain_themselves(page: Page) -> None:
    """Hover shows one explanation and Escape hides it; a button shows all; a screen reader gets each."""
    row = page.get_by_role("rowheader", name="Average latency")
    explanation = page.locator("#figure-latency-explanation")
    await expect(explanation).to_be_hidden()
    await expect(row).to_have_accessible_description(re.compile("^From the moment the server"))
    await row.locator(".term").hover()
    await expect(explanation).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(explanation).to_be_hidden()
    button = page.get_by_role("button", name="Explain the words")
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(button).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".explanation:visible")).to_have_count(
        await page.locator(".explanation").count()
    )


async def test_keyboard_alone(page: Page) -> None:
    """Connect, send and read a message without a pointer; the list is one stop of the Tab key."""
    panel = Panel(page, "sse")
    await panel.root.get_by_role("button", name="Connect").first.focus()
    await page.keyboard.press("Enter")
    await panel.becomes("connected")
    await panel.box.focus()
    await page.keyboard.type("hello")
    await page.keyboard.press("Enter")
    await expect(panel.texts.filter(has_text="Echo: hello")).to_have_count(1)
    await expect(panel.root.locator("li[tabindex='0']")).to_have_count(1)
    await panel.rows.first.focus()
    await page.keyboard.press("ArrowDown")
    await expect(panel.rows.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(panel.rows.first).to_be_focused()


async def test_a_held_list_waits(open_page: Open, flooded: Server) -> None:
    """While a row has the focus the list is paused and counting continues."""
    panel = Panel(await open_page(server=flooded), "sse")
    await panel.connect_and_flood(50)
    await panel.rows.first.focus()
    await expect(panel.part("held")).to_contain_text("paused")
    held = await panel.rows.locator("time").all_text_contents()
    await panel.received(300)
    assert await panel.rows.locator("time").all_text_contents() == held
    await panel.page.keyboard.press("Escape")
    await expect(panel.rows.locator("time").first).not_to_have_text(held[0])


async def test_reduced_motion(open_page: Open) -> None:
    """Who asks for less motion gets none."""
    moving = """() => {
        document.querySelector(".panel").dataset.state = "connecting";
        return getComputedStyle(document.querySelector(".panel .dot")).animationName;
    }"""
    for motion, name in (("no-preference", "turn"), ("reduce", "none")):
        page = await open_page(reduced_motion=motion)
        assert await page.evaluate(moving) == name
