"""Whose fault it is: findings of the ways through the proxies, beside the direct way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from rtdemo.lab.token_stream import fixes
from rtdemo.lab.token_stream.analysis import Figures, figures, median
from rtdemo.lab.token_stream.answers import GATEWAY_CODES, Problem, find_problems
from rtdemo.lab.token_stream.holding import (
    MIN_TOKENS,
    SLOWEST_S,
    Cause,
    Hold,
    Reference,
    find_hold,
    find_server_hold,
    is_too_short,
)
from rtdemo.lab.token_stream.limits import BUFFERS
from rtdemo.lab.token_stream.way import Way
from rtdemo.plugin_system.checks import Verdict

Fault = Literal["proxy", "server", "unknown", "none"]

SUBJECTS: dict[Fault, str] = {
    "proxy": "The proxy",
    "server": "The server",
    "unknown": "The server or a proxy",
    "none": "",
}
CANNOT_TELL = "cannot tell whether a proxy or the server does it: give --direct URL of the server itself"
LATE_S, LATE_SHARE = 0.25, 0.5
"""Seconds, and share of the direct time, by which a first token is late."""
_LIMIT_FACTOR = 5
"""A proposed limit of time is this many times the one that was found."""
_MIN_LIMIT_S = 300
_MEGABYTE = 1024**2
_ABOUT_ONE, _MANY = 1.5, 10
"""Tokens of a burst between which a digit after the point matters."""
_HIDDEN_BY_PROXY = frozenset(("no-answer", "cut", "cut-at-limit", "end-missing", "no-end"))
"""Codes of a server that a proxy turns into other ones: into a complete answer, or 502."""
_LOOK_AT_SERVER = "look at the log and the limits of the server"
_CODE_OF_SHORT = "answer-too-short"
_CODE_OF_COMPRESSION = "tokens-held-by-compression"


class Finding(msgspec.Struct, rename="camel", frozen=True):
    """One finding.

    Arguments:
        code: which one, for programs; docs/token-streams.md lists them.
        verdict: `ok`, `warn` or `fail`.
        fault: who is at fault.
        http: versions of HTTP over which it was seen; empty for none.
        seen: what was seen, in one sentence with figures.
        details: what else shows it, in short sentences.
        fixes: what to do; several lines if there are several proxies, or nothing to do if empty.
        figures: numbers, by name with unit.
    """

    code: str
    verdict: Verdict
    fault: Fault
    http: list[str]
    seen: str
    details: list[str] = msgspec.field(default_factory=list)
    fixes: list[str] = msgspec.field(default_factory=list)
    figures: dict[str, float] = msgspec.field(default_factory=dict)


@dataclass(slots=True)
class Conclusion:
    """What the answers of all ways show.

    Attributes:
        findings: worst first.
        proxies: that were recognised, each with the header that shows it.
    """

    findings: list[Finding] = field(default_factory=list)
    proxies: dict[str, str] = field(default_factory=dict)

    @property
    def fault(self) -> Fault:
        """Who is at fault for the worst finding."""
        return self.findings[0].fault if self.findings else "unknown"


def reference_of(direct: Way | None) -> Reference | None:
    """Return how the server sends; None if the direct way does not show it."""
    shown = [answer for answer in direct.figures if answer.tokens] if direct else []
    return Reference.of(shown) if shown else None


def conclude(urls: Sequence[Way], direct: Way | None) -> Conclusion:
    """Return what the answers show.

    Arguments:
        urls: ways through the proxies, one for each version of HTTP.
        direct: the way without them; None if there is none.
    """
    proxies = _proxies(urls, direct)
    found = [*_problems(urls, direct, proxies), *_holds(urls, direct, proxies)]
    ranks: list[Verdict] = ["fail", "warn", "ok"]
    if any(finding.verdict == "fail" for finding in found):
        found = [finding for finding in found if finding.code != _CODE_OF_SHORT]
    merged = sorted(_merge(found), key=lambda finding: ranks.index(finding.verdict))
    return Conclusion(merged, proxies)


def _proxies(urls: Sequence[Way], direct: Way | None) -> dict[str, str]:
    """Return the proxies that the answers show, with the sign of each."""
    heads = [r.head for way in urls for r in way.recordings if r.head is not None]
    heads_1 = [r.head for way in urls if way.version == "1.1" for r in way.recordings if r.head]
    without = [r.head for r in direct.recordings if r.head is not None] if direct else []
    proxies = fixes.recognise(heads, without)
    if "Envoy" not in proxies and fixes.changes_case(heads_1, without):
        proxies["HAProxy"] = "names of headers in lower case"
    return proxies


def _problems(urls: Sequence[Way], direct: Way | None, proxies: dict[str, str]) -> Iterable[Finding]:
    """Yield what is wrong with answers as a whole."""
    ways = [*urls, *([direct] if direct else [])]
    has_end = any(recording.end_marker for way in ways for recording in way.streams)
    of_direct = find_problems(direct, has_end) if direct else []
    codes = {problem.code for problem in of_direct}
    for way in urls:
        for problem in find_problems(way, has_end):
            if problem.code in GATEWAY_CODES and codes & _HIDDEN_BY_PROXY:
                continue  # the server fails, and the proxy answers for it
            fault = _fault_of(problem, direct, codes)
            yield _problem_finding(problem, way, fault, proxies)
    seen = {problem.code for way in urls for problem in find_problems(way, has_end)}
    if direct is not None:
        unseen = [problem for problem in of_direct if problem.code not in seen]
        yield from (_direct_finding(problem, urls) for problem in unseen)


def _direct_finding(problem: Problem, urls: Sequence[Way]) -> Finding:
    """Return the finding of a problem that only the direct answers have.

    A proxy may hide that an answer was cut: without a length, HTTP/1.0 ends it by closing.

    Arguments:
        problem: of the direct answers.
        urls: ways through the proxies.
    """
    ended = [r for way in urls for r in way.streams if r.end_marker and not r.error]
    is_hidden = problem.code in _HIDDEN_BY_PROXY and not ended
    seen = f"{SUBJECTS['server']} {problem.predicate}: {problem.seen}"
    return Finding(
        problem.code if is_hidden else "direct-failed",
        "fail" if is_hidden else "warn",
        "server" if is_hidden else "none",
        [],
        seen if is_hidden else f"{seen}, at the direct address only",
        ["the direct address shows it"] if is_hidden else ["what the proxy does is not certain"],
        [problem.advice or _LOOK_AT_SERVER],
        dict(problem.figures),
    )


def _fault_of(problem: Problem, direct: Way | None, of_direct: set[str]) -> Fault:
    if problem.code in of_direct:
        return "server"
    if direct is not None and direct.streams:
        return "proxy"
    return "proxy" if problem.code in GATEWAY_CODES else "unknown"


def _problem_finding(problem: Problem, way: Way, fault: Fault, proxies: dict[str, str]) -> Finding:
    seen = f"{SUBJECTS[fault]} {problem.predicate}: {problem.seen}"
    if problem.answers < len(way.recordings):
        seen += f", in {problem.answers} of {len(way.recordings)} answers"
    details = []
    if fault == "server":
        details.append("the direct address shows the same")
    elif fault == "proxy" and problem.code not in GATEWAY_CODES:
        details.append("the direct address does not")
    lines = [problem.advice] if problem.advice else []
    if problem.cause and fault != "server":
        lines = _fixes_of(problem, way, proxies)
    if fault == "unknown" and problem.cause:
        details, lines = [CANNOT_TELL], [f"if it is a proxy: {line}" for line in lines]
    return Finding(
        problem.code,
        problem.verdict,
        fault,
        [way.version],
        seen,
        details,
        lines or [_LOOK_AT_SERVER],
        dict(problem.figures),
    )


def _fixes_of(problem: Problem, way: Way, proxies: dict[str, str]) -> list[str]:
    size = max(len(way.request.body) * 2, _MEGABYTE)
    found_s = problem.figures.get("silenceMs", problem.figures.get("afterMs", 0.0)) / 1000
    limit = max(_LIMIT_FACTOR * found_s, _MIN_LIMIT_S)
    return fixes.fix(problem.cause, proxies, limit=limit, size=size, megabytes=-(-size // _MEGABYTE))


def _holds(urls: Sequence[Way], direct: Way | None, proxies: dict[str, str]) -> Iterable[Finding]:
    """Yield how tokens arrive on each way."""
    reference = reference_of(direct)
    if direct is not None and reference is not None:
        server_hold = find_server_hold(direct.figures)
        if server_hold is not None:
            yield _hold_finding(server_hold, direct, "server", None, proxies)
            if server_hold.shape == "held-to-end":
                return
        elif is_too_short(direct.figures):
            yield _too_short(direct)
            return
    for way in urls:
        if any(answer.tokens for answer in way.figures):
            yield _hold_of(way, direct, reference, proxies)


def _hold_of(
    way: Way, direct: Way | None, reference: Reference | None, proxies: dict[str, str]
) -> Finding:
    hold = find_hold(way.figures, reference)
    if hold is not None:
        return _hold_finding(hold, way, "proxy" if reference else "unknown", direct, proxies)
    if is_too_short(way.figures):
        return _too_short(way)
    late_s = _late_s(way, direct)
    if direct is not None and late_s:
        first = f"{_seconds(_first_token_s(way))} instead of {_seconds(_first_token_s(direct))}"
        return Finding(
            "first-token-late",
            "warn",
            "proxy",
            [way.version],
            f"The proxy delays the first token: {first} direct, in each answer",
            ["later tokens pass without delay"],
            ["look at what the proxy does first: a login, a scan of the body, a far region"],
            _figures_of(way),
        )
    return Finding(
        "tokens-flow",
        "ok",
        "none",
        [way.version],
        f"Tokens pass {'as the server sends them' if reference else 'without delay'}: {_pace(way.figures)}",
        figures=_figures_of(way),
    )


def _hold_finding(
    hold: Hold, way: Way, fault: Fault, direct: Way | None, proxies: dict[str, str]
) -> Finding:
    code, cause = hold.code, hold.cause
    reference = reference_of(direct)
    if way.coding and way.uncompressed is not None:
        if find_hold([figures(way.uncompressed)], reference) is None:
            code, cause = _CODE_OF_COMPRESSION, "compression"
    pattern = _pattern(hold, way)
    if fault == "unknown":  # a server may send so
        seen = f"{pattern[0].upper()}{pattern[1:]}"
    else:
        seen = f"{SUBJECTS[fault]} holds tokens back: {pattern}"
    if hold.answers < hold.of_answers:
        seen += f", in {hold.answers} of {hold.of_answers} answers"
    details = [_explanation(hold, code, way, proxies)]
    if direct is not None:
        details.append(f"direct: {_pace(direct.figures)}")
    else:
        details.append(CANNOT_TELL if fault == "unknown" else "the direct address shows it")
    return Finding(
        code,
        _hold_verdict(hold, fault),
        fault,
        [way.version],
        seen,
        list(filter(None, details)),
        _hold_fixes(fault, cause, proxies),
        _figures_of(way) | {"bufferBytes": hold.buffer_bytes, "waitMs": hold.wait_s * 1000},
    )


def _hold_verdict(hold: Hold, fault: Fault) -> Verdict:
    if fault == "unknown" or hold.answers < hold.of_answers / 2:
        return "warn"
    return "fail" if hold.shape != "bunched" or hold.wait_s >= SLOWEST_S else "warn"


def _hold_fixes(fault: Fault, cause: Cause, proxies: dict[str, str]) -> list[str]:
    if fault == "server":
        return ["let the server send each token as it has it, without compression (flush after each)"]
    lines = fixes.fix(cause, proxies)
    return [f"if it is a proxy: {line}" for line in lines] if fault == "unknown" else lines


def _pattern(hold: Hold, way: Way) -> str:
    """Return how tokens arrive that are held back."""
    unit = _unit(way.figures)
    if hold.shape == "held-to-end":
        return f"all {unit} arrive at once, after {_seconds(hold.first_token_s)}"
    if hold.shape == "held-at-start":
        many = f"the first {median(answer.first_burst_tokens for answer in way.figures):.0f} {unit}"
        return f"{many} arrive at once, after {_seconds(hold.first_token_s)}"
    if not hold.gap_s:
        return f"{hold.tokens:.0f} {unit} arrive at once, after {_seconds(hold.first_token_s)}, then the rest"
    return f"{hold.tokens:.0f} {unit} arrive at once, every {_seconds(hold.gap_s)}"


def _explanation(hold: Hold, code: str, way: Way, proxies: dict[str, str]) -> str:
    """Return what such a pattern shows; empty if nothing certain."""
    if code == _CODE_OF_COMPRESSION:
        return f"the answer is compressed ({way.coding}); without compression the tokens pass"
    if way.uncompressed is not None:
        return (
            f"without compression ({way.coding}) they are held back too; after the fix, run this again"
        )
    if hold.buffer_bytes:
        return f"each time {hold.burst_bytes:,.0f} bytes{_buffer_name(hold.buffer_bytes, proxies)}"
    if hold.cause == "no-delay":
        return "as without TCP_NODELAY: each burst waits for an acknowledgement (Nagle's algorithm)"
    if hold.cause == "timer":
        return "the pauses are even: something flushes at an interval"
    if hold.shape == "held-to-end" and way.streams:
        size_bytes = sum(arrival.body_bytes for arrival in way.streams[0].arrivals)
        return f"something stores the answer, or has a buffer for more than its {size_bytes:,} bytes"
    return ""


def _buffer_name(size_bytes: int, proxies: dict[str, str]) -> str:
    """Return the name of a buffer: of the proxies that were recognised, or else of all."""
    known = BUFFERS[size_bytes]
    owners = [proxy for proxy in proxies if proxy in known] or list(known)
    names = [f"{owner} ({known[owner]})" for owner in owners]
    return f": a buffer of {size_bytes:,} bytes, as of {' or '.join(names)}" if names else ""


def _pace(answers: Sequence[Figures]) -> str:
    """Return how tokens arrive, such as `first after 0.50 s, then 1 every 20 ms`."""
    gap = _seconds(median(gap for answer in answers for gap in answer.gaps_s))
    many = median(answer.tokens_per_burst for answer in answers)
    first = _seconds(median(answer.first_token_s or 0.0 for answer in answers))
    digits = 1 if _ABOUT_ONE < many < _MANY else 0
    unit = "" if _unit(answers) == "tokens" else f" {_unit(answers)}"
    return f"the first after {first}, then {many:.{digits}f}{unit} every {gap}"


def _unit(answers: Sequence[Figures]) -> str:
    return answers[0].unit if answers else "tokens"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _first_token_s(way: Way) -> float:
    return median(answer.first_token_s or 0.0 for answer in way.figures)


def _late_s(way: Way, direct: Way | None) -> float:
    """Return by how much each first token is later than each direct one; 0 if that is little."""
    if direct is None or not direct.streams:
        return 0.0
    late = min(a.first_token_s or 0.0 for a in way.figures) - max(
        a.first_token_s or 0.0 for a in direct.figures
    )
    return late if late > max(LATE_S, LATE_SHARE * _first_token_s(direct)) else 0.0


def _figures_of(way: Way) -> dict[str, float]:
    answers = [answer for answer in way.figures if answer.tokens]
    return {
        "firstTokenMs": _first_token_s(way) * 1000,
        "tokensPerBurst": median(answer.tokens_per_burst for answer in answers),
        "gapMs": median(gap for answer in answers for gap in answer.gaps_s) * 1000,
    }


def _too_short(way: Way) -> Finding:
    answers = way.figures
    tokens = median(answer.tokens for answer in answers)
    seen = (
        f"Too short to judge: {tokens:.0f} {_unit(answers)} in"
        f" {_seconds(median(answer.span_s for answer in answers))}"
    )
    fix = f"ask for a longer answer: at least {MIN_TOKENS} tokens that take a second, better 200"
    return Finding(_CODE_OF_SHORT, "warn", "none", [way.version], seen, fixes=[fix])


def _merge(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding of each code and fault, with the versions of HTTP of all."""
    merged: dict[tuple[str, Fault], Finding] = {}
    for finding in findings:
        key = finding.code, finding.fault
        first = merged.setdefault(key, finding)
        if first is not finding:
            merged[key] = msgspec.structs.replace(first, http=[*first.http, *finding.http])
    return list(merged.values())
