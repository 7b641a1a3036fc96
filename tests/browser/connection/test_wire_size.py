"""Bytes of a message on the wire."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Page, expect

from rtdemo.protocol import wire
from tests.browser.conftest import Open
from tests.browser.modules import run
from tests.browser.panel import Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAYLOADS = ["", "ascii", "ü€😀 \ud7ff\ue000", "x" * 125, "x" * 126, "é" * 63, "x" * 65_535, "x" * 65_536]


@pytest.mark.empty_page
@pytest.mark.parametrize("text", PAYLOADS, ids=lambda text: f"{len(text.encode())} bytes")
@pytest.mark.parametrize("position", [None, "1a2b-417"])
async def test_bytes_are_those_that_the_server_writes(
    page: Page, text: str, position: str | None
) -> None:
    """A message counts for as many bytes as the server's own encoder makes of it, on both transports."""
    payload = text.encode()
    body = f"""
        const payload = m.utf8Length({json.dumps(text)});
        const position = {json.dumps(position)};
        const sse = (protocol) => m.sseBytes(payload, position, protocol);
        return [payload, m.websocketBytes(payload), sse("http/1.1"), sse("http/1.0"), sse("h2")];
    """
    event = len(wire.sse_event(payload, position))
    assert await run(page, "connection/wire_size", body) == [
        len(payload),
        len(wire.websocket_frame(payload, position)),
        len(wire.sse_chunk(payload, position)),
        event,
        event + 9,
    ]


async def test_bytes_on_the_wire(open_page: Open) -> None:
    """The first message alone: its JSON, and its frame or its chunk around it."""
    page = await open_page("/?producers=welcome")
    await page.evaluate(
        """() => {
            for (const [type, key] of [[WebSocket, "socket"], [EventSource, "stream"]]) {
                const setter = Object.getOwnPropertyDescriptor(type.prototype, "onmessage").set;
                Object.defineProperty(type.prototype, "onmessage", { set(handler) {
                    setter.call(this, (event) => { window[key] ??= event.data; handler(event); });
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
