"""<rtdemo-chart> and <rtdemo-value> in a page of another origin."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from aiohttp import web
from playwright.async_api import CDPSession, Locator, Page, Route, expect

from rtdemo.server.server import Server
from tests.browser.axe import violations
from tests.browser.conftest import MARKUP, BrowserErrors, Serve
from tests.browser.embed.conftest import OpenHost, Site
from tests.browser.view.conftest import Publish
from tests.clients import eventually
from tests.free_port import free_port
from tests.web.login_tokens import SECRET, bearer, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOTH = """<p>It is <rtdemo-value producer="loss"></rtdemo-value>.</p>
<rtdemo-chart producer="loss"></rtdemo-chart>"""
ADD = "(html) => document.querySelector('main').insertAdjacentHTML('beforeend', html)"
LATER = """
from rtdemo import producer

@producer(every=0.1, shared=True, title="Much later")
def later():
    return 3
"""
LOOKS = {
    "light": ("rgb(27, 27, 25)", "rgb(253, 253, 251)"),
    "dark": ("rgb(235, 235, 231)", "rgb(19, 20, 21)"),
}
"""Colours of letters and of what is behind them."""
IS_DRAWN = """(scheme) => {
    const canvas = document.querySelector("rtdemo-chart").shadowRoot.querySelector("canvas");
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    const ink = { light: 27, dark: 235 }[scheme];
    return data.some((red, index) => index % 4 === 0 && red === ink && data[index + 3] === 255);
}"""
HOSTILE_STYLE = (
    "html { font-size: 40px } * { color: red; letter-spacing: 9px } h2, canvas { display: none }"
    " .card, .frame { background: lime } :root { --bands: 40; --mark: 9px }"
)


def value(page: Page) -> Locator:
    return page.locator("rtdemo-value .value")


def chart(page: Page, name: str = "loss") -> Locator:
    return page.locator("rtdemo-chart").get_by_role("article", name=name)


def picked(server: Server) -> list[set[str]]:
    """Return what each connection picks."""
    return [set(each.selection.producers or ()) for each in server.hub.connections]


async def test_value_and_chart_share_one_connection(
    open_host: OpenHost, allowing: Server, publish: Publish
) -> None:
    """A value stands in its sentence; a chart has its past; both follow."""
    await publish("loss", 3, 2.5, server=allowing)
    page = await open_host(BOTH)
    await expect(value(page)).to_have_text("2.5")
    await expect(chart(page).locator(".number")).to_have_text("2.5")
    await expect(chart(page).locator(".change")).to_contain_text("in")
    # A negative length of the view's style sheet.
    await expect(chart(page).locator(".icons")).to_have_css("margin-right", "-6px")
    await publish("loss", 1, server=allowing)
    await expect(value(page)).to_have_text("1.0")
    await expect(chart(page).locator(".number")).to_have_text("1.0")
    await expect(page.locator("p").first).to_have_text("It is 1.0.")
    # Only the full screen: its page has no button that would bring a hidden card back.
    await expect(chart(page).locator("button")).to_have_count(1)
    assert len(allowing.hub) == 1
    assert await violations(page) == []


async def test_text_among_numbers(open_host: OpenHost, allowing: Server, publish: Publish) -> None:
    """A value shows it; a chart keeps its line and names it, also in a dict."""
    await publish("loss", 3, "n/a", server=allowing)
    await publish("air", {"temp": 20, "hum": "50,1"}, server=allowing)
    page = await open_host(BOTH + '<rtdemo-chart producer="air"></rtdemo-chart>')
    await expect(value(page)).to_have_text("n/a")
    await expect(chart(page).locator(".undrawn")).to_have_text("'n/a' is a text: not drawn.")
    await expect(chart(page).get_by_role("group", name="Chart of loss")).to_be_visible()
    await expect(chart(page, "air").get_by_role("listitem")).to_have_text(["temp20", "hum'50,1'"])
    assert await violations(page) == []


async def test_lines_apart(open_host: OpenHost, allowing: Server, publish: Publish) -> None:
    """By their sizes, or by the attribute."""
    await publish("air", {"co2": 400, "temp": 20}, server=allowing)
    element = '<rtdemo-chart producer="air"'
    page = await open_host(f'{element}></rtdemo-chart>{element} lines="together"></rtdemo-chart>')
    drawn = page.get_by_role("group", name="Chart of air")
    await expect(drawn.first).to_have_css("--bands", "2")
    await expect(drawn.last).to_have_css("--bands", "1")


async def test_styles_stay_on_their_side(
    open_host: OpenHost, allowing: Server, publish: Publish
) -> None:
    """The page's reach no chart, not even the size of its letters; and those of a chart not the page."""
    await publish("loss", 3, server=allowing)
    page = await open_host(f'<h2 class="number">A title</h2>{BOTH}', style=HOSTILE_STYLE)
    number, title = chart(page).locator(".number"), chart(page).locator("h2")
    await expect(number).to_have_text("3")
    await expect(number).to_have_css("color", "rgb(27, 27, 25)")
    await expect(number).to_have_css("letter-spacing", "-2px")
    await expect(title).to_have_css("font-size", "15px")
    await expect(title).to_be_visible()
    drawn = page.get_by_role("group", name="Chart of loss")
    await expect(drawn).to_have_css("min-height", "104px")
    await expect(page.locator("main > .number")).to_have_css("letter-spacing", "9px")
    # A value is a part of its sentence.
    await expect(value(page)).to_have_css("color", "rgb(255, 0, 0)")


SIGNS = """(selector) => {
    const found = document.querySelector(selector).shadowRoot;
    const shown = found.querySelector(".number, .value");
    const text = document.createTreeWalker(shown, NodeFilter.SHOW_TEXT).nextNode();
    const left = (index) => {
        const range = new Range();
        range.setStart(text, index);
        range.setEnd(text, index + 1);
        return range.getBoundingClientRect().left;
    };
    return left(0) < left(1);
}"""


async def test_page_from_right_to_left(open_host: OpenHost, allowing: Server, publish: Publish) -> None:
    """Its titles may begin at the right. Signs are on the left, and time runs to the right."""
    await publish("loss", -3, server=allowing)
    page = await open_host(f'<div dir="rtl">{BOTH}</div>')
    await expect(chart(page).locator("h2")).to_have_css("direction", "rtl")
    await expect(chart(page).locator(".number")).to_have_text("\N{MINUS SIGN}3")
    await expect(value(page)).to_have_text("\N{MINUS SIGN}3")
    for element in ("rtdemo-chart", "rtdemo-value"):
        assert await page.evaluate(SIGNS, element)
    await expect(page.get_by_role("group", name="Chart of loss")).to_have_css("direction", "ltr")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_page_decides_whether_it_is_dark(
    open_host: OpenHost, allowing: Server, publish: Publish, scheme: str
) -> None:
    """By its color-scheme, whatever the reader's system has; the chart's canvas changes with it."""
    await publish("loss", 1, 2, 3, server=allowing)
    other = {"light": "dark", "dark": "light"}[scheme]
    style = f":root {{ color-scheme: {other} }}"
    page = await open_host(BOTH, color_scheme=other, style=style)
    ink, paper = LOOKS[scheme]
    number = chart(page).locator(".number")
    await expect(number).to_have_text("3")
    await expect(number).not_to_have_css("color", ink)
    await page.evaluate("(scheme) => { document.documentElement.style.colorScheme = scheme; }", scheme)
    await expect(number).to_have_css("color", ink)
    await expect(page.locator("rtdemo-chart .frame")).to_have_css("background-color", paper)
    await page.wait_for_function(IS_DRAWN, arg=scheme)
    assert await violations(page) == []


async def test_hostile_texts_inject_nothing(
    open_host: OpenHost, allowing: Server, publish: Publish
) -> None:
    """Names, values and keys are text."""
    await publish("text", MARKUP, server=allowing)
    await publish("keys", {MARKUP: 1}, server=allowing)
    names = ("text", "keys")
    body = "".join(
        f'<rtdemo-{kind} producer="{name}"></rtdemo-{kind}>'
        for name in names
        for kind in ("value", "chart")
    )
    page = await open_host(body)
    await expect(value(page).first).to_have_text(MARKUP)
    await expect(chart(page, "keys").locator(".key")).to_have_text([MARKUP])
    images = (
        "[...document.querySelectorAll('*')].filter((e) => e.shadowRoot?.querySelector('img')).length"
    )
    assert await page.evaluate(f"{images} + ('injected' in window ? 1 : 0)") == 0


async def test_origin_that_is_not_allowed_is_told_what_to_do(
    open_host: OpenHost, server: Server, site: Site, browser_errors: BrowserErrors
) -> None:
    """The elements load all the same, and say which setting is missing."""
    page = await open_host(BOTH, server)
    sentence = f"This page's origin is not allowed: start rtdemo with --allow-origin {site.origin}."
    problem = page.locator("rtdemo-chart .problem")
    await expect(problem).to_contain_text(sentence)
    await expect(problem.locator(".flag")).to_have_text("--allow-origin")
    # In a narrow card it is on one line, and the title has its own.
    await page.locator("rtdemo-chart").evaluate("(element) => { element.style.width = '9rem'; }")
    await expect(chart(page).locator("header")).to_have_css("flex-wrap", "wrap")
    assert await problem.locator(".flag").evaluate("(flag) => flag.getClientRects().length") == 1
    assert sentence in (await value(page).get_attribute("title") or "")
    for part in ("CORS policy", "403", "ERR_FAILED"):
        browser_errors.remove_expected(part)


async def test_elements_are_added_changed_and_removed(
    open_host: OpenHost, allowing: Server, publish: Publish
) -> None:
    """The connection picks what is shown, and closes after the last element."""
    for name in ("a", "b"):
        await publish(name, 1, 2, server=allowing)
    page = await open_host('<rtdemo-value producer="a"></rtdemo-value>')
    await expect(value(page)).to_have_text("2")
    await page.evaluate(ADD, '<rtdemo-chart producer="b"></rtdemo-chart>')
    await expect(chart(page, "b").locator(".number")).to_have_text("2")
    await expect(chart(page, "b").locator(".change")).to_contain_text("+1 in")
    await page.evaluate("document.querySelector('rtdemo-value').setAttribute('producer', 'b')")
    await publish("b", 7, server=allowing)
    await expect(value(page)).to_have_text("7")
    await eventually(lambda: picked(allowing) == [{"b"}])
    await page.evaluate("document.querySelector('main').replaceChildren()")
    await eventually(lambda: len(allowing.hub) == 0)


async def listeners(devtools: CDPSession) -> int:
    """Return the number of listeners of events in the page."""
    found = await devtools.send("Performance.getMetrics")
    return int(next(each["value"] for each in found["metrics"] if each["name"] == "JSEventListeners"))


async def test_removed_elements_leave_nothing(
    open_host: OpenHost, allowing: Server, publish: Publish
) -> None:
    """The browser's garbage collection takes them, with their charts and data."""
    await publish("loss", 1, 2, server=allowing)
    page = await open_host("")
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    await expect(page.locator("h1")).to_be_visible()  # playwright has listeners of its own
    before = await listeners(devtools)
    await page.evaluate(ADD, BOTH * 3)
    await expect(chart(page).first.locator(".number")).to_have_text("2")
    await page.evaluate(
        """() => {
            const all = [...document.querySelectorAll("rtdemo-chart, rtdemo-value")];
            const inside = (each) => [...each.shadowRoot.querySelectorAll("canvas, .card, .value")];
            window.kept = [...all, ...all.flatMap(inside)].map((each) => new WeakRef(each));
            document.querySelector("main").replaceChildren();
        }"""
    )
    await eventually(lambda: len(allowing.hub) == 0)
    # The browser closes the WebSocket, which has listeners, after the server.
    left = (-1, -1)
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            while left != (0, 0):
                await devtools.send("HeapProfiler.collectGarbage")
                elements = await page.evaluate(
                    "kept.filter((each) => each.deref() !== undefined).length"
                )
                left = (elements, await listeners(devtools) - before)
    assert left == (0, 0), "elements, and listeners of events"


async def test_sse_where_the_websocket_does_not_open(
    open_host: OpenHost, allowing: Server, publish: Publish
) -> None:
    """Over the same origin rules."""
    await publish("loss", 1, server=allowing)
    page = await open_host("")
    await page.evaluate(
        "() => { window.WebSocket = class extends EventTarget { constructor() { super();"
        " setTimeout(() => this.onerror?.(new Event('error'))); } close() {} }; }"
    )
    await page.evaluate(ADD, BOTH)
    await expect(value(page)).to_have_text("1")
    await publish("loss", 5, server=allowing)
    await expect(chart(page).locator(".number")).to_have_text("5")
    assert [each.client.transport for each in allowing.hub.connections] == ["sse"]


async def test_missing_producer_is_shown_once_it_exists(
    open_host: OpenHost, allowing: Server, publish: Publish
) -> None:
    """It keeps no other element from its values."""
    await publish("loss", 1, server=allowing)
    page = await open_host(f'{BOTH}<rtdemo-chart producer="later"></rtdemo-chart>')
    await expect(value(page)).to_have_text("1")
    problem = page.locator("rtdemo-chart .problem").last
    await expect(problem).to_have_text("No value yet. Publish one, or correct the name.")
    await publish("later", 4, server=allowing)
    await expect(chart(page, "later").locator(".number")).to_have_text("4")


async def test_list_is_asked_for_once_until_there_is_a_new_producer(
    open_host: OpenHost, allowing: Server, publish: Publish
) -> None:
    """Values that arrive before the answer are no reason to ask again."""
    await publish("loss", 1, server=allowing)
    page = await open_host("")
    await page.clock.install()
    asked: list[Route] = []
    await page.route("**/api/producers", lambda route: asked.append(route))
    await page.evaluate(ADD, f'{BOTH}<rtdemo-value producer="later"></rtdemo-value>')
    await expect(value(page).first).to_have_text("1")
    await page.clock.run_for(1_000)
    # Else the answer may come later than the new producer, and have it.
    async with page.expect_response("**/api/producers"):
        await asked[0].continue_()
    await page.clock.run_for(1_000)
    assert len(asked) == 1
    await publish("later", 2, server=allowing)
    await expect(value(page).last).to_have_text("2")
    while len(asked) < 2:
        # The element may note the new producer after the clock was moved.
        await page.clock.run_for(1_000)
    await asked[1].continue_()


async def test_element_beyond_the_bound_is_shown_once_there_is_room(
    open_host: OpenHost, allowing: Server, publish: Publish
) -> None:
    """A connection picks a hundred names."""
    await publish("last", 1, server=allowing)
    names = [*(f"n{number}" for number in range(100)), "last"]
    elements = [f'<rtdemo-value producer="{name}"></rtdemo-value>' for name in names]
    page = await open_host("".join(elements))
    await expect(value(page).last).to_have_attribute(
        "title", "last: Not shown: a page picks at most 100 producers."
    )
    await page.evaluate("document.querySelector('rtdemo-value').remove()")
    await expect(value(page).last).to_have_text("1")


async def test_title_of_a_producer_that_appears_later(
    open_host: OpenHost, serve: Serve, site: Site, tmp_path: Path, browser_errors: BrowserErrors
) -> None:
    """The server was started again with its plugin."""
    options: dict[str, Any] = {
        "allow_origin": (site.origin,),
        "single_site": True,
        "port": free_port(),
    }
    old = await serve(**options)
    page = await open_host('<rtdemo-chart producer="later"></rtdemo-chart>', old)
    await expect(page.locator("rtdemo-chart .problem")).to_contain_text("No value yet.")
    plugin = tmp_path / "plugin.py"
    plugin.write_text(LATER)
    await old.stop()
    await eventually(lambda: len(browser_errors) > 0)
    await serve((plugin,), **options)
    await expect(chart(page, "Much later").locator(".number")).to_have_text("3")
    browser_errors.remove_outage()


async def ticket_of(server: Server) -> web.Response:
    """Answer as a page's own server does: with a ticket of its user."""
    async with httpx.AsyncClient(headers=bearer(token("ann"))) as http:
        answer = await http.post(f"{server.web_url}/api/ticket")
    return web.Response(body=answer.content, content_type="application/json")


@pytest.mark.parametrize("attribute", ["token", "ticket-url"])
async def test_login(
    # First, so that it ends last: an element asks for a ticket again as its server ends.
    serve: Serve,
    open_host: OpenHost,
    publish: Publish,
    site: Site,
    browser_errors: BrowserErrors,
    attribute: str,
) -> None:
    """By a token in the page, or by tickets that the page's own server gets."""
    server = await serve(secret=SECRET, allow_origin=(site.origin,))
    await publish("loss", 1, server=server)
    page = await open_host('<rtdemo-value producer="loss"></rtdemo-value>', server)
    await expect(value(page)).to_have_attribute("title", re.compile("log in: send a token"))
    # Not 401 alone, which a port may have. Chromium may report the other one after the page knows it.
    browser_errors.remove_expected("status of 401")
    while not any("HTTP Authentication failed" in error for error in browser_errors):
        await asyncio.sleep(0.02)
    browser_errors.remove_expected("HTTP Authentication failed")
    site.ticket = partial(ticket_of, server)
    given = {"token": token("ann"), "ticket-url": "/ticket"}[attribute]
    await page.evaluate(
        "([name, value]) => document.querySelector('rtdemo-value').setAttribute(name, value)",
        [attribute, given],
    )
    await expect(value(page)).to_have_text("1")
    (connection,) = server.hub.connections
    assert connection.client.user == "ann"
    assert await page.evaluate("sessionStorage.length + localStorage.length") == 0


async def no_ticket() -> web.Response:
    """Answer as a page's own server does to a user whose session has ended."""
    return web.Response(status=401, text="log in at the shop")


async def test_ticket_is_asked_for_again_after_a_refusal(
    serve: Serve, open_host: OpenHost, publish: Publish, site: Site, browser_errors: BrowserErrors
) -> None:
    """The user logs in again, perhaps in another tab, and the page goes on by itself."""
    server = await serve(secret=SECRET, allow_origin=(site.origin,))
    await publish("loss", 1, server=server)
    site.ticket = no_ticket
    page = await open_host('<rtdemo-value producer="loss" ticket-url="/ticket"></rtdemo-value>', server)
    await page.clock.install()
    await page.reload()
    await page.clock.run_for(2_000)
    why = "No login: The server gave no ticket: log in at the shop. Trying again every 5 s."
    await expect(value(page)).to_have_attribute("title", re.compile(re.escape(why)))
    site.ticket = partial(ticket_of, server)
    await page.clock.run_for(7_000)
    await expect(value(page)).to_have_text("1")
    browser_errors.remove_expected("401")


async def test_ticket_brings_titles_and_units(
    open_host: OpenHost, serve: Serve, site: Site, tmp_path: Path
) -> None:
    """The page's own server gives one for the list of producers, too."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(LATER.replace("title", 'unit="°C", title'))
    server = await serve((plugin,), secret=SECRET, allow_origin=(site.origin,))
    site.ticket = partial(ticket_of, server)
    page = await open_host('<rtdemo-value producer="later" ticket-url="/ticket"></rtdemo-value>', server)
    await expect(value(page)).to_have_text("3\u00a0°C")
    await expect(value(page)).to_have_attribute("title", "Much later")


async def test_server_below_a_path(
    open_host: OpenHost, serve: Serve, site: Site, publish: Publish
) -> None:
    """Everything is asked for below it."""
    server = await serve(base_path="/rt", single_site=True, allow_origin=(site.origin,))
    await publish("loss", 1, server=server)
    page = await open_host("", server)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.on("websocket", lambda socket: asked.append(urlsplit(socket.url).path))
    await page.reload()
    await page.evaluate(ADD, BOTH)
    await expect(value(page)).to_have_text("1")
    assert set(asked) == {
        "/",
        "/rt/static/embed.js",
        "/rt/static/embed.css",
        "/rt/api/producers",
        "/rt/ws",
    }
