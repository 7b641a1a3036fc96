"""What is kept of messages while they come, and what a window shows of them afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from rtdemo.lab.bench import arrivals
from rtdemo.lab.bench.analysis import analyse_window, jitter
from rtdemo.lab.bench.arrivals import Arrivals, group
from rtdemo.lab.bench.protocol import Window
from rtdemo.lab.bench.result import Figures

GO = Window(start=10_000.0, seconds=1.0)
AHEAD = 3_000.0
"""Milliseconds by which the server's clock is ahead."""


def received(*messages: tuple[float, float, Mapping[str, object]]) -> Arrivals:
    """One connection's: sent and arrived, on this clock, and the other fields."""
    found = Arrivals()
    connection = found.open()
    for sent, arrived, fields in messages:
        text = {"message": "x", "sentAt": sent + AHEAD + 0.25, **fields}
        connection.take(json.dumps(text).encode(), arrived)
    return found


def ticking(late: float = 0.0) -> Arrivals:
    """A message every 100 ms from before the window until after it; each takes 2 ms."""
    return received(*((at + late, at + late + 2, {"producer": "p"}) for at in range(9_500, 12_000, 100)))


def shown(found: Arrivals, offset: float | None = AHEAD + 0.25) -> Figures:
    return analyse_window(found, {"p": 100.0}, GO, offset)


def test_latency_is_told_on_the_servers_clock() -> None:
    """However far that is from this one's."""
    figures = shown(ticking())
    assert (figures.messages, figures.due, figures.kept) == (10, 10, 10)
    [block] = figures.blocks
    for one in (block.sent, block.due):
        assert len(one) == 10
        assert one.maximum == pytest.approx(0.002)


def test_without_an_offset_no_latency_is_told() -> None:
    """What was due and came is counted all the same."""
    figures = shown(ticking(), offset=None)
    assert (figures.messages, figures.due, figures.kept) == (10, 10, 10)
    assert len(figures.blocks[0].sent) == len(figures.blocks[0].due) == 0


def test_shared_messages_are_not_due() -> None:
    """They come when they are published."""
    figures = shown(
        received(*((at, at, {"producer": "p", "id": "a-1"}) for at in range(9_950, 11_000, 50)))
    )
    assert (figures.due, figures.messages, figures.irregular) == (0, 20, ["p"])


def test_connections_that_get_nothing_keep_nothing() -> None:
    """Of a told producer; where the period is estimated they are counted, to be warned of."""
    found = ticking()
    found.open()
    figures = shown(found)
    assert (figures.due, figures.kept, figures.mute, len(figures.blocks[0].due)) == (20, 10, 1, 20)
    figures = analyse_window(found, {}, GO, AHEAD + 0.25)
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
    """Lost is what never came; what came late is out of order, and what came again repeated."""
    figures = shown(
        received(*((10_000.0 + n, 10_001.0, {"producer": "q", "seq": s}) for n, s in enumerate(numbers)))
    )
    assert (figures.lost, figures.repeated, figures.disordered) == (lost, repeated, disordered)


def test_whole_milliseconds_are_moved_to_their_middle() -> None:
    """A clock that is cut off is half a millisecond early in the mean."""
    found = Arrivals()
    found.open().take(b'{"message":"x","sentAt":13100}', 10_101.0)
    figures = shown(found, offset=3_000.0)
    assert figures.whole
    assert figures.blocks[0].sent.maximum == pytest.approx(0.0005)


@pytest.mark.parametrize(
    "text", [b"[]", b"no json", b'{"message": "x"}', b'{"sentAt": "now"}', b'{"sentAt": 1e300}', b"\xff"]
)
def test_what_has_no_instant_is_counted(text: bytes) -> None:
    """And not measured."""
    found = Arrivals()
    found.open().take(text, 0.0)
    assert (found.unread, found.connections[0].streams) == (1, {})


def test_fields_of_other_servers_may_be_anything() -> None:
    """Only the instant is needed."""
    found = Arrivals()
    found.open().take(
        b'{"message": {"a": 1}, "sentAt": 1, "id": 7, "seq": "x", "producer": [], "client": 1}', 0.0
    )
    assert (found.unread, list(found.connections[0].streams)) == (0, [""])


def test_producers_without_a_name_are_told_by_their_text() -> None:
    """Up to its first digit."""
    assert group("WebSocket Message 417") == group("WebSocket Message 3") == "WebSocket Message"
    assert group({"not": "text"}) == ""


def test_over_the_bound_messages_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """And left out; so are streams."""
    monkeypatch.setattr(arrivals, "MAX_MESSAGES", 3)
    found = ticking()
    assert found.left_out == 22
    monkeypatch.setattr(arrivals, "MAX_STREAMS", 1)
    found = received((0.0, 0.0, {"producer": "a"}), (0.0, 0.0, {"producer": "b"}))
    assert (found.left_out, list(found.connections[0].streams)) == (1, ["a"])


def test_two_processes_are_added_up() -> None:
    """Jitter by the number of streams."""
    one, other = shown(ticking()), shown(ticking(late=1))
    one.jitter, one.streams, other.jitter, other.streams = 1.0, 1, 4.0, 2
    one.add(other)
    assert (one.messages, one.due, one.kept, one.jitter) == (20, 20, 20, 3.0)
    assert len(one.blocks[0].due) == 20
    longer = shown(ticking())
    longer.blocks.append(longer.blocks[0])
    one.add(longer)
    assert [len(block.due) for block in one.blocks] == [30, 10]


def test_jitter_by_the_formula() -> None:
    """RFC 3550 section 6.4.1: a sixteenth of each difference counts."""
    assert jitter([5.0, 5.0, 5.0]) == 0
    assert jitter([0.0, 16.0]) == 1.0
    assert jitter([0.0, 16.0, 16.0]) == pytest.approx(1 - 1 / 16)
