"""What a storm shows, as sentences with a stable code, the worst first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtdemo.lab.storm import backoff
from rtdemo.lab.storm.client import NO_ANSWER
from rtdemo.lab.storm.result import Finding, Level, Storm
from rtdemo.protocol.client import LABELS

STAMPEDE_SHARE = 0.8
"""Share of a transport's clients that connects in one second, from which on it is reported."""
MAX_LAG_S = 0.5
"""Seconds by which storm may be late, and still report times."""
STAMPEDE_CLIENTS = 50
"""Fewer clients are no load in any second."""
_PROXY_ANSWERS = {"502", "503", "504"}
"""Answers of a proxy whose server is away."""
_WEIGHTS: dict[Level, int] = {"fail": 0, "warn": 1, "note": 2, "ok": 3}


def findings(storm: Storm) -> list[Finding]:
    """Return what a storm shows, the worst first.

    Arguments:
        storm: with its figures.
    """
    found = [finding for check in _CHECKS if (finding := check(storm)) is not None]
    return sorted(found, key=lambda finding: _WEIGHTS[finding.level])


def headline(storm: Storm) -> str:
    """Return when the clients were back, as a sentence."""
    total, after = storm.total, storm.total.back_after
    if storm.signal_at_seconds is None:
        return "Nothing was killed: the storm was cut short before."
    if not total.cut and storm.cut_short:
        return f"storm was interrupted before a client lost its connection by {storm.settings.signal}."
    if not total.cut:
        return f"No client lost its connection after {storm.settings.signal}."
    times = f"99 % of {total.cut:,} clients were back {seconds(after.p99)} after {storm.settings.signal}"
    if after.p100 is not None:
        return f"{times}, all after {seconds(after.p100)}."
    until = f"{storm.settings.seconds:g} s after {storm.settings.signal}"
    if storm.cut_short:
        until = "when storm was interrupted"
    if after.p99 is not None:
        missing = total.cut - total.back
        return f"{times}, but {missing:,} {'was' if missing == 1 else 'were'} not, {until}."
    if not total.back:
        return f"None of {total.cut:,} clients was back {until}."
    return f"Only {total.back:,} of {total.cut:,} clients were back {until}."


def busiest(storm: Storm) -> str:
    """Return what the server had to accept at once, as a sentence."""
    peak = f"{storm.total.peak_connects_per_second:,} connections came in the busiest second"
    return f"{peak}, {storm.total.attempts:,} attempts in all."


def seconds(value: float | None) -> str:
    """Return a time as text."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def _not_back(storm: Storm) -> Finding | None:
    total = storm.total
    missing = total.cut - total.back - sum(total.gave_up.values())
    if missing <= 0 or storm.cut_short:
        return None
    times = f"{storm.settings.seconds:g} s after the signal"
    sentence = f"{missing:,} of {total.cut:,} clients are not back {times}"
    if not total.back:
        fix = "start the server again, or check why it does not start"
    else:
        fix = "see the failed attempts; measure longer with --seconds"
    return Finding("clients-not-back", "fail", sentence, fix)


def _gave_up(storm: Storm) -> Finding | None:
    answers = storm.total.gave_up
    if not answers:
        return None
    number, names = sum(answers.values()), ", ".join(answers)
    sentence = (
        f"{number:,} clients got the answer {names} and never try again: a browser's EventSource ends"
        " for good after any status but 200"
    )
    fix = "in the page, open a new EventSource after such an end"
    if set(answers) & _PROXY_ANSWERS:
        fix += "; or let the proxy close the connection without an answer (nginx: return 444)"
    if "503" in answers:
        fix += "; or let the server send a `retry:` that lasts until it accepts streams again"
    return Finding("clients-gave-up", "fail", sentence, fix)


def _lost(storm: Storm) -> Finding | None:
    total = storm.total
    if not total.lost:
        return None
    sentence = (
        f"{total.clients_with_losses:,} clients lost messages without a notice, {total.lost:,} in all"
    )
    return Finding(
        "messages-lost", "fail", sentence, "keep the log where the server's death cannot reach it"
    )


def _unannounced(storm: Storm) -> Finding | None:
    if not storm.total.unannounced:
        return None
    sentence = (
        f"{storm.total.unannounced:,} clients got a new log without a notice that the old one is gone"
    )
    return Finding("log-replaced-silently", "fail", sentence, "report this to rtdemo")


def _repeated(storm: Storm) -> Finding | None:
    if not storm.total.repeated:
        return None
    sentence = f"{storm.total.repeated:,} messages came twice or out of order"
    return Finding("messages-repeated", "fail", sentence, "report this to rtdemo")


def _notified(storm: Storm) -> Finding | None:
    notified = storm.total.notified
    if not notified:
        return None
    who = f"{notified:,} of {storm.total.clients:,}"
    if notified == storm.total.clients:
        who = f"all {notified:,}"
    sentence = f"the server reported to {who} clients that messages are lost (`lost: true`)"
    fix = "to lose nothing, keep the log outside of the process: --engine redis://HOST"
    return Finding("loss-reported", "warn", sentence, fix)


def _unknown(storm: Storm) -> Finding | None:
    if storm.total.lost is not None or storm.total.notified or storm.cut_short or not storm.total.cut:
        return None
    sentence = "lost and repeated messages are unknown: no message with a position of rtdemo's log came"
    if storm.messages:
        sentence = "lost and repeated messages are unknown: the positions in the messages form no log"
    is_rtdemo = storm.environment.server.startswith("rtdemo")
    fix = "let storm publish some with --publish 2" if is_rtdemo else ""
    return Finding("delivery-unknown", "note", sentence, fix)


def _delivered(storm: Storm) -> Finding | None:
    total = storm.total
    if total.lost != 0 or total.repeated != 0 or total.notified or total.unannounced:
        return None
    sentence = f"no client lost or repeated one of {storm.messages:,} shared messages"
    return Finding("nothing-lost", "ok", sentence)


def _stampede(storm: Storm) -> Finding | None:
    """Report transports whose clients come all at once; the server sets the wait by `retry:` only."""
    peaks = {
        name: f"{side.peak_connects_per_second:,} connections for {side.cut:,} {LABELS[name]} clients"
        for name, side in storm.sides.items()
        if side.cut >= STAMPEDE_CLIENTS and side.peak_connects_per_second >= STAMPEDE_SHARE * side.cut
    }
    if not peaks:
        return None
    sentence = f"in the busiest second, the server got {' and '.join(peaks.values())}"
    if any(backoff.parse(storm.settings.backoffs[name]).obeys_retry for name in peaks):
        return Finding("stampede", "warn", sentence, "send each event stream a random `retry:`")
    fix = "if that is too much, give these clients a longer random wait"
    return Finding("stampede", "note", sentence, fix)


def _timeouts(storm: Storm) -> Finding | None:
    number = storm.total.failures.get(NO_ANSWER, 0)
    if not number:
        return None
    sentence = f"{number:,} attempts got no answer in time"
    return Finding(
        "attempts-timed-out", "warn", sentence, "raise the server's listen queue, or spread the clients"
    )


def _refused(storm: Storm) -> Finding | None:
    answers = {name: number for name, number in storm.total.failures.items() if name[:3].isdigit()}
    if not answers:
        return None
    words = ", ".join(f"{number:,} with {name}" for name, number in answers.items())
    return Finding("attempts-refused", "note", f"the server refused attempts: {words}")


def _not_cut(storm: Storm) -> Finding | None:
    kept = storm.total.clients - storm.total.cut
    if not kept or not storm.total.cut or storm.cut_short:
        return None
    sentence = f"{kept:,} of {storm.total.clients:,} clients were not cut: another process serves them"
    return Finding("clients-kept", "note", sentence)


def _late(storm: Storm) -> Finding | None:
    if storm.lag_seconds < MAX_LAG_S:
        return None
    lag = seconds(storm.lag_seconds)
    sentence = f"the machine was too busy: storm itself was up to {lag} late, so the times are too long"
    return Finding("storm-was-late", "warn", sentence, "use fewer clients (-n), or end other programs")


def _alive(storm: Storm) -> Finding | None:
    if storm.has_ended or storm.cut_short:
        return None
    if storm.settings.signal == "SIGHUP":
        sentence = "the process goes on after SIGHUP; measured until --seconds were over"
        return Finding("process-reloaded", "note", sentence)
    sentence = f"the process did not end after {storm.settings.signal}"
    return Finding("process-survived", "fail", sentence, "check how it handles this signal")


_CHECKS: Sequence[Callable[[Storm], Finding | None]] = (
    *(_alive, _not_back, _gave_up, _lost, _unannounced, _repeated),
    *(_late, _notified, _stampede, _timeouts, _refused, _not_cut, _unknown, _delivered),
)
