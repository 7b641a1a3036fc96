"""How the verdict is reached, called in the browser as the page calls it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.test_modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")

RECORDINGS = """
    const { Recording } = await import("/static/recording.js");
    const { seeded } = await import("/static/random.js");
    /** Latencies in waves, so that messages near each other are slow together. */
    const recorded = (seed, shift, count, producer = "p", every = 100) => {
        const random = seeded(seed);
        const recording = new Recording();
        for (let i = 0; i < count; i += 1) {
            const value = 2 + Math.sin(i / 50) + random() + shift;
            recording.record({
                at: i * every, latency: { value, error: 0.2 },
                payload: 80, bytes: 90, producer, flags: 0,
            });
        }
        return recording;
    };
    const finish = (work) => {
        for (;;) {
            const { done, value } = work.next();
            if (done) return value;
        }
    };
    const schedule = { names: ["p"], others: [], block: 1000 };
"""


async def judged(page: Page, expression: str) -> Any:
    """Return what the judge finds, and the sentence on it."""
    body = (
        RECORDINGS
        + f"""
        const {{ verdict }} = await import("/static/verdict.js");
        const findings = finish(m.judge({expression}, schedule));
        return [findings, verdict(findings, [])];
    """
    )
    return await run(page, "judge", body)


async def test_equal_distributions_are_no_difference(page: Page) -> None:
    """Two runs of the same thing: the interval has both signs, and the sentence says so."""
    findings, sentence = await judged(page, "[recorded(7, 0, 2000), recorded(8, 0, 2000)]")
    assert findings["blocks"] == 200
    assert findings["median"]["low"] <= 0 <= findings["median"]["high"]
    assert sentence.startswith("No difference can be told (WebSocket is between ")
    assert " faster and " in sentence
    assert "slower, 95 % interval)." in sentence


@pytest.mark.parametrize(("shift", "faster"), [(0.6, "SSE"), (-0.6, "WebSocket")])
async def test_a_shift_is_found_with_its_sign(page: Page, shift: float, faster: str) -> None:
    """Who is 0.6 ms faster is named, and the truth is within the interval."""
    findings, sentence = await judged(page, f"[recorded(7, {shift}, 2000), recorded(8, 0, 2000)]")
    assert findings["median"]["low"] < shift < findings["median"]["high"]
    assert sentence.startswith(f"{faster} is 0.")
    assert "ms faster at the median (" in sentence
    assert "At p99, " in sentence


async def test_it_can_be_computed_again(page: Page) -> None:
    """The same samples give the same interval: chance is seeded."""
    runs = [await judged(page, "[recorded(7, 0.1, 500), recorded(8, 0, 500)]") for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0][0]["tail"] is None


async def test_too_few_are_said(page: Page) -> None:
    """Without twenty blocks that both sides have there is no interval."""
    findings, sentence = await judged(page, "[recorded(7, 9, 150), recorded(8, 0, 150)]")
    assert findings["median"] is None
    assert sentence == "Too few messages yet: 15 of the 20 stretches of time that a verdict needs."
    _, sentence = await judged(page, '[recorded(7, 9, 900), recorded(8, 0, 900, "q")]')
    assert sentence == "Connect both, and this line says which is faster here."


async def test_many_samples_are_bounded(page: Page) -> None:
    """Of a full ring so many are drawn by chance; no step of the work holds a message up."""
    body = (
        RECORDINGS
        + """
        const { MOST } = await import("/static/comparable.js");
        const recordings = [recorded(7, 0.5, 120_000, "p", 5), recorded(8, 0, 120_000, "p", 5)];
        const work = m.judge(recordings, schedule);
        const steps = [];
        for (;;) {
            const start = performance.now();
            const { done, value } = work.next();
            steps.push(performance.now() - start);
            if (done) return [value, steps.sort((a, b) => a - b)[steps.length >> 1], MOST];
        }
    """
    )
    findings, step, most = await run(page, "judge", body)
    assert findings["blocks"] == 600
    assert 0.9 * most < findings["samples"] < 1.1 * most
    assert findings["median"]["low"] < 0.5 < findings["median"]["high"]
    assert step < 10


async def test_verdict_sentences(page: Page) -> None:
    """What the timer cannot tell is not claimed, and what is unlike is not compared."""
    body = """
        const say = (low, middle, high, unlike = []) =>
            m.verdict({ blocks: 30, samples: 300, median: { low, middle, high }, tail: null }, unlike);
        return [
            say(-0.3, -0.05, 0.2), say(-0.09, -0.06, -0.03), say(1, 2.5, 120), say(-2, -1, -0.001),
            say(1, 2, 3, ["a reason", "and another"]),
        ];
    """
    assert await run(page, "verdict", body) == [
        "No difference can be told"
        " (WebSocket is between 0.30 ms faster and 0.20 ms slower, 95 % interval).",
        "WebSocket is faster at the median by less than the 0.1 ms that this browser's timer can tell.",
        "SSE is 2.5 ms faster at the median (1.0 to 120 ms, 95 % interval).",
        "WebSocket is 1.0 ms faster at the median (under 0.01 to 2.0 ms, 95 % interval).",
        "Not comparable: a reason; and another.",
    ]


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
        const at = (websocket, sse) => m.schedule(producers, { websocket, sse });
        const fast = { producers: null, speed: "20" };
        return [
            at(all, all), at(fast, fast).block, at(all, fast).names,
            at({ producers: ["status"], speed: "1" }, all),
            m.schedule([], { websocket: all, sse: all }),
        ];
    """
    assert await run(page, "comparable", body) == [
        {"names": ["message", "news"], "others": ["status", "own"], "block": 2000},
        1000,
        ["news"],
        {"names": [], "others": ["status"], "block": 1000},
        {"names": [], "others": [], "block": 1000},
    ]


PARITY = """
    const facts = {
        server: "", process: 7, http: "1.1", tls: false,
        noDelay: true, compression: null, forwarding: [],
    };
    const evidence = {
        websocket: facts, sse: facts, protocol: "http/1.1",
        same: true, speeds: ["1", "1"], payload: [80, 80],
        schedule: { names: ["message"], others: ["status"], block: 1000 },
    };
    const lines = (changes) => m.audit({ ...evidence, ...changes });
    const other = (changes) => lines({ sse: { ...facts, ...changes } });
    const failed = (all) => all.filter(({ result }) => result === "failed").map(({ name }) => name);
"""


async def test_parity_of_what_is_alike(page: Page) -> None:
    """Seven lines, all ok; what differs by design is named in them."""
    found = await run(page, "parity", PARITY + "return lines({})")
    assert {line["result"] for line in found} == {"ok"}
    assert [line["words"] for line in found] == [
        "process 7, both",
        "the same producers: 80.0 and 80.0 bytes of JSON a message",
        "only message compared; left aside as unlike: status",
        "on, both",
        "none, both",
        "HTTP/1.1 at the server, both",
        "none seen, both",
    ]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ("other({ process: 8 })", "Same process"),
        ("other({ server: 'b' })", "Same process"),
        ("lines({ same: false, payload: [80, 82] })", "Same payload"),
        ("lines({ speeds: ['1', '2'] })", "Same schedule"),
        ("lines({ schedule: { names: [], others: [], block: 1000 } })", "Same schedule"),
        ("other({ noDelay: false })", "TCP_NODELAY"),
        ("other({ compression: 'gzip' })", "Compression"),
        ("other({ http: '1.0' })", "HTTP version"),
        ("other({ forwarding: ['Via'] })", "Proxy in between"),
    ],
)
async def test_parity_fails_where_something_differs(page: Page, changes: str, name: str) -> None:
    """Each line fails for its own reason and for no other, and the verdict says the reason."""
    found, reasons = await run(
        page, "parity", f"{PARITY} const all = {changes}; return [failed(all), m.failures(all)]"
    )
    assert found == [name]
    assert len(reasons) == 1


async def test_parity_says_what_is_not_told(page: Page) -> None:
    """Without the server's word, or where the kernel does not tell, a line neither holds nor fails."""
    body = """
        const dumb = lines({ websocket: null, payload: [null, 80] });
        return [
            dumb.map(({ result }) => result), other({ noDelay: null })[3].result,
            lines({ same: false, payload: [80, 81] })[1].result,
            lines({ schedule: null })[2].result,
            lines({ protocol: "h2" })[6].words,
        ];
    """
    assert await run(page, "parity", PARITY + body) == [
        ["not told", "not told", "ok", *["not told"] * 4],
        "not told",
        "ok",
        "not told",
        "none seen, both; it speaks h2 to this page, HTTP/1.1 to the server",
    ]
