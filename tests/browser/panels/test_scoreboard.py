"""The scoreboard, the verdict and the audit of fairness on the page."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from rtdemo.server.server import Server
from tests.browser.conftest import GIVEN_UP, BrowserErrors, Open, Serve
from tests.browser.modules import run
from tests.browser.panel import Panel

INVITATION = "Press Compare: ten seconds show which is faster here."
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_verdict_is_reached(open_page: Open, flooded: Server) -> None:
    """With enough messages there is a sentence with its interval, and every line of the audit is ok."""
    page = await open_page(server=flooded)
    audit = page.get_by_role("list", name="Fair comparison?").get_by_role("listitem")
    await expect(audit).to_have_count(7)
    sentence = page.locator('[data-part="verdict-sentence"]')
    await expect(sentence).to_have_text(INVITATION)
    await page.get_by_role("button", name="Connect both").click()
    # First what is shown for some seconds only.
    await expect(page.locator('[data-part="verdict-note"]')).to_contain_text("of 20 blocks of time")
    for line in await audit.all():
        await expect(line).to_have_attribute("data-result", "ok")
    await expect(audit.nth(2)).to_contain_text("flood compared; excluded as different: status")
    await expect(sentence).to_contain_text(re.compile(r" under | faster at "))


async def test_other_speeds_are_not_comparable(page: Page) -> None:
    """If one side runs faster there is no verdict, and the page shows the reason."""
    for side in ("websocket", "sse"):
        await Panel(page, side).connect()
    await Panel(page, "sse").send_text('{"rtdemo": {"speed": 5}}')
    line = page.get_by_role("listitem").filter(has_text="Same schedule")
    await expect(line).to_have_attribute("data-result", "failed")
    reason = re.compile("WebSocket runs at 1.* and SSE at 5")
    await expect(line).to_contain_text(reason)
    sentence = page.locator('[data-part="verdict-sentence"]')
    await expect(sentence).to_contain_text("Not comparable: ")
    await expect(sentence).to_contain_text(reason)


async def test_probes_that_are_off_are_not_asked(open_page: Open, serve: Serve) -> None:
    """Without probes the server's lines are unknown, and the browser reports no error."""
    page = await open_page(server=await serve(probes=False))
    await Panel(page, "sse").connect()
    await Panel(page, "websocket").connect()
    line = page.get_by_role("listitem").filter(has_text="TCP_NODELAY")
    await expect(line).to_have_attribute("data-result", "unknown")
    await expect(line).to_contain_text("the server's probes are disabled")


async def test_an_outage_is_at_the_top(
    page: Page, server: Server, browser_errors: BrowserErrors
) -> None:
    """It is in the headline and in the tab's title, and the main button makes a try at once."""
    headline = page.locator('[data-part="verdict-sentence"]')
    await page.get_by_role("button", name="Connect both").click()
    for side in ("websocket", "sse"):
        await Panel(page, side).becomes("connected")
    await server.stop()
    await expect(headline).to_have_text(
        re.compile(r"^Server unreachable for \d+ s, next try in \d s\.$")
    )
    await expect(page).to_have_title("⚠ Server unreachable · rtdemo")
    async with page.expect_request(re.compile("/api/sse|/healthz")):
        await page.get_by_role("button", name="Try now").click()
    await page.get_by_role("button", name="Disconnect both").click()
    await expect(headline).to_have_text(INVITATION)
    await expect(page).to_have_title("rtdemo: WebSocket and Server-Sent Events, side by side")
    browser_errors.remove_expected("ERR_")
    for possible in GIVEN_UP:
        browser_errors.remove_possible(possible)


SILENT = """
    const asked = [];
    const stats = { received: 0, ledger: { missing: 0, reported: 0 } };
    const measurement = { stats, faults: { kind: null } };
    const side = (state) => ({
        ...{ state, open: true, active: true, downSince: performance.now() - 4_000, retryAt: null },
        ...{ canRetry: state === "stalled", retryNow: () => asked.push(state), measurement },
    });
    const sides = { websocket: side("stalled"), sse: side("connected") };
    const findings = { summaries: null, p50: null, p99: null };
    const quick = { running: false, phase: "done", sentence: "", progress: 1 };
    const board = new m.Scoreboard(document, sides, { findings }, quick, () => "");
    board.paint();
    const text = (name) => document.querySelector(`[data-part="${name}"]`).textContent;
    const shown = [text("verdict-sentence"), text("compare")];
    document.querySelector('[data-part="compare"]').click();
    return [...shown, asked];
"""


async def test_main_button_renews_a_silent_connection(page: Page) -> None:
    """To compare is no use while nothing arrives."""
    headline, button, asked = await run(page, "panels/scoreboard", SILENT)
    assert headline == "Nothing has arrived over WebSocket for 4 s: checking the connection."
    assert (button, asked) == ("Try now", ["stalled", "connected"])


async def test_colours_are_for_sides_and_states_only(open_page: Open) -> None:
    """A link is as black as the title, and not blue as WebSocket is."""
    page = await open_page()
    ink = await page.get_by_role("heading", level=1).evaluate("(e) => getComputedStyle(e).color")
    await expect(page.get_by_role("link", name="View the values")).to_have_css("color", ink)


async def test_figures_that_the_headline_shows_add_up(open_page: Open) -> None:
    """The difference in bytes is that of the two figures beside it, not of hidden digits."""
    page = await open_page("/?producers=message&speed=20")
    await page.get_by_role("button", name="Connect both").click()
    difference = page.locator('[data-part="difference-bytes"]')
    await expect(difference).to_have_text(re.compile(r"^WebSocket \d+\xa0B\xa0less$"))
    await page.get_by_role("button", name="Disconnect both").click()
    # In one look: the next comparison may change all of them.
    texts = await page.evaluate(
        """() => ["websocket", "sse", "difference"].map(
            (name) => document.querySelector(`[data-part="${name}-bytes"]`).innerText,
        )"""
    )
    one, other, fewer = [int(re.sub(r"\D", "", text)) for text in texts]
    assert other - one == fewer
