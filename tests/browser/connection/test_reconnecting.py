"""What the page shows while a connection reconnects, and that this moves nothing."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from rtdemo import Reason
from rtdemo.server.server import Server
from tests.browser.conftest import BrowserErrors, Open, Serve
from tests.browser.modules import run
from tests.browser.panel import Panel, answer_websockets, hang, work

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENTENCES = """async () => {
    const names = ["websocket", "tabs", "silence", "sentences"];
    const [{ closeSentence }, { streamsExhausted }, { Silence }, texts] = await Promise.all(
        names.map((name) => import(`/static/connection/${name}.js`)),
    );
    const next = "It retries by itself until you press Disconnect.";
    const sentences = [1000, 1001, 1006, 1011, 1013].map((code) => `${closeSentence(code)} ${next}`);
    for (const tabs of [{ others: 6, holdsStream: false }, { others: 5, holdsStream: true }]) {
        sentences.push(streamsExhausted(tabs, "http/1.1"));
    }
    const silence = new Silence();
    silence.setProducers([{ name: "a", shared: false, on: { sse: { period: 2 } } }], "sse");
    for (const producers of [null, []]) {
        sentences.push(silence.sentence({ producers, speed: "1" }, 3_600_000));
    }
    sentences.push(`${texts.NOTHING_ARRIVES} ${texts.RECONNECTS_SOON}`);
    for (const kind of ["stop", "delay"]) sentences.push(texts.faultSentence(kind));
    const element = document.querySelector('.websocket [data-part="sentence"]');
    const below = () => document.querySelector(".websocket .send").getBoundingClientRect().top;
    const before = below();
    return sentences.filter((sentence) => {
        element.textContent = sentence;
        return below() !== before;
    });
}"""


@pytest.mark.parametrize("width", [1280, 390])
async def test_a_sentence_moves_nothing(open_page: Open, width: int) -> None:
    """There is room for the longest of them, at a desk and on a phone."""
    page = await open_page(viewport={"width": width, "height": 800})
    assert await page.evaluate(SENTENCES) == []


NOTE_PLACES = """() => {
    const root = document.querySelector("section.websocket");
    const send = root.querySelector(".send");
    const place = () => JSON.stringify(send.getBoundingClientRect());
    window.places = new Set([place()]);
    const everything = { attributes: true, characterData: true, childList: true, subtree: true };
    new MutationObserver(() => window.places.add(place())).observe(root, everything);
}"""


@pytest.mark.parametrize("width", [1280, 390])
async def test_a_break_moves_nothing(open_page: Open, server: Server, width: int) -> None:
    """A connection that is lost and comes back leaves everything below its sentence where it was."""
    page = await open_page(viewport={"width": width, "height": 800})
    panel = Panel(page, "websocket")
    await panel.connect()
    await panel.watch()
    await page.evaluate(NOTE_PLACES)
    await hang(page)
    for connection in server.hub.connections:
        connection.end(Reason.CONNECTION_LOST)
    await panel.has_shown("reconnecting", "Code 1006")
    await work(page)
    await panel.becomes("connected")
    assert await page.evaluate("window.places.size") == 1


async def test_your_own_cut_is_no_fault_of_the_network(
    open_page: Open, serve: Serve, side: str, browser_errors: BrowserErrors
) -> None:
    """After Cut the page names the cut, and does not suspect the network."""
    panel = Panel(await open_page(server=await serve(lab=True)), side)
    await panel.connect()
    await panel.page.evaluate(
        """(side) => {
            const element = document.querySelector(`.${side} [data-part="sentence"]`);
            window.sentence = new Promise((resolve) => {
                const watch = new MutationObserver(() => resolve(element.textContent));
                watch.observe(element, { childList: true });
            });
        }""",
        side,
    )
    await hang(panel.page)
    await panel.press("Cut")
    sentence = await panel.page.evaluate("window.sentence")
    assert sentence.startswith("You cut it. ")
    browser_errors.remove_possible("ERR_")


async def test_a_retry_that_hangs_is_given_up(page: Page) -> None:
    """While it opens the page shows that; after four seconds without an answer it retries later."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    await hang(page)
    await panel.watch()
    await page.clock.install()
    await sockets[0].close(code=1011)
    await panel.has_shown("reconnecting", "It retries by itself")
    await page.clock.fast_forward(600)
    await panel.has_shown("reconnecting", "Code 1011. Opening it again. Disconnect stops this.")
    await page.clock.fast_forward(4_000)
    await panel.has_shown("reconnecting", "No answer in 4 s. It retries by itself")
    await page.clock.fast_forward(1_100)
    await page.wait_for_function("() => window.made >= 2")
    await expect(panel.sentence).to_contain_text("Opening it again")


SIX_STREAMS = """
    const channel = { onmessage: null, postMessage({ call }) {
        if (call) for (let i = 0; i < 5; i += 1) this.onmessage({ data: { holder: `tab ${i}` } });
    } };
    const { Tabs } = await import("/static/connection/tabs.js");
    const tabs = new Tabs(channel);
    tabs.holdsStream = true;
"""


@pytest.mark.empty_page
async def test_a_full_browser_is_the_reason(page: Page) -> None:
    """With six streams open, other requests without an answer name that as the cause."""
    body = (
        SIX_STREAMS
        + """
        window.fetch = async () => { throw new TypeError("no"); };
        const { SseTransport } = await import("/static/connection/sse.js");
        const { ProducerList } = await import("/static/producers.js");
        const crowd = () => tabs.explainNoAnswer("http/1.1");
        const producerList = new ProducerList(() => {}, crowd, true);
        const transport = new SseTransport(() => location.href, {}, { protocol: "http/1.1" }, tabs);
        await producerList.refresh();
        const sent = await transport.send("x", "id").catch(({ message }) => message);
        const enabled = await producerList.enable("a\\nb");
        return [producerList.pollError, enabled, sent, transport.reconnectHint()];
    """
    )
    reason = "This tab and 5 others hold an event stream of this origin"
    fault, enabled, sent, away = await run(page, "connection/tabs", body)
    assert fault.startswith(reason)
    assert enabled.startswith("a\N{SYMBOL FOR LINE FEED}b was not enabled: ")
    assert reason in enabled
    assert sent.startswith(f"Not sent. {reason}")
    assert away.startswith(reason)


@pytest.mark.empty_page
async def test_an_empty_browser_is_not_the_reason(page: Page) -> None:
    """With one stream fewer, or HTTP/2, it is not named."""
    body = (
        SIX_STREAMS
        + """
        const found = [await tabs.explainNoAnswer("h2")];
        tabs.holdsStream = false;
        return [...found, await tabs.explainNoAnswer("http/1.1")];
    """
    )
    assert await run(page, "connection/tabs", body) == [None, None]
