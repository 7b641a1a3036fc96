"""The producers' section of the page, and the server's connections."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

from rtdemo.hub.connection import Connection
from rtdemo.server.server import Server
from tests.browser.panel import Panel
from tests.clients import eventually

LABELS = {"websocket": "WebSocket", "sse": "SSE"}


class ProducersSection:
    """Name the parts of the producers' section."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator("details.producers")
        self.rows = self.root.locator("tbody tr")
        self.rate = self.root.get_by_role("slider", name="Rate of private producers")
        self.rate_value = self.root.locator('[data-part="rate-value"]')
        self.lines = self.root.locator('[data-part="lines"]')

    def row(self, name: str) -> Locator:
        """Find the row of a producer."""
        return self.rows.filter(has=self.page.get_by_role("rowheader", name=name))

    def switch(self, name: str, side: str) -> Locator:
        """Find the switch of a producer on one side."""
        return self.root.get_by_role("switch", name=f"{name} over {LABELS[side]},")

    async def shows(self, name: str, state: str) -> None:
        """Wait for a producer's state, in the word and in the shape alike."""
        row = self.row(name)
        await expect(row.locator(".state")).to_have_text(state)
        await expect(row).to_have_attribute("data-state", state)


async def connect_both(page: Page, server: Server) -> dict[str, Connection]:
    """Connect both sides and return their connections on the server."""
    for side in ("websocket", "sse"):
        await Panel(page, side).connect()
    return connections(server)


def connections(server: Server) -> dict[str, Connection]:
    """Return the server's connections by their transport."""
    return {c.client.transport: c for c in server.hub.connections}


async def settles(connection: Connection, speed: float, *producers: str) -> None:
    """Wait until a connection has a rate, and these producers at work."""

    def settled() -> bool:
        working = {runner.producer.name for runner in connection.runners}
        return connection.selection.speed == speed and working == set(producers)

    await eventually(settled)
