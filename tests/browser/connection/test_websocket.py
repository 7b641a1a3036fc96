"""The WebSocket transport: address, back-off and close codes."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run
from tests.browser.panel import Panel, answer_websockets, hang

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.empty_page
async def test_backoff_doubles_up_to_its_bound(page: Page) -> None:
    """From 0.5 s to 5 s, half of it by chance, and from the start again after a success."""
    body = """
        const found = [];
        for (const chance of [0, 1]) {
            Math.random = () => chance;
            const backoff = new m.Backoff();
            for (let i = 0; i < 9; i += 1) found.push(backoff.next());
            backoff.reset();
            found.push(backoff.next());
        }
        return found;
    """
    most = [500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000, 500]
    assert await run(page, "client/backoff", body) == [ms / 2 for ms in most] + most


@pytest.mark.empty_page
async def test_closing(page: Page) -> None:
    """Each close code has its sentence with its number; a fault of the protocol is final."""
    codes = [1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1011, 1013, 4999]
    sentences = await run(
        page, "connection/websocket", f"return {codes}.map((code) => m.closeSentence(code))"
    )
    final = await run(page, "connection/websocket", f"return {codes}.filter((code) => m.isFinal(code))")
    assert final == [1002, 1003, 1007, 1008, 1009]
    assert len(set(sentences)) == 11
    assert all("Code " in sentence for sentence in sentences)


@pytest.mark.empty_page
async def test_websocket_address(page: Page) -> None:
    """A page behind TLS opens wss:, a port is one of the page's host, and /ws is beside the page."""
    body = """
        const url = (page, port) => m.websocketUrl(new URL(page), port).href;
        return [
            url("http://localhost:3000/", "3001"),
            url("https://demo.example/", ""),
            url("https://demo.example:8443/a/rt/?speed=2#scoreboard", ""),
            url("http://[::1]:3000/", "3001"),
        ];
    """
    assert await run(page, "connection/websocket", body) == [
        "ws://localhost:3001/",
        "wss://demo.example/ws",
        "wss://demo.example:8443/a/rt/ws",
        "ws://[::1]:3001/",
    ]


@pytest.mark.parametrize(
    ("code", "reason", "sentence"),
    [
        (1008, "too many messages", "Reason: “too many messages”. Code 1008. It stays closed"),
        (1011, "", "see the server log. Code 1011. Opening it again."),
        (1013, "", "read too slowly"),
        (4000, "<b>why</b>", "Reason: “<b>why</b>”. Code 4000. Opening it again."),
    ],
)
async def test_close_codes(page: Page, code: int, reason: str, sentence: str) -> None:
    """Each way in which the server ends a connection has its sentence, and what follows."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    await panel.watch()
    await hang(page)
    await sockets[0].close(code=code, reason=reason)
    await panel.has_shown("lost" if "stays" in sentence else "reconnecting", sentence)
