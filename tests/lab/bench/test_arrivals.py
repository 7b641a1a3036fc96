"""What bench records of messages, and the figures of a window that it computes from them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from rtdemo.lab.bench import arrivals
from rtdemo.lab.bench.analysis import analyse_window, jitter
from rtdemo.lab.bench.arrivals import Arrivals, stream_name
from rtdemo.lab.bench.protocol import Window
from rtdemo.lab.bench.result import Figures

WINDOW = Window(start=10_000.0, seconds=1.0)
AHEAD = 3_000.0
"""Milliseconds by which the server's clock is ahead."""


def received(*messages: tuple[float, float, Mapping[str, object]]) -> Arrivals:
    """Return the arrivals of one connection from (sent, arrived, other fields) on this clock."""
    found = Arrivals()
    connection = found.open()
    for sent, arrived, fields in messages:
        text = {"message": "x", "sentAt": sent + AHEAD + 0.25, **fields}
        connection.record(json.dumps(text).encode(), arrived)
    return found


def ticking(late: float = 0.0) -> Arrivals:
    """Return a message every 100 ms, from before the window until after it; each takes 2 ms."""
    return received(*((at + late, at + late + 2, {"producer": "p"}) for at in range(9_500, 12_000, 100)))


def figures_of(found: Arrivals, offset: float | None = AHEAD + 0.25) -> Figures:
    return analyse_window(found, {"p": 100.0}, WINDOW, offset)


def test_latency_uses_the_servers_clock() -> None:
    """Latency is correct although the server's clock is 3 s ahead."""
    figures = figures_of(ticking())
    assert (figures.messages, figures.due, figures.kept) == (10, 10, 10)
    [block] = figures.blocks
    for one in (block.sent, block.due):
        assert len(one) == 10
        assert one.maximum == pytest.approx(0.002)


def test_without_an_offset_latency_is_unknown() -> None:
    """Without an offset there are no latencies, but due and arrived messages are counted."""
    figures = figures_of(ticking(), offset=None)
    assert (figures.messages, figures.due, figures.kept) == (10, 10, 10)
    assert len(figures.blocks[0].sent) == len(figures.blocks[0].due) == 0


def test_shared_messages_are_not_due() -> None:
    """Shared messages have no due times: they arrive when they are published."""
    figures = figures_of(
        received(*((at, at, {"producer": "p", "id": "a-1"}) for at in range(9_950, 11_000, 50)))
    )
    assert (figures.due, figures.messages, figures.irregular) == (0, 20, ["p"])


def test_connections_that_get_nothing_keep_nothing() -> None:
    """A listed producer is due on every connection; unlisted, silent connections are only counted."""
    found = ticking()
    found.open()
    figures = figures_of(found)
    assert (figures.due, figures.kept, figures.mute, len(figures.blocks[0].due)) == (20, 10, 1, 20)
    figures = analyse_window(found, {}, WINDOW, AHEAD + 0.25)
    assert (figures.due, figures.kept, figures.mute) == (10, 10, 1)


@pytest.mark.parametrize(
    ("numbers", "lost", "repeated", "disordered"),
    [
        ([1, 2, 5, 4, 5, 6], 1, 1, 1),
        ([2, 1, 4, 3, 6, 5], 0, 0, 3),
        ([1, 2, 3], 0, 0, 0),
        ([7, 7, 9], 1, 1, 0),
        ([10**400, True, "x", 1, 3], 1, 0, 0),
    ],
)
def test_the_ledger_by_the_producers_numbers(
    numbers: list[object], lost: int, repeated: int, disordered: int
) -> None:
    """A message that never arrived is lost, a late one out of order, one that arrived again repeated."""
    figures = figures_of(
        received(*((10_000.0 + n, 10_001.0, {"producer": "q", "seq": s}) for n, s in enumerate(numbers)))
    )
    assert (figures.lost, figures.repeated, figures.disordered) == (lost, repeated, disordered)


def test_whole_milliseconds_are_moved_to_their_middle() -> None:
    """A truncated `sentAt` is half a millisecond early on average, which is corrected."""
    found = Arrivals()
    found.open().record(b'{"message":"x","sentAt":13100}', 10_101.0)
    figures = figures_of(found, offset=3_000.0)
    assert figures.whole
    assert figures.blocks[0].sent.maximum == pytest.approx(0.0005)


def test_gaps_of_messages_without_sent_at() -> None:
    """Messages without `sentAt` have gaps and a jitter, and no latency."""
    found = Arrivals()
    connection = found.open()
    for at in (9_900.0, 10_000.0, 10_100.0, 10_100.0, 10_300.0, 11_200.0):
        connection.record(b'{"token": "x"}', at)
    figures = analyse_window(found, {}, WINDOW, AHEAD)
    [block] = figures.blocks
    assert (figures.messages, figures.untimed, len(block.sent), len(block.due)) == (4, 4, 0, 0)
    assert len(block.gap) == 4
    assert block.gap.maximum == pytest.approx(0.2)
    # Differences from the median gap of 100 ms: 0, 0, -100, 100.
    assert figures.jitter == pytest.approx((100 * 15 / 16 + 100) / 16)


def test_gaps_do_not_span_two_responses() -> None:
    """The pause between a response and the next request is not a gap; due times end, too."""
    found = Arrivals()
    connection = found.open()
    for at in (10_000.0, 10_010.0):
        connection.record(b'{"sentAt": 13000.5}', at)
    connection.begin_response()
    for at in (10_500.0, 10_510.0):
        connection.record(b"[DONE]", at)
    figures = analyse_window(found, {}, WINDOW, AHEAD, repeats=True)
    [block] = figures.blocks
    assert len(block.gap) == 2
    assert block.gap.maximum == pytest.approx(0.01)
    assert (figures.messages, figures.untimed, figures.due, figures.mute) == (4, 2, 0, 0)


@pytest.mark.parametrize(
    "text", [b"[]", b"no json", b'{"message": "x"}', b'{"sentAt": "now"}', b'{"sentAt": 1e300}', b"\xff"]
)
def test_what_has_no_instant_is_counted(text: bytes) -> None:
    """A payload without a usable `sentAt` is counted, and has an arrival, but no latency."""
    found = Arrivals()
    found.open().record(text, 0.0)
    assert (found.unread, found.connections[0].streams) == (1, {})
    assert list(found.connections[0].responses[0].untimed) == [0.0]


def test_fields_of_other_servers_may_be_anything() -> None:
    """Only `sentAt` is necessary; other fields may have any type."""
    found = Arrivals()
    found.open().record(
        b'{"message": {"a": 1}, "sentAt": 1, "id": 7, "seq": "x", "producer": [], "client": 1}', 0.0
    )
    assert (found.unread, list(found.connections[0].streams)) == (0, [""])


def test_streams_without_a_producer_are_named_by_their_text() -> None:
    """Without a producer, a stream's name is the text up to its first digit."""
    names = {stream_name("WebSocket Message 417"), stream_name("WebSocket Message 3")}
    assert names == {"WebSocket Message"}
    assert stream_name({"not": "text"}) == ""


def test_messages_over_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages over the limit of messages or of streams are counted and left out."""
    monkeypatch.setattr(arrivals, "MAX_MESSAGES", 3)
    found = ticking()
    assert found.left_out == 22
    monkeypatch.setattr(arrivals, "MAX_STREAMS", 1)
    found = received((0.0, 0.0, {"producer": "a"}), (0.0, 0.0, {"producer": "b"}))
    assert (found.left_out, list(found.connections[0].streams)) == (1, ["a"])


def test_two_processes_are_added_up() -> None:
    """Figures of two workers add up; jitter is weighted by the number of streams."""
    one, other = figures_of(ticking()), figures_of(ticking(late=1))
    one.jitter, one.streams, other.jitter, other.streams = 1.0, 1, 4.0, 2
    one.add(other)
    assert (one.messages, one.due, one.kept, one.jitter) == (20, 20, 20, 3.0)
    assert len(one.blocks[0].due) == 20
    longer = figures_of(ticking())
    longer.blocks.append(longer.blocks[0])
    one.add(longer)
    assert [len(block.due) for block in one.blocks] == [30, 10]


def test_jitter_by_the_formula() -> None:
    """Each difference counts by a sixteenth (RFC 3550 section 6.4.1)."""
    assert jitter([5.0, 5.0, 5.0]) == 0
    assert jitter([0.0, 16.0]) == 1.0
    assert jitter([0.0, 16.0, 16.0]) == pytest.approx(1 - 1 / 16)


@pytest.mark.parametrize("payload", [b'{"message": "\xff"}', b'{"message": ' + b"[" * 100_000])
def test_message_that_cannot_be_decoded_counts_as_unread(payload: bytes) -> None:
    """It is not UTF-8, or nested too deeply: the connection goes on."""
    found = Arrivals()
    found.open().record(payload, 10_100.0)
    assert found.unread == 1
