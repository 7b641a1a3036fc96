"""Which messages a hidden tab delayed."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.charts import HIDE
from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_what_a_hidden_tab_delays(page: Page) -> None:
    """All messages while it is hidden; later those that were sent meanwhile, and no other."""
    body = f"""
        const hide = {HIDE};
        const visibility = new m.PageVisibility(() => {{}});
        const anHour = 3_600_000;
        const delays = (...ages) => ages.map((age) => visibility.delays(performance.now() - age));
        const before = delays(0, anHour, -anHour);
        hide(true);
        const hidden = delays(0, anHour, -anHour);
        const sent = performance.now();
        while (performance.now() === sent);
        hide(false);
        return [before, hidden, visibility.delays(sent), delays(-1, anHour, -anHour)];
    """
    assert await run(page, "measure/visibility", body) == [
        [False, False, False],
        [True, True, True],
        True,
        [False, False, False],
    ]
