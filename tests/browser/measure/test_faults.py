"""Faults that the reader injects, on the real server: what the page shows, marks and leaves out."""

from __future__ import annotations

import asyncio
import re

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from rtdemo.server.server import Server
from tests.browser.charts import happened, strip
from tests.browser.conftest import BrowserErrors, Open, Serve
from tests.browser.modules import run
from tests.browser.panel import Panel, clock_is_known, hang, stay_awake, work

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def server(serve: Serve) -> Server:
    """Serve the built-in plugins, with the lab on."""
    return await serve(lab=True)


async def steady(open_page: Open, side: str) -> Panel:
    """Open the page at ten messages a second and connect one side."""
    panel = Panel(await open_page("/?producers=message&speed=20"), side)
    await stay_awake(panel.page)
    await clock_is_known(panel.page)
    await panel.connect()
    await panel.received(8)
    return panel


async def latency(panel: Panel, name: str) -> float:
    """Return `p50` or the `largest` of the latencies that count."""
    label = await strip(panel.page, panel.side).get_attribute("aria-label") or ""
    found = re.search(rf"{name} (?:under )?([\d.,]+) ms", label)
    assert found is not None, label
    return float(found[1].replace(",", ""))


async def left_out(panel: Panel) -> int:
    """Return the number of messages that are in no figure."""
    return int((await panel.part("left-out").inner_text()).split()[0])


async def test_cut(open_page: Open, side: str, browser_errors: BrowserErrors) -> None:
    """The connection breaks and reconnects by itself; the chart shows it, and a reconnect is counted."""
    panel = await steady(open_page, side)
    await panel.watch()
    await hang(panel.page)
    await panel.press("Cut")
    await panel.has_shown("reconnecting", "You cut it.")
    await work(panel.page)
    await panel.becomes("connected")
    await expect(panel.part("reconnects")).to_have_text("1")
    for words in ("you cut it", "reconnecting"):
        await expect(strip(panel.page, side)).to_have_accessible_name(happened(words))
    await expect(panel.part("left-out")).to_contain_text("during injected faults")
    await expect(panel.part("lost")).to_have_text("0 lost, 0 repeated, 0 out of order")
    await expect(panel.part("cut")).to_be_enabled()
    browser_errors.remove_possible("ERR_")


async def test_stop(open_page: Open, server: Server, side: str) -> None:
    """For five seconds nothing arrives, then all of it; none of it is in a figure."""
    panel = await steady(open_page, side)
    skipped = server.hub.schedule.skipped
    await panel.press("Stop")
    for name in ("cut", "stop", "delay"):
        await expect(panel.part(name)).to_be_disabled()
    await expect(panel.part("stop")).to_be_enabled()
    await expect(strip(panel.page, side)).to_have_accessible_name(happened("you stopped it"))
    # A busy server skips messages that are late by whole periods.
    assert await left_out(panel) > 0
    assert await left_out(panel) + server.hub.schedule.skipped - skipped >= 40
    # Those of the stop are up to 5 s late.
    assert await latency(panel, "largest") < 4_000
    await expect(panel.part("lost")).to_have_text("0 lost, 0 repeated, 0 out of order")


async def test_delay(open_page: Open, side: str) -> None:
    """Until it is pressed again all is late by 250 ms; then figures go on as before."""
    panel = await steady(open_page, side)
    delay = panel.part("delay")
    await delay.click()
    await expect(delay).to_have_attribute("aria-pressed", "true")
    await expect(delay).to_be_enabled()
    await expect(panel.part("cut")).to_be_disabled()
    await expect(panel.part("left-out")).to_contain_text(re.compile(r"^\d\d during injected"))
    await delay.click()
    await expect(delay).to_have_attribute("aria-pressed", "false")
    await expect(panel.part("cut")).to_be_enabled()
    # More came late than before: the median would show it. The largest may be this machine's own.
    assert await latency(panel, "p50") < 250
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
    await panel.send_text("late")
    await expect(panel.texts.filter(has_text="Echo: late")).to_have_count(1)
    await expect(panel.part("received")).to_have_text("2")
    await expect(panel.rows.filter(has_text="rtdemo")).to_have_count(0)


async def test_without_a_connection_nothing_can_be_broken(page: Page, side: str) -> None:
    """The buttons are there, but unavailable."""
    for name in ("cut", "stop", "delay"):
        await expect(Panel(page, side).part(name)).to_be_disabled()


async def test_the_lab_is_off(open_page: Open, serve: Serve, side: str) -> None:
    """Then one sentence replaces the buttons and explains how to get them."""
    page = await open_page(server=await serve())
    await expect(Panel(page, side).part("cut")).to_have_count(0)
    await expect(page.locator("details.faults")).to_contain_text("Start the server with --lab to inject")


async def test_a_refused_break_is_told(open_page: Open, serve: Serve, server: Server, side: str) -> None:
    """A server without --lab refuses; its reason is shown, and the figures continue."""
    panel = Panel(await open_page("/?producers=message&speed=20"), side)
    await panel.connect()
    await expect(panel.part("faults-note")).to_be_empty()
    server.hub.lab = False
    await panel.press("Cut")
    await expect(panel.part("faults-note")).to_contain_text("fault injection is off")
    await expect(panel.part("cut")).to_be_enabled()
    await panel.becomes("connected")


async def test_an_end_that_fails_leaves_the_delay(
    open_page: Open, browser_errors: BrowserErrors
) -> None:
    """The server goes on delaying, so the button stays pressed and what comes is left out."""
    panel = await steady(open_page, "sse")
    delay = panel.part("delay")
    await delay.click()
    await expect(panel.part("left-out")).to_contain_text(re.compile(r"^\d\d during injected"))
    await panel.page.route("**/api/messages*", lambda route: route.abort())
    await delay.click()
    await expect(panel.part("faults-note")).to_contain_text("Not sent")
    await expect(delay).to_have_attribute("aria-pressed", "true")
    await expect(delay).to_be_enabled()
    before = await left_out(panel)
    while await left_out(panel) < before + 10:
        await asyncio.sleep(0.05)
    await panel.page.unroute("**/api/messages*")
    await delay.click()
    await expect(delay).to_have_attribute("aria-pressed", "false")
    browser_errors.remove_expected("ERR_FAILED")


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
    await expect(panel.part("left-out")).not_to_contain_text("during injected")
    await expect(strip(panel.page, "sse")).not_to_have_accessible_name(re.compile("you cut it"))
    await expect(panel.part("faults-note")).to_contain_text("Not sent")
    await expect(panel.part("cut")).to_be_enabled()
    await expect(panel.part("left-out")).not_to_contain_text("during injected")
    await held[0].abort()


@pytest.mark.empty_page
async def test_a_break_lasts_until_all_is_normal(page: Page) -> None:
    """What the server made before it let go belongs to the break; the first message after ends it."""
    body = """
        const { Spans } = await import("/static/measure/spans.js");
        const spans = new Spans();
        const faults = new m.Faults(spans);
        const answer = (fields, sentAt) =>
            faults.answered({ producer: "rtdemo", message: JSON.stringify(fields), sentAt }, 0);
        const marks = (sentAt) => faults.affects({ sentAt }, sentAt);
        const found = [marks(1), JSON.parse(faults.request("stop", 10)).rtdemo.break, marks(2)];
        found.push(faults.kind, faults.pending, spans.isOpen("stop"));
        found.push(answer({ break: "stop", seconds: 5 }, 100), marks(5100), spans.isOpen("stop"));
        found.push(marks(5101), spans.isOpen("stop"), faults.kind, marks(4000));
        faults.request("delay", 6000);
        answer({ break: "delay", seconds: 0.25 }, 6000);
        found.push(marks(9000), JSON.parse(faults.request("delay", 9500)).rtdemo.break, marks(9600));
        answer({ break: "none" }, 9700);
        found.push(marks(9701));
        faults.request("cut", 10_000);
        found.push(answer({ error: "off" }, 10_001), faults.refusal, marks(10_002));
        faults.request("cut", 11_000);
        faults.connectionLost(11_100);
        faults.welcomed({ sentAt: 12_000 });
        found.push(marks(11_500), marks(12_000), marks(12_001));
        return found;
    """
    assert await run(page, "measure/faults", body) == [
        *(False, "stop", False),
        *(None, True, False),
        *(True, True, True),
        *(False, False, None, True),
        *(True, "none", True),
        False,
        *(True, "off", False),
        *(True, True, False),
    ]


@pytest.mark.empty_page
async def test_a_break_without_an_answer_is_given_up(page: Page) -> None:
    """After ten seconds the page shows that, and counts again."""
    body = """
        const { Spans } = await import("/static/measure/spans.js");
        const faults = new m.Faults(new Spans());
        faults.request("cut", 0);
        const expired = [faults.expire(9_999), faults.expire(10_000)];
        const { pending, kind, refusal } = faults;
        return [...expired, pending, kind, refusal, faults.affects({ sentAt: 1 }, 1)];
    """
    assert await run(page, "measure/faults", body) == [
        *(False, True, False, None, "The server did not answer in 10 s.", False)
    ]
