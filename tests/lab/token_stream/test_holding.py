"""Patterns of tokens that are held back: each is named, and a slow or busy server is none."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise

import pytest

from rtdemo.lab.token_stream.analysis import Figures, figures
from rtdemo.lab.token_stream.holding import (
    Hold,
    Reference,
    find_hold,
    find_server_hold,
    is_too_short,
)
from tests.lab.token_stream.made import (
    Arrivals,
    held_to_end,
    recording,
    stream,
    through_buffer,
    through_timer,
)


def shown(arrived: Arrivals) -> list[Figures]:
    return [figures(recording(arrived))] * 3


def hold(arrived: Arrivals, direct: Arrivals | None) -> Hold | None:
    return find_hold(shown(arrived), Reference.of(shown(direct)) if direct else None)


LONG = stream(tokens=2000, every_s=0.01)
"""500 KB in 20 s: each buffer fills several times."""


@pytest.mark.parametrize("size_kib", [2, 4, 8, 16, 32, 64])
def test_buffer_is_named_by_its_size(size_kib: int) -> None:
    found = hold(through_buffer(LONG, size_kib * 1024), LONG)
    assert found is not None
    assert (found.code, found.cause) == (f"tokens-buffered-{size_kib * 1024}", "buffering")
    assert found.is_cut


def test_buffer_of_a_size_that_is_not_known() -> None:
    found = hold(through_buffer(LONG, 11_111), LONG)
    assert found is not None
    assert found.code == "tokens-buffered"


@pytest.mark.parametrize(("pause_ms", "every_s"), [(40, 0.01), (200, 0.01), (200, 0.03)])
def test_pauses_of_an_acknowledgement_are_named(pause_ms: int, every_s: float) -> None:
    sent = stream(tokens=300, every_s=every_s)
    found = hold(through_timer(sent, pause_ms / 1000), sent)
    assert found is not None
    assert (found.code, found.cause) == (f"tokens-clumped-{pause_ms}ms", "no-delay")


def test_other_even_pauses_are_a_timer() -> None:
    sent = stream(tokens=300, every_s=0.01)
    found = hold(through_timer(sent, 0.1), sent)
    assert found is not None
    assert (found.code, found.cause) == ("tokens-clumped", "timer")


def test_all_at_the_end() -> None:
    found = hold(held_to_end(LONG), LONG)
    assert found is not None
    assert (found.code, found.shape) == ("tokens-held-to-end", "held-to-end")


def test_all_at_the_end_of_a_long_line() -> None:
    """A large answer then takes several round trips: 14 KB, 28 KB, 56 KB."""
    sent = stream(tokens=400, every_s=0.02)
    end, data = held_to_end(sent)[0]
    parts = [(end, data[:14_000]), (end + 0.15, data[14_000:42_000]), (end + 0.3, data[42_000:])]
    found = hold(parts, sent)
    assert found is not None
    assert found.code == "tokens-held-to-end"


def test_first_tokens_that_are_held_back() -> None:
    """Such as by a scan of the first 16 KB; later ones pass."""
    first, rest = LONG[:64], LONG[64:]
    found = hold([*held_to_end(first), *rest], LONG)
    assert found is not None
    assert found.code == "tokens-held-at-start"


@pytest.mark.parametrize("batch", [2, 5, 50])
def test_server_that_batches_is_no_fault(batch: int) -> None:
    sent = stream(tokens=400, batch=batch)
    assert hold(sent, sent) is None
    assert find_server_hold(shown(sent)) is None


def test_slow_server_is_no_fault() -> None:
    """The first token after 30 s, then two a second: a large model with a long prompt."""
    sent = stream(tokens=60, every_s=0.5, first_s=30)
    assert hold(sent, sent) is None
    assert hold(sent, None) is None
    assert find_server_hold(shown(sent)) is None


@pytest.mark.parametrize("seed", range(20))
def test_busy_server_is_no_fault(seed: int) -> None:
    """Each answer has other lengths and pauses; five of a hundred are long."""

    def irregular(rng: random.Random) -> Arrivals:
        tokens = rng.randrange(80, 200)
        gaps = [rng.expovariate(50) + (0.3 if rng.random() < 0.05 else 0) for _ in range(tokens)]
        data = [each for _, each in stream(tokens, ends=False)]
        return list(zip(accumulate(gaps, initial=0.5), data, strict=False))

    rng = random.Random(seed)
    url, direct = ([figures(recording(irregular(rng))) for _ in range(3)] for _ in range(2))
    assert find_hold(url, Reference.of(direct)) is None


def test_one_stall_in_one_answer_is_no_fault() -> None:
    """Of this machine or of the network."""
    sent = stream()
    stalled = [*sent[:20], *((sent[59][0], data) for _, data in sent[20:60]), *sent[60:]]
    answers = [figures(recording(each)) for each in (sent, stalled, sent)]
    assert find_hold(answers, Reference.of(shown(sent))) is None


def test_one_irregular_answer_of_three_is_no_fault() -> None:
    """Two are: the same in most answers is no chance."""
    sent = stream(tokens=200, every_s=0.01)
    ends = list(accumulate((3, 20, 5, 28, 2, 18, 9, 40, 4, 30, 12, 25, 5)))
    bursts = [sent[start:end] for start, end in pairwise([0, *ends])]
    irregular = [(burst[-1][0], b"".join(data for _, data in burst)) for burst in bursts]
    reference = Reference.of(shown(sent))
    once, twice = ([figures(recording(a)) for a in (sent, irregular, b)] for b in (sent, irregular))
    assert find_hold(once, reference) is None
    found = find_hold(twice, reference)
    assert found is not None
    assert found.code == "tokens-bunched"


def test_buffer_that_takes_whole_events_only() -> None:
    """As measured in dstack#4269: bursts of 64 to 66 chunks of 247 bytes, every 16.5 s."""
    sent = stream(tokens=400, every_s=0.25, first_s=0.5, size_bytes=247)
    parts = [sent[start : start + 65] for start in range(0, 400, 65)]
    found = hold([part for each in parts for part in held_to_end(each)], sent)
    assert found is not None
    assert found.code == "tokens-buffered-16384"
    assert found.gap_s == pytest.approx(16.25)


def test_pauses_are_not_exact() -> None:
    """The system's timers and the network add to them."""
    sent = stream(tokens=3000, every_s=0.001)
    found = hold(through_timer(sent, 0.043), sent)
    assert found is not None
    assert found.code == "tokens-clumped-40ms"


def test_one_of_three_answers_that_is_buffered_is_reported() -> None:
    """As of one of several proxies that take turns."""
    answers = [figures(recording(each)) for each in (LONG, through_buffer(LONG, 4096), LONG)]
    found = find_hold(answers, Reference.of(shown(LONG)))
    assert found is not None
    assert (found.answers, found.of_answers) == (1, 3)


def test_server_with_a_buffer_of_bytes_is_certain() -> None:
    """Nobody cuts events on purpose."""
    found = find_server_hold(shown(through_buffer(LONG, 8192)))
    assert found is not None
    assert found.code == "tokens-buffered-8192"


def test_server_that_stores_is_certain() -> None:
    """Nothing makes 4,000 tokens a second."""
    found = find_server_hold(shown(held_to_end(LONG)))
    assert found is not None
    assert found.code == "tokens-held-to-end"


def test_buffer_behind_a_server_that_batches() -> None:
    sent = stream(tokens=1000, batch=5)
    found = hold(through_buffer(sent, 16_384), sent)
    assert found is not None
    assert found.code == "tokens-buffered-16384"


@pytest.mark.parametrize(
    ("tokens", "every_s", "short"), [(5, 1.0, True), (100, 0.001, True), (100, 0.02, False)]
)
def test_answer_that_is_too_short_shows_nothing(tokens: int, every_s: float, short: bool) -> None:
    assert is_too_short(shown(stream(tokens, every_s))) == short
