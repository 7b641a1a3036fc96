"""The view's connection: SSE where the WebSocket fails, losses, and what is stale."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, WebSocketRoute, expect

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.browser.conftest import BrowserErrors, Serve
from tests.browser.modules import run, stop_clock
from tests.browser.view.conftest import OpenView, Publish, is_live
from tests.clients import eventually
from tests.free_port import free_port
from tests.web.login_tokens import SECRET, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOSS = "Live over WebSocket. Some messages were lost. What the server still has is shown."
NEW_LOG = (
    "Live over WebSocket. The server has forgotten its values, as after a restart."
    " Some messages may be lost."
)
LOST = {"message": "lost", "sentAt": 0, "producer": "resume", "seq": 1, "id": "ff-3", "lost": True}
RESTRICTED = """
from rtdemo import producer

@producer(every=0.2, shared=True, users=["ann"])
def of_ann():
    return "for ann"

@producer(every=0.2, shared=True, users=["bob"])
def of_bob():
    return "for bob"
"""


def sentence(page: Page) -> Locator:
    return page.locator('[data-part="sentence"]')


async def test_sse_where_the_websocket_does_not_open(open_view: OpenView, publish: Publish) -> None:
    """It says why; values arrive all the same."""
    page = await open_view()
    await page.add_init_script(
        "window.WebSocket = class extends EventTarget { constructor() { super();"
        " setTimeout(() => this.onerror?.(new Event('error'))); } close() {} };"
    )
    await page.reload()
    await expect(sentence(page)).to_have_text(
        "Live over SSE. The WebSocket did not open. A proxy may not forward the upgrade."
    )
    await publish("loss", 0.12)
    await expect(page.locator(".number")).to_have_text("0.12")
    # Other tabs count its stream: a browser opens six to one server.
    ask = """() => new Promise((resolve) => {
        const channel = new BroadcastChannel("rtdemo-streams");
        channel.onmessage = ({ data }) => resolve("holder" in data);
        channel.postMessage({ call: true });
    })"""
    assert await page.evaluate(ask)


async def test_sse_where_the_websocket_stays_mute(open_view: OpenView) -> None:
    """After 30 s, by the page's clock."""
    page = await open_view()
    await page.add_init_script(
        "window.WebSocket = class extends EventTarget { constructor() { super();"
        " setTimeout(() => this.onopen?.(new Event('open'))); } close() {} };"
    )
    await page.clock.install()
    await page.reload()
    await page.clock.run_for(31_000)
    await expect(sentence(page)).to_have_text("Live over SSE. Nothing arrived over WebSocket for 30 s.")


@pytest.mark.parametrize(("is_new", "said"), [(False, LOSS), (True, NEW_LOG)])
async def test_lost_messages_are_said_and_the_past_comes_again(
    open_view: OpenView, publish: Publish, server: Server, is_new: bool, said: str
) -> None:
    """What the page had stays, and nothing is shown twice. After a minute the loss is no news."""
    lost = LOST | {"id": "ff-3" if is_new else str(server.hub.engine.log.last._replace(offset=3))}
    await publish("note", "one", "two")
    page = await open_view()
    await page.clock.install()
    sockets: list[WebSocketRoute] = []

    async def through(route: WebSocketRoute) -> None:
        route.connect_to_server()
        sockets.append(route)

    await page.route_web_socket("**/*", through)
    await page.reload()
    await expect(page.locator(".text")).to_have_text(["two", "one"])
    sockets[0].send(json.dumps(lost))
    await expect(sentence(page)).to_have_text(said)
    while len(sockets) < 2:
        await page.wait_for_timeout(20)
    await publish("note", "three")
    await expect(page.locator(".text")).to_have_text(["three", "two", "one"])
    await page.clock.fast_forward(61_000)
    await expect(sentence(page)).to_have_text("Live over WebSocket.")


async def test_longer_past_that_was_chosen_comes_after_a_loss(
    open_view: OpenView, publish: Publish
) -> None:
    """Where the choice itself needed no new connection."""
    await publish("loss", 1)
    page = await open_view()
    sockets: list[WebSocketRoute] = []

    async def through(route: WebSocketRoute) -> None:
        route.connect_to_server()
        sockets.append(route)

    await page.route_web_socket("**/*", through)
    await page.goto(f"{page.url}?window=60")
    await is_live(page)
    await page.get_by_role("button", name="1 h", exact=True).click()
    assert ["rewind=60s" in socket.url for socket in sockets] == [True]
    sockets[0].send(json.dumps(LOST))
    while len(sockets) < 2:
        await page.wait_for_timeout(20)
    assert "rewind=3600s" in sockets[1].url
    await publish("loss", 2)
    await expect(page.locator(".number")).to_have_text("2")
    assert len(sockets) == 2


async def test_producer_that_does_not_exist_yet(open_view: OpenView, publish: Publish) -> None:
    """A wall screen may be switched on before the program that publishes. The others are shown."""
    await publish("loss", 1)
    page = await open_view("?producers=later,loss")
    await expect(page.locator(".number")).to_have_text("1")
    await publish("later", 3)
    await expect(page.locator(".number")).to_have_text(["3", "1"])


async def test_names_beyond_the_servers_bound_are_ignored(open_view: OpenView, publish: Publish) -> None:
    """The page is live with the first hundred, and has no card of the others."""
    await publish("first", 1)
    await publish("last", 1)
    names = ["first", *(f"n{number}" for number in range(99)), "last"]
    page = await open_view(f"?producers={','.join(names)}")
    await expect(page.get_by_role("article")).to_have_count(1)


async def test_restart_of_the_server(
    open_view: OpenView, publish: Publish, serve: Serve, browser_errors: BrowserErrors
) -> None:
    """The new log has none of the picked names yet. The cards stay, and go on with the next values."""
    port = free_port()
    old = await serve(single_site=True, port=port)
    await publish("loss", 1, server=old)
    page = await open_view("?producers=loss", server=old)
    await expect(page.locator(".number")).to_have_text("1")
    await old.stop()
    await expect(sentence(page)).to_have_text(
        "Not live: Nothing answers. Is the server running? It reconnects by itself."
    )
    new = await serve(single_site=True, port=port)
    await expect(sentence(page)).to_have_text(NEW_LOG)
    await eventually(lambda: [each.offset for each in new.hub.connections] == [0])
    await publish("loss", 2, server=new)
    await expect(page.locator(".number")).to_have_text("2")
    browser_errors.remove_outage()


async def test_restart_before_the_first_value(
    open_view: OpenView, serve: Serve, browser_errors: BrowserErrors
) -> None:
    """The page has no message, and knows the log by its welcome."""
    port = free_port()
    old = await serve(single_site=True, port=port)
    page = await open_view("?producers=never", server=old)
    await old.stop()
    await expect(sentence(page)).to_contain_text("Nothing answers")
    await serve(single_site=True, port=port)
    await expect(sentence(page)).to_have_text(NEW_LOG)
    browser_errors.remove_outage()


async def test_values_kept_through_a_restart_are_shown(
    open_view: OpenView, publish: Publish, serve: Serve, browser_errors: BrowserErrors
) -> None:
    """A publisher sends what it kept. A live value reaches the page before the past does."""
    port = free_port()
    old = await serve(single_site=True, port=port)
    await publish("note", "one", "two", server=old)
    page = await open_view(server=old)
    await expect(page.locator(".text")).to_have_text(["two", "one"])
    await old.stop()
    await expect(sentence(page)).to_contain_text("Nothing answers")
    new = await serve(single_site=True, port=port)
    await publish("note", "three", "four", server=new)
    await expect(sentence(page)).to_have_text(NEW_LOG)
    await publish("note", "five", server=new)
    await expect(page.locator(".text")).to_have_text(["five", "four", "three", "two", "one"])
    browser_errors.remove_outage()


async def test_login(
    open_view: OpenView, serve: Serve, clock: VirtualClock, browser_errors: BrowserErrors
) -> None:
    """The page asks for a token, is live with one, and is not once it is to be forgotten."""
    guarded = await serve(secret=SECRET)
    page = await open_view(server=guarded, live=False)
    await expect(page.locator('[data-part="login-state"]')).to_have_text(
        "This server needs a login token."
    )
    await page.get_by_label("Token").fill(token("ann"))
    async with page.expect_websocket() as opened:
        await page.get_by_role("button", name="Log in").click()
    await expect(sentence(page)).to_have_text("Live over WebSocket.")
    async with (await opened.value).expect_event("close"):
        await page.get_by_role("button", name="Forget the token").click()
    await expect(sentence(page)).to_contain_text("Not live: No login:")
    await expect(sentence(page)).to_contain_text("Enter one at “Token” and press Log in.")
    browser_errors.remove_expected("401")


async def test_next_user_sees_nothing_of_the_last_one(
    open_view: OpenView, serve: Serve, tmp_path: Path, browser_errors: BrowserErrors
) -> None:
    """A token that is forgotten takes with it what it has shown, and the next one gets its own past."""
    plugin = tmp_path / "private.py"
    plugin.write_text(RESTRICTED)
    guarded = await serve(files=(plugin,), secret=SECRET)
    page = await open_view(server=guarded, live=False)
    for user, other in (("ann", "bob"), ("bob", "ann")):
        await page.get_by_label("Token").fill(token(user))
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator(".text").first).to_have_text(f"for {user}")
        assert f"for {other}" not in await page.content()
        await page.get_by_role("button", name="Forget the token").click()
        await expect(page.locator(".card")).to_have_count(0)
        assert f"for {user}" not in await page.content()
    browser_errors.remove_expected("401")


async def test_connecting_anew_is_shown(
    open_view: OpenView, serve: Serve, browser_errors: BrowserErrors
) -> None:
    """As a reader does with another token. Private values are missing meanwhile: there is a gap."""
    guarded = await serve(secret=SECRET)
    page = await open_view(server=guarded, live=False)
    await page.get_by_label("Token").fill(token("ann"))
    await page.get_by_role("button", name="Log in").click()
    await expect(sentence(page)).to_have_text("Live over WebSocket.")
    await page.route("**/api/ticket", lambda _: None)
    await page.evaluate(
        """(token) => {
        document.querySelector("[data-part=token]").value = token;
        document.querySelector("[data-part=login]").requestSubmit();
    }""",
        token("bob"),
    )
    await expect(sentence(page)).to_have_text("Connecting…")
    await page.unroute_all(behavior="ignoreErrors")
    browser_errors.remove_expected("401")


@pytest.mark.empty_page
@pytest.mark.parametrize(("may_retry", "tries"), [("true", 3), ("false", 1)])
async def test_refusal_is_tried_again_unless_a_login_is_missing(
    page: Page, may_retry: str, tries: int
) -> None:
    """Each five seconds or so: the server may be restarted with another setting."""
    await stop_clock(page)
    await run(
        page,
        "view/live",
        f"""
        window.tries = 0;
        const ticket = async () => {{
            window.tries += 1;
            throw Object.assign(new Error("no such user"), {{ isFinal: true }});
        }};
        const nothing = () => undefined;
        const names = ["received", "welcomed", "interrupted", "rewinding", "changed"];
        const receiver = Object.fromEntries(names.map((name) => [name, nothing]));
        Math.random = () => 0.5;
        window.live = new m.Live({{ ticket }}, receiver, () => {may_retry});
        live.connect();
        """,
    )
    for _ in range(11):
        await page.clock.run_for(1_000)
    assert await page.evaluate("[live.state, tries]") == ["refused", tries]
    again = " Trying again every 5 s." if tries > 1 else ""
    sentence = f"Not live: No login: no such user.{again}"
    assert await page.evaluate("live.sentence") == sentence


@pytest.mark.empty_page
async def test_stale_after_three_periods(page: Page) -> None:
    """And at least 5 s. Without a declared period it is learned."""
    found = await run(
        page,
        "view/producer_data",
        """
        const stale = (period, times, now) => {
            const data = new m.ProducerData("x");
            data.describe({ title: "", unit: "", low: null, high: null, period });
            for (const sentAt of times) data.take({ message: "1", value: 1, sentAt, id: null }, 1e9);
            return data.isStale(now);
        };
        return [
            stale(1, [0], 4_900), stale(1, [0], 5_100),
            stale(10, [0], 29_000), stale(10, [0], 31_000),
            stale(null, [0, 10_000, 20_000], 49_000), stale(null, [0, 10_000, 20_000], 51_000),
            stale(null, [0], 900_000),
        ];
        """,
    )
    assert found == [False, True, False, True, False, True, False]


@pytest.mark.empty_page
async def test_series_is_bounded_and_keeps_spikes(page: Page) -> None:
    """An hour at 50 Hz, and an hour in which values and gaps alternate."""
    found = await run(
        page,
        "view/series",
        """
        const series = new m.Series();
        series.addLine();
        const hour = Array.from({ length: 180_000 }, (_, index) => index);
        for (const index of hour) series.push(index * 20, [index === 50_000 ? 99 : index % 7]);
        const first = series.at[0];
        const top = Math.max(...series.high[0].subarray(0, series.length));
        const times = [...series.at.subarray(0, series.length)];
        const ascending = times.every((at, index) => index === 0 || at >= times[index - 1]);
        const gaps = new m.Series();
        gaps.addLine();
        for (const index of hour) gaps.push(index * 20, [index % 2 ? index : NaN]);
        return { length: series.length, bound: m.MAX_POINTS, first, top, ascending, gaps: gaps.length };
        """,
    )
    assert found["length"] <= found["bound"]
    assert found["gaps"] <= found["bound"]
    assert found["top"] == 99
    assert found["ascending"]
    assert found["first"] < 60_000


@pytest.mark.empty_page
async def test_decimals_of_numbers_around_zero(page: Page) -> None:
    """One near zero needs no more than the others: a wave has four, and a loss keeps its digits."""
    found = await run(
        page,
        "view/producer_data",
        """
        const decimals = (values) => {
            const data = new m.ProducerData("x");
            values.forEach((value, sentAt) => data.take({ message: "", value, sentAt, id: null }, 1e9));
            return data.decimals[0];
        };
        const wave = Array.from({ length: 1000 }, (_, index) => Math.cos(index / 50));
        return [decimals(wave), decimals([2.3, 0.8, 0.0512]), decimals([64.2, 63.9]), decimals([3, 4])];
        """,
    )
    assert found == [4, 4, 1, 0]


@pytest.mark.empty_page
async def test_decimals_show_the_recent_changes(page: Page) -> None:
    """As many as the largest change needs, at most what they have; few after a larger one."""
    found = await run(
        page,
        "view/producer_data",
        """
        const { changeText, jsonText, numberText } = await import("/static/value.js");
        const texts = (...values) => {
            const data = new m.ProducerData("x");
            values.forEach((value, sentAt) => data.take({ message: "", value, sentAt, id: null }, 1e9));
            const [decimals] = data.decimals;
            const change = changeText(values.at(-1) - values[0], decimals);
            return [numberText(values.at(-1), decimals), change];
        };
        return {
            pressure: texts(1013.27, 1013.44),
            price: texts(20145.12, 20147.5),
            trimmed: texts(1000.5, 1000.5000001, 1001),
            larger: texts(1013.2701, 1013.2702, 1063.2),
            whole: texts(123456788, 123456789),
            cells: [1013.2, 1010.0, 123456789, 0.1 + 0.2, -1.5].map(jsonText),
        };
        """,
    )
    assert found == {
        "pressure": ["1,013.44", "+0.17"],
        "price": ["20,147.5", "+2.4"],
        "trimmed": ["1,001.0", "+0.5"],
        "larger": ["1,063", "+50"],
        "whole": ["123,456,789", "+1"],
        "cells": ["1013.2", "1010", "123456789", "0.3", "\N{MINUS SIGN}1.5"],
    }


@pytest.mark.empty_page
async def test_values_and_scales_for_readers(page: Page) -> None:
    """Kinds, digits, and round ticks without a negative zero."""
    found = await run(
        page,
        "value",
        """
        const { axis } = await import("/static/view/axis.js");
        const dicts = [{ a: 1, b: null }, { a: 1, b: "50,1" }, { a: 1, b: 2, c: "x" },
                       { a: 1, b: "x" }, { a: 1, b: true, c: "x" }, { a: "1" }];
        const values = [1, true, "a", undefined, ...dicts, [1], {}, null];
        const kinds = values.map((each) => m.kindOf(each));
        const later = dicts.map((each) => m.kindOf(each, "lines"));
        const text = (each) => m.numberText(each, m.decimalsOf(each));
        const texts = [0.12, 21.5, 12400, 1e15, 0.0000001, -3, -0].map(text);
        return { kinds, later, texts, rounded: m.numberText(-0.04, 1),
                 ticks: axis(0, 100, 4).ticks, flat: axis(5, 5, 3).ticks.length > 1,
                 signs: axis(-0.001, 1, 2).ticks.map((tick) => Object.is(tick, -0)) };
        """,
    )
    assert found["kinds"] == [
        *("number", "state", "text", "text", "lines", "lines", "lines", "lines", "table", "table"),
        *("table", "table", None),
    ]
    assert found["later"] == ["lines", "lines", "lines", "lines", "lines", "table"]
    texts = ["0.12", "21.5", "12,400", "1.000e+15", "1.000e-7", "\N{MINUS SIGN}3", "0"]
    assert found["texts"] == texts
    assert found["rounded"] == "0.0"
    assert found["ticks"] == [0, 25, 50, 75, 100]
    assert found["flat"]
    assert True not in found["signs"]
