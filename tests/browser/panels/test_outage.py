"""What is wrong is said at the top of the page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIDES = """
    const side = (state, downSince = null, retryAt = null, more = {}) => ({
        state, downSince, retryAt, sentence: "Why.", cause: "", open: state === "connected",
        measurement: { faults: { kind: null } }, ...more,
    });
    const fault = (kind, endsAt = null, cause = "") =>
        ({ measurement: { faults: { kind, endsAt } }, cause });
    const at = (one, other) =>
        m.outage([{ name: "WebSocket", side: one }, { name: "SSE", side: other }], 20_000);
"""


async def outages(page: Page, *pairs: str) -> list[Any]:
    """Describe pairs of sides."""
    calls = ", ".join(f"at({pair})" for pair in pairs)
    return list(await run(page, "panels/outage", f"{SIDES} return [{calls}];"))


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
    """Which side, for how long, what next, and whether the other works."""
    found = await outages(
        page,
        'side("reconnecting", 8_000, 22_500), side("reconnecting", 9_000, 21_000)',
        'side("reconnecting", 14_000), side("connected")',
        'side("connected"), side("reconnecting", 17_000, 20_400)',
        'side("reconnecting", 17_000, null, { cause: "The browser is offline." }), side("idle")',
        'side("stalled", 16_000), side("connected")',
        'side("stalled", 16_000), side("stalled", 15_600)',
    )
    assert [each["sentence"] for each in found] == [
        "Server unreachable for 12 s, next try in 1 s.",
        "WebSocket interrupted for 6 s, trying now; SSE works.",
        "SSE interrupted for 3 s, next try in 1 s; WebSocket works.",
        "Browser offline for 3 s, trying now.",
        "Nothing has arrived over WebSocket for 4 s: checking the connection.",
        "Nothing has arrived for 4 s: checking the connection.",
    ]
    assert {each["level"] for each in found} == {"waiting"}


async def test_a_fault_of_the_reader(page: Page) -> None:
    """What the reader injected is no outage, and what it does now is said at once."""
    found = await outages(
        page,
        'side("reconnecting", 19_900, 20_300, fault("cut", null, "You cut it.")), side("connected")',
        'side("connected", null, null, fault("stop", 22_100)), side("connected")',
        'side("connected", null, null, fault("delay")), side("connected", null, null, fault("stop"))',
    )
    assert [each["sentence"] for each in found] == [
        "You cut WebSocket, next try in 1 s.",
        "You stopped WebSocket, 3 s left.",
        "You delay WebSocket by 250 ms; you stopped SSE.",
    ]
    assert {each["title"] for each in found} == {"Fault injected"}


async def test_an_outage_during_a_fault(page: Page) -> None:
    """A fault that the reader injected does not hide that the server is gone."""
    found = await outages(
        page,
        'side("reconnecting", 8_000, 22_500, fault("delay")), side("reconnecting", 9_000, 21_000)',
        'side("reconnecting", 8_000, 22_500, fault("cut", null, "No answer.")), side("connected")',
    )
    assert [each["sentence"] for each in found] == [
        "Server unreachable for 12 s, next try in 1 s.",
        "WebSocket interrupted for 12 s, next try in 3 s; SSE works.",
    ]


async def test_an_end(page: Page) -> None:
    """What only the reader can mend has the side's own sentence."""
    found = await outages(
        page,
        'side("refused"), side("connected")',
        'side("refused"), side("refused")',
        'side("connected"), side("lost")',
    )
    assert [(each["sentence"], each["level"]) for each in found] == [
        ("WebSocket did not connect: Why.", "alert"),
        ("WebSocket and SSE did not connect: Why.", "alert"),
        ("SSE ended: Why.", "alert"),
    ]
