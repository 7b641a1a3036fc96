"""What a side says while its connection does not work, for whoever shows it."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.browser.conftest import Open
from tests.browser.modules import stop_clock

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAKE = """async () => {
    const { Side } = await import("/static/connection/side.js");
    const { SelectionSync } = await import("/static/connection/selection.js");
    window.asked = [];
    const transport = (events) => {
        window.events = events;
        return {
            address: "ws://here/", position: null, stallHint: "Look at the proxy.",
            connectHint: () => "No answer yet.", reconnectHint: () => null, wireBytes: () => 0,
            connect() {}, disconnect() {}, send: async () => {},
            drop: (cause) => {
                window.asked.push(cause);
                events.reconnecting(cause, null);
            },
        };
    };
    const clock = { at: () => null, suspect: () => {} };
    const suspension = { resumedAt: -Infinity, check: () => {} };
    const environment = { clock, suspension, visibility: { delays: () => false } };
    const selection = new SelectionSync({ producers: null, speed: "1" });
    window.side = new Side(transport, environment, selection, () => {});
    const arrive = (fields) => {
        events.message(JSON.stringify({ sentAt: Date.now(), ...fields }), performance.now());
    };
    window.welcome = () => arrive({ message: "hi", producer: "welcome", seq: 1, client: "c" });
    window.beat = () => arrive({ message: '{"heartbeat":2}', producer: "rtdemo" });
    window.answer = (fields) => arrive({ message: JSON.stringify(fields), producer: "rtdemo", seq: 1 });
}"""


class Fake:
    """A side in the page whose connection and clock the test moves."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def do(self, script: str) -> dict[str, Any]:
        """Run a script; return what the side says, with times relative to now, in seconds."""
        return dict(
            await self.page.evaluate(
                f"""() => {{
                    {script};
                    const now = performance.now();
                    const from = (at) => at === null ? null : Math.round((at - now) / 1000);
                    const {{ state, sentence, cause }} = side;
                    const [since, retry] = [from(side.downSince), from(side.retryAt)];
                    return {{ state, sentence, cause, since, retry, asked: asked.splice(0) }};
                }}"""
            )
        )

    async def wait(self, seconds: float) -> dict[str, Any]:
        """Let time pass; return what the side says."""
        await self.page.clock.run_for(int(seconds * 1000))
        return await self.do("")


@pytest_asyncio.fixture(loop_scope="session")
async def fake(open_page: Open) -> Fake:
    """A side that is connected."""
    page = await open_page()
    await stop_clock(page)
    await page.evaluate(FAKE)
    found = Fake(page)
    await found.do("side.connect(); events.opened(); welcome(); beat()")
    return found


SPANS = "side.measurement.spans.list.map((e) => [e.kind, Math.round((e.to - e.from) / 1000)])"
"""Kind and seconds of each span."""
WORKS: dict[str, Any] = {"state": "connected", "cause": "", "since": None, "retry": None, "asked": []}


async def test_missing_heartbeats_stall_it_and_then_drop_it(fake: Fake) -> None:
    """Down is since the last sign of life, and not since it was noticed."""
    assert await fake.wait(2.5) == {**WORKS, "sentence": "Messages arrive as they are produced."}
    silence = "Nothing arrives, not even a heartbeat."
    stalled = {**WORKS, "state": "stalled", "cause": silence, "since": -3}
    sentence = f"{silence} It reconnects if the next one is missing too."
    assert await fake.wait(0.5) == {**stalled, "sentence": sentence}
    found = await fake.wait(2)
    assert found["asked"] == ["Nothing arrives, not even a heartbeat."]
    assert found["since"] == -5


async def test_heartbeat_ends_the_stall(fake: Fake) -> None:
    assert (await fake.wait(4))["state"] == "stalled"
    assert await fake.do("beat()") == {**WORKS, "sentence": "The connection works again."}
    assert await fake.page.evaluate(SPANS) == [["silent", 4]]


async def test_chart_marks_the_silence_before_a_reconnect(fake: Fake) -> None:
    """From the last sign of life: 10 ms of reconnecting explain no message that is 3 s late."""
    await fake.wait(4)
    await fake.do("events.reconnecting('', null)")
    await fake.page.clock.run_for(1000)
    await fake.do("events.opened()")
    assert await fake.page.evaluate(SPANS) == [["silent", 4], ["away", 1]]


async def test_stalled_connection_is_renewed_where_the_reader_asks(fake: Fake) -> None:
    """At once, and not after the next heartbeat that is missing."""
    assert (await fake.do("side.retryNow()"))["asked"] == []
    await fake.wait(4)
    assert await fake.page.evaluate("side.canRetry")
    assert (await fake.do("side.retryNow()"))["asked"] == ["Nothing arrives, not even a heartbeat."]


async def test_heartbeats_are_counted_nowhere(fake: Fake) -> None:
    for _ in range(10):
        await fake.wait(2)
        assert (await fake.do("beat()"))["state"] == "connected"
    figures = "[side.measurement.stats.received, side.recent.messages.length, side.ledger.unchecked]"
    assert await fake.page.evaluate(figures) == [1, 1, 0]
    assert (await fake.do(""))["sentence"] == (
        "The connection works, but no producer has sent anything for 20 s."
    )


async def test_next_try_and_the_time_since_the_loss_are_known(fake: Fake) -> None:
    """For a countdown; both are none once it works again."""
    found = await fake.do("events.reconnecting('It broke.', performance.now() + 4000)")
    sentence = "It broke. It retries by itself until you press Disconnect."
    down = {"state": "reconnecting", "cause": "It broke.", "asked": []}
    assert found == {**down, "sentence": sentence, "since": 0, "retry": 4}
    await fake.wait(4)
    trying = "It broke. Opening it again. Disconnect stops this."
    found = await fake.do("events.reconnecting('It broke.', null)")
    assert found == {**down, "sentence": trying, "since": -4, "retry": None}
    found = await fake.do("events.opened(); welcome()")
    assert found == {**WORKS, "sentence": "Reconnected after 4.0 s."}


async def test_first_connection_that_had_to_wait_is_no_reconnect(fake: Fake) -> None:
    """The server had no room and asked to wait: the time to connect is from the click."""
    await fake.do("side.disconnect(); side.reset(); side.connect()")
    await fake.do("events.reconnecting('It is full.', performance.now() + 4000)")
    await fake.wait(4)
    found = await fake.do("events.reconnecting('It is full.', null); events.opened(); welcome()")
    assert found == {**WORKS, "sentence": "Messages arrive as they are produced."}
    figures = "[side.measurement.stats.reconnects, Math.round(side.measurement.stats.connectionTime)]"
    assert await fake.page.evaluate(figures) == [0, 4000]


@pytest.mark.parametrize("end", ["side.disconnect()", "events.lost('No.')", "events.refused('No.')"])
async def test_connection_that_is_not_wanted_is_not_down(fake: Fake, end: str) -> None:
    found = await fake.do(f"events.reconnecting('It broke.', 1); {end}")
    assert (found["cause"], found["since"], found["retry"]) == ("", None, None)


async def test_silence_of_a_stop_is_expected(fake: Fake) -> None:
    """It says who did it and how long it lasts. Then a heartbeat suffices as a sign of its end."""
    found = await fake.do("answer({ break: 'stop', seconds: 5 })")
    assert found["sentence"] == "You stopped it: the server holds everything back for some seconds."
    ends_in = "Math.round((side.measurement.faults.endsAt - performance.now()) / 1000)"
    assert await fake.page.evaluate(ends_in) == 5
    found = await fake.wait(5)
    assert (found["state"], found["asked"]) == ("connected", [])
    found = await fake.do("beat()")
    assert found["sentence"] == "You stopped it: the server holds everything back for some seconds."
    await fake.wait(1)
    assert await fake.do("beat()") == {**WORKS, "sentence": "Messages arrive as they are produced."}
    assert await fake.page.evaluate("side.measurement.faults.endsAt") is None


async def test_stop_that_does_not_end_is_an_outage(fake: Fake) -> None:
    await fake.do("answer({ break: 'stop', seconds: 5 })")
    assert (await fake.wait(9))["asked"] == []
    assert len((await fake.wait(1))["asked"]) == 1


async def test_stream_on_which_nothing_arrives_suspects_the_proxy(fake: Fake) -> None:
    """A new connection would be no faster."""
    await fake.do("side.disconnect(); side.connect(); events.opened()")
    found = await fake.wait(30)
    silence = "Nothing arrives, not even a heartbeat."
    assert (found["state"], found["asked"]) == ("stalled", [])
    assert found["sentence"] == f"{silence} Look at the proxy."
