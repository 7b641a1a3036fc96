"""Findings about how tokens arrive: whether they pass, and who holds them back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rtdemo.lab.token_stream import fixes
from rtdemo.lab.token_stream.analysis import Figures, figures, median
from rtdemo.lab.token_stream.finding import CANNOT_TELL, SUBJECTS, Fault, Finding
from rtdemo.lab.token_stream.holding import (
    MIN_TOKENS,
    SLOWEST_S,
    Cause,
    Hold,
    Reference,
    find_hold,
    find_server_hold,
    is_gone,
    is_too_short,
)
from rtdemo.lab.token_stream.limits import BUFFERS
from rtdemo.lab.token_stream.way import Way
from rtdemo.plugin_system.checks import Verdict

TOO_SHORT = "answer-too-short"
HELD_BY_COMPRESSION = "tokens-held-by-compression"
LATE_S, LATE_SHARE = 0.25, 0.5
"""Seconds, and share of the direct time, by which a first token is late."""
_ABOUT_ONE, _MANY = 1.5, 10
"""Tokens of a burst between which a digit after the point matters."""


def reference_of(direct: Way | None) -> Reference | None:
    """Return how the server sends; None if the direct way does not show it."""
    shown = [answer for answer in direct.figures if answer.tokens] if direct else []
    return Reference.of(shown) if shown else None


def hold_findings(urls: Sequence[Way], direct: Way | None, proxies: dict[str, str]) -> Iterable[Finding]:
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
    how = "as the server sends them" if reference else "without delay"
    seen = f"Tokens pass {how}: {_pace(way.figures)}"
    return Finding("tokens-flow", "ok", "none", [way.version], seen, figures=_figures_of(way))


def _hold_finding(
    hold: Hold, way: Way, fault: Fault, direct: Way | None, proxies: dict[str, str]
) -> Finding:
    code, cause = hold.code, hold.cause
    other = figures(way.uncompressed) if way.uncompressed else None
    if other is not None and is_gone(hold, other, reference_of(direct)):
        code, cause = HELD_BY_COMPRESSION, "compression"
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
        _figures_of(way) | {"bufferBytes": hold.buffer_bytes, "waitMs": round(hold.wait_s * 1000, 1)},
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
        first = _seconds(hold.first_token_s)
        return f"{hold.tokens:.0f} {unit} arrive at once, after {first}, then the rest"
    return f"{hold.tokens:.0f} {unit} arrive at once, every {_seconds(hold.gap_s)}"


def _explanation(hold: Hold, code: str, way: Way, proxies: dict[str, str]) -> str:
    """Return what such a pattern shows; empty if nothing certain."""
    if code == HELD_BY_COMPRESSION:
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
    return median(_first_tokens_s(way))


def _late_s(way: Way, direct: Way | None) -> float:
    """Return by how much each first token is later than each direct one; 0 if that may be chance.

    Of three times each that vary alike, those of one side are all later once in twenty runs. So they
    have to be later by more than they vary.
    """
    urls, directs = _first_tokens_s(way), _first_tokens_s(direct)
    if not urls or not directs:
        return 0.0
    late = min(urls) - max(directs)
    varies = max(max(urls) - min(urls), max(directs) - min(directs))
    return late if late > max(LATE_S, LATE_SHARE * median(directs), varies) else 0.0


def _first_tokens_s(way: Way | None) -> list[float]:
    answers = way.figures if way is not None else []
    return [answer.first_token_s for answer in answers if answer.first_token_s is not None]


def _figures_of(way: Way) -> dict[str, float]:
    answers = [answer for answer in way.figures if answer.tokens]
    return {
        "firstTokenMs": round(_first_token_s(way) * 1000, 1),
        "tokensPerBurst": round(median(answer.tokens_per_burst for answer in answers), 2),
        "gapMs": round(median(gap for answer in answers for gap in answer.gaps_s) * 1000, 1),
    }


def _too_short(way: Way) -> Finding:
    answers = way.figures
    tokens = median(answer.tokens for answer in answers)
    seen = (
        f"Too short to judge: {tokens:.0f} {_unit(answers)} in"
        f" {_seconds(median(answer.span_s for answer in answers))}"
    )
    fix = f"ask for a longer answer: at least {MIN_TOKENS} tokens that take a second, better 200"
    return Finding(TOO_SHORT, "warn", "none", [way.version], seen, fixes=[fix])
