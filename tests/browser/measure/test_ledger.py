"""The ledger of a side's messages: every loss, and no false one."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Page, expect

from tests.browser.modules import run
from tests.browser.panel import Panel, answer_websockets

pytestmark = pytest.mark.asyncio(loop_scope="session")

TIMES = "\N{MULTIPLICATION SIGN}"


def message(seq: int, **more: object) -> str:
    return json.dumps({"message": "x", "sentAt": 0, "producer": "p", "seq": seq, **more})


async def test_nothing_was_owed_while_disconnected(page: Page) -> None:
    """A new connection asks for no position: what the log took in meanwhile is not lost."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    sockets[0].send(message(1, id="e-1"))
    await panel.received(1)
    await panel.press("Disconnect")
    await panel.press("Connect")
    await panel.becomes("connected")
    sockets[1].send(message(9, id="e-9"))
    await panel.received(2)
    await expect(panel.part("lost")).to_have_text("0 lost, 0 repeated, 0 out of order")


async def test_the_ledger_leaves_nothing_out(page: Page) -> None:
    """Losses that the server reported and unreadable messages are in both lines."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    sockets[0].send(message(1))
    sockets[0].send(message(1, producer="resume", lost=True))
    sockets[0].send("no JSON")
    await expect(panel.part("lost")).to_have_text(
        f"0 lost, 0 repeated, 0 out of order, losses reported 1{TIMES}, 1 unreadable"
    )
    await expect(panel.part("received-note")).to_have_text(f"losses reported 1{TIMES}, 1 unreadable")


@pytest.mark.empty_page
async def test_private_replies_count_apart_from_shared_messages(page: Page) -> None:
    """The chat plugin numbers what it sends to everyone, and what it replies to one client."""
    body = """
        const ledger = new m.Ledger();
        const enter = (seq, id) => ledger.enter({ producer: "chat", seq, id, client: null });
        enter(1, "a1-1"), enter(1, null), enter(2, "a1-2");
        ledger.forget(false);
        enter(1, null), enter(2, "a1-2");
        return [ledger.missing, ledger.repeated, ledger.late];
    """
    assert await run(page, "client/ledger", body) == [0, 1, 0]


@pytest.mark.empty_page
async def test_one_account_for_both_lines(page: Page) -> None:
    """Both lines have every count; the ledger has three of them even at zero."""
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
    assert await run(page, "measure/ledger_text", body) == [
        "none yet",
        "0 lost, 0 repeated, 0 out of order",
        all_of_it,
        all_of_it,
    ]


@pytest.mark.empty_page
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


@pytest.mark.empty_page
async def test_the_ledger_is_bounded(page: Page) -> None:
    """A server that invents producers fills no memory: beyond the bound they are only counted."""
    body = """
        const ledger = new m.Ledger();
        const enter = (producer) => ledger.enter({ producer, seq: 1, id: null });
        const { MAX_PRODUCERS } = await import("/static/client/ledger.js");
        for (let i = 0; i < MAX_PRODUCERS + 50; i += 1) enter(`p${i}`);
        return [ledger.unchecked, ledger.missing];
    """
    assert await run(page, "measure/ledger", body) == [50, 0]


@pytest.mark.empty_page
async def test_a_new_connection_keeps_shared_numbers(page: Page) -> None:
    """Private numbers begin again with a connection; shared ones go on, so that a gap shows."""
    body = """
        const ledger = new m.Ledger();
        ledger.enter({ producer: "own", seq: 1, id: null });
        ledger.enter({ producer: "all", seq: 7, id: "e-7" });
        ledger.forget(false);
        ledger.enter({ producer: "own", seq: 1, id: null });
        ledger.enter({ producer: "all", seq: 10, id: "e-10" });
        return [ledger.missing, ledger.repeated];
    """
    assert await run(page, "measure/ledger", body) == [2, 0]


@pytest.mark.empty_page
async def test_the_ledger_tells_late_from_repeated_and_lost(page: Page) -> None:
    """What comes after its successor was out of order, not missing; a lost log begins anew."""
    body = """
        const ledger = new m.Ledger();
        const enter = (seq, more) => ledger.enter({ producer: "all", seq, id: `e-${seq}`, ...more });
        for (const seq of [1, 4, 2, 2, 5]) enter(seq, {});
        const first = [ledger.missing, ledger.late, ledger.repeated, ledger.reported];
        ledger.enter({ producer: "resume", seq: 1, id: "f-0", lost: true });
        enter(1, {});
        return [...first, ledger.missing, ledger.repeated, ledger.reported];
    """
    assert await run(page, "measure/ledger", body) == [1, 1, 1, 0, 1, 1, 1]


@pytest.mark.empty_page
async def test_switched_off_numbers_are_no_gap(page: Page) -> None:
    """A shared producer's numbers go on while it is switched off; a private one's gap is a gap."""
    body = """
        const ledger = new m.Ledger();
        ledger.enter({ producer: "all", seq: 40, id: "a1-40" });
        ledger.enter({ producer: "own", seq: 1, id: null });
        ledger.forget(true);
        ledger.enter({ producer: "all", seq: 90, id: "a1-90" });
        const before = ledger.missing;
        ledger.enter({ producer: "own", seq: 3, id: null });
        return [before, ledger.missing, ledger.repeated];
    """
    assert await run(page, "measure/ledger", body) == [0, 1, 0]


async def test_the_ledger_is_told(page: Page) -> None:
    """Lost, repeated and late messages are counted separately."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    for seq in (1, 2, 6, 6, 4):
        sockets[0].send(json.dumps({"message": "x", "sentAt": 0, "producer": "p", "seq": seq}))
    await expect(panel.part("lost")).to_have_text("2 lost, 1 repeated, 1 out of order")


async def test_a_word_of_where_it_stands_is_no_message(page: Page) -> None:
    """It is neither counted nor listed; the next connection goes on behind it."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    message = {"message": "x", "sentAt": 0, "producer": "p", "seq": 1}
    update = {"message": '{"position":"ab-1000"}', "sentAt": 0, "producer": "rtdemo", "id": "ab-1000"}
    sockets[0].send(json.dumps({**update, "seq": 1}))
    sockets[0].send(json.dumps(message))
    await expect(panel.part("received")).to_have_text("1")
    await sockets[0].close(code=1011)
    await panel.becomes("connected")
    await expect(panel.part("reconnects")).to_have_text("1")
    assert "last_event_id=ab-1000" in sockets[1].url
    # Its number begins anew with the connection, as any other private one.
    sockets[1].send(json.dumps({**update, "seq": 1}))
    sockets[1].send(json.dumps(message))
    await expect(panel.part("received")).to_have_text("2")
    await expect(panel.part("lost")).to_have_text("0 lost, 0 repeated, 0 out of order")
