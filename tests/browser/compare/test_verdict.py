"""How the verdict is computed and written."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import Page

from rtdemo.lab.bench.comparison import EQUAL_MS, MIN_DIFFERENCE_MS, Comparison, Difference
from rtdemo.lab.bench.result import Run
from rtdemo.lab.bench.verdict import compare_transports
from tests.browser.modules import run
from tests.browser.recordings import RECORDINGS
from tests.lab.bench.made_runs import a_run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def judged(page: Page, expression: str) -> Any:
    """Return what the judge finds, and the sentence on it."""
    body = (
        RECORDINGS
        + f"""
        const {{ verdictSentence }} = await import("/static/compare/verdict.js");
        const findings = finish(m.compare({expression}, schedule));
        return [findings, verdictSentence(findings, [], "waiting")];
    """
    )
    return await run(page, "compare/verdict", body)


async def test_equal_distributions_are_no_difference(page: Page) -> None:
    """For two runs of the same thing the interval has both signs, and nobody is named."""
    findings, sentence = await judged(page, "[recorded(7, 0, 2000), recorded(8, 0, 2000)]")
    assert findings["blocks"] == 500
    assert findings["p50"]["low"] <= 0 <= findings["p50"]["high"]
    assert sentence == "Equally fast here (difference under 0.5 ms)."


@pytest.mark.parametrize(("shift", "faster"), [(1.6, "SSE"), (-1.6, "WebSocket")])
async def test_a_shift_is_found_with_its_sign(page: Page, shift: float, faster: str) -> None:
    """Who is 1.6 ms faster is named, and the truth is within the interval."""
    findings, sentence = await judged(page, f"[recorded(7, {shift}, 2000), recorded(8, 0, 2000)]")
    assert findings["p50"]["low"] < shift < findings["p50"]["high"]
    assert re.fullmatch(rf"{faster} is 1\.\d to 1\.\d ms faster at p99\.", sentence)


async def test_what_other_connections_would_refute_names_nobody(page: Page) -> None:
    """However narrow its interval, a difference under the floor may be of one pair of connections."""
    findings, sentence = await judged(page, "[recorded(7, 0.4, 2000), recorded(7, 0, 2000)]")
    assert 0.2 < findings["p50"]["low"] < 0.5
    assert sentence.startswith("Equally fast here (difference under 0.")


async def test_summaries_are_of_what_is_compared(page: Page) -> None:
    """Figures in the headline cover the producers that both sides receive alike, and nothing else."""
    body = (
        RECORDINGS
        + """
        const [one, other] = [recorded(7, 0, 500), recorded(7, 1, 500)];
        for (let i = 0; i < 50; i += 1) {
            const latency = { value: 900, error: 50 };
            one.record({ at: 50_000 + i, latency, payload: 1, bytes: 5000, producer: "q", flags: 0 });
        }
        return finish(m.compare([one, other], schedule)).summaries;
    """
    )
    websocket, sse = await run(page, "compare/verdict", body)
    assert websocket["count"] == sse["count"] == 500
    assert websocket["p99"] < 5
    assert websocket["error"] == pytest.approx(0.2)
    assert websocket["bytes"] == sse["bytes"] == 90
    assert sse["p50"] - websocket["p50"] == pytest.approx(1, abs=0.01)


async def test_it_can_be_computed_again(page: Page) -> None:
    """The same samples give the same interval: chance is seeded."""
    runs = [await judged(page, "[recorded(7, 0.1, 500), recorded(8, 0, 500)]") for _ in range(2)]
    assert runs[0] == runs[1]


async def test_too_few_are_said(page: Page) -> None:
    """Without twenty blocks that both sides have there is no interval."""
    findings, sentence = await judged(page, "[recorded(7, 9, 60), recorded(8, 0, 60)]")
    assert findings["p50"] is None
    assert findings["blocks"] == 15
    assert sentence == "Too few messages for a verdict yet. Compare takes ten seconds."
    _, sentence = await judged(page, '[recorded(7, 9, 900), recorded(8, 0, 900, "q")]')
    assert sentence == "waiting"


async def test_p99_needs_a_hundred_and_its_difference_a_thousand(page: Page) -> None:
    """Of fewer messages there is a median and no 99th percentile, or no difference of these."""
    findings, _ = await judged(page, "[recorded(7, 0, 99), recorded(8, 0, 99)]")
    assert findings["p50"] is not None
    assert findings["p99"] is None
    assert [summary["p99"] for summary in findings["summaries"]] == [None, None]
    findings, _ = await judged(page, "[recorded(7, 0, 999), recorded(8, 0, 100)]")
    assert None not in [summary["p99"] for summary in findings["summaries"]]
    assert findings["p99"] is None
    findings, _ = await judged(page, "[recorded(7, 0, 1000), recorded(8, 0, 1000)]")
    assert findings["p99"] is not None


async def test_many_samples_are_bounded(page: Page) -> None:
    """Of a full ring so many are drawn by chance; no step of the work holds a message up."""
    body = (
        RECORDINGS
        + """
        const { MAX_SAMPLES } = await import("/static/compare/comparable.js");
        const recordings = [recorded(7, 0.5, 120_000, "p", 5), recorded(8, 0, 120_000, "p", 5)];
        const work = m.compare(recordings, schedule);
        const steps = [];
        for (;;) {
            const start = performance.now();
            const { done, value } = work.next();
            steps.push(performance.now() - start);
            if (done) return [value, steps.sort((a, b) => a - b)[steps.length >> 1], MAX_SAMPLES];
        }
    """
    )
    findings, step, most = await run(page, "compare/verdict", body)
    assert findings["blocks"] > 1000
    assert 0.9 * most < findings["summaries"][0]["count"] < 1.1 * most
    assert findings["p50"]["low"] < 0.5 < findings["p50"]["high"]
    assert step < 10


async def test_verdict_sentences(page: Page) -> None:
    """A winner needs the whole interval beyond the floor; no figure is narrower than the interval."""
    body = """
        const text = (low, high, unlike = []) => {
            const [p50, summaries] = [{ low, middle: (low + high) / 2, high }, [{}, {}]];
            return m.verdictSentence({ blocks: 30, summaries, p50, p99: null }, unlike, "");
        };
        return [
            text(-0.3, 0.2), text(0.03, 0.61), text(1.09, 120.2), text(-2, -0.51), text(100.7, 120.2),
            text(-2, -0.001), text(0.4, 8.01), text(-3, 1), text(1, 3, ["a reason", "and another"]),
        ];
    """
    assert await run(page, "compare/verdict", body) == [
        "Equally fast here at p50 (difference under 0.5 ms); p99 needs more messages.",
        "Equally fast here at p50 (difference under 0.7 ms); p99 needs more messages.",
        "SSE is 1.0 to 121 ms faster at p50; p99 needs more messages.",
        "WebSocket is 0.5 to 2.0 ms faster at p50; p99 needs more messages.",
        "SSE is 100 to 121 ms faster at p50; p99 needs more messages.",
        "Not decided: the difference at p50 is under 2.0 ms.",
        "Not decided: the difference at p50 is under 8.1 ms.",
        "Not decided: the difference at p50 is under 3.0 ms.",
        "Not comparable: a reason; and another.",
    ]


INTERVALS = {
    "equal": (-0.4, 0.6),
    "open": (-3.05, 1.0),
    "sse": (1.14, 2.36),
    "websocket": (-104.6, -3.0),
    "narrow": (0.61, 0.69),
}
"""Of WebSocket minus SSE, milliseconds."""


class Given(Comparison):
    """A comparison with these intervals, WebSocket minus SSE, by percentile."""

    def __init__(self, run: Run, **intervals: tuple[float, float]) -> None:
        super().__init__(run.of("websocket"), run.of("sse"))
        self._given = intervals

    def difference(self, name: str) -> Difference:
        low, high = self._given[name]
        least, equal = MIN_DIFFERENCE_MS, EQUAL_MS
        return Difference(name, 9.0, 9.0, -high, -low, -0.1, 0.1, least, equal)


async def test_page_and_bench_judge_in_the_same_words(page: Page) -> None:
    """Of the same intervals; what is not decided, bench describes further."""
    pairs = [(p99, p50) for p99 in INTERVALS.values() for p50 in INTERVALS.values()]
    given = json.dumps(pairs)
    body = f"""
        const interval = ([low, high]) => ({{ low, middle: (low + high) / 2, high }});
        return {given}.map(([p99, p50]) => m.verdictSentence(
            {{ blocks: 30, summaries: [{{}}, {{}}], p50: interval(p50), p99: interval(p99) }}, [], ""));
    """
    made = a_run({"websocket": 9.0, "sse": 9.0})
    for (p99, p50), words in zip(pairs, await run(page, "compare/verdict", body), strict=True):
        of_bench = compare_transports(made, Given(made, p99=p99, p50=p50)).sentence
        same = words.partition(" is under ")[0] if words.startswith("Not decided") else words[:-1]
        assert of_bench.startswith(same)
        assert of_bench == words or "not decided" in of_bench.lower()


async def test_why_nothing_is_compared_yet(page: Page) -> None:
    """Each reason has its own sentence: closed, too early, no clock, all left out."""
    body = """
        const { Recording } = await import("/static/measure/recording.js");
        const recorded = (latency, flags) => {
            const recording = new Recording();
            recording.record({ at: 1, latency, payload: 1, bytes: 1, producer: "p", flags });
            return recording;
        };
        const none = new Recording();
        const [known, unknown] = [recorded({ value: 1, error: 1 }, 0), recorded(null, 4)];
        return [
            m.waitingSentence([none, none], false), m.waitingSentence([none, none], true),
            m.waitingSentence([known, none], true), m.waitingSentence([known, unknown], true),
            m.waitingSentence([known, recorded({ value: 1, error: 1 }, 2)], true),
        ];
    """
    closed, early, one_sided, clockless, left_out = await run(page, "compare/verdict", body)
    assert closed == "Press Compare: ten seconds show which is faster here."
    assert early == one_sided
    assert early.startswith("Too few messages for a verdict yet.")
    assert "the server's clock is unknown" in clockless
    assert "/api/time" in clockless
    assert left_out == "Every message so far was left out: 1 during injected faults."


@pytest.mark.parametrize("count", [300, 1200])
async def test_slow_bursts_on_both_sides_name_nobody(page: Page, count: int) -> None:
    """Few messages are beyond p99, so chance decides which side has more of them."""
    body = (
        RECORDINGS
        + f"""
        const bursts = (seed) => {{
            const random = seeded(seed);
            const recording = new Recording();
            let slow = 0;
            for (let i = 0; i < {count}; i += 1) {{
                // Of 20 threes of messages, one is slow.
                if (i % 3 === 0) slow = random() < 0.05 ? 20 * random() : 0;
                recording.record({{
                    at: i * 100, latency: {{ value: 1 + random() * 0.4 + slow, error: 0.3 }},
                    payload: 80, bytes: 90, producer: "p", flags: 0,
                }});
            }}
            return recording;
        }};
        const runs = Array.from({{ length: 60 }}, (_, i) => [bursts(2 * i + 1), bursts(2 * i + 2)]);
        const found = runs.map((pair) => finish(m.compare(pair, schedule)).p99);
        return found.map((p99) => p99 === null ? "too few" : m.outcome(p99));
    """
    )
    outcomes = set(await run(page, "compare/verdict", body))
    assert outcomes <= {"too few", "unclear", "equal"}
    assert ("too few" in outcomes) == (count < 1000)


async def test_cleared_samples_leave_no_findings(page: Page) -> None:
    """Those of before are gone at once, and a comparison that is running is dropped."""
    body = (
        RECORDINGS
        + """
        const pair = [recorded(7, 0, 2000), recorded(8, 0, 2000)];
        let changed = () => {};
        const comparison = new m.Comparison(pair, () => schedule, () => changed());
        const next = () => new Promise((resolve) => { changed = resolve; });
        const shown = () => [comparison.findings.blocks, comparison.findings.p50 !== null];
        comparison.update();
        await next();
        const seen = [shown()];
        comparison.update(true);
        for (const recording of pair) recording.reset(0);
        comparison.clear();
        seen.push(shown());
        comparison.update(true);
        await next();
        await new Promise((resolve) => requestIdleCallback(resolve));
        seen.push(shown());
        return seen;
    """
    )
    assert await run(page, "compare/verdict", body) == [[500, True], [0, False], [0, False]]


async def test_verdict_that_is_asked_for_has_the_newest_samples(page: Page) -> None:
    """A comparison that is running on a busy machine has older ones."""
    body = (
        RECORDINGS
        + """
        const queue = [];
        globalThis.requestIdleCallback = (work) => queue.push(work);
        let time = 0;
        performance.now = () => (time += 1000);  // so that a slice has one step
        const pair = [recorded(7, 0, 2000), recorded(8, 0, 2000)];
        let changes = 0;
        const comparison = new m.Comparison(pair, () => schedule, () => { changes += 1; });
        comparison.update();
        queue.shift()();
        for (const recording of pair) recording.reset(0);
        comparison.update();
        comparison.update(true);
        while (queue.length > 0) queue.shift()();
        return [changes, comparison.findings.blocks];
    """
    )
    assert await run(page, "compare/verdict", body) == [1, 0]
