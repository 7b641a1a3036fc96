"""Fold findings: one cause, one line; one fix, printed once."""

from __future__ import annotations

import msgspec

from rtdemo.lab.doctor.report import Result

SAME_EVERYWHERE = frozenset(
    (
        *("sign-in", "forbidden", "not-found", "gateway-timeout", "rate-limited", "bad-gateway"),
        *("overloaded", "redirected", "html-answer", "server-error"),
        "origin-own-refused",
    )
)
"""Codes of answers whose cause is the same for each check that gets them: the first one reports it."""


def fold(results: list[Result]) -> list[Result]:
    """Return the findings with each cause and each fix reported once."""
    first: dict[str, str] = {}
    fixes: dict[str, str] = {}
    kept: list[Result] = []
    for result in results:
        is_same = result.code in SAME_EVERYWHERE and result.code in first
        because = first.get(result.code, "") if is_same else ""
        if result.code == "origin-own-refused" and "host-rewritten" in first:
            because = first["host-rewritten"]
            kept[:] = [_promoted(each) if each.check == because else each for each in kept]
        if because:
            seen, figures = f"not judged: see {because}", {"because": because}
            kept.append(Result(result.check, "skip", "not-judged", result.http, seen, "", figures))
            continue
        first.setdefault(result.code, result.check)
        if result.fix and result.verdict in ("warn", "fail"):
            before = fixes.get(result.fix)
            fixes.setdefault(result.fix, result.check)
            if before is not None:
                same = "the same as above" if before == result.check else f"the same as for {before}"
                result = msgspec.structs.replace(result, fix=same)
        kept.append(result)
    return [_resolved(result, kept) for result in kept]


def _resolved(result: Result, results: list[Result]) -> Result:
    """Return a finding that is not judged with the check that found the cause at last."""
    because = {each.check: each.figures.get("because") for each in results if each.verdict == "skip"}
    found = {each.check for each in results if each.verdict in ("warn", "fail")}
    name, seen = result.figures.get("because"), {result.check}
    while result.verdict == "skip" and name in because and name not in found | seen:
        seen.add(name)
        name = because[name]
    if result.verdict != "skip" or name == result.figures.get("because"):
        return result
    figures = {"because": name}
    return msgspec.structs.replace(result, seen=f"not judged: see {name}", figures=figures)


def _promoted(result: Result) -> Result:
    """Return the finding about a rewritten Host, because of which rtdemo refuses its own page."""
    if result.verdict == "fail":
        return result
    seen = f"{result.seen}; so rtdemo refuses its own page"
    return msgspec.structs.replace(result, verdict="fail", seen=seen)
