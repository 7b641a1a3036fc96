"""Which messages are compared."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run
from tests.browser.recordings import RECORDINGS

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_only_what_both_had_is_compared(page: Page) -> None:
    """A producer that one side has not heard of yet is in neither the payload nor the samples."""
    body = (
        RECORDINGS
        + """
        const [one, other] = [recorded(7, 0, 2000, "p"), recorded(8, 0, 2000, "p")];
        const latency = { value: 1, error: 0.2 };
        const record = (recording, payload, producer) =>
            recording.record({ at: 3, latency, payload, bytes: 9, producer, flags: 0 });
        for (let i = 0; i < 50; i += 1) record(one, 500, "q");
        const names = ["p", "q"];
        const found = [m.commonProducers(one, other, names)];
        for (const wanted of [["p"], names, []]) found.push(m.meanPayload(one, wanted));
        const pair = finish(m.pairSamples(one, other, { names, others: [] }));
        return [...found, pair.websocket.block.length, m.commonProducers(one, one, names)];
    """
    )
    assert await run(page, "compare/comparable", body) == [
        ["p"],
        {"mean": 80, "least": 2000},
        {"mean": 290, "least": 50},
        None,
        2000,
        ["p", "q"],
    ]


async def test_samples_are_selected_in_slices(page: Page) -> None:
    """Between two slices few samples are looked at. Those that arrive meanwhile are left out."""
    body = (
        RECORDINGS
        + """
        const { Ring } = await import("/static/measure/ring.js");
        const pairOf = (arrive) => {
            const [one, other] = [recorded(7, 0, 20000, "p", 5), recorded(8, 0, 20000, "p", 5)];
            for (const recording of [one, other]) {
                // A full ring: what arrives overwrites the oldest.
                const { ring } = recording;
                recording.ring = new Ring(20000);
                for (let i = 0; i < 20000; i += 1) {
                    recording.ring.push(ring.at[i], ring.latency[i], 0.2, 90, 0, 0);
                }
            }
            let looked = 0;
            for (const { ring } of [one, other]) {
                const { flags } = ring;
                const count = { get: (_, slot) => { looked += 1; return flags[slot]; } };
                ring.flags = new Proxy({}, count);
            }
            const slices = [];
            for (const work = m.pairSamples(one, other, schedule); ; looked = 0) {
                const { done, value } = work.next();
                slices.push(looked);
                if (done) return { value, slices };
                arrive?.(one, other);
            }
        };
        const quiet = pairOf(null);
        const busy = pairOf((one, other) => {
            for (const { ring } of [one, other]) ring.total += 10;
        });
        const sizes = ({ value }) => value.summaries.map(({ count }) => count);
        return [Math.max(...quiet.slices), quiet.slices.length > 10, sizes(quiet), sizes(busy)];
    """
    )
    most, are_many, quiet, busy = await run(page, "compare/comparable", body)
    assert most <= 4_096
    assert are_many
    assert all(alone >= beside > alone - 200 for alone, beside in zip(quiet, busy, strict=True))


async def test_only_what_runs_alike_is_compared(page: Page) -> None:
    """Same period and same rate on both sides, or one run for all; picks count, welcomes do not."""
    body = """
        const account = (period, rest) => ({ period, stream: false, always: false, ...rest });
        const producer = (name, websocket, sse, shared = false) => {
            return { name, shared, on: { websocket, sse } };
        };
        const producers = [
            producer("message", account(2), account(2)),
            producer("status", account(3), account(5)),
            producer("news", account(null, { stream: true }), account(null, { stream: true }), true),
            producer("own", account(null, { stream: true }), account(null, { stream: true })),
            producer("welcome", account(null, { always: true }), account(null, { always: true })),
            producer("steady", account(5), null),
        ];
        const all = { producers: null, speed: "1" };
        const at = (websocket, sse) => m.commonSchedule(producers, { websocket, sse });
        const fast = { producers: null, speed: "20" };
        return [
            at(all, all), at(all, fast).names,
            at({ producers: ["status"], speed: "1" }, all),
            m.commonSchedule([], { websocket: all, sse: all }),
            at({ producers: null, speed: "abc" }, { producers: null, speed: "abc" }).names,
        ];
    """
    assert await run(page, "compare/comparable", body) == [
        {"names": ["message", "news"], "others": ["status", "own"]},
        ["news"],
        {"names": [], "others": ["status"]},
        {"names": [], "others": []},
        ["message", "news"],
    ]


async def test_blocks_hold_messages_of_both(page: Page) -> None:
    """Messages that arrive together are in one block at any rate; what one side alone had is in none."""
    body = """
        const fast = Array.from({ length: 100 }, (_, index) => index * 100);
        return [
            m.numberBlocks([0, 2000, 4000], [100, 2100, 4100]),
            m.numberBlocks(fast, fast.map((at) => at + 5)).blocks,
            m.numberBlocks([0, 1000, 2000, 3000], [3100]),
            m.numberBlocks([0, 5000], [100]),
            m.numberBlocks([], [1, 2]),
        ];
    """
    assert await run(page, "compare/comparable", body) == [
        {"numbers": [[0, 1, 2], [0, 1, 2]], "blocks": 3},
        25,
        {"numbers": [[-1, -1, -1, 0], [0]], "blocks": 1},
        {"numbers": [[0, -1], [0]], "blocks": 1},
        {"numbers": [[], [-1, -1]], "blocks": 0},
    ]
