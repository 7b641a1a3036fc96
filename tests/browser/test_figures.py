"""The figures of a run, its verdict on the page, and what can be taken along."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, expect

from rtdemo.server import Server
from tests.browser.conftest import Faults, Open, Serve
from tests.browser.panel import FIGURE, NONE, Panel, play_websocket

pytestmark = pytest.mark.asyncio(loop_scope="session")

TAKEN = ("p50", "p95", "p99", "max", "jitter", "rate", "bytes")
FEW = {"p95": 20, "p99": 100}


async def test_every_figure_has_a_value_and_a_meaning(panel: Panel) -> None:
    """Percentiles, jitter, rate, bytes and reconnects come within seconds and explain themselves."""
    for name in TAKEN:
        await expect(panel.part(name)).to_have_text(NONE)
    await panel.connect()
    await panel.received(4)
    for name in TAKEN:
        if name not in FEW:
            await expect(panel.part(name)).to_have_text(FIGURE)
    for name, needed in FEW.items():
        await expect(panel.part(name)).to_have_text(NONE)
        await expect(panel.part(f"{name}-note")).to_have_text(f"needs {needed}")
    await expect(panel.part("reconnects")).to_have_text("0")
    await expect(panel.part("ledger")).to_have_text("0 lost, 0 repeated, 0 out of order")
    await expect(panel.part("left-out")).to_have_text("none")
    for name in (*TAKEN, "reconnects", "parts", "ledger", "left-out"):
        term = panel.root.locator(f'[aria-describedby="{panel.side}-{name}-tip"]')
        await expect(term).to_have_accessible_description(re.compile(r"^[A-Z0-9].{30,}\.$"))


async def test_bytes_on_the_wire(open_page: Open) -> None:
    """The first message alone: its JSON, and its frame or its chunk around it."""
    page = await open_page("/?producers=welcome")
    await page.evaluate(
        """() => {
            for (const [type, key] of [[WebSocket, "socket"], [EventSource, "stream"]]) {
                const setter = Object.getOwnPropertyDescriptor(type.prototype, "onmessage").set;
                Object.defineProperty(type.prototype, "onmessage", { set(handler) {
                    setter.call(this, (event) => { window[key] = event.data; handler(event); });
                } });
            }
        }"""
    )
    for side, key in (("websocket", "socket"), ("sse", "stream")):
        panel = Panel(page, side)
        await panel.connect()
        text = await page.evaluate(f"window.{key}")
        payload, position = len(text.encode()), json.loads(text)["id"]
        header = 2 if payload < 126 else 4
        event = payload + len("data: \n\n") + len(f"id: {position}\n")
        chunk = event + len(f"{event:x}") + 4
        expected = payload + header if side == "websocket" else chunk
        shown = f"{expected:.1f}" if expected < 100 else str(expected)
        await expect(panel.part("bytes")).to_have_text(shown)


async def test_the_ledger_is_told(page: Page) -> None:
    """Lost, repeated and late messages stand each by its own name."""
    sockets = await play_websocket(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    for seq in (1, 2, 6, 6, 4):
        sockets[0].send(json.dumps({"message": "x", "sentAt": 0, "producer": "p", "seq": seq}))
    await expect(panel.part("ledger")).to_have_text("2 lost, 1 repeated, 1 out of order")


async def test_a_word_of_where_it_stands_is_no_message(page: Page) -> None:
    """It is neither counted nor listed; the next connection goes on behind it."""
    sockets = await play_websocket(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    said = {"message": "x", "sentAt": 0, "producer": "p", "seq": 1}
    told = {"message": '{"position":"ab-1000"}', "sentAt": 0, "producer": "rtdemo", "id": "ab-1000"}
    sockets[0].send(json.dumps({**told, "seq": 1}))
    sockets[0].send(json.dumps(said))
    await expect(panel.part("received")).to_have_text("1")
    await sockets[0].close(code=1011)
    await panel.becomes("connected")
    await expect(panel.part("reconnects")).to_have_text("1")
    assert "last_event_id=ab-1000" in sockets[1].url
    # Its number begins anew with the connection, as any other private one.
    sockets[1].send(json.dumps({**told, "seq": 1}))
    sockets[1].send(json.dumps(said))
    await expect(panel.part("received")).to_have_text("2")
    await expect(panel.part("ledger")).to_have_text("0 lost, 0 repeated, 0 out of order")


async def test_the_parts_of_connecting(page: Page) -> None:
    """A stream's parts are the browser's own record of it; a WebSocket has none, and that is said."""
    await expect(Panel(page, "websocket").part("parts")).to_have_text(
        re.compile("browsers do not record")
    )
    panel = Panel(page, "sse")
    await expect(panel.part("parts")).to_have_text(
        re.compile(r"^this page: DNS \d.* first byte \d+(\.\d)? ms$")
    )
    await panel.connect()
    await panel.press("Disconnect")
    await expect(panel.part("parts")).to_have_text(
        re.compile(r"^last stream: DNS \d.* first byte \d+(\.\d)? ms$")
    )


async def test_a_verdict_is_reached(open_page: Open, flooded: Server) -> None:
    """With enough messages there is a sentence with its interval, and every line of the audit is ok."""
    page = await open_page(server=flooded)
    audit = page.get_by_role("list", name="Is the comparison fair?").get_by_role("listitem")
    await expect(audit).to_have_count(7)
    sentence = page.locator('[data-part="verdict-sentence"]')
    await expect(sentence).to_have_text("Connect both to see here which is faster.")
    await page.get_by_role("button", name="Connect both").click()
    for line in await audit.all():
        await expect(line).to_have_attribute("data-result", "ok")
    await expect(audit.nth(2)).to_contain_text("flood compared; excluded as different: status")
    await expect(sentence).to_contain_text("of the 20 blocks of time")
    await expect(sentence).not_to_contain_text("Connect both")
    await expect(sentence).to_contain_text("95 % interval", timeout=60_000)


async def test_other_speeds_are_not_comparable(page: Page) -> None:
    """A side that runs faster makes the verdict void, and the reason is said."""
    for side in ("websocket", "sse"):
        await Panel(page, side).connect()
    await Panel(page, "sse").say('{"rtdemo": {"speed": 5}}')
    line = page.get_by_role("listitem").filter(has_text="Same schedule")
    await expect(line).to_have_attribute("data-result", "failed")
    reason = re.compile("WebSocket runs at 1.* and SSE at 5")
    await expect(line).to_contain_text(reason)
    sentence = page.locator('[data-part="verdict-sentence"]')
    await expect(sentence).to_contain_text("Not comparable: ")
    await expect(sentence).to_contain_text(reason)


async def test_probes_that_are_off_are_not_asked(open_page: Open, serve: Serve) -> None:
    """Without probes the server's lines are not told, and the browser complains of nothing."""
    page = await open_page(server=await serve(probes=False))
    await Panel(page, "sse").connect()
    await Panel(page, "websocket").connect()
    line = page.get_by_role("listitem").filter(has_text="TCP_NODELAY")
    await expect(line).to_have_attribute("data-result", "unknown")
    await expect(line).to_contain_text("the server's probes are disabled")


async def saved(page: Page, name: str, folder: Path) -> str:
    """Press a button and return what is saved."""
    async with page.expect_download() as download:
        await page.get_by_role("button", name=name).click()
    file = await download.value
    path = folder / file.suggested_filename
    await file.save_as(path)
    return path.read_text()


async def test_export(open_page: Open, tmp_path: Path) -> None:
    """CSV and JSON have every sample, its flags and what it was measured with, and no ticket."""
    page = await open_page("/?producers=message&speed=20&ticket=s3cret")
    for side in ("websocket", "sse"):
        await Panel(page, side).connect()
        await Panel(page, side).received(20)
    await page.get_by_role("button", name="Disconnect both").click()
    rows = list(csv.DictReader((await saved(page, "CSV", tmp_path)).splitlines()))
    run: dict[str, Any] = json.loads(await saved(page, "JSON", tmp_path))
    for side in ("websocket", "sse"):
        received = int(await Panel(page, side).part("received").inner_text())
        own = [row for row in rows if row["transport"] == side]
        samples = run[side]["samples"]
        assert len(own) == len(samples["rows"]) == run[side]["figures"]["received"] == received
        assert samples["columns"] == list(own[0])[1:]
        assert {row["producer"] for row in own} == {"message", "welcome"}
        assert {row["hidden"] for row in own} == {row["broken"] for row in own} == {"0"}
        assert [row["untimed"] == "1" for row in own] == [row["latency"] == "" for row in own]
        within = [float(row["at"]) for row in own]
        (span, *_) = run[side]["spans"]
        assert span["from"] <= within[-1] + 60_000
        assert span["from"] > within[0]
        assert all(-5 < float(row["latency"]) < 5000 for row in own if row["latency"])
        assert run[side]["settings"] == {"producers": ["message"], "speed": "20"}
        assert run[side]["figures"]["p50"] <= run[side]["figures"]["max"]
    assert run["version"] == 1
    assert len(run["parity"]) == 7
    assert 0 < run["clockError"] < 1000
    assert "Chrom" in run["userAgent"]
    assert "s3cret" not in json.dumps(run)


async def test_csv_is_safe(page: Page, faults: Faults) -> None:
    """A producer's name is anybody's: it runs in no spreadsheet and breaks no line."""
    body = """async () => {
        const { csv } = await import("/static/views/export.js");
        const { Recording } = await import("/static/measure/recording.js");
        const recording = new Recording();
        for (const producer of ["=1+1", 'a,"b"\\n', "plain"]) {
            recording.record({ at: 1, latency: null, payload: 1, bytes: 2, producer, flags: 4 });
        }
        return csv({ sse: recording }, 0).join("");
    }"""
    rows = list(csv.reader((await page.evaluate(body)).splitlines(keepends=True)))
    assert [row[5] for row in rows] == ["producer", "'=1+1", 'a,"b"\n', "plain"]
    assert rows[1] == ["sse", "1", "", "", "2", "'=1+1", "0", "0", "1"]


async def test_the_link_reproduces_the_settings(open_page: Open) -> None:
    """What was chosen is in the link; the page that it opens has the same choices."""
    page = await open_page("/?producers=message&ticket=s3cret")
    link = page.get_by_role("textbox", name="Link to these settings")
    await page.get_by_role("slider", name="Rate of private producers").focus()
    await page.keyboard.press("End")
    await page.get_by_role("button", name="Show the last ten minutes").click()
    await expect(link).to_have_value(re.compile("speed=20.*window=600"))
    address = urlsplit(await link.input_value())
    assert parse_qs(address.query) == {"producers": ["message"], "speed": ["20"], "window": ["600"]}
    other = await open_page(f"/?{address.query}")
    await expect(other.get_by_role("textbox", name="Link to these settings")).to_have_value(
        await link.input_value()
    )
    ten = other.get_by_role("button", name="Show the last ten minutes")
    await expect(ten).to_have_attribute("aria-pressed", "true")


async def test_copying_the_link(open_page: Open) -> None:
    """The button copies it; where the browser forbids that, it selects the link and says so."""
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
