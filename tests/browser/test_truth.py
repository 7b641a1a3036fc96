"""The harness that checks the page's figures finds what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.figures import is_latency
from tests.browser.panel import NONE
from tests.browser.truth import FLAGS, STEP_MS, contradictions, counted, means, outside, within

SHOWN: dict[str, Any] = {
    "verdict-sentence": "Equally fast here at p50 (difference under 0.7 ms); p99 needs more messages.",
    "verdict-note": "Of 1,203 and 1,201 messages so far; p99 needs 1,000 of each.",
    "websocket-p50": "1.8 ± 0.6 ms",
    "difference-p50": "under 0.7 ms",
    "sse-p50": "1.3 ± 0.6 ms",
    "websocket-p99": "9.8 ± 0.6 ms",
    "difference-p99": NONE,
    "sse-p99": NONE,
    "websocket-bytes": "94 B",
    "difference-bytes": "WebSocket 7\N{NO-BREAK SPACE}B\N{NO-BREAK SPACE}less",
    "sse-bytes": "101 B",
    "received": [1300, 1280],
}
NAMED = "SSE is 0.6 to 1.0 ms faster at p50; p99 needs more messages."


def test_a_page_without_contradictions() -> None:
    """Also where a side is named."""
    assert contradictions(SHOWN) == []
    named = {
        "verdict-sentence": NAMED,
        "difference-p50": "SSE 0.6 to 1.0 ms faster",
        "sse-p50": "1.0 ± 0.6 ms",
    }
    assert contradictions({**SHOWN, **named}) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict-sentence": NAMED},
        {"difference-p50": "SSE 0.6 to 1.0 ms faster"},
        {"difference-p50": "WebSocket 0.6 to 1.0 ms faster", "verdict-sentence": NAMED},
        {"difference-p50": "under 0.9 ms"},
        {"websocket-p50": "3.8 ± 0.6 ms"},
        {"difference-bytes": "the same"},
        {"verdict-note": "Of 320 and 280 messages so far."},
        {"verdict-note": "Of 1,400 and 1,400 messages so far."},
        {"verdict-note": ""},
    ],
)
def test_a_contradiction_is_found(changes: dict[str, str]) -> None:
    """Of the sentence, a difference, a value, or the numbers of messages."""
    assert contradictions({**SHOWN, **changes}) != []


def test_messages_of_an_outage_are_found_among_those_that_count() -> None:
    """By the time at which they were sent."""
    columns = ["at", "latency", "hidden", "broken", "untimed", "caughtUp"]
    rows = [
        [100_001.0, 1.0, False, False, False, False],
        [130_000.0, 20_000.0, False, False, False, False],
        [130_000.0, 19_000.0, False, False, False, True],
        [130_000.0, None, False, False, True, False],
    ]
    samples = counted({"samples": {"columns": columns, "rows": rows}})
    assert [sample.latency_ms for sample in samples] == [1.0, 20_000.0]
    assert within(samples, 105.0, 125.0) == samples[1:]


def test_a_reading_outside_of_its_claim_is_found() -> None:
    """The whole range of the truth is beyond its error."""
    readings = [{"offset": offset, "error": 1.0} for offset in (8.9, 9.5, 10.5, 12.1)]
    found = outside({"low": 10.0, "high": 11.0, "readings": readings})
    assert [reading["offset"] for reading in found] == [8.9, 12.1]


def test_latencies_are_compared_with_the_truth_of_the_same_messages() -> None:
    """The clock was set at 200 s. The welcome does not count, and no message without a time."""
    timed = dict.fromkeys(FLAGS, False)
    rows: list[dict[str, Any]] = [
        {**timed, "producer": "welcome", "at": 99_000.0, "latency": 9.0},
        {**timed, "producer": "tenth", "at": 100_000.0, "latency": 3.0},
        {**timed, "producer": "tenth", "at": 201_000.0, "latency": None, "untimed": True},
        {**timed, "producer": "tenth", "at": 202_000.0, "latency": 5.0},
    ]
    # The second one was parsed 2 ms after its arrival.
    heard = [(100.0, 3.0), (201.0, 60.0), (202.002, 58.0)]
    page, truth = means(rows, heard, step=200.0)
    assert page == 4.0
    assert truth == pytest.approx((3.0 + 58.0 - 2.0 + STEP_MS) / 2)


@pytest.mark.parametrize(
    ("shown", "can_be"),
    [
        ("1.8 ± 0.6 ms", True),
        ("1,234 ± 0.6 ms", True),
        ("-0.3 ± 3.4 ms", True),
        ("-3.5 ± 3.4 ms", False),
        ("1.8 ± 0.0 ms", False),
        ("1.8 ms", False),
        (NONE, False),
    ],
)
def test_a_latency_is_negative_by_its_error_at_most(shown: str, can_be: bool) -> None:
    """The clock of a busy machine is known less well than a message is fast."""
    assert is_latency(shown) is can_be
