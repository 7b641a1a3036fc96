"""What each connection receives, and how fast: chosen on the page, kept across connections."""

from __future__ import annotations

import json
import re

import pytest
import pytest_asyncio
from playwright.async_api import Page, WebSocketRoute, expect

from rtdemo.protocol.close_reasons import Reason
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.browser.conftest import BrowserErrors, Open, Serve
from tests.browser.modules import run
from tests.browser.panel import UNCOUNTED, Panel
from tests.browser.producers_section import ProducersSection, connect_both, connections, settles
from tests.clients import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

TIMES = "\N{MULTIPLICATION SIGN}"


@pytest_asyncio.fixture(loop_scope="session")
async def server(serve: Serve, clock: VirtualClock) -> Server:
    """Serve the built-in plugins, in the test's own time."""
    return await serve(clock=clock)


async def test_switching_off_one_side(
    page: Page, server: Server, clock: VirtualClock, side: str
) -> None:
    """A producer switched off stops on that connection alone; no figure counts the answer."""
    producers, other = ProducersSection(page), "sse" if side == "websocket" else "websocket"
    open_ones = await connect_both(page, server)
    await producers.switch("message", side).click()
    await settles(open_ones[side], 1, "status", "welcome")
    await settles(open_ones[other], 1, "message", "status", "welcome")
    clock.advance(6)
    statuses = {"websocket": 2, "sse": 1}
    for each, messages in ((side, 0), (other, 3)):
        panel = Panel(page, each)
        await expect(panel.part("received")).to_have_text(str(1 + statuses[each] + messages))
        await expect(panel.rows.filter(has_text="Message")).to_have_count(messages)
        await expect(panel.part("received-note")).to_have_text("none missing")
        await expect(panel.rows.filter(has_text="rtdemo")).to_have_count(0)
    await producers.switch("message", side).click()
    await settles(open_ones[side], 1, "message", "status", "welcome")
    assert open_ones[side].selection.producers is None
    assert connections(server) == open_ones


async def test_the_rate(page: Page, server: Server, clock: VirtualClock) -> None:
    """The slider changes the rate of both open connections, and has it as text."""
    producers = ProducersSection(page)
    open_ones = await connect_both(page, server)
    await producers.rate.focus()
    await page.keyboard.press("End")
    for connection in open_ones.values():
        await settles(connection, 20, "message", "status", "welcome")
    clock.advance(0.52)
    for side, statuses in (("websocket", 3), ("sse", 2)):
        await expect(Panel(page, side).part("received")).to_have_text(str(1 + 5 + statuses))
    await expect(producers.rate_value).to_have_text("20" + TIMES)
    await expect(producers.rate).to_have_attribute("aria-valuetext", "20 times")
    await expect(producers.row("message").locator(".receives")).to_have_text(["every 100 ms"] * 2)
    await page.keyboard.press("Home")
    for connection in open_ones.values():
        await settles(connection, 0.1, "message", "status", "welcome")
    await expect(producers.row("message").locator(".receives")).to_have_text(["every 20 s"] * 2)
    assert connections(server) == open_ones


async def test_a_new_connect_asks_for_it(page: Page, server: Server, side: str) -> None:
    """What was chosen before Connect, or on an earlier connection, is in the next one's address."""
    producers, panel = ProducersSection(page), Panel(page, side)
    await producers.switch("message", side).click()
    await expect(panel.sentence).to_contain_text("?producers=status")
    await panel.connect()
    await producers.rate.focus()
    await page.keyboard.press("ArrowRight")
    await settles(connections(server)[side], 1.5, "status", "welcome")
    await panel.press("Disconnect")
    await eventually(lambda: not server.hub.connections)
    await panel.press("Connect")
    await panel.becomes("connected")
    await eventually(lambda: server.hub.connections)
    asked = connections(server)[side].client.query
    assert asked == {"producers": "status", "speed": "1.5", "heartbeat": "2"}


async def test_a_reconnect_asks_for_it(
    page: Page, server: Server, side: str, browser_errors: BrowserErrors
) -> None:
    """A choice that was sent to the old connection is in the address of the next one."""
    producers = ProducersSection(page)
    await Panel(page, side).connect()
    (first,) = server.hub.connections
    await producers.switch("status", side).click()
    await settles(first, 1, "message", "welcome")
    first.end(Reason.CONNECTION_LOST)
    await eventually(lambda: set(server.hub.connections) - {first})
    (second,) = server.hub.connections
    assert second.client.query["producers"] == "message"
    assert second.client.query["last_event_id"]
    await settles(second, 1, "message", "welcome")
    browser_errors.remove_possible("ERR_")


async def test_the_address_is_the_start(open_page: Open) -> None:
    """The page's own ?producers= and ?speed= are where switches and slider stand at first."""
    producers = ProducersSection(await open_page("/?producers=status&speed=2"))
    await expect(producers.rate_value).to_have_text("2" + TIMES)
    for side in ("websocket", "sse"):
        await expect(producers.switch("status", side)).to_be_checked()
        await expect(producers.switch("message", side)).not_to_be_checked()


async def test_a_refused_choice(page: Page) -> None:
    """A server's error is shown, and the switch goes back to what the connection receives."""

    def refuse(socket: WebSocketRoute) -> None:
        answer = {"message": json.dumps({"error": "not <b>now</b>"}), "sentAt": 0, "producer": "rtdemo"}
        socket.send(UNCOUNTED)
        socket.on_message(lambda _: socket.send(json.dumps(answer)))

    await page.route_web_socket(re.compile("^ws://"), refuse)
    producers, panel = ProducersSection(page), Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    await producers.switch("message", "websocket").click()
    await expect(producers.lines).to_have_text("WebSocket: not <b>now</b>")
    await expect(producers.switch("message", "websocket")).to_be_checked()
    await expect(producers.root.get_by_role("status")).to_have_text("WebSocket: not <b>now</b>")
    await expect(panel.part("received")).to_have_text("0")


async def test_a_typed_control_message(page: Page, server: Server, side: str) -> None:
    """Its answer is an ordinary message, and the page takes over its selection."""
    producers, panel = ProducersSection(page), Panel(page, side)
    await panel.connect()
    await panel.send_text('{"rtdemo": {"speed": 5, "producers": ["message"]}}')
    await expect(panel.texts.filter(has_text='"speed":5.0')).to_have_count(1)
    first = side == "websocket"
    await expect(producers.rate_value).to_have_text(
        f"5{TIMES} / 1{TIMES}" if first else f"1{TIMES} / 5{TIMES}"
    )
    await expect(producers.switch("status", side)).not_to_be_checked()


async def test_keyboard(page: Page, server: Server) -> None:
    """Space moves a switch; one that cannot be moved keeps its place, its focus and its reason."""
    producers = ProducersSection(page)
    await Panel(page, "sse").connect()
    (connection,) = server.hub.connections
    await producers.switch("message", "sse").focus()
    await page.keyboard.press("Space")
    await settles(connection, 1, "status", "welcome")
    await expect(producers.switch("message", "sse")).not_to_be_checked()
    fixed = producers.switch("welcome", "sse")
    await fixed.evaluate("box => box.addEventListener('change', () => box.classList.add('moved'))")
    await fixed.focus()
    await page.keyboard.press("Space")
    await expect(fixed).not_to_contain_class("moved")
    await expect(fixed).to_be_checked()
    await expect(fixed).to_be_focused()
    await expect(fixed).to_have_accessible_name("welcome over SSE, at connect, always")
    assert connection.selection.producers == frozenset({"status"})


@pytest.mark.empty_page
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


@pytest.mark.empty_page
async def test_control_answers(page: Page) -> None:
    """Only complete answers count; a lost message is sent again, a late refusal undoes nothing newer."""
    body = """
        const { parseAnswer } = await import("/static/connection/selection.js");
        const found = ["{", "7", "{}", '{"speed": 1}'].map(parseAnswer);
        const control = new m.SelectionSync({ producers: null, speed: "1" });
        const answer = (message) => control.answered({ producer: "rtdemo", message });
        control.opened();
        found.push(control.next());
        control.choose({ producers: [], speed: "1" });
        found.push(control.next() !== null, control.next());
        control.sendFailed("cut");
        found.push(control.refusal, control.next() !== null);
        control.choose({ producers: ["a"], speed: "1" });
        control.next();
        found.push(answer('{"error": "no"}'), control.chosen.producers);
        found.push(answer('{"error": "no"}'), control.chosen.producers);
        found.push(answer('{"error": "no"}'), answer('{"producers": [], "speed": 3.0}'), control.chosen);
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
