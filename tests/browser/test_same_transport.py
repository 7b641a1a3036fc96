"""The harness that compares a transport with itself really gives both sides the same one."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from rtdemo.server.server import Server
from tests.browser import same_transport
from tests.browser.panel import Panel
from tests.browser.same_transport import SIDES, Run

LABELS = {"websocket": "WebSocket connection established", "sse": "SSE connection established"}
RUN = Run("sse", "No clear difference.", 0.1, -0.1, 0.3, 100, [0, 0.1, 0.2], [0.1, 0.2, 0.3])


@pytest.mark.asyncio(loop_scope="session")
async def test_both_sides_of_the_page_have_one_transport(
    browser: Browser, server: Server, side: str
) -> None:
    """Both panels show one transport's welcome, and the server counts two connections of it."""
    page = await browser.new_page()
    try:
        await page.add_init_script(same_transport.stand_in(side))
        await page.goto(server.web_url)
        await page.evaluate(same_transport.CONNECT, SIDES)
        for each in SIDES:
            await expect(Panel(page, each).texts.filter(has_text=LABELS[side])).to_have_count(1)
        stats = await page.evaluate("async () => (await fetch('/api/stats')).json()")
        assert stats["connections"] == {**dict.fromkeys(SIDES, 0), side: 2}
    finally:
        await page.close()


@pytest.mark.parametrize(("rate", "count", "period"), [(10, 1, 0.1), (100, 1, 0.01), (400, 4, 0.01)])
def test_plugin_sends_the_rate(rate: float, count: int, period: float) -> None:
    """Above the highest rate of one producer there are several."""
    source = same_transport.producers(rate)
    compile(source, "steady.py", "exec")
    assert source.count(f"@producer(every={period!r})") == count


@pytest.mark.parametrize(
    ("sentence", "is_named"),
    [
        ("WebSocket is 0.57 to 0.94 ms faster here.", True),
        ("Equally fast here: difference under 0.7 ms.", False),
    ],
)
def test_named_sides_are_counted(sentence: str, is_named: bool) -> None:
    """Only a sentence that names a side as faster counts."""
    named = Run(**{**vars(RUN), "sentence": sentence})
    assert named.is_named == is_named
    rows = dict(line.split(maxsplit=1) for line in same_transport.summary([RUN, named]).splitlines())
    assert rows["named"] == f"{int(is_named)} of 2"
