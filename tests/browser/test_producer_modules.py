"""What the producers' section computes, called in the browser as the page calls it."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.test_modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_selection(page: Page) -> None:
    """A choice goes into the address and into a control message; all switched on is no pick."""
    body = """
        const start = m.selectionFrom("?producers=a,b&speed=2&x=y");
        const none = m.switched(m.switched(start, "a", false, ["a", "b"]), "b", false, ["a", "b"]);
        const all = m.switched(none, "a", true, ["a"]);
        const address = (selection) => m.addressFor(new URL("http://h/api/sse"), selection).href;
        return [
            m.selectionFrom(""),
            m.switched(m.selectionFrom(""), "b", false, ["a", "b", "c"]).producers,
            [address(start), address(none), address(all), address(m.selectionFrom(""))],
            m.controlMessage(none),
            m.sameSelection(start, { producers: ["b", "a"], speed: "2.0" }),
            [m.sameSelection(start, all), m.sameSelection(all, all)],
        ];
    """
    assert await run(page, "connection/selection", body) == [
        {"producers": None, "speed": "1"},
        ["a", "c"],
        [
            "http://h/api/sse?producers=a%2Cb&speed=2",
            "http://h/api/sse?producers=&speed=2",
            "http://h/api/sse?speed=2",
            "http://h/api/sse",
        ],
        '{"rtdemo":{"producers":[],"speed":2}}',
        True,
        [False, True],
    ]


async def test_control_answers(page: Page) -> None:
    """Only whole answers count; a lost message is told again, a late refusal undoes nothing newer."""
    body = """
        const { parseAnswer } = await import("/static/connection/selection.js");
        const found = ["{", "7", "{}", '{"speed": 1}'].map(parseAnswer);
        const control = new m.SelectionSync({ producers: null, speed: "1" });
        const say = (message) => control.answered({ producer: "rtdemo", message });
        control.opened();
        found.push(control.next());
        control.choose({ producers: [], speed: "1" });
        found.push(control.next() !== null, control.next());
        control.sendFailed("cut");
        found.push(control.refusal, control.next() !== null);
        control.choose({ producers: ["a"], speed: "1" });
        control.next();
        found.push(say('{"error": "no"}'), control.chosen.producers);
        found.push(say('{"error": "no"}'), control.chosen.producers);
        found.push(say('{"error": "no"}'), say('{"producers": [], "speed": 3.0}'), control.chosen);
        return found;
    """
    assert await run(page, "connection/selection", body) == [
        *(None, None, None, None, None),
        *(True, None),
        *("cut", True),
        *(True, ["a"]),
        *(True, None),
        *(False, False, {"producers": [], "speed": "3"}),
    ]


async def test_rate_stops(page: Page) -> None:
    """The slider goes from a tenth to twenty times; other speeds stand at the nearest stop by ratio."""
    body = """
        const stops = m.RATE_STOPS;
        const nearest = ["1", "2.5", "0.01", "1000", "x"].map((speed) => stops[m.nearestStop(speed)]);
        return [stops[0], stops.at(-1), ...nearest];
    """
    assert await run(page, "views/producers_panel", body) == ["0.1", "20", "1", "3", "0.1", "20", "1"]


async def test_gathering_producers(page: Page) -> None:
    """A name that stands once for each transport is one producer, as bad as its worse account."""
    body = """
        const account = (transport, rest) => ({
            name: "p", plugin: "q", shared: false, always: false, stream: false, period: null,
            state: "running", runs: 2, failures: 0, blocked: 1, transports: [transport], ...rest,
        });
        const accounts = [
            account("websocket", { period: 2, state: "disabled", failures: 3, lastError: "E\\n1" }),
            account("sse", {}),
            account("sse", { name: "s", period: 0.01, shared: true }),
        ];
        const text = m.periodText;
        const [one, two] = m.joinEntries(accounts);
        const { name, state, runs, failures, blocked, error } = one;
        return [
            [name, state, runs, failures, blocked, error],
            [text(one, "websocket", "3"), text(one, "sse", "3"), text(two, "sse", "3")],
            [text(two, "websocket", "3"), m.switchableNames([one, two], "websocket")],
        ];
    """
    assert await run(page, "producers", body) == [
        ["p", "disabled", 4, 3, 2, "WebSocket: E␊1"],
        ["every 667 ms", "at connect", "every 10 ms"],
        ["SSE only", ["p"]],
    ]


async def test_stall(page: Page) -> None:
    """Ten seconds are long at the usual rate, a hundred at a tenth of it; a pick is named as a cause."""
    body = """
        const stall = new m.StallDetector();
        const at = (speed, producers = null) => stall.sentence({ speed, producers }, "Look there.");
        return [at("1"), at("20"), at("0.1"), at("x"), at("1", [])];
    """
    ten = "Nothing has arrived for 10 s. Look there."
    assert await run(page, "connection/stall", body) == [
        *(ten, ten, ten.replace("10 s", "100 s"), ten),
        "Nothing has arrived for 10 s from the selected producers. Switch on more of them below.",
    ]


async def test_switched_off_numbers_are_no_gap(page: Page) -> None:
    """A shared producer's numbers go on while it is switched off; a private one's gap is a gap."""
    body = """
        const ledger = new m.Ledger();
        ledger.shared = new Set(["all"]);
        ledger.enter({ producer: "all", seq: 40, id: null });
        ledger.enter({ producer: "own", seq: 1, id: null });
        ledger.forgetShared();
        ledger.enter({ producer: "all", seq: 90, id: null });
        const before = ledger.missing;
        ledger.enter({ producer: "own", seq: 3, id: null });
        return [before, ledger.missing, ledger.repeated];
    """
    assert await run(page, "measure/ledger", body) == [0, 1, 0]


async def test_patience_knows_the_producers(page: Page) -> None:
    """What speaks once a minute has not stalled after ten seconds; a stream may speak at any time."""
    body = """
        const account = (period, stream = false) => ({ period, stream, always: false, shared: false });
        const producer = (name, websocket, sse) => ({ name, shared: false, on: { websocket, sse } });
        const stall = new m.StallDetector();
        const all = { producers: null, speed: "1" };
        const found = [stall.timeout(all)];
        const fast = producer("fast", account(2), account(2));
        stall.setProducers([producer("slow", account(60), null), fast], "websocket");
        const slow = { producers: ["slow"], speed: "1" };
        found.push(stall.timeout(all), stall.timeout(slow));
        found.push(stall.timeout({ ...slow, speed: "2" }));
        stall.setProducers([producer("own", account(null, true), null)], "websocket");
        return [...found, stall.timeout({ producers: ["own"], speed: "0.1" })];
    """
    assert await run(page, "connection/stall", body) == [10_000, 10_000, 90_000, 45_000, 100_000]
