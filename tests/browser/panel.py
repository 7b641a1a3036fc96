"""One side of the page, as a reader sees it."""

from __future__ import annotations

import json
import re
from functools import partial

from playwright.async_api import Locator, Page, WebSocketRoute, expect

WATCH = """(side) => {
    const root = document.querySelector(`section.${side}`);
    const part = (name) => document.querySelector(`[data-side="${side}"] [data-part="${name}"]`);
    const text = (name) => part(name).textContent;
    const shown = ((window.shown ??= {})[side] = []);
    const look = () => shown.push([root.dataset.state, text("state"), text("sentence")]);
    const everything = { attributes: true, characterData: true, childList: true, subtree: true };
    new MutationObserver(look).observe(root, everything);
}"""
HAS_SHOWN = """([side, state, words]) => window.shown[side].some(
    (found) => found[0] === state && found[1] === state && found[2].includes(words)
)"""


class Panel:
    """Name the parts of one side."""

    def __init__(self, page: Page, side: str) -> None:
        self.page = page
        self.side = side
        self.root = page.locator(f"section.{side}")
        self.everywhere = page.locator(f'[data-side="{side}"]')
        self.rows = self.root.locator("li")
        self.texts = self.root.locator("li .text")
        self.sentence = self.part("sentence")
        self.box = self.root.get_by_role("textbox")

    def part(self, name: str) -> Locator:
        """Find a part of this side, wherever on the page, by the name that the template gives it."""
        return self.everywhere.locator(f'[data-part="{name}"]')

    async def press(self, name: str) -> None:
        """Press a button of this side by its visible word."""
        await self.everywhere.get_by_role("button", name=name).first.click()

    async def connect(self) -> None:
        """Connect, and wait for the first message: others may move the welcome off the list at once."""
        await self.press("Connect")
        await self.becomes("connected")
        await self.received(1)

    async def connect_and_flood(self, count: int) -> None:
        """Connect and wait until so many messages have been counted."""
        await self.press("Connect")
        await self.received(count)

    async def becomes(self, state: str) -> None:
        """Wait for a state, shown in the word and in the colour alike."""
        await expect(self.part("state")).to_have_text(state)
        await expect(self.root).to_have_attribute("data-state", state)

    async def watch(self) -> None:
        """Note from now on what the panel shows, for `has_shown`."""
        await self.page.evaluate(WATCH, self.side)

    async def has_shown(self, state: str, words: str = "") -> None:
        """Wait for a state that may be over, in the word and in the colour alike, with some words."""
        await self.page.wait_for_function(HAS_SHOWN, arg=[self.side, state, words])

    async def send_text(self, text: str) -> None:
        """Type a text and send it."""
        await self.box.fill(text)
        await self.press("Send")

    async def received(self, at_least: int) -> None:
        """Wait until so many messages have been counted."""
        await self.page.wait_for_function(
            """([side, least]) => {
                const figure = document.querySelector(`[data-side="${side}"] [data-part="received"]`);
                return Number(figure.textContent.replaceAll(",", "")) >= least;
            }""",
            arg=[self.side, at_least],
        )


async def clock_is_known(page: Page) -> None:
    """Wait until the page knows the server's clock. What comes before has no latency, for good."""
    await expect(page.locator('[data-part="clock"]')).to_contain_text("known to")


async def stay_awake(page: Page) -> None:
    """Let the page not notice that it stood still, for two seconds or more, as on a busy machine.

    It would rightly leave out what was sent meanwhile, and name that in figures and charts.
    """
    await page.evaluate(
        """async () => {
            const { SuspensionDetector } = await import("/static/measure/suspension.js");
            SuspensionDetector.prototype.check = () => {};
        }"""
    )


HANG = """() => {
    window.made = 0;
    for (const name of ["WebSocket", "EventSource"]) {
        const Real = window[name];
        window[name] = class extends EventTarget {
            constructor() { super(); window.made += 1; }
            close() {}
        };
        Object.assign(window[name], { Real, OPEN: Real.OPEN });
    }
}"""
WORK = """() => {
    for (const name of ["WebSocket", "EventSource"]) window[name] = window[name].Real;
}"""


async def hang(page: Page) -> None:
    """Let further connections hang: the page gives up a try to reconnect after four seconds."""
    await page.evaluate(HANG)


async def work(page: Page) -> None:
    """Let further connections work again."""
    await page.evaluate(WORK)


def both(page: Page) -> tuple[Panel, Panel]:
    """Return the panels of WebSocket and SSE."""
    return Panel(page, "websocket"), Panel(page, "sse")


NONE = "\N{EN DASH}"
"""Shown while there is no figure."""
FIGURE = re.compile(r"^\d[\d,]*(\.\d)?$")


UNCOUNTED = json.dumps({"message": "", "sentAt": 0, "producer": "rtdemo", "id": ""})
"""A position, which the page neither counts nor shows.

After three seconds without any message it takes a connection for stalled.
"""


async def answer_websockets(page: Page) -> list[WebSocketRoute]:
    """Answer the page's WebSockets from the test; each one that it opens joins the list."""
    sockets: list[WebSocketRoute] = []
    pattern = re.compile(r"^ws://")
    await page.route_web_socket(pattern, partial(_accept, sockets))
    return sockets


def _accept(sockets: list[WebSocketRoute], socket: WebSocketRoute) -> None:
    socket.send(UNCOUNTED)
    sockets.append(socket)
