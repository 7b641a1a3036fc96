"""Long work in slices."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_other_events_run_between_two_slices(page: Page) -> None:
    """All texts arrive in their order, and a timer runs long before the last of them."""
    body = """
        let turns = 0;
        const timer = setInterval(() => { turns += 1; }, 0);
        function* texts() {
            for (let i = 0; turns < 3; i += 1) yield `${i},`;
            yield "end";
        }
        const slices = await m.collected(texts());
        clearInterval(timer);
        const numbers = slices.join("").split(",").slice(0, -1).map(Number);
        return [slices.length > 3, numbers.every((number, index) => number === index)];
    """
    assert await run(page, "panels/slices", body) == [True, True]
