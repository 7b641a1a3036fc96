"""Put the result of a run into sentences that a reader needs no statistics for.

| code | meaning |
|---|---|
| `websocket-faster`, `sse-faster` | that transport is faster, at p99 or at p50 |
| `equal` | both are equally fast, at p50 and at p99 |
| `equal-at-p50`, `equal-at-p99` | they are equally fast there, and the other percentile is undecided |
| `undecided` | the difference may be none, or one that counts |
| `too-little-data` | too few messages or rounds |
| `latency-unknown` | the messages have no `sentAt`, or the server's clock is unknown |
| `not-comparable` | the conditions were not the same |
| `measured` | a single transport, without a comparison |
| `faster-than-before`, `slower-than-before`, `as-fast-as-before` | of `--compare` |
| `messages-lost` | messages never arrived |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtdemo.lab.bench import advice, metrics
from rtdemo.lab.bench.comparison import MIN_ROUNDS, Comparison, Difference
from rtdemo.lab.bench.fairness import NOT_RTDEMO
from rtdemo.lab.bench.metrics import MAX_OTHER_CORES, METRICS, MIN_SAMPLES, Basis, other_cores
from rtdemo.lab.bench.result import Round, Run, Verdict
from rtdemo.lab.bench.wording import faster, rounded_up, signed_span, span
from rtdemo.protocol.client import LABELS, Transport
from rtdemo.timing.histogram import RESOLUTION, merged

MIN_MESSAGES = MIN_SAMPLES[99.0]
"""Messages of each side that a verdict needs: it compares p99."""
MIN_COUNT = 100
"""Messages from which their number shows the rate; a smaller one may be chance."""
UNDECIDED = ("undecided", "equal-at-p50", "equal-at-p99")
"""Codes of a comparison of two transports that more data may decide."""
SURE_ROUNDS = 10
"""From fewer rounds it is not certain that no number of them would decide a comparison."""
_ORDER = ("slower-than-before", "faster-than-before")
"""Codes that come before the others."""


@dataclass(frozen=True)
class Words:
    """What differs between the sentences about two transports and about two runs.

    Arguments:
        first, second: names of the sides.
        of: the subject, such as ` for SSE`; empty for two transports.
        equal: that both are equally fast.
        codes: of the first side being faster, of the second being faster, and of equality.
    """

    first: str
    second: str
    of: str
    equal: str
    codes: tuple[str, str, str]


def verdicts(run: Run, old: Run | None, comparison: Comparison | None) -> list[Verdict]:
    """Return the verdicts, the most important one first.

    Arguments:
        run: with at least one round.
        old: an earlier run, if there is one.
        comparison: of the run's transports, if it has two.
    """
    found: list[Verdict] = []
    if old is not None:
        both = [name for name in run.transports if old.of(name)]
        found = [compare_runs(old, run, transport) for transport in both]
        found.sort(key=lambda one: one.code not in _ORDER)
    if comparison is not None:
        found.append(compare_transports(run, comparison))
    elif not found:
        found.append(_single(run, run.transports[0]))
    return found + [_lost(run, name) for name in run.transports if _lost_share(run, name)]


def accuracy(run: Run) -> list[str]:
    """Return a sentence with the error of the latencies; none if latencies are unknown."""
    known = [one.clock_error for one in run.rounds if one.clock_error is not None]
    if not known or all(one.figures.messages == one.figures.untimed for one in run.rounds):
        return []
    if any(one.clock_is_assumed for one in run.rounds):
        return ["Latencies assume that the server's clock is this machine's clock."]
    histogram = f"{RESOLUTION:.1%}".replace("%", " %")
    found = f"Latencies are accurate to ± {max(known):.2g} ms (clocks) and ± {histogram} (histogram)."
    return [found] if run.is_stamped else [found, _client_delay(run)]


def _client_delay(run: Run) -> str:
    late = merged(cost.lag for one in run.rounds for cost in one.costs).percentile(99) or 0.0
    return f"They include the time until the client reads a message: its p99 is {late * 1000:.2g} ms."


def transport_comparison(run: Run) -> Comparison | None:
    """Return the comparison of a run's transports; None if it has only one."""
    if len(run.transports) < 2:
        return None
    first, second = run.transports
    return Comparison(run.of(first), run.of(second))


def compare_transports(run: Run, comparison: Comparison) -> Verdict:
    """Return the verdict on the two transports of a run."""
    if failed := [line for line in run.parity if line.state == "failed"]:
        reasons = "; ".join(f"{one.name}: {one.words}" for one in failed)
        return Verdict("not-comparable", f"Not comparable: {reasons}.")
    first, second = run.transports
    codes = (f"{first}-faster", f"{second}-faster", "equal")
    words = Words(LABELS[first], LABELS[second], "", "Equally fast here", codes)
    return _latency_unknown(run) or judge(comparison, words, run)


def rounds_to_decide(run: Run) -> int | None:
    """Return the number of rounds of each transport that may decide between both.

    None if it is decided, if more rounds would not decide it, or if there is too little data.

    Arguments:
        run: as far as it is measured.
    """
    comparison = transport_comparison(run)
    if comparison is None or compare_transports(run, comparison).code not in UNDECIDED:
        return None
    open_ones = [one for one in _differences(comparison) if one.outcome == "undecided"]
    rounds = comparison.fewest_rounds
    found = advice.rounds_for(open_ones, rounds)
    return 2 * rounds if found is None and rounds < SURE_ROUNDS else found


def compare_runs(old: Run, new: Run, transport: Transport) -> Verdict:
    """Return the verdict on a transport in two runs."""
    label = LABELS[transport]
    first, second = old.of(transport), new.of(transport)
    if why := why_not_comparable(first, second):
        return Verdict("not-comparable", f"{label} is not comparable with before: {why}.")
    if _latency_unknown(old) and not _latency_unknown(new):
        return Verdict(
            "latency-unknown", f"{label} is not comparable with before: the old run has no latencies."
        )
    codes = ("slower-than-before", "faster-than-before", "as-fast-as-before")
    words = Words("before", label, f" for {label}", f"{label} is as fast as before", codes)
    comparison = Comparison(first, second, is_one_run=False)
    return _latency_unknown(new) or judge(comparison, words, new)


def why_not_comparable(old: Sequence[Round], new: Sequence[Round]) -> str:
    """Return why rounds of two runs do not compare; empty if they do.

    Within one run the transports take turns, so other processes affect both alike.
    """
    before, now = other_cores(old), other_cores(new)
    if max(before, now) <= MAX_OTHER_CORES:
        return ""
    return f"other processes used {before:.2f} cores before and {now:.2f} now"


def judge(comparison: Comparison, words: Words, run: Run) -> Verdict:
    """Return whether two sides differ in latency.

    It compares p99 and p50. Both must be equal for the sides to be equal. A side that is faster at p99
    is named first.

    Arguments:
        comparison: of the two sides.
        words: for the sentence.
        run: to advise from.
    """
    if too_little := _too_little(comparison, words, run):
        return too_little
    found = _differences(comparison)
    named = [one for one in found if one.outcome in ("more", "less")]
    equal = [one for one in found if one.outcome == "equal"]
    open_ones = [one for one in found if one.outcome == "undecided"]
    if named:
        return _named(named, equal, open_ones, words)
    if not open_ones:
        bound = max(one.bound for one in equal)
        sentence = f"{words.equal} (difference under {rounded_up(bound)} ms)."
        widest = max(equal, key=lambda one: one.bound)
        return _verdict(words.codes[2], sentence, widest, bound)
    flags = _flags(open_ones, comparison)
    advised = f"more rounds would tell: {flags}" if flags else _quieter(comparison)
    if equal:
        [one], [other] = equal, open_ones
        sentence = (
            f"{words.equal} at {one.metric} (difference under {rounded_up(one.bound)} ms);"
            f" {other.metric} is not decided: {signed_span(other.low, other.high)} ms; {advised}."
        )
        return _verdict(f"{words.codes[2]}-at-{one.metric}", sentence, one, one.bound, flags)
    widest = open_ones[0]
    sentence = (
        f"Not decided{words.of}: the difference at {widest.metric} is between"
        f" {_direction(widest, words)}; {advised}."
    )
    return _verdict("undecided", sentence, widest, flags=flags)


def _differences(comparison: Comparison) -> list[Difference]:
    """Return the differences that a verdict looks at, as far as they are known."""
    return [one for name in ("p99", "p50") if (one := comparison.difference(name)) is not None]


def _verdict(
    code: str, sentence: str, one: Difference, bound: float | None = None, flags: str = ""
) -> Verdict:
    return Verdict(
        code,
        sentence,
        metric=one.metric,
        low_ms=round(one.low, 4),
        high_ms=round(one.high, 4),
        bound_ms=bound and round(bound, 4),
        flags=flags,
    )


def _named(
    named: list[Difference], equal: list[Difference], open_ones: list[Difference], words: Words
) -> Verdict:
    """Return the verdict if a side is faster at a percentile, with what differs at the other one."""
    one, *others = named
    sentence = f"{_faster(one, words)} at {one.metric}"
    for other in others:
        if other.outcome != one.outcome:
            sentence += f", but {_faster(other, words)} at {other.metric}"
    if one.metric == "p50":
        sentence += "".join(f"; p99 differs by under {rounded_up(each.bound)} ms" for each in equal)
        sentence += "; p99 is not decided" if open_ones else ""
    code = words.codes[0 if one.outcome == "more" else 1]
    return _verdict(code, f"{sentence}.", one)


def _faster(one: Difference, words: Words) -> str:
    if not words.of:
        return faster(one, words.first, words.second)
    if one.outcome == "more":
        return f"{words.second} is {span(one.low, one.high)} ms slower than before"
    return f"{words.second} is {span(-one.high, -one.low)} ms faster than before"


def _direction(one: Difference, words: Words) -> str:
    """Return the interval with what each end means, such as `-3.0 (SSE faster) and +5.2 ms`."""
    low, _, high = signed_span(one.low, one.high).partition(" to ")
    if words.of:
        return f"{low} and {high} ms"
    ends = [f"{words.first if end > 0 else words.second} faster" for end in (one.low, one.high)]
    if ends[0] == ends[1]:
        return f"{low} and {high} ms ({ends[0]})"
    return f"{low} ms ({ends[0]}) and {high} ms ({ends[1]})"


def _flags(open_ones: list[Difference], comparison: Comparison) -> str:
    rounds = advice.rounds_for(open_ones, comparison.fewest_rounds)
    return f"--rounds {rounds}" if rounds is not None else ""


def _quieter(comparison: Comparison) -> str:
    cores = other_cores([*comparison.first, *comparison.second])
    if cores > MAX_OTHER_CORES:
        return f"other processes used {cores:.1f} cores"
    return "try a quieter machine or network"


def _too_little(comparison: Comparison, words: Words, run: Run) -> Verdict | None:
    """Return the verdict if there are too few messages or rounds; None if there are enough."""
    sides = (comparison.first, comparison.second)
    fewest = min(len(metrics.latencies(side, comparison.basis)) for side in sides)
    rounds = comparison.fewest_rounds
    if fewest >= MIN_MESSAGES and rounds >= MIN_ROUNDS:
        return None
    expected = min(_expected_messages(side, comparison.basis) for side in sides)
    had = _plural(fewest, "message") if fewest < MIN_MESSAGES else f"{_plural(rounds, 'round')} of each"
    needed = f"about {MIN_MESSAGES:,} are" if fewest < MIN_MESSAGES else f"at least {MIN_ROUNDS} are"
    return _more_data(run, expected, f"Too little data{words.of}: {had}; {needed} needed")


def _more_data(run: Run, expected: float, sentence: str) -> Verdict:
    """Return that a run has too little data, with flags that give enough.

    Arguments:
        run: that has too little.
        expected: number of messages of a run like this one.
        sentence: what it lacks.
    """
    flags = advice.flags_for_messages(run.settings, expected, MIN_MESSAGES)
    faster = advice.faster_flags(run.settings, expected, MIN_MESSAGES, _variable_periods(run))
    sentence += f"{advice.with_faster(flags, faster)}."
    return Verdict("too-little-data", sentence, flags=flags)


def _variable_periods(run: Run) -> list[float]:
    """Return the periods, in milliseconds, of a run whose producers all follow --speed; else none.

    Of the producers that bench chooses itself, all do.
    """
    if run.environment.server == NOT_RTDEMO or run.settings.producers:
        return []
    return [ms for one in run.rounds for ms in one.figures.periods.values()]


def _expected_messages(side: Sequence[Round], basis: Basis) -> float:
    """Return the number of messages of rounds like these; of few messages, by their periods if known."""
    count = len(metrics.latencies(side, basis))
    if count >= MIN_COUNT:
        return count
    each = [1000 * one.seconds / ms for one in side for ms in one.figures.periods.values()]
    return side[0].connections * sum(each) if each else count


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _latency_unknown(run: Run) -> Verdict | None:
    """Return the verdict if latencies are unknown, with the gaps that are known; None if they are."""
    untimed = [
        name
        for name in run.transports
        if (figures := [one.figures for one in run.of(name)])
        and sum(one.untimed for one in figures) == sum(one.messages for one in figures) > 0
    ]
    if untimed:
        reason = "Latency is unknown without `sentAt`"
    elif all(one.clock_error is None for one in run.rounds):
        reason = "Latency is unknown, because the server's clock is"
    else:
        return None
    return Verdict("latency-unknown", f"{reason}{_gaps(run)}.")


def _gaps(run: Run) -> str:
    """Return the gaps between messages as the rest of a sentence; empty if there are too few."""
    for name in ("gap99", "gap50"):
        percent = METRICS[name].percent or 0.0
        found = {
            LABELS[transport]: metrics.percentile(metrics.latencies(run.of(transport), "gap"), percent)
            for transport in run.transports
        }
        known = [f"{gap:.3g} ms over {label}" for label, gap in found.items() if gap is not None]
        if known and len(known) == len(found):
            share = "99 %" if name == "gap99" else "half"
            return f"; {share} of the gaps between messages are at most {' and '.join(known)}"
    return ""


def _single(run: Run, transport: Transport) -> Verdict:
    """Return what a run of a single transport measured."""
    if unknown := _latency_unknown(run):
        return unknown
    rounds = run.of(transport)
    found = metrics.latencies(rounds, metrics.basis(rounds))
    p50, p99 = (metrics.percentile(found, percent) for percent in (50.0, 99.0))
    if p50 is None or p99 is None:
        expected = _expected_messages(rounds, metrics.basis(rounds))
        had = _plural(len(found), "message")
        return _more_data(run, expected, f"Too little data: {had}; about {MIN_MESSAGES:,} are needed")
    label = LABELS[transport]
    sentence = (
        f"{label} delivers half of the messages within {rounded_up(p50)} ms, and 99 % within"
        f" {rounded_up(p99)} ms."
    )
    return Verdict("measured", sentence)


def _lost_share(run: Run, transport: Transport) -> float:
    """Return the percentage of a transport's numbered messages that never arrived."""
    return metrics.mean(run.of(transport), METRICS["loss"]) or 0.0


def _lost(run: Run, transport: Transport) -> Verdict:
    lost = sum(one.figures.lost for one in run.of(transport))
    share = f"{_lost_share(run, transport):.2g} %"
    return Verdict("messages-lost", f"{LABELS[transport]} lost {_plural(lost, 'message')} ({share}).")
