"""Breaks that the reader causes, on the real server: what the page shows, marks and leaves out."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from rtdemo.server.server import Server
from tests.browser.conftest import Faults, Open, Serve
from tests.browser.panel import Panel
from tests.browser.test_charts import happened, strip

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATENCY = re.compile(r"largest (?:under )?([\d.,]+) ms")


@pytest_asyncio.fixture(loop_scope="session")
async def server(serve: Serve) -> Server:
    """Serve the built-in plugins, with the lab on."""
    return await serve(lab=True)


async def steady(open_page: Open, side: str) -> Panel:
    """Open the page at ten messages a second and connect one side."""
    panel = Panel(await open_page("/?producers=message&speed=20"), side)
    await panel.connect()
    await panel.received(8)
    return panel


async def largest(panel: Panel) -> float:
    """Return the largest latency that counts."""
    label = await strip(panel.page, panel.side).get_attribute("aria-label") or ""
    found = LATENCY.search(label)
    assert found is not None, label
    return float(found[1].replace(",", ""))


async def test_cut(open_page: Open, side: str, faults: Faults) -> None:
    """The connection breaks and comes back by itself; the strip says so, and a reconnect is counted."""
    panel = await steady(open_page, side)
    await panel.press("Cut")
    await panel.becomes("reconnecting")
    await expect(panel.sentence).not_to_contain_text("Back after")
    await panel.becomes("connected")
    await expect(panel.part("reconnects")).to_have_text("1")
    for words in ("you cut it", "reconnecting"):
        await expect(strip(panel.page, side)).to_have_accessible_name(happened(words))
    await expect(panel.part("left-out")).to_contain_text("during a break of yours")
    await expect(panel.part("ledger")).to_have_text("0 lost, 0 repeated, 0 out of order")
    await expect(panel.part("cut")).to_be_enabled()
    faults[:] = [fault for fault in faults if "ERR_" not in fault]


async def test_stop(open_page: Open, side: str) -> None:
    """For five seconds nothing arrives, then all of it; none of it is in a figure."""
    panel = await steady(open_page, side)
    await panel.press("Stop")
    for name in ("cut", "stop", "delay"):
        await expect(panel.part(name)).to_be_disabled()
    await expect(panel.part("stop")).to_be_enabled()
    await expect(strip(panel.page, side)).to_have_accessible_name(happened("you stopped it"))
    left = await panel.part("left-out").inner_text()
    assert int(left.split()[0]) >= 40
    assert await largest(panel) < 2_000
    await expect(panel.part("ledger")).to_have_text("0 lost, 0 repeated, 0 out of order")


async def test_delay(open_page: Open, side: str) -> None:
    """Until it is pressed again all is late by 250 ms; then figures go on as before."""
    panel = await steady(open_page, side)
    delay = panel.part("delay")
    await delay.click()
    await expect(delay).to_have_attribute("aria-pressed", "true")
    await expect(delay).to_be_enabled()
    await expect(panel.part("cut")).to_be_disabled()
    await expect(panel.part("left-out")).to_contain_text(re.compile(r"^\d\d during a break"))
    await delay.click()
    await expect(delay).to_have_attribute("aria-pressed", "false")
    await expect(panel.part("cut")).to_be_enabled()
    assert await largest(panel) < 250
    shown = panel.part("left-out")
    before = await shown.inner_text()
    counted = int((await panel.part("received").inner_text()).replace(",", ""))
    await panel.received(counted + 10)
    await expect(shown).to_have_text(before)


async def test_answers_are_no_messages(open_page: Open, side: str) -> None:
    """The answer to a break is neither counted nor listed."""
    page = await open_page("/?producers=welcome")
    panel = Panel(page, side)
    await panel.connect()
    await panel.part("delay").click()
    await expect(panel.part("delay")).to_have_attribute("aria-pressed", "true")
    await panel.say("late")
    await expect(panel.texts.filter(has_text="Echo: late")).to_have_count(1)
    await expect(panel.part("received")).to_have_text("2")
    await expect(panel.rows.filter(has_text="rtdemo")).to_have_count(0)


async def test_without_a_connection_nothing_can_be_broken(page: Page, side: str) -> None:
    """The buttons are there and say that they cannot act."""
    for name in ("cut", "stop", "delay"):
        await expect(Panel(page, side).part(name)).to_be_disabled()


async def test_the_lab_is_off(open_page: Open, serve: Serve, side: str) -> None:
    """Then one sentence stands where the buttons would, and says how to get them."""
    panel = Panel(await open_page(server=await serve()), side)
    await expect(panel.part("cut")).to_have_count(0)
    await expect(panel.root).to_contain_text("Start the server with --lab to try what")


async def test_a_refused_break_is_told(open_page: Open, serve: Serve, server: Server, side: str) -> None:
    """A server whose lab is off refuses; its words are shown, and the figures go on."""
    panel = Panel(await open_page("/?producers=message&speed=20"), side)
    await panel.connect()
    object.__setattr__(server.hub, "_lab", False)
    await panel.press("Cut")
    await expect(panel.part("breaking")).to_contain_text("fault injection is off")
    await expect(panel.part("cut")).to_be_enabled()
    await panel.becomes("connected")


async def test_an_end_that_fails_leaves_the_delay(open_page: Open, faults: Faults) -> None:
    """The server goes on delaying, so the button stays pressed and what comes is left out."""
    panel = await steady(open_page, "sse")
    delay = panel.part("delay")
    await delay.click()
    await expect(panel.part("left-out")).to_contain_text(re.compile(r"^\d\d during a break"))
    await panel.page.route("**/api/messages*", lambda route: route.abort())
    await delay.click()
    await expect(panel.part("breaking")).to_contain_text("Not sent")
    await expect(delay).to_have_attribute("aria-pressed", "true")
    await expect(delay).to_be_enabled()
    counted = int((await panel.part("received").inner_text()).replace(",", ""))
    await panel.received(counted + 10)
    assert await largest(panel) < 250
    await panel.page.unroute("**/api/messages*")
    await delay.click()
    await expect(delay).to_have_attribute("aria-pressed", "false")
    faults.forgive("ERR_FAILED")


async def test_what_was_not_asked_is_no_break(open_page: Open) -> None:
    """While the browser holds the request back nothing was cut: no span, and every message counts."""
    panel = await steady(open_page, "sse")
    held: list[Route] = []
    await panel.page.route("**/api/messages*", lambda route: held.append(route))
    await panel.press("Cut")
    for name in ("cut", "stop", "delay"):
        await expect(panel.part(name)).to_be_disabled()
    counted = int((await panel.part("received").inner_text()).replace(",", ""))
    await panel.received(counted + 10)
    await expect(panel.part("left-out")).not_to_contain_text("during a break")
    await expect(strip(panel.page, "sse")).not_to_have_accessible_name(re.compile("you cut it"))
    await expect(panel.part("breaking")).to_contain_text("Not sent", timeout=20_000)
    await expect(panel.part("cut")).to_be_enabled()
    await expect(panel.part("left-out")).not_to_contain_text("during a break")
    await held[0].abort()
