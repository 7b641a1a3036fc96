"""What a chart shows: its pixels, and its description."""

from __future__ import annotations

import re
from typing import Any

from playwright.async_api import Locator, Page

from tests.browser.panel import Panel

LOOK = """async (canvas) => {
    // The page gives it its size when it first paints it.
    while (canvas.width === 0 || canvas.height === 0) await new Promise(requestAnimationFrame);
    const { width, height } = canvas;
    const copy = Object.assign(document.createElement("canvas"), { width, height });
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const count = {};
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] === 0) continue;
        sum = (sum * 31 + data[i] + data[i + 1] * 3 + data[i + 2] * 7 + i) % 1000000007;
        const key = data[i + 3] < 255 ? "other" : [data[i], data[i + 1], data[i + 2]].join();
        count[key] = (count[key] ?? 0) + 1;
    }
    return { sum, count };
}"""


BLUE, GREEN, GREY = "29,95,208", "20,117,65", "98,98,93"


DARK_GREEN = "95,206,147"


async def looked(canvas: Locator) -> Any:
    """Return what a canvas shows: a sum of its pixels, and how many there are of each colour."""
    return await canvas.evaluate(LOOK)


async def drawn(page: Page, canvas: Locator, colour: str, least: int) -> None:
    """Wait until a canvas has so many pixels of a colour."""
    while (await looked(canvas))["count"].get(colour, 0) < least:
        await page.evaluate("() => new Promise(requestAnimationFrame)")


def strip(page: Page, side: str) -> Locator:
    """Find a side's strip."""
    return Panel(page, side).part("strip")


def figures(label: str) -> re.Pattern[str]:
    figure = r"(under )?\d[\d.,]* ms"
    return re.compile(rf"{label}.*: \d+ messages, p50 {figure}(, p99 {figure})?, largest {figure}")


def happened(what: str) -> re.Pattern[str]:
    return re.compile(rf"Events: .*{what}")


DRAWN = """() => new Promise((done) => {
    let frames = 30;
    const next = () => ((frames -= 1) > 0 ? requestAnimationFrame(next) : done());
    setTimeout(next, 300);
})"""
"""Wait until the painting that is under way is over, and the next one too: for its timer, and then
for the frames of both, which a busy machine draws late."""

HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
