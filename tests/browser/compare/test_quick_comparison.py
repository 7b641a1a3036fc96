"""The button Compare: both sides, ten seconds at twenty times the rate, then the rate of before."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from rtdemo.server.server import Server
from tests.browser.axe import violations
from tests.browser.conftest import UNFOLD, Open
from tests.browser.figures import is_latency
from tests.browser.modules import run
from tests.browser.panel import Panel
from tests.clients import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIDES = """
    const side = () => ({
        active: false, open: false, resets: 0,
        selection: { chosen: { producers: null, speed: "2" } },
        reset() { this.resets += 1; },
        connect() { this.active = true; },
        choose(selection) { this.selection.chosen = selection; },
    });
    const sides = [side(), side()];
    const comparison = { findings: {}, updates: 0, update() { this.updates += 1; } };
    let time = 0;
    const quick = new m.QuickComparison(sides, comparison, (each) => each.reset(), () => {}, () => time);
    const speeds = () => sides.map(({ selection }) => selection.chosen.speed).join();
    const pass = (ms) => { time += ms; quick.tick(); };
    const open = (is) => sides.forEach((each) => { each.open = is; });
"""


async def test_its_phases(open_page: Open) -> None:
    """It measures for ten seconds from the moment that both are open, then shows the verdict."""
    body = (
        SIDES
        + """
        const seen = [];
        const note = () => seen.push([quick.phase, quick.sentence, speeds(), comparison.updates]);
        quick.start(); note();
        pass(3000); note();
        open(true); pass(1); note();
        pass(6500); note();
        pass(3500); note();
        comparison.findings = {}; pass(1); note();
        return seen;
    """
    )
    page = await open_page()
    assert await run(page, "compare/quick_comparison", body) == [
        ["connecting", "Connecting both…", "20,20", 0],
        ["connecting", "Connecting both…", "20,20", 0],
        ["measuring", "Measuring: 0 of 10 s…", "20,20", 0],
        ["measuring", "Measuring: 6 of 10 s…", "20,20", 0],
        ["judging", "Comparing…", "2,2", 1],
        ["done", "", "2,2", 1],
    ]


async def test_too_few_blocks_of_a_busy_machine_are_completed(open_page: Open) -> None:
    """It measures ten seconds more, once. Few of a slow producer would stay few."""
    body = (
        SIDES
        + """
        const found = (blocks, p50) => { comparison.findings = { blocks, p50 }; pass(1); };
        const judged = () => [quick.phase, speeds()];
        const seen = [];
        const measure = () => { open(true); pass(1); pass(10_000); };
        quick.start(); measure(); found(9, null); seen.push(judged());
        quick.start(); measure(); found(19, null); seen.push(judged());
        pass(10_000); seen.push(judged()); found(25, {}); seen.push(judged());
        quick.start(); measure(); found(19, null); pass(10_000); found(19, null); seen.push(judged());
        return seen;
    """
    )
    assert await run(await open_page(), "compare/quick_comparison", body) == [
        ["done", "2,2"],
        ["measuring", "20,20"],
        ["judging", "2,2"],
        ["done", "2,2"],
        ["done", "2,2"],
    ]


async def test_it_can_end_early(open_page: Open) -> None:
    """Stop and a side that ends restore the rate, unless the reader chose one; a break starts again."""
    body = (
        SIDES
        + """
        const seen = [];
        quick.start(); open(true); pass(1); quick.stop(); seen.push([quick.phase, speeds()]);
        quick.start(); pass(1); sides[1].active = false; pass(1); seen.push([quick.phase, speeds()]);
        quick.start(); pass(1); sides[0].choose({ producers: null, speed: "5" }); quick.stop();
        seen.push([quick.phase, speeds()]);
        quick.start(); pass(1); pass(9000); open(false); pass(1); open(true); pass(1); pass(9000);
        seen.push([quick.phase, quick.progress]);
        return [seen, sides[0].resets];
    """
    )
    seen, resets = await run(await open_page(), "compare/quick_comparison", body)
    assert seen == [["idle", "2,2"], ["idle", "2,2"], ["idle", "5,2"], ["measuring", 0.9]]
    assert resets == 4


async def test_one_button_gives_the_verdict(open_page: Open, server: Server) -> None:
    """Compare connects both, shows its progress, and ends with a verdict at the normal rate."""
    page = await open_page("/?producers=message", folded=True)
    sentence = page.locator('[data-part="verdict-sentence"]')
    await page.get_by_role("button", name="Compare").click()
    await expect(sentence).to_have_text(re.compile(r"^Measuring: [1-9] of 10 s…$"))
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    verdict = re.compile(r"^(Equally fast here|Not decided|(WebSocket|SSE) is .* faster at)")
    await expect(sentence).to_have_text(verdict)
    await expect(page.get_by_role("button", name="Compare again")).to_be_visible()
    # SSE's side asks for it with a request.
    await eventually(lambda: {each.selection.speed for each in server.hub.connections} == {1})
    for name in ("websocket-p50", "sse-p50"):
        cell = page.locator(f'[data-part="{name}"]')
        await expect(cell).to_contain_text("±")
        assert is_latency(await cell.inner_text())
    await expect(page.locator('[data-part="sse-lost"]')).to_have_text("0")
    await expect(page.locator('[data-part="verdict-announcement"]')).to_have_text(verdict)
    await Panel(page, "sse").becomes("connected")
    await page.evaluate(UNFOLD)
    assert await violations(page) == []


async def test_a_reload_restores_the_rate(open_page: Open, server: Server) -> None:
    """The rate of the comparison is not the reader's: the run goes on at the rate of before."""
    page = await open_page("/?producers=message&speed=2")
    await page.get_by_role("button", name="Compare").click()
    sentence = page.locator('[data-part="verdict-sentence"]')
    await expect(sentence).to_have_text(re.compile(r"^Measuring: "))
    await page.reload()
    for side in ("websocket", "sse"):
        await Panel(page, side).becomes("connected")
    await expect(page.locator('[data-part="rate-value"]')).to_have_text("2\N{MULTIPLICATION SIGN}")
    await eventually(lambda: {each.selection.speed for each in server.hub.connections} == {2})


async def test_it_ends_a_pause_of_the_charts(page: Page) -> None:
    """Paused charts would show a run that is cleared."""
    pause = page.get_by_role("button", name="Pause the charts")
    await pause.click()
    await expect(pause).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name="Compare").click()
    await expect(pause).to_have_attribute("aria-pressed", "false")
