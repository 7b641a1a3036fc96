"""The run as CSV and JSON, and the link to its settings."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import BrowserErrors, Open
from tests.browser.downloads import saved
from tests.browser.panel import Panel, stay_awake

pytestmark = pytest.mark.asyncio(loop_scope="session")


ROUNDED_MS = 0.01
"""The page saves latencies and errors to the microsecond."""


async def test_export(open_page: Open, tmp_path: Path) -> None:
    """CSV and JSON have every sample, its flags and what it was measured with, and no ticket."""
    page = await open_page("/?producers=message&speed=20&ticket=s3cret")
    await stay_awake(page)
    for side in ("websocket", "sse"):
        await Panel(page, side).connect()
        await Panel(page, side).received(20)
    await page.get_by_role("button", name="Disconnect both").click()
    rows = list(csv.DictReader((await saved(page, "CSV", tmp_path)).splitlines()))
    run: dict[str, Any] = json.loads(await saved(page, "JSON", tmp_path))
    for side in ("websocket", "sse"):
        received = run[side]["figures"]["received"]
        await expect(Panel(page, side).part("received")).to_have_text(str(received))
        own = [row for row in rows if row["transport"] == side]
        samples = run[side]["samples"]
        assert len(own) == len(samples["rows"]) == received
        assert samples["columns"] == list(own[0])[1:]
        assert {row["producer"] for row in own} == {"message", "welcome"}
        assert {row["hidden"] for row in own} == {row["broken"] for row in own} == {"0"}
        assert {row["caughtUp"] for row in own} == {"0"}
        assert run[side]["figures"]["ledger"]["reported"] == 0
        assert run[side]["figures"]["leftOut"]["caughtUp"] == 0
        assert [row["untimed"] == "1" for row in own] == [row["latency"] == "" for row in own]
        within = [float(row["at"]) for row in own]
        (span, *_) = run[side]["spans"]
        assert span["from"] <= within[-1] + 60_000
        assert span["from"] > within[0]
        timed = [(float(row["latency"]), float(row["error"])) for row in own if row["latency"]]
        assert all(-error - ROUNDED_MS <= latency < 5000 for latency, error in timed)
        assert run[side]["settings"] == {"producers": ["message"], "speed": "20"}
        assert run[side]["figures"]["p50"] <= run[side]["figures"]["max"]
    assert run["version"] == 2
    assert len(run["parity"]) == 7
    assert 0 < run["clockError"] < 1000
    assert "Chrom" in run["userAgent"]
    assert "s3cret" not in json.dumps(run)


async def test_csv_is_safe(page: Page, browser_errors: BrowserErrors) -> None:
    """A producer's name is anybody's: it runs in no spreadsheet and breaks no line."""
    body = """async () => {
        const { csv } = await import("/static/panels/export.js");
        const { Recording } = await import("/static/measure/recording.js");
        const recording = new Recording();
        for (const producer of ["=1+1", 'a,"b"\\n', "plain"]) {
            recording.record({ at: 1, latency: null, payload: 1, bytes: 2, producer, flags: 4 });
        }
        return [...csv({ sse: recording }, 0)].join("");
    }"""
    rows = list(csv.reader((await page.evaluate(body)).splitlines(keepends=True)))
    assert [row[5] for row in rows] == ["producer", "'=1+1", 'a,"b"\n', "plain"]
    assert rows[1] == ["sse", "1", "", "", "2", "'=1+1", "0", "0", "1", "0"]


async def test_samples_that_arrive_meanwhile_shift_none(page: Page) -> None:
    """Rows are those of the start, none twice; what a full ring overwrites is left out."""
    body = """async () => {
        const { rows } = await import("/static/panels/export.js");
        const { Ring } = await import("/static/measure/ring.js");
        const ring = new Ring(4);
        for (let at = 1; at <= 6; at += 1) ring.push(at, 0, 0, 0, 0, 0);
        const work = rows({ ring, names: [] }, ring.total, 0);
        const found = [work.next().value[0]];
        for (let at = 7; at <= 8; at += 1) ring.push(at, 0, 0, 0, 0, 0);
        for (const [at] of work) found.push(at);
        const cleared = rows({ ring, names: [] }, ring.total, 0);
        cleared.next();
        ring.clear();
        return [found, [...cleared].length];
    }"""
    assert await page.evaluate(body) == [[3, 5, 6], 0]


@pytest.mark.parametrize("form", ["csv(pair, 0)", "json({ a: 1 }, { websocket: {}, sse: {} }, pair, 0)"])
async def test_both_sides_are_saved_up_to_the_same_moment(page: Page, form: str) -> None:
    """Writing the first side takes a while; the second one has no sample of that time."""
    body = f"""async () => {{
        const {{ csv, json }} = await import("/static/panels/export.js");
        const {{ Recording }} = await import("/static/measure/recording.js");
        const pair = {{ websocket: new Recording(), sse: new Recording() }};
        const sample = {{ at: 1, latency: null, payload: 1, bytes: 7, producer: "before", flags: 4 }};
        pair.sse.record(sample);
        const work = {form};
        const texts = [work.next().value];
        pair.sse.record({{ ...sample, producer: "meanwhile" }});
        return [...texts, ...work].join("");
    }}"""
    text = await page.evaluate(body)
    assert "before" in text
    assert "meanwhile" not in text


async def test_the_link_has_the_settings_of_each_side(open_page: Open) -> None:
    """Where SSE differs, it has parameters of its own; the page that the link opens differs too."""
    address = "/?producers=message&speed=5&sse.producers=*&sse.speed=2"
    page = await open_page(address)
    link = page.locator('[data-part="link"]')
    shown = urlsplit(await link.input_value())
    assert parse_qs(shown.query) == parse_qs(urlsplit(address).query)
    same = await open_page("/?producers=message&sse.producers=message")
    assert (
        await same.locator('[data-part="link"]').input_value()
        == f"{same.url.split('?')[0]}?producers=message"
    )


async def test_the_link_reproduces_the_settings(open_page: Open) -> None:
    """What was chosen is in the link; the page that it opens has the same choices."""
    page = await open_page("/?producers=message&ticket=s3cret")
    link = page.get_by_role("textbox", name="Link to these settings")
    await page.get_by_role("slider", name="Rate of private producers").focus()
    await page.keyboard.press("End")
    await page.get_by_role("button", name="10 min in the charts").click()
    await expect(link).to_have_value(re.compile("speed=20.*window=600"))
    address = urlsplit(await link.input_value())
    assert parse_qs(address.query) == {"producers": ["message"], "speed": ["20"], "window": ["600"]}
    other = await open_page(f"/?{address.query}")
    await expect(other.get_by_role("textbox", name="Link to these settings")).to_have_value(
        await link.input_value()
    )
    ten = other.get_by_role("button", name="10 min in the charts")
    await expect(ten).to_have_attribute("aria-pressed", "true")


async def test_copying_the_link(open_page: Open) -> None:
    """The button copies it; if the browser forbids that, it selects the link and shows a note."""
    page = await open_page(permissions=["clipboard-read", "clipboard-write"])
    copy, note = page.get_by_role("button", name="Copy the link"), page.locator("#link-note")
    await copy.click()
    await expect(note).to_have_text("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == f"{page.url.split('?')[0]}"
    await page.evaluate(
        "() => { navigator.clipboard.writeText = async () => { throw new Error('no'); }; }"
    )
    await copy.click()
    await expect(note).to_contain_text("The link is selected")
    await expect(page.get_by_role("textbox", name="Link to these settings")).to_be_focused()
