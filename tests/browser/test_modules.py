"""The modules that know no page, called in the browser as the page calls them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.panel import NONE

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def run(page: Page, module: str, body: str) -> Any:
    """Run a body with `m`, the module, and return what it returns."""
    source = "async ([module, body]) => { const m = await import(module); return (%s)(m); }"
    return await page.evaluate(source % f"async (m) => {{ {body} }}", [f"/static/{module}.js", body])


async def test_milliseconds(page: Page) -> None:
    """Tenths below 100, whole numbers above, a dash for nothing; an error bound is rounded up."""
    assert await run(
        page, "format", "return [null, 0, 1.24, 9.96, 99.94, 99.96, 1234.5].map(m.milliseconds)"
    ) == [NONE, "0.0", "1.2", "10.0", "99.9", "100", "1,235"]
    assert await run(page, "format", "return [0.31, 0.3, 0.01].map(m.margin)") == ["0.4", "0.3", "0.1"]


async def test_reading(page: Page) -> None:
    """A reading below its error is given as a bound; an impossible one says so; none is negative."""
    cases = "[[null, null], [1.24, 0.31], [0.1, 0.3], [-0.1, 0.3], [-5, 0.3]]"
    assert await run(page, "format", f"return {cases}.map((c) => Object.values(m.reading(...c)))") == [
        ["", NONE, "no reading yet"],
        ["", "1.2", "± 0.4 ms"],
        ["under", "0.4", "below clock error"],
        ["under", "0.3", "below clock error"],
        ["", NONE, "a clock was set"],
    ]


async def test_time_of_day(page: Page) -> None:
    """A time has milliseconds; what is no time is a dash."""
    body = "return [new Date(2026, 0, 2, 3, 4, 5, 6).getTime(), 1e300, NaN].map(m.timeOfDay)"
    assert await run(page, "format", body) == ["03:04:05.006", NONE, NONE]


async def test_clip(page: Page) -> None:
    """A cut never goes through a character."""
    body = r"return [m.clip('abc', 3), m.clip('abcd', 3), m.clip('ab\u{1F600}c', 3)]"
    assert await run(page, "format", body) == ["abc", "abc…", "ab…"]


async def test_mean_and_reset(page: Page) -> None:
    """The mean is that of what was added, and Reset forgets it all."""
    body = """
        const { completeness } = await import("/static/measure/ledger.js");
        const stats = new m.Stats();
        const message = { message: "", sentAt: 0, producer: "p", seq: 4, id: null, client: null };
        stats.record(message, { value: 1, error: 0.2 });
        stats.record({ ...message, seq: 5 }, { value: 3, error: 0.4 });
        stats.record({ ...message, seq: null }, null);
        const before = [stats.received, stats.latency.value, stats.error.value, completeness(stats)];
        stats.reset();
        stats.record({ ...message, seq: 6 }, null);
        return [...before, stats.received, stats.latency.value, completeness(stats)];
    """
    found = await run(page, "measure/measurement", body)
    assert found == [3, 2, pytest.approx(0.3), "3 lost", 1, None, "none missing"]


async def test_recent_is_bounded(page: Page) -> None:
    """Memory holds ten messages, the newest first, however many came."""
    body = """
        const recent = new m.RecentMessages();
        for (let i = 0; i < 100; i += 1) recent.add(i);
        return recent.messages;
    """
    assert await run(page, "connection/side", body) == [99, 98, 97, 96, 95, 94, 93, 92, 91, 90]


async def test_the_ledger_is_bounded(page: Page) -> None:
    """A server that invents producers fills no memory: beyond the bound they are only counted."""
    body = """
        const ledger = new m.Ledger();
        const enter = (producer) => ledger.enter({ producer, seq: 1, id: null });
        for (let i = 0; i < m.MAX_PRODUCERS + 50; i += 1) enter(`p${i}`);
        return [ledger.unchecked, ledger.missing];
    """
    assert await run(page, "measure/ledger", body) == [50, 0]


async def test_a_new_connection_keeps_shared_numbers(page: Page) -> None:
    """Private numbers begin again with a connection; shared ones go on, so that a gap shows."""
    body = """
        const ledger = new m.Ledger();
        ledger.enter({ producer: "own", seq: 1, id: null });
        ledger.enter({ producer: "all", seq: 7, id: "e-7" });
        ledger.forgetPrivate();
        ledger.enter({ producer: "own", seq: 1, id: null });
        ledger.enter({ producer: "all", seq: 10, id: "e-10" });
        return [ledger.missing, ledger.repeated];
    """
    assert await run(page, "measure/ledger", body) == [2, 0]


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


async def test_backoff_doubles_up_to_its_bound(page: Page) -> None:
    """From 0.5 s to 30 s, half of it by chance, and from the start again after a success."""
    body = """
        const found = [];
        for (const chance of [0, 1]) {
            const backoff = new m.Backoff(() => chance);
            for (let i = 0; i < 9; i += 1) found.push(backoff.next());
            backoff.reset();
            found.push(backoff.next());
        }
        return found;
    """
    most = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 500]
    assert await run(page, "connection/websocket", body) == [ms / 2 for ms in most] + most


async def test_clock_reading(page: Page) -> None:
    """A probe bounds the offset by half its round trip; the bound grows by 15 ppm."""
    body = """
        const reading = m.readingFrom(100, 1_000_101, 104, 0);
        return [reading.offset, reading.error, m.errorAt(reading, 104), m.errorAt(reading, 100_104)];
    """
    assert await run(page, "measure/server_clock", body) == [999_999, 2, 2, 3.5]


async def test_clock_choice(page: Page) -> None:
    """The surer reading wins; one that contradicts it wins too, since then a clock was set."""
    body = """
        const kept = { offset: 50, error: 1, at: 0 };
        return [
            m.betterReading(null, kept) === kept,
            m.betterReading(kept, { offset: 50.5, error: 2, at: 10 }) === kept,
            m.betterReading(kept, { offset: 50.5, error: 0.5, at: 10 }) === kept,
            m.betterReading(kept, { offset: 50.5, error: 2, at: 100_000 }) === kept,
            m.betterReading(kept, { offset: 90, error: 2, at: 10 }) === kept,
        ];
    """
    assert await run(page, "measure/server_clock", body) == [True, True, False, False, False]


async def test_clock_without_a_server(page: Page) -> None:
    """A clock that cannot be asked stays unknown, and keeps what it knew."""
    body = """
        let answers = 0;
        const answer = async () => {
            if ((answers += 1) > 1) throw new Error("away");
            return { offset: 5, error: 1, at: 0 };
        };
        const dead = new m.ServerClock(async () => { throw new Error("away"); });
        const clock = new m.ServerClock(answer);
        await dead.measure();
        await clock.measure();
        return [dead.at(0), clock.at(10).time];
    """
    assert await run(page, "measure/server_clock", body) == [None, 15]


async def test_exchange(page: Page) -> None:
    """Replies belong to the oldest text of their wording; what nobody sent changes nothing."""
    body = """
        const roundTrips = new m.RoundTrips();
        const reply = (message, producer = "echo") => ({ message, producer });
        roundTrips.start("a", 0); roundTrips.start("b", 10); roundTrips.start("a", 20);
        const found = [];
        const arrived = (message, at) => {
            roundTrips.receive(message, at);
            found.push(roundTrips.last);
        };
        arrived(reply("Echo: c"), 1);
        arrived(reply("Echo: a", "chat"), 2);
        arrived(reply("Echo: a"), 5);
        arrived(reply("Echo: a"), 50);
        arrived(reply("Echo: b"), 60);
        for (let i = 0; i < m.MAX_WAITING_TEXTS; i += 1) roundTrips.start("x", 0);
        try { roundTrips.start("one more", 0); } catch (error) { found.push(error.message); }
        return found;
    """
    assert await run(page, "connection/sending", body) == [
        *(None, None, 5, 30, 50),
        "Not sent: 100 texts still wait for a reply.",
    ]


async def test_closing(page: Page) -> None:
    """Each close code has its sentence with its number; a fault of the protocol is final."""
    codes = [1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1011, 1013, 4999]
    sentences = await run(
        page, "connection/websocket", f"return {codes}.map((code) => m.closeSentence(code))"
    )
    final = await run(page, "connection/websocket", f"return {codes}.filter((code) => m.isFinal(code))")
    assert final == [1002, 1003, 1007, 1008, 1009]
    assert len(set(sentences)) == 11
    assert all("Code " in sentence for sentence in sentences)


async def test_websocket_address(page: Page) -> None:
    """A page behind TLS opens wss:, a port of its own goes to the page's host."""
    body = """
        const url = (page, port) => m.websocketUrl(new URL(page), port).href;
        return [
            url("http://localhost:3000/", "3001"),
            url("https://demo.example/", ""),
            url("http://[::1]:3000/", "3001"),
        ];
    """
    assert await run(page, "connection/websocket", body) == [
        "ws://localhost:3001/",
        "wss://demo.example/ws",
        "ws://[::1]:3001/",
    ]


async def test_wishes_to_paint_are_gathered(page: Page) -> None:
    """However often it is asked, the page is painted once, later, and again when asked again."""
    body = """
        let painted = 0;
        let shown = () => {};
        const ask = m.paintScheduler(() => { painted += 1; shown(); }, 0);
        const paint = () => new Promise((resolve) => { shown = resolve; });
        const counts = [];
        for (let round = 0; round < 2; round += 1) {
            for (let i = 0; i < 100; i += 1) ask();
            counts.push(painted);
            await paint();
            await new Promise(requestAnimationFrame);
            counts.push(painted);
        }
        return counts;
    """
    assert await run(page, "dom", body) == [0, 1, 1, 2]
