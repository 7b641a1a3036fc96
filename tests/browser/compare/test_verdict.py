"""How the verdict is computed and written."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.modules import run
from tests.browser.recordings import RECORDINGS

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
    """For two runs of the same thing the interval has both signs, and the sentence reports that."""
    findings, sentence = await judged(page, "[recorded(7, 0, 2000), recorded(8, 0, 2000)]")
    assert findings["blocks"] == 200
    assert findings["median"]["low"] <= 0 <= findings["median"]["high"]
    assert sentence.startswith("No clear difference (WebSocket is between ")
    assert " faster and " in sentence
    assert "slower, 95 % interval)." in sentence


@pytest.mark.parametrize(("shift", "faster"), [(1.6, "SSE"), (-1.6, "WebSocket")])
async def test_a_shift_is_found_with_its_sign(page: Page, shift: float, faster: str) -> None:
    """Who is 1.6 ms faster is named, and the truth is within the interval."""
    findings, sentence = await judged(page, f"[recorded(7, {shift}, 2000), recorded(8, 0, 2000)]")
    assert findings["median"]["low"] < shift < findings["median"]["high"]
    assert sentence.startswith(f"{faster} is 1.")
    assert "ms faster at the median (" in sentence
    assert "p99" not in sentence


async def test_what_other_connections_would_refute_names_nobody(page: Page) -> None:
    """However narrow its interval, a difference under the floor may be of one pair of connections."""
    findings, sentence = await judged(page, "[recorded(7, 0.4, 2000), recorded(7, 0, 2000)]")
    assert 0.2 < findings["median"]["low"] < 0.5
    assert sentence.startswith("No clear difference: SSE is faster here (0.")
    assert sentence.endswith("but other connections may differ by 0.5 ms.")


async def test_it_can_be_computed_again(page: Page) -> None:
    """The same samples give the same interval: chance is seeded."""
    runs = [await judged(page, "[recorded(7, 0.1, 500), recorded(8, 0, 500)]") for _ in range(2)]
    assert runs[0] == runs[1]


async def test_too_few_are_said(page: Page) -> None:
    """Without twenty blocks that both sides have there is no interval."""
    findings, sentence = await judged(page, "[recorded(7, 9, 150), recorded(8, 0, 150)]")
    assert findings["median"] is None
    assert sentence == "Too few messages yet: 15 of the 20 blocks of time that a verdict needs."
    _, sentence = await judged(page, '[recorded(7, 9, 900), recorded(8, 0, 900, "q")]')
    assert sentence == "waiting"


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
    assert findings["blocks"] == 600
    assert 0.9 * most < findings["samples"] < 1.1 * most
    assert findings["median"]["low"] < 0.5 < findings["median"]["high"]
    assert step < 10


async def test_verdict_sentences(page: Page) -> None:
    """A winner needs the whole interval beyond the floor; what is unlike is not compared."""
    body = """
        const text = (low, middle, high, unlike = []) =>
            m.verdictSentence({ blocks: 30, samples: 300, median: { low, middle, high } }, unlike, "");
        return [
            text(-0.3, -0.05, 0.2), text(-0.09, -0.06, -0.03), text(1, 2.5, 120), text(-2, -1, -0.51),
            text(-2, -1, -0.001), text(0.5, 1, 2), text(1, 2, 3, ["a reason", "and another"]),
        ];
    """
    assert await run(page, "compare/verdict", body) == [
        "No clear difference (WebSocket is between 0.30 ms faster and 0.20 ms slower, 95 % interval).",
        "No clear difference: WebSocket is faster here (0.03 to 0.09 ms, 95 % interval),"
        " but other connections may differ by 0.5 ms.",
        "SSE is 2.5 ms faster at the median (1.0 to 120 ms, 95 % interval).",
        "WebSocket is 1.0 ms faster at the median (0.51 to 2.0 ms, 95 % interval).",
        "No clear difference: WebSocket is faster here (under 0.01 to 2.0 ms, 95 % interval),"
        " but other connections may differ by 0.5 ms.",
        "No clear difference: SSE is faster here (0.50 to 2.0 ms, 95 % interval),"
        " but other connections may differ by 0.5 ms.",
        "Not comparable: a reason; and another.",
    ]


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
    assert closed == "Connect both to see here which is faster."
    assert early == one_sided
    assert early.startswith("Too few messages yet: 0 of the 20 ")
    assert "the server's clock is unknown" in clockless
    assert "/api/time" in clockless
    assert left_out == "Every message so far was left out: 1 during injected faults."
