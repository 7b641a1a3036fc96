"""A run that survives a reload and Back."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from rtdemo.server.server import Server
from tests.browser.charts import DRAWN, happened, strip
from tests.browser.conftest import Open
from tests.browser.modules import run
from tests.browser.panel import Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIGURES = ("received", "lost", "p50", "p95", "max", "latency", "jitter", "bytes", "left-out")


async def test_figures_survive_a_reload(open_page: Open, side: str) -> None:
    """A side that was disconnected shows the same figures afterwards, and stays disconnected."""
    panel = Panel(await open_page("/?producers=message&speed=20"), side)
    await panel.connect()
    await panel.received(21)
    await panel.press("Disconnect")
    await panel.becomes("disconnected")
    # A state may be seen with the figures of a moment before.
    await panel.page.evaluate(DRAWN)
    before = {name: await panel.part(name).text_content() or "" for name in FIGURES}
    await panel.page.reload()
    for name, text in before.items():
        await expect(panel.part(name)).to_have_text(text)
    await panel.becomes("idle")
    await expect(strip(panel.page, side)).to_have_accessible_name(happened("closed"))


async def test_a_connection_resumes_after_back(open_page: Open, server: Server, side: str) -> None:
    """It opens again by itself; shared messages from meanwhile are caught up, and none is missing."""
    page = await open_page("/")
    panel = Panel(page, side)
    await panel.connect()

    async def publish(text: str) -> None:
        answer = await page.request.post(f"{server.web_url}/api/publish", data={"message": text})
        assert answer.ok

    await publish("before")
    await expect(panel.texts.filter(has_text="before")).to_have_count(1)
    await page.goto("about:blank")
    for number in range(3):
        await publish(f"meanwhile {number}")
    await page.go_back()
    await panel.becomes("connected")
    await expect(panel.texts.filter(has_text="meanwhile")).to_have_count(3)
    await expect(panel.part("left-out")).to_contain_text("3 caught up after an interruption")
    await expect(panel.part("lost")).to_have_text("0 lost, 0 repeated, 0 out of order")
    await expect(strip(page, side)).to_have_accessible_name(happened("reconnecting"))


async def test_a_new_visit_begins_a_new_run(open_page: Open) -> None:
    """A link, even to the same page, and Reset leave nothing of the old run."""
    page = await open_page("/")
    panel = Panel(page, "sse")
    await panel.connect()
    await page.goto(page.url)
    await panel.becomes("idle")
    await expect(panel.part("received")).to_have_text("0")
    assert await page.evaluate("sessionStorage.length") == 0


async def test_back_continues_no_run_of_another_address(open_page: Open, server: Server) -> None:
    """A page with other settings was open in the tab meanwhile; its settings and figures stay there."""
    page = await open_page("/?producers=message")
    panel = Panel(page, "sse")
    await page.goto(f"{server.web_url}/?producers=status")
    await panel.connect()
    await page.go_back()
    await panel.becomes("idle")
    await expect(panel.part("received")).to_have_text("0")
    await expect(panel.sentence).to_contain_text("producers=message")


@pytest.mark.empty_page
async def test_a_clock_that_was_set_back_keeps_the_samples_in_order(page: Page) -> None:
    """A clock that may be set meanwhile relates the times of both pages: no sample is later than now."""
    body = """
        const { Side } = await import("/static/connection/side.js");
        const { SelectionSync } = await import("/static/connection/selection.js");
        const [one, other] = Array.from({ length: 2 }, () => {
            const suspension = { resumedAt: -Infinity, check() {} };
            const selection = new SelectionSync({ producers: null, speed: "1" });
            const transport = { address: "", position: null };
            return new Side(() => transport, { suspension }, selection, () => {});
        });
        const { recording } = one.measurement;
        const sample = { latency: null, payload: 1, bytes: 9, producer: "p", flags: 4 };
        recording.record({ ...sample, at: performance.now() - 1 });
        new m.SavedRun(() => sessionStorage, { sse: one }).save();
        const run = JSON.parse(sessionStorage.getItem("rtdemo-run"));
        run.origin += 3_600_000;
        sessionStorage.setItem("rtdemo-run", JSON.stringify(run));
        const saved = new m.SavedRun(() => sessionStorage, { sse: other });
        saved.restore();
        saved.forget();
        const { ring } = other.measurement.recording;
        return [ring.length, ring.at[ring.slot(0)] <= performance.now()];
    """
    assert await run(page, "measure/saved_run", body) == [1, True]


@pytest.mark.parametrize("value", ["x", "null", "{}", '{"version":1}', '{"version":2,"sse":{}}'])
async def test_a_foreign_value_is_ignored(open_page: Open, value: str) -> None:
    """It is removed, and the page begins as ever."""
    page = await open_page("/")
    await page.evaluate(
        """(value) => addEventListener("pagehide", () => sessionStorage.setItem("rtdemo-run", value))""",
        value,
    )
    await page.reload()
    for side in ("websocket", "sse"):
        await expect(Panel(page, side).part("received")).to_have_text("0")
        await Panel(page, side).connect()
    assert await page.evaluate("sessionStorage.length") == 0


@pytest.mark.empty_page
async def test_a_full_run_fits_into_the_storage(page: Page) -> None:
    """The newest samples of both sides are kept, with all figures; the last sample is the same."""
    body = """
        const sides = await Promise.all(["websocket", "sse"].map(async () => {
            const { Side } = await import("/static/connection/side.js");
            const { SelectionSync } = await import("/static/connection/selection.js");
            const suspension = { resumedAt: -Infinity, check() {} };
            const transport = { address: "", position: null };
            const selection = new SelectionSync({ producers: null, speed: "1" });
            return new Side(() => transport, { suspension }, selection, () => {});
        }));
        const [one, other] = sides.map(({ measurement }) => measurement.recording);
        for (let at = 0; at < 140_000; at += 1) {
            for (const recording of [one, other]) recording.record({
                at, latency: { value: at % 50, error: 0.5 },
                payload: 1, bytes: 9, producer: "p", flags: 0,
            });
        }
        const saved = new m.SavedRun(() => sessionStorage, { websocket: sides[0], sse: sides[0] });
        saved.save();
        new m.SavedRun(() => sessionStorage, { websocket: sides[1], sse: sides[1] }).restore();
        saved.forget();
        const figures = ({ histogram, latency, wire }) =>
            [histogram.percentile(50), latency.value, wire.messages];
        const slot = other.ring.slot(other.ring.length - 1);
        return [figures(one), figures(other), other.ring.length, other.ring.at[slot]];
    """
    one, other, length, last = await run(page, "measure/saved_run", body)
    assert one == other
    assert (length, last) == (20_000, 139_999)
