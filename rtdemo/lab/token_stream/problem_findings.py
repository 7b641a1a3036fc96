"""Findings about answers as a whole: who refuses, cuts or does not answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rtdemo.lab.token_stream import fixes
from rtdemo.lab.token_stream.answers import GATEWAY_CODES, Problem, find_problems, longest_pause_s
from rtdemo.lab.token_stream.finding import CANNOT_TELL, SUBJECTS, Fault, Finding
from rtdemo.lab.token_stream.way import Way

_LIMIT_FACTOR = 5
"""A proposed limit of time is this many times the one that was found."""
_MIN_LIMIT_S = 300
_MEGABYTE = 1024**2
_HIDDEN_BY_PROXY = frozenset(("no-answer", "cut", "cut-at-limit", "end-missing", "no-end"))
"""Codes of a server that a proxy turns into other ones: into a complete answer, or 502."""
_LOOK_AT_SERVER = "look at the log and the limits of the server"


def problem_findings(
    urls: Sequence[Way], direct: Way | None, proxies: dict[str, str]
) -> Iterable[Finding]:
    """Yield what is wrong with answers as a whole."""
    ways = [*urls, *([direct] if direct else [])]
    has_end = any(recording.end_marker for way in ways for recording in way.streams)
    pause_s = longest_pause_s(direct.streams) if direct and direct.streams else None
    of_direct = find_problems(direct, has_end, None) if direct else []
    codes = {problem.code for problem in of_direct}
    for way in urls:
        for problem in find_problems(way, has_end, pause_s):
            if problem.code in GATEWAY_CODES and codes & _HIDDEN_BY_PROXY:
                continue  # the server fails, and the proxy answers for it
            fault = _fault_of(problem, direct, codes)
            yield _problem_finding(problem, way, fault, proxies)
    seen = {problem.code for way in urls for problem in find_problems(way, has_end, pause_s)}
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
        {name: round(number, 1) for name, number in problem.figures.items()},
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
        {name: round(number, 1) for name, number in problem.figures.items()},
    )


def _fixes_of(problem: Problem, way: Way, proxies: dict[str, str]) -> list[str]:
    size = max(len(way.request.body) * 2, _MEGABYTE)
    found_s = problem.figures.get("afterMs", 0.0) / 1000
    limit = max(_LIMIT_FACTOR * found_s, _MIN_LIMIT_S)
    return fixes.fix(problem.cause, proxies, limit=limit, size=size, megabytes=-(-size // _MEGABYTE))
