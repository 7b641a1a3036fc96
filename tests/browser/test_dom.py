"""The schedule of painting."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_wishes_to_paint_are_gathered(page: Page) -> None:
    """However often it is asked, the page is painted once, later, and again when asked again."""
    body = """
        let painted = 0;
        let shown = () => {};
        const ask = m.paintScheduler(function* () { painted += 1; shown(); }, 0);
        const paint = () => new Promise((resolve) => { shown = resolve; });
        const counts = [];
        for (let round = 0; round < 2; round += 1) {
            for (let i = 0; i < 100; i += 1) ask();
            counts.push(painted);
            await paint();
            await new Promise(requestAnimationFrame);
            counts.push(painted);
        }
        return counts;
    """
    assert await run(page, "dom", body) == [0, 1, 1, 2]


async def test_parts_of_a_painting_have_their_own_frames(page: Page) -> None:
    """What is asked for during a painting is painted after it. An error ends only its own painting."""
    body = """
        const [frames, errors, due] = [[], [], []];
        globalThis.requestAnimationFrame = (callback) => due.push(callback);
        const call = (part) => frames.at(-1).push(part);
        let ask = () => {};
        function* paint() {
            call("first");
            if (errors.length < 2) ask();
            yield;
            call("second");
            if (errors.length === 0) throw new Error("expected");
            errors.push("none");
            yield;
            call("third");
        }
        ask = m.paintScheduler(paint, 0);
        ask();
        for (let turn = 0; turn < 100 && frames.length < 8; turn += 1) {
            await new Promise((resolve) => setTimeout(resolve, 10));
            for (const callback of due.splice(0)) {
                frames.push([]);
                try {
                    callback();
                } catch (error) {
                    errors.push(error.message);
                    // A page asks again by its timer.
                    ask();
                }
                if (frames.at(-1).length === 0) frames.pop();
            }
        }
        return [frames.map((parts) => parts.join("+")), errors];
    """
    frames, errors = await run(page, "dom", body)
    assert " ".join(frames) == "first second first second third first second third"
    assert errors == ["expected", "none", "none"]
