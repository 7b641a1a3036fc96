"""What is wrong is said at the top of the page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIDES = """
    const side = (state, downSince = null, retryAt = null, kind = null, sentence = "") => ({
        state, downSince, retryAt, sentence, open: state === "connected",
        measurement: { faults: { kind } },
    });
    const at = (one, other) =>
        m.outage([{ name: "WebSocket", side: one }, { name: "SSE", side: other }], 20_000);
"""


async def outages(page: Page, *pairs: str) -> list[Any]:
    """Describe pairs of sides."""
    calls = ", ".join(f"at({pair})" for pair in pairs)
    return list(await run(page, "views/outage", f"{SIDES} return [{calls}];"))


async def test_nothing_is_wrong(page: Page) -> None:
    """No sentence for what works, what nobody wanted, and what has just broken."""
    assert (
        await outages(
            page,
            'side("connected"), side("connected")',
            'side("idle"), side("disconnected")',
            'side("connecting"), side("connected")',
            'side("reconnecting", 19_500), side("connected")',
        )
        == [None] * 4
    )


async def test_an_interruption(page: Page) -> None:
    """Which side, since when, what next, and whether the other works."""
    found = await outages(
        page,
        'side("reconnecting", 8_000, 22_500), side("reconnecting", 9_000, 21_000)',
        'side("stalled", 14_000), side("connected")',
        'side("connected"), side("reconnecting", 17_000, 20_400)',
        'side("reconnecting", 17_000, null, "cut"), side("idle")',
    )
    assert [each["sentence"] for each in found] == [
        "Server unreachable since 12 s, next try in 1 s.",
        "WebSocket interrupted since 6 s; SSE works.",
        "SSE interrupted since 3 s, next try in 1 s; WebSocket works.",
        "Your fault since 3 s, trying now.",
    ]
    assert {each["level"] for each in found} == {"waiting"}


async def test_an_end(page: Page) -> None:
    """What only the reader can mend has the side's own sentence."""
    found = await outages(
        page,
        'side("refused", null, null, null, "Why."), side("connected")',
        'side("refused", null, null, null, "Why."), side("refused", null, null, null, "Why.")',
        'side("connected"), side("lost", null, null, null, "Because.")',
    )
    assert [(each["sentence"], each["level"]) for each in found] == [
        ("WebSocket did not connect: Why.", "alert"),
        ("Neither connected: Why.", "alert"),
        ("SSE ended: Because.", "alert"),
    ]
