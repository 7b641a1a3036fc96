"""What held messages back follows from when they arrive: no clock can hide a delay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from rtdemo.lab.doctor import events
from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.delivery import Arrival, EventSplitter, Judgement, Kind, Recording, judge
from rtdemo.lab.doctor.errors import NotTestedError
from rtdemo.protocol import address

SIZES = (100, 100, 6144, 65_536, 100)
SILENCE = 2000.0
OFFSET = 3_600_000.0
"""Milliseconds by which the server's clock is behind."""
LATENCY = 40.0
Released = Callable[[int, float], tuple[float, float, float]]
"""Takes the number of a message and when it was sent; returns its first and last byte, longest gap."""


def recorded(released: Released, sizes: Sequence[int] = SIZES) -> Recording:
    """Return the recording of messages that are released at given times of the server's clock."""
    recording = Recording(sizes, SILENCE, asked_at=0.0)
    for number, size in enumerate((600, *sizes)):
        sent = number * SILENCE
        first, last, gap = released(number, sent)
        arrival = (size, sent - OFFSET, first + LATENCY, last + LATENCY, gap)
        recording.arrivals.append(Arrival(*arrival))
    recording.ended_at = (len(sizes) + 1) * SILENCE + LATENCY
    return recording


def at_once(_: int, sent: float) -> tuple[float, float, float]:
    return sent, sent + 1, 0.0


def after(milliseconds: float) -> Released:
    return lambda _, sent: (sent + milliseconds, sent + milliseconds, 0.0)


def at_the_next(_: int, sent: float) -> tuple[float, float, float]:
    return sent + SILENCE, sent + SILENCE, 0.0


def at_the_end(_: int, __: float) -> tuple[float, float, float]:
    end = (len(SIZES) + 1) * SILENCE
    return end, end, 0.0


def large_tails_at_the_next(number: int, sent: float) -> tuple[float, float, float]:
    return (sent, sent + SILENCE, SILENCE) if number in (3, 4) else (sent, sent, 0.0)


def large_at_the_next_on_a_busy_machine(number: int, sent: float) -> tuple[float, float, float]:
    """A small message is late by 130 ms, which is nothing beside two seconds."""
    if number == 1:
        return after(130)(number, sent)
    return large_tails_at_the_next(number, sent)


def at_8_kib(number: int, sent: float) -> tuple[float, float, float]:
    """600, 100, 100 and 6144 bytes wait for the 64 KiB, whose tail waits for the end with the last."""
    large = 4 * SILENCE
    if number < 4:
        return large, large, 0.0
    end = (len(SIZES) + 1) * SILENCE
    return (large, end, end - large) if number == 4 else (end, end, 0.0)


def slowly(number: int, sent: float) -> tuple[float, float, float]:
    """At 40 KiB a second."""
    took = (600, *SIZES)[number] / 40.96
    return sent + min(took, 20), sent + took, min(took, 40)


def after_a_delay_and_a_stop(milliseconds: float) -> Released:
    """The machine stops while the second small message is under way."""
    return lambda number, sent: after(1400 if number == 2 else milliseconds)(number, sent)


def after_a_delay_and_the_next(number: int, sent: float) -> tuple[float, float, float]:
    """One message is held until the next one, beside a delay that all have."""
    return after(SILENCE if number == 2 else 800)(number, sent)


def after_a_delay_and_two_stops(number: int, sent: float) -> tuple[float, float, float]:
    """Two messages are late by more than a silence, which nothing releases."""
    return after(3500 if number in (2, 4) else 45)(number, sent)


def after_a_delay_and_slowly(number: int, sent: float) -> tuple[float, float, float]:
    """The large message comes in one piece, after the time that a slow line takes for it."""
    return after(1400 if number == 4 else 41)(number, sent)


def by_a_busy_machine(number: int, sent: float) -> tuple[float, float, float]:
    return after(180 if number == 2 else 3)(number, sent)


@pytest.mark.parametrize(
    ("released", "kind", "held"),
    [
        (at_once, "ok", ()),
        (at_the_next, "until next", (600, *SIZES)),
        (large_tails_at_the_next, "until next", (6144, 65_536)),
        (large_at_the_next_on_a_busy_machine, "until next", (6144, 65_536)),
        (at_the_end, "until end", (600, *SIZES)),
        (at_8_kib, "until size", (600, *SIZES)),
        (after(200), "clumped", (600, 100, 100, 6144, 100)),
        (after(41), "clumped", SIZES),
        (after_a_delay_and_a_stop(41), "clumped", SIZES),
        (after_a_delay_and_a_stop(200), "clumped", SIZES),
        (after_a_delay_and_the_next, "until size", (600, *SIZES)),
        (after_a_delay_and_slowly, "slow", (65_536,)),
        (after_a_delay_and_two_stops, "clumped", SIZES),
        (slowly, "slow", (65_536,)),
        (by_a_busy_machine, "late", (100,)),
    ],
)
def test_cause_follows_from_the_times(released: Released, kind: str, held: tuple[int, ...]) -> None:
    """Whatever the difference of the clocks, and the way that all messages have in common."""
    found = judge(recorded(released), OFFSET + LATENCY, round_trip=2 * LATENCY)
    assert (found.kind, found.held) == (kind, held)


@pytest.mark.parametrize(("released", "kind"), [(at_the_end, "until end"), (at_the_next, "until next")])
def test_last_message_that_a_busy_server_sends_late(released: Released, kind: Kind) -> None:
    """The end does not wait for it, so its silence is short."""
    recording = recorded(released)
    before, last = recording.arrivals[-2:]
    recording.arrivals[-1] = last._replace(sent=last.sent + 400)
    if kind == "until next":
        recording.arrivals[-2] = before._replace(first=before.first + 400, last=before.last + 400)
    assert judge(recording, OFFSET + LATENCY, round_trip=2 * LATENCY).kind == kind


@pytest.mark.parametrize("delay", [0.0, 200.0])
def test_long_round_trip_hides_no_delay(delay: float) -> None:
    """A delay is seen though it is under half a round trip; the round trip alone is none."""
    found = judge(recorded(after(delay)), OFFSET + LATENCY, round_trip=600.0)
    assert (found.kind, found.delay) == ("clumped" if delay else "ok", delay)


def test_large_message_may_take_some_round_trips() -> None:
    """TCP begins slowly after a silence."""

    def released(number: int, sent: float) -> tuple[float, float, float]:
        return (sent, sent + 1500, 600.0) if number == 4 else (sent, sent, 0.0)

    assert judge(recorded(released), OFFSET + LATENCY, round_trip=600.0).kind == "ok"


def test_rate_of_a_slow_line() -> None:
    """It is that of the bytes as they come."""
    found = judge(recorded(slowly), OFFSET + LATENCY, round_trip=1.0)
    assert found.rate == pytest.approx(40 * 1024, rel=0.1)


def test_stream_that_is_cut() -> None:
    """What has arrived does not make it whole."""
    for released in (at_once, by_a_busy_machine, after(200)):
        recording = recorded(released)
        del recording.arrivals[4:]
        recording.error = "was cut"
        assert judge(recording, OFFSET + LATENCY, 1.0).kind == "cut"
        recording.error = ""
        assert judge(recording, OFFSET + LATENCY, 1.0).kind == "incomplete"
    recording = recorded(at_the_next)
    del recording.arrivals[4:]
    assert judge(recording, OFFSET + LATENCY, 1.0).kind == "until next"


def test_events_are_split_with_the_times_of_their_bytes() -> None:
    """However the bytes are cut; comments are no events."""
    splitter = EventSplitter()
    assert splitter.feed(b": ping\n\ndata: o", 1.0) == []
    assert splitter.feed(b"ne\n", 2.5) == []
    assert splitter.feed(b"\ndata: two\nid: 7\n\nda", 3.0) == [
        ("one", 1.0, 3.0, 1.5),
        ("two", 3.0, 3.0, 0.0),
    ]
    assert splitter.feed(b"ta: three\n\n", 9.0) == [("three", 3.0, 9.0, 6.0)]


@pytest.mark.parametrize(("lateness", "is_busy"), [(0.2, False), (20.0, True)])
async def test_delays_on_a_busy_machine_are_not_judged(lateness: float, is_busy: bool) -> None:
    """A laptop whose own timers are late by 20 ms must not get "each message arrives 41 ms late"."""
    context = Context(address.parse("http://h"), idle=1)
    context.lateness = lateness
    recording = recorded(after(41))
    judgement = judge(recording, OFFSET + LATENCY, 2 * LATENCY)
    context.deliveries["sse", "1.1"] = events.Delivery(recording, judgement)
    if is_busy:
        with pytest.raises(NotTestedError, match="too busy, its own timers are 20 ms late"):
            await events.sse(context, "1.1")
    else:
        assert (await events.sse(context, "1.1")).code == "sse-clumped"


@pytest.mark.parametrize(
    ("new", "kept", "is_better"),
    [
        (("cut", 10.0, False), ("until size", 4000.0, True), False),
        (("until size", 4000.0, True), ("incomplete", 10.0, False), True),
        (("ok", 90.0, True), ("until next", 80.0, True), True),
        (("until next", 1900.0, True), ("until next", 2000.0, True), True),
        (("cut", 20.0, False), ("cut", 10.0, False), False),
        # What came before a cut may have been late, too.
        (("clumped", 99.0, False), ("cut", 10.0, False), False),
    ],
)
def test_recording_that_shows_the_path_better_is_kept(
    new: tuple[Kind, float, bool], kept: tuple[Kind, float, bool], is_better: bool
) -> None:
    """One that a busy machine cut must not hide that events are held back: it had no time to show it."""

    def delivery(kind: Kind, delay: float, is_whole: bool) -> events.Delivery:
        recording = recorded(at_once)
        if not is_whole:
            recording.error = "was cut"
            del recording.arrivals[4:]
        return events.Delivery(recording, Judgement(kind, delay))

    assert events.is_better(delivery(*new), delivery(*kept)) is is_better
