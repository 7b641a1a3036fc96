"""What the ledger says of a side's messages: nothing that was not owed, all that went wrong."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Page, expect

from tests.browser.panel import Panel, play_websocket
from tests.browser.test_modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")

TIMES = "\N{MULTIPLICATION SIGN}"


def said(seq: int, **more: object) -> str:
    return json.dumps({"message": "x", "sentAt": 0, "producer": "p", "seq": seq, **more})


async def test_nothing_was_owed_while_disconnected(page: Page) -> None:
    """A new connection asks for no position: what the log took in meanwhile is not lost."""
    sockets = await play_websocket(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    sockets[0].send(said(1, id="e-1"))
    await panel.received(1)
    await panel.press("Disconnect")
    await panel.press("Connect")
    await panel.becomes("connected")
    sockets[1].send(said(9, id="e-9"))
    await panel.received(2)
    await expect(panel.part("ledger")).to_have_text("0 lost, 0 repeated, 0 out of order")


async def test_the_ledger_leaves_nothing_out(page: Page) -> None:
    """What the server said is lost, and what could not be read, stands in both lines."""
    sockets = await play_websocket(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    sockets[0].send(said(1))
    sockets[0].send(said(1, producer="resume", lost=True))
    sockets[0].send("no JSON")
    await expect(panel.part("ledger")).to_have_text(
        f"0 lost, 0 repeated, 0 out of order, losses reported 1{TIMES}, 1 unreadable"
    )
    await expect(panel.part("received-note")).to_have_text(f"losses reported 1{TIMES}, 1 unreadable")


async def test_one_account_for_both_lines(page: Page) -> None:
    """Every count of the ledger is in both; the line has three of them even at zero."""
    body = """
        const { Stats } = await import("/static/measure/measurement.js");
        const stats = new Stats();
        const before = [m.completeness(stats), m.ledgerLine(stats)];
        Object.assign(stats.ledger, { missing: 1200, repeated: 2, late: 3, reported: 4, unchecked: 5 });
        stats.unreadable = 6;
        return [...before, m.completeness(stats), m.ledgerLine(stats)];
    """
    all_of_it = (
        f"1,200 lost, 2 repeated, 3 out of order, losses reported 4{TIMES}, 5 not checked, 6 unreadable"
    )
    assert await run(page, "measure/ledger", body) == [
        "none yet",
        "0 lost, 0 repeated, 0 out of order",
        all_of_it,
        all_of_it,
    ]


async def test_a_gap_from_before_reset_is_not_counted(page: Page) -> None:
    """What fills it is neither repeated nor out of order; what comes once more is repeated."""
    body = """
        const ledger = new m.Ledger();
        const enter = (seq) => ledger.enter({ producer: "p", seq, id: null });
        for (const seq of [1, 4]) enter(seq);
        ledger.reset();
        for (const seq of [2, 7, 6]) enter(seq);
        const found = [ledger.missing, ledger.repeated, ledger.late];
        enter(2);
        return [...found, ledger.repeated];
    """
    assert await run(page, "measure/ledger", body) == [1, 0, 1, 1]
