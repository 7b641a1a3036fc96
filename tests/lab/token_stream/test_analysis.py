"""Figures of an answer: bursts, gaps, the wait of a token."""

from __future__ import annotations

import pytest

from rtdemo.lab.token_stream.analysis import figures, is_even, median, percentile
from tests.lab.token_stream.made import EVENT_STREAM, recording, stream, through_timer, token


def test_arrivals_within_two_milliseconds_are_one_burst() -> None:
    shown = figures(recording([(0.1, token()), (0.1015, token()), (0.2, token()), (0.203, token())]))
    assert [burst.tokens for burst in shown.bursts] == [2, 1, 1]
    assert shown.tokens_per_burst == pytest.approx(4 / 3)


def test_first_token_is_the_first_text() -> None:
    """Not the event with the role, which some servers send before they begin."""
    role = b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
    shown = figures(recording([(0.1, role), (2.0, token()), (2.1, token())]))
    assert (shown.first_token_s, shown.tokens) == (2.0, 2)


def test_token_that_two_reads_share_counts_where_it_ends() -> None:
    whole = token()
    shown = figures(recording([(0.1, whole[:100]), (0.2, whole[100:] + whole)]))
    assert [(burst.tokens, burst.is_whole) for burst in shown.bursts] == [(0, False), (2, True)]


def test_tokens_that_pass_do_not_wait() -> None:
    assert figures(recording(stream())).wait_s == pytest.approx(0, abs=0.001)


@pytest.mark.parametrize("every_s", [0.1, 0.4])
def test_tokens_of_a_timer_wait_for_half_its_interval(every_s: float) -> None:
    shown = figures(recording(through_timer(stream(tokens=400, every_s=0.01), every_s)))
    assert shown.wait_s == pytest.approx(every_s / 2, rel=0.2)


def test_bytes_count_where_no_event_can_be_read() -> None:
    """In a coding that is not known, and in text without a format."""
    brotli = recording(
        [(0.1, b"\x8b"), (0.2, b"\x8c\x8d")], headers=[EVENT_STREAM, ("Content-Encoding", "br")]
    )
    text = recording([(0.1, b"Once "), (0.2, b"upon")], headers=[("Content-Type", "text/plain")])
    assert [(figures(made).unit, figures(made).tokens) for made in (brotli, text)] == [
        ("bytes", 3),
        ("bytes", 9),
    ]


def test_events_count_where_their_text_is_not_known() -> None:
    shown = figures(recording([(0.1, b'data: {"foo": 1}\n\n'), (0.2, b"data: 2\n\n")]))
    assert (shown.unit, shown.tokens) == ("events", 2)


def test_answer_without_tokens_has_figures() -> None:
    shown = figures(recording([]))
    assert (shown.first_token_s, shown.span_s, shown.tokens_per_burst, shown.wait_s) == (None, 0, 0, 0)


def test_percentiles() -> None:
    assert (percentile([], 0.5), percentile([3, 1, 2], 0.5), percentile(range(100), 0.99)) == (0, 2, 99)
    assert median([1, 2]) == 2
    assert is_even([100, 101, 102], 0.1)
    assert not is_even([50, 100, 150], 0.1)
