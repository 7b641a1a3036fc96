"""How a connection is opened again: waits, tries that get no answer, and events that call for a try."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.browser.conftest import Open
from tests.browser.modules import stop_clock

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAKE = """async () => {
    const { ReconnectingTransport } = await import("/static/connection/reconnecting.js");
    window.seen = [];
    window.opened = [];
    class Fake extends ReconnectingTransport {
        open(address, link) {
            window.opened.push(address);
            window.link = link;
            return () => window.seen.push("closed");
        }
        async unexplained() { return "No reason."; }
    }
    const note = (name) => (...given) => window.seen.push([name, ...given]);
    window.fake = new Fake(() => `${location.origin}/api/sse?speed=2`, {
        opened: note("opened"),
        message: (data) => window.seen.push(["message", data]),
        reconnecting: (cause, at) => {
            window.seen.push(["reconnecting", cause, at === null ? null : at > performance.now()]);
        },
        refused: note("refused"),
        lost: note("lost"),
    }, null);
}"""


class Fake:
    """A transport in the page whose links are opened and ended by the test."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def do(self, script: str) -> list[Any]:
        """Run a script; return the events that it caused, and forget them."""
        return list(await self.page.evaluate(f"() => {{ {script}; return window.seen.splice(0); }}"))

    async def tries(self) -> int:
        """Return how often a link was opened."""
        return int(await self.page.evaluate("opened.length"))


@pytest_asyncio.fixture(loop_scope="session")
async def fake(open_page: Open) -> Fake:
    """A transport that is connected, in a page whose clock the test moves."""
    page = await open_page()
    await page.evaluate(FAKE)
    await stop_clock(page)
    found = Fake(page)
    await found.do("fake.connect(); link.opened()")
    return found


LOST = ["reconnecting", "It broke.", True]
TRYING = ["reconnecting", "It broke.", None]


async def test_address_asks_for_heartbeats_and_resumes(fake: Fake) -> None:
    """The first connect has no position; a later one continues after the last."""
    await fake.do("fake.position = 'ab-7'; link.ended('It broke.')")
    await fake.page.clock.run_for(500)
    first, second = await fake.page.evaluate("opened.map((address) => new URL(address).search)")
    assert first == "?speed=2&heartbeat=2"
    assert second == "?speed=2&heartbeat=2&last_event_id=ab-7"


async def test_loss_is_followed_by_a_wait_and_a_try(fake: Fake) -> None:
    assert await fake.do("link.ended('It broke.')") == ["closed", LOST]
    await fake.page.clock.run_for(500)
    assert await fake.do("") == [TRYING]
    assert await fake.do("link.opened()") == [["opened"]]
    assert await fake.tries() == 2


async def test_try_without_an_answer_is_dropped(fake: Fake) -> None:
    """After four seconds; the next one asks first whether the server answers at all."""
    await fake.do("link.ended('It broke.')")
    await fake.page.clock.run_for(500)
    assert await fake.do("") == [TRYING]
    await fake.page.clock.run_for(3_000)
    assert await fake.do("") == []
    await fake.page.clock.run_for(1_000)
    assert await fake.do("") == ["closed", ["reconnecting", "No answer in 4 s.", True]]
    await fake.page.clock.run_for(1_000)
    assert (await fake.do(""))[-1] == ["reconnecting", "No answer in 4 s.", None]
    await fake.page.wait_for_function("() => opened.length === 3")


async def test_slow_path_gets_more_time(fake: Fake) -> None:
    """A try may take three times as long as the last connection did."""
    await fake.do("fake.disconnect(); fake.connect()")
    await fake.page.clock.run_for(3_000)
    await fake.do("link.opened(); link.ended('It broke.')")
    await fake.page.clock.run_for(500)
    await fake.do("")
    await fake.page.clock.run_for(8_000)
    assert await fake.do("") == []
    await fake.page.clock.run_for(1_000)
    assert (await fake.do(""))[-1] == ["reconnecting", "No answer in 9 s.", True]


@pytest.mark.parametrize(
    "event",
    [
        "dispatchEvent(new Event('online'))",
        "document.dispatchEvent(new Event('visibilitychange'))",
        "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
    ],
)
async def test_event_of_the_browser_calls_for_a_try(fake: Fake, event: str) -> None:
    """It does not wait for its turn."""
    await fake.do("link.ended('It broke.')")
    (seen,) = await fake.do(event)
    assert (seen[0], seen[2]) == ("reconnecting", None)
    assert await fake.tries() == 2
    assert await fake.do("link.opened()") == [["opened"]]


async def test_event_drops_a_try_that_waits_for_the_old_network(fake: Fake) -> None:
    """One that has just begun goes on."""
    await fake.do("link.ended('It broke.')")
    await fake.page.clock.run_for(500)
    await fake.do("")
    assert await fake.do("dispatchEvent(new Event('online'))") == []
    await fake.page.clock.run_for(2_000)
    assert await fake.do("dispatchEvent(new Event('online'))") == ["closed", TRYING]
    assert await fake.tries() == 3


async def test_events_leave_an_open_or_closed_connection_alone(fake: Fake) -> None:
    events = "dispatchEvent(new Event('online')); document.dispatchEvent(new Event('visibilitychange'))"
    assert await fake.do(events) == []
    await fake.do("fake.disconnect()")
    restored = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    assert await fake.do(f"{events}; {restored}") == []
    assert await fake.tries() == 1


async def test_offline_is_the_cause_while_it_lasts(fake: Fake) -> None:
    await fake.do("link.ended('It broke.')")
    online = "Object.defineProperty(navigator, 'onLine', { value: %s, configurable: true });"
    offline = ["reconnecting", "The browser is offline.", True]
    assert await fake.do(online % "false" + "dispatchEvent(new Event('offline'))") == [offline]
    assert await fake.do(online % "true" + "dispatchEvent(new Event('online'))") == [TRYING]


async def test_dropped_connection_reconnects_at_once(fake: Fake) -> None:
    """Its own events no longer count."""
    seen = await fake.do(
        "const old = link; fake.drop('It is dead.'); old.message('x'); old.ended('late')"
    )
    assert seen == ["closed", ["reconnecting", "It is dead.", None]]
    assert await fake.tries() == 2


async def test_disconnect_ends_it(fake: Fake) -> None:
    """No try follows, and no event."""
    await fake.do("link.ended('It broke.'); fake.disconnect()")
    await fake.page.clock.run_for(60_000)
    assert await fake.do("link.ended('late')") == []
    assert await fake.tries() == 1


async def test_final_end_stays(fake: Fake) -> None:
    lost = ["lost", "It broke. It stays closed until you press Connect."]
    assert await fake.do("link.ended('It broke.', true)") == ["closed", lost]
    await fake.page.clock.run_for(60_000)
    assert await fake.tries() == 1


async def test_server_that_does_not_answer_is_not_tried(fake: Fake) -> None:
    """Browsers make a WebSocket wait, longer after each failure; a request does not cost that."""
    await fake.page.evaluate("() => { window.fetch = async () => { throw new TypeError('no'); }; }")
    await fake.do("link.ended('It broke.')")
    await fake.page.clock.run_for(500)
    await fake.do("link.ended('It did not open again.')")
    for _ in range(4):
        await fake.page.clock.run_for(5_000)
    seen = await fake.do("")
    assert seen[-1][1] == "The server does not answer. Is it running, and is the network up?"
    assert await fake.tries() == 2
