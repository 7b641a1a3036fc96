"""The result of a run: a table for people, and JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from rich.table import Table
from rich.text import Text

from rtdemo import __version__
from rtdemo.errors import printable
from rtdemo.lab.conform import clauses
from rtdemo.lab.conform.check import LEVELS, Check, Evidence, Group, Level, Outcome, untested

Verdict = Literal["pass", "fail", "warn", "not tested"]
STYLES: dict[Verdict, str] = {"pass": "green", "fail": "bold red", "warn": "yellow", "not tested": "dim"}
_KEYS: dict[Verdict, str] = {verdict: verdict for verdict in STYLES} | {"not tested": "notTested"}
_INDENT = " " * 6
_EXIT_FAILED, _EXIT_NOT_RUN = 1, 2
EVENT_GROUPS: tuple[Group, ...] = ("framing", "fields", "ids")
"""Groups of checks that need events."""


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """The result of one check.

    Arguments:
        code: id of the check; stable.
        group: subject of the check.
        level: `MUST`, `SHOULD` or `advice`.
        verdict: `pass`, `fail` (a MUST, or with --strict a SHOULD), `warn` or `not tested`.
        clause: where the rule is from.
        clause_url: where to read the clause.
        rule: what a server does that keeps the rule.
        sent: the request.
        seen: what came back; for `not tested`, why.
        fix: what to do, in one line.
        figures: numbers, by names with units.
    """

    code: str
    group: str
    level: Level
    verdict: Verdict
    clause: str
    clause_url: str
    rule: str
    sent: str
    seen: str
    fix: str
    figures: dict[str, float]


class Report(msgspec.Struct, rename="camel"):
    """The result of one run.

    Arguments:
        url: of the stream, as it was tested.
        version: of the rtdemo that made the run.
        when: start of the run, in UTC (ISO 8601).
        duration_seconds: duration of the run.
        is_whole: whether the run was not interrupted.
        stream: what was read: `status`, `contentType`, `events`, `sizeBytes`, `listenedSeconds`; empty
            for a WebSocket.
        counts: number of checks by verdict: `pass`, `fail`, `warn`, `notTested`.
        checks: results, by group.
    """

    url: str
    version: str = __version__
    when: str = msgspec.field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    duration_seconds: float = 0.0
    is_whole: bool = True
    stream: dict[str, str | int | float] = msgspec.field(default_factory=dict)
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    checks: list[Result] = msgspec.field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0; 1 if a check failed; 2 if nothing could be tested, or no event."""
        if self.counts.get("fail"):
            return _EXIT_FAILED
        is_nothing_tested = self.counts.get("notTested", 0) == len(self.checks)
        return _EXIT_NOT_RUN if is_nothing_tested or self.lacks_events else 0

    @property
    def lacks_events(self) -> bool:
        """Whether checks of events were chosen, and no event came."""
        is_chosen = any(result.group in EVENT_GROUPS for result in self.checks)
        return is_chosen and self.stream.get("events") == 0

    def count(self) -> None:
        """Count the verdicts."""
        verdicts = [result.verdict for result in self.checks]
        self.counts = {_KEYS[verdict]: verdicts.count(verdict) for verdict in STYLES}

    def json(self) -> str:
        """Return the report as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()


def judge(
    evidence: Evidence, checks: Sequence[Check], is_strict: bool = False, ignored: Sequence[str] = ()
) -> Report:
    """Return the report on a server.

    Arguments:
        evidence: what was seen of it.
        checks: the checks to make.
        is_strict: whether a SHOULD that is not kept fails.
        ignored: ids of checks that are not made.
    """
    report = Report(evidence.target.url)
    response, lines = evidence.response, evidence.lines
    report.stream = {
        "status": response.status,
        "contentType": response.value("Content-Type") or "",
        "events": len(lines.events),
        "sizeBytes": lines.size_bytes,
        "listenedSeconds": round(evidence.stream.seconds, 1),
    }
    for check in checks:
        ignore = check.id in ignored
        outcome = untested("left out by --ignore") if ignore else check.run(evidence)
        report.checks.append(_result(check, outcome, evidence, is_strict))
    report.count()
    return report


def _result(check: Check, outcome: Outcome, evidence: Evidence, is_strict: bool) -> Result:
    exchange = evidence.exchanges.get(check.probe)
    failing = ("MUST", "SHOULD") if is_strict else ("MUST",)
    verdicts: dict[str, Verdict] = {
        "met": "pass",
        "untested": "not tested",
        "missed": "fail" if check.level in failing else "warn",
    }
    return Result(
        check.id,
        check.group,
        check.level,
        verdicts[outcome.kind],
        check.clause,
        clauses.url(check.clause),
        check.rule,
        outcome.sent or (exchange.sent if exchange else ""),
        printable(outcome.seen),
        check.fix,
        dict(outcome.figures),
    )


def lines(report: Report, shows_all: bool = False) -> Iterator[Text | Table]:
    """Yield the report for people: the verdict, a table of the groups, then each fault in full.

    Arguments:
        report: the report.
        shows_all: whether to print each check.
    """
    yield Text(headline(report), "bold")
    yield Text(f"{printable(report.url)}: {_summary(report)}")
    yield Text()
    if shows_all:
        yield from map(_line, report.checks)
    else:
        yield _table(report)
    faults = [result for result in report.checks if result.verdict in ("fail", "warn")]
    for result in sorted(faults, key=lambda result: (LEVELS.index(result.level), result.verdict)):
        yield Text()
        yield from _fault(result)
    yield Text()
    if report.lacks_events:
        yield Text(
            "no event arrived, so events were not tested (exit code 2): let some come, raise --seconds,"
            " or choose other groups with --only"
        )
    counts = ", ".join(f"{report.counts[_KEYS[verdict]]} {verdict}" for verdict in STYLES)
    ended = "" if report.is_whole else "; interrupted"
    why = " (--all shows why)" if report.counts["notTested"] and not shows_all else ""
    yield Text(f"{counts}{why}, in {report.duration_seconds:.0f} s{ended}", "bold")


def headline(report: Report) -> str:
    """Return the verdict in one sentence."""
    broken = {
        level: sum(r.level == level and r.verdict in ("fail", "warn") for r in report.checks)
        for level in ("MUST", "SHOULD")
    }
    counted = [f"{number} {level}" for level, number in broken.items() if number]
    so_far = "" if report.is_whole else "Interrupted; so far: "
    if counted:
        words = " and ".join(counted)
        kept = "" if broken["MUST"] else "Each MUST that was tested is kept, but "
        clauses = "clauses are" if sum(broken.values()) > 1 else "clause is"
        return f"{so_far}{kept}{words} {clauses} not kept."
    if report.exit_code == _EXIT_NOT_RUN:
        return f"{so_far}Undecided: too little could be tested."
    return f"{so_far}Each MUST and SHOULD that was tested is kept."


def _summary(report: Report) -> str:
    stream = report.stream
    if not stream:
        return f"{len(report.checks)} cases"
    kind = printable(str(stream["contentType"]))
    return f"{stream['status']} {kind}, {stream['events']} events in {stream['listenedSeconds']} s"


def _line(result: Result) -> Text:
    return Text.assemble(
        (f"{result.verdict:<11}", STYLES[result.verdict]),
        f"{result.level:<7}",
        (f"{result.code}  ", "bold"),
        (result.seen, "dim" if result.verdict == "not tested" else ""),
    )


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("group")
    for title in (*LEVELS, "not tested"):
        table.add_column(title, justify="right")
    for group in dict.fromkeys(result.group for result in report.checks):
        results = [result for result in report.checks if result.group == group]
        rest = sum(result.verdict == "not tested" for result in results)
        cells = [_cell([r for r in results if r.level == level]) for level in LEVELS]
        table.add_row(Text(group), *cells, Text(str(rest) if rest else "", "dim"))
    return table


def _cell(results: list[Result]) -> Text:
    """Return how many of some checks passed, of those that were made."""
    made = [result for result in results if result.verdict != "not tested"]
    passed = sum(result.verdict == "pass" for result in made)
    if not made:
        return Text("")
    worst: Verdict = "pass" if passed == len(made) else "warn"
    if any(result.verdict == "fail" for result in made):
        worst = "fail"
    return Text(f"{passed}/{len(made)}", STYLES[worst])


def _fault(result: Result) -> Iterator[Text]:
    yield Text.assemble(
        (f"{result.verdict:<6}", STYLES[result.verdict]),
        (result.code, "bold"),
        (f"  {result.level}, {result.clause}", f"dim link {result.clause_url}"),
    )
    yield Text(f"{_INDENT}{result.rule}")
    if result.sent:
        yield Text(f"{_INDENT}sent: {printable(result.sent)}")
    yield Text(f"{_INDENT}seen: {result.seen}")
    yield Text(f"{_INDENT}fix:  {result.fix}")
