"""The conclusion: findings of the ways through the proxies, beside the direct way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from rtdemo.lab.token_stream import fixes
from rtdemo.lab.token_stream.finding import Fault, Finding
from rtdemo.lab.token_stream.hold_findings import TOO_SHORT, hold_findings
from rtdemo.lab.token_stream.holding import IRREGULAR
from rtdemo.lab.token_stream.problem_findings import problem_findings
from rtdemo.lab.token_stream.way import Way
from rtdemo.plugin_system.checks import Verdict

_WORST_FIRST: Sequence[Verdict] = ("fail", "warn", "ok")


@dataclass(slots=True)
class Conclusion:
    """What the answers of all ways show.

    Attributes:
        findings: worst first.
        proxies: that were recognised, each with the header that shows it.
    """

    findings: list[Finding]
    proxies: dict[str, str]

    @property
    def fault(self) -> Fault:
        """Who is at fault for the worst finding."""
        return self.findings[0].fault if self.findings else "unknown"


def conclude(urls: Sequence[Way], direct: Way | None, is_busy: bool = False) -> Conclusion:
    """Return what the answers show.

    Arguments:
        urls: ways through the proxies, one for each version of HTTP.
        direct: the way without them; None if there is none.
        is_busy: whether this machine was busy: then bursts without a pattern may be its own.
    """
    proxies = _proxies(urls, direct)
    found = [*problem_findings(urls, direct, proxies), *hold_findings(urls, direct, proxies)]
    if is_busy:
        found = [_too_busy(finding) if _may_be_own(finding) else finding for finding in found]
    if any(finding.verdict == "fail" for finding in found):
        found = [finding for finding in found if finding.code != TOO_SHORT]
    merged = sorted(_merge(found), key=lambda finding: _WORST_FIRST.index(finding.verdict))
    return Conclusion(merged, proxies)


def _may_be_own(finding: Finding) -> bool:
    """Return whether a busy machine may have made what a finding reports.

    A pattern of times may be that of its scheduler, unless the direct answers lack it.
    """
    is_timed = finding.code.startswith("tokens-clumped") and finding.fault == "unknown"
    return is_timed or finding.code == IRREGULAR


def _too_busy(finding: Finding) -> Finding:
    """Return what a finding shows if this machine was busy."""
    seen = "This machine is too busy to tell: tokens arrive in bursts, which may be its own"
    fix = "run this again on a quiet machine"
    return Finding("machine-busy", "warn", "none", finding.http, seen, fixes=[fix])


def _proxies(urls: Sequence[Way], direct: Way | None) -> dict[str, str]:
    """Return the proxies that the answers show, with the sign of each."""
    heads = [r.head for way in urls for r in way.recordings if r.head is not None]
    heads_1 = [r.head for way in urls if way.version == "1.1" for r in way.recordings if r.head]
    without = [r.head for r in direct.recordings if r.head is not None] if direct else []
    proxies = fixes.recognise(heads, without)
    if "Envoy" not in proxies and fixes.changes_case(heads_1, without):
        proxies["HAProxy"] = "names of headers in lower case"
    return proxies


def _merge(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding of each code and fault: the worst, with the versions of HTTP of all."""
    merged: dict[tuple[str, Fault], Finding] = {}
    for finding in findings:
        key = finding.code, finding.fault
        first = merged.setdefault(key, finding)
        if first is not finding:
            worst = min(first, finding, key=lambda one: _WORST_FIRST.index(one.verdict))
            merged[key] = msgspec.structs.replace(worst, http=[*first.http, *finding.http])
    return list(merged.values())
