"""The harness that compares a transport with itself really gives both sides the same one."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from rtdemo.server.server import Server
from tests.browser import same_transport
from tests.browser.engines.chromium import Chromium
from tests.browser.panel import both
from tests.browser.same_transport import SIDES, Run

LABELS = {"websocket": "WebSocket connection established", "sse": "SSE connection established"}
OPEN = "Not decided: the difference at p50 is under 2.0 ms."
RUN = Run("sse", OPEN, 0.1, -0.1, 0.3, 100, [0, 0.1, 0.2], [0.1, 0.2, 0.3])


@pytest.mark.asyncio(loop_scope="session")
async def test_both_sides_of_the_page_have_one_transport(
    chromium: Chromium, server: Server, side: str
) -> None:
    """Both panels show one transport's welcome, and the server counts two connections of it."""
    await same_transport.open_page(chromium, server.web_url, side)
    await chromium.connect(*SIDES)
    for panel in both(chromium.page):
        await expect(panel.texts.filter(has_text=LABELS[side])).to_have_count(1)
    stats = await chromium.run("return (await fetch('/api/stats')).json()")
    assert stats["connections"] == {**dict.fromkeys(SIDES, 0), side: 2}


@pytest.mark.parametrize(("rate", "count", "period"), [(10, 1, 0.1), (100, 1, 0.01), (400, 4, 0.01)])
def test_plugin_sends_the_rate(rate: float, count: int, period: float) -> None:
    """Above the highest rate of one producer there are several."""
    source = same_transport.producers(rate)
    compile(source, "steady.py", "exec")
    assert source.count(f"@producer(every={period!r})") == count


@pytest.mark.parametrize(
    ("sentence", "is_named"),
    [
        ("WebSocket is 0.6 to 1.0 ms faster at p50; p99 needs more messages.", True),
        ("Equally fast here (difference under 0.7 ms).", False),
    ],
)
def test_named_sides_are_counted(sentence: str, is_named: bool) -> None:
    """Only a sentence that names a side as faster counts."""
    named = Run(**{**vars(RUN), "sentence": sentence})
    assert named.is_named == is_named
    rows = dict(line.split(maxsplit=1) for line in same_transport.summary([RUN, named]).splitlines())
    assert rows["named"] == f"{int(is_named)} of 2"


@pytest.mark.parametrize(
    ("heads", "tosses", "probability"),
    [(5, 10, 1.0), (0, 10, 2 / 1024), (10, 10, 2 / 1024), (15, 20, 0.041)],
)
def test_sign_test_is_two_sided(heads: int, tosses: int, probability: float) -> None:
    """The values are those of a binomial table."""
    assert same_transport.sign_test(heads, tosses) == pytest.approx(probability, abs=0.001)
