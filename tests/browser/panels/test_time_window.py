"""The time window of the charts: one minute or ten, live or paused."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from rtdemo.server.server import Server
from tests.browser.charts import BLUE, drawn, looked, strip
from tests.browser.conftest import Open
from tests.browser.modules import run
from tests.browser.panel import Panel, clock_is_known

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def pause_charts(panel: Panel) -> None:
    """Pause the charts, and wait until they show it: the numbers of messages are painted after them."""
    pause = panel.page.get_by_role("button", name="Pause the charts")
    await pause.click()
    await expect(pause).to_have_attribute("aria-pressed", "true")
    for _ in range(2):
        counted = int((await panel.part("received").inner_text()).replace(",", ""))
        await panel.received(counted + 1)


async def test_a_pause_holds_through_another_size(open_page: Open, flooded: Server) -> None:
    """What is drawn again while paused is what was there at the Pause."""
    page = await open_page(server=flooded)
    panel = Panel(page, "sse")
    await clock_is_known(page)
    await panel.connect_and_flood(100)
    await pause_charts(panel)
    canvases = [strip(page, "sse"), page.locator('[data-part="histogram"]')]
    for canvas in canvases:
        await expect(canvas).not_to_have_accessible_name(re.compile("no messages yet.*no messages yet"))
    held = [await canvas.get_attribute("aria-label") for canvas in canvases]
    before = await page.locator('[data-part="histogram"]').evaluate("(canvas) => canvas.width")
    await panel.received(400)
    await page.set_viewport_size({"width": 1100, "height": 700})
    await page.wait_for_function(
        """(before) => document.querySelector('[data-part="histogram"]').width !== before""", arg=before
    )
    assert [await canvas.get_attribute("aria-label") for canvas in canvases] == held


async def test_pause_within_a_painting(page: Page) -> None:
    """A painting takes several frames. The next one shows the Pause in all charts."""
    body = """
        const { Recording } = await import("/static/measure/recording.js");
        const { Spans } = await import("/static/measure/spans.js");
        const { TimeWindow } = await import("/static/panels/time_window.js");
        const measurement = () => ({ recording: new Recording(), spans: new Spans() });
        const side = () => ({ active: true, measurement: measurement() });
        const sides = { websocket: side(), sse: side() };
        const latency = { value: 1, error: 0.2 };
        const one = { latency, payload: 80, bytes: 90, producer: "p", flags: 0 };
        const receive = () => Object.values(sides).forEach(({ measurement: { recording } }) => {
            recording.record({ ...one, at: performance.now() });
        });
        const window = new TimeWindow("");
        const charts = new m.Charts(document, sides, window, { at: () => null }, () => {});
        const canvases = [...document.querySelectorAll("canvas[data-part]")];
        const labels = () => canvases.map((canvas) => canvas.getAttribute("aria-label"));
        const counts = () => labels().map((label) => label.match(/\\d+ messages/g)?.join());
        const frame = () => new Promise(requestAnimationFrame);
        const found = [];
        receive();
        // Their sizes are known after a frame.
        for (let i = 0; i < 10; i += 1) for (const _ of [frame(), ...charts.paint()]) await frame();
        receive();
        const painting = charts.paint();
        painting.next();
        window.togglePause(performance.now());
        for (const _ of painting) await frame();
        receive();
        for (const _ of charts.paint()) await frame();
        found.push(counts());
        receive();
        for (const _ of charts.paint()) await frame();
        found.push(counts());
        return found;
    """
    found = await run(page, "panels/charts", body)
    assert found == [["3 messages", "3 messages", "3 messages,3 messages"]] * 2


@pytest.mark.parametrize("button", ["Reset SSE", "Reset WebSocket"])
async def test_reset_ends_the_pause(page: Page, button: str) -> None:
    """What was reset is no longer shown."""
    pause = page.get_by_role("button", name="Pause the charts")
    await pause.click()
    await expect(pause).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name=button, exact=True).click()
    await expect(pause).to_have_attribute("aria-pressed", "false")


async def test_pause_holds_the_pictures(open_page: Open, flooded: Server) -> None:
    """While paused no pixel changes and counting goes on; going on shows what came meanwhile."""
    page = await open_page(server=flooded)
    panel = Panel(page, "sse")
    await clock_is_known(page)
    await panel.connect_and_flood(100)
    await pause_charts(panel)
    pause = page.get_by_role("button", name="Pause the charts")
    await page.wait_for_function(
        "() => !document.querySelector('.sse canvas').getAttribute('aria-label').includes(': no')"
    )
    held = [(await looked(canvas))["sum"] for canvas in await page.locator("canvas").all()]
    await panel.received(400)
    assert [(await looked(canvas))["sum"] for canvas in await page.locator("canvas").all()] == held
    await pause.click()
    await expect(pause).to_have_attribute("aria-pressed", "false")
    while (await looked(strip(page, "sse")))["sum"] == held[1]:
        await page.evaluate("() => new Promise(requestAnimationFrame)")


async def test_zoom(open_page: Open) -> None:
    """One minute or ten: the same messages take a tenth of the width, and the link has the choice."""
    page = await open_page("/?producers=message&speed=20&window=600")
    ten = page.get_by_role("button", name="10 min in the charts")
    one = page.get_by_role("button", name="1 min in the charts")
    await expect(ten).to_have_attribute("aria-pressed", "true")
    await Panel(page, "websocket").connect_and_flood(60)
    await page.get_by_role("button", name="Disconnect WebSocket").click()
    await Panel(page, "websocket").becomes("disconnected")
    await drawn(page, strip(page, "websocket"), BLUE, 9)
    narrow = (await looked(strip(page, "websocket")))["count"][BLUE]
    await one.click()
    await drawn(page, strip(page, "websocket"), BLUE, 3 * narrow)
    await expect(one).to_have_attribute("aria-pressed", "true")
    await expect(ten).to_have_attribute("aria-pressed", "false")
