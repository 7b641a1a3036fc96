"""The result of one run, as lines for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import msgspec
from rich.text import Text

from rtdemo import __version__
from rtdemo.errors import printable
from rtdemo.lab.token_stream.analysis import figures, median, percentile
from rtdemo.lab.token_stream.finding import Finding
from rtdemo.lab.token_stream.recording import Recording
from rtdemo.lab.token_stream.verdict import Conclusion
from rtdemo.lab.token_stream.way import Way
from rtdemo.plugin_system.checks import Verdict

STYLES: dict[Verdict, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_EXIT_FAILED, _EXIT_NOT_RUN = 1, 2


class Answer(msgspec.Struct, rename="camel", omit_defaults=True):
    """One answer, for programs; times count from the request."""

    status: int
    head_ms: float
    first_token_ms: float | None
    last_token_ms: float | None
    ended_ms: float
    ending: str
    end_marker: str
    reason: str
    unit: str
    tokens: int
    tokens_per_burst: float
    wait_ms: float
    gap_p50_ms: float
    gap_p99_ms: float
    burst_bytes: list[int]
    coding: str


class WayReport(msgspec.Struct, rename="camel"):
    """The answers of one way, for programs."""

    way: str
    http: str
    answers: list[Answer]
    uncompressed: Answer | None


class Report(msgspec.Struct, rename="camel"):
    """The result of one run.

    Arguments:
        url: through the proxies, as the user gave it.
        direct_url: without them; empty if none was given.
        body_bytes: size of the body that was sent.
        version: of the rtdemo that ran.
        when: start of the run, in UTC (ISO 8601).
        seconds: duration of the run.
        fault: `proxy`, `server`, `unknown` or `none`.
        findings: worst first.
        proxies: that were recognised, each with the header that shows it.
        ways: answers of each way.
    """

    url: str
    direct_url: str = ""
    body_bytes: int = 0
    version: str = __version__
    when: str = msgspec.field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    fault: str = "unknown"
    findings: list[Finding] = msgspec.field(default_factory=list)
    proxies: dict[str, str] = msgspec.field(default_factory=dict)
    ways: list[WayReport] = msgspec.field(default_factory=list)
    could_run: bool = True

    def cannot_run(self, sentence: str) -> None:
        """Take the reason for which nothing can be asked."""
        self.could_run = False
        self.findings.append(Finding("not-reachable", "fail", "unknown", [], sentence))

    def take(self, urls: Sequence[Way], direct: Way | None, conclusion: Conclusion) -> None:
        """Take the answers of all ways, and what they show."""
        self.findings += conclusion.findings
        self.proxies = conclusion.proxies
        self.fault = conclusion.fault
        for way in [*urls, *([direct] if direct else [])]:
            other = _answer(way.uncompressed) if way.uncompressed else None
            self.ways.append(WayReport(way.name, way.version, [*map(_answer, way.recordings)], other))

    @property
    def exit_code(self) -> int:
        """0; 1 if a finding is a failure; 2 if nothing could be asked."""
        if not self.could_run:
            return _EXIT_NOT_RUN
        return _EXIT_FAILED if any(finding.verdict == "fail" for finding in self.findings) else 0

    def json(self) -> str:
        """Return the report as JSON, for programs."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def lines(self) -> Iterator[Text]:
        """Yield the report as lines for people: the findings, then the figures of each way."""
        for finding, following in zip_longest(self.findings, self.findings[1:]):
            if finding is not None:
                yield from _finding_lines(finding, following)
        if self.ways:
            yield Text("")
            yield from map(Text, _table(self.ways))
            yield Text("")
        if self.proxies:
            signs = "; ".join(f"{proxy} ({sign})" for proxy, sign in self.proxies.items())
            yield Text(f"proxies seen: {printable(signs)}")
        count = sum(len(way.answers) for way in self.ways)
        yield Text(f"{count} answer{'s' * (count != 1)} in {self.seconds:.0f} s", "dim")


def _answer(recording: Recording) -> Answer:
    shown = figures(recording)
    return Answer(
        recording.status,
        _ms(recording.head_s),
        _ms(shown.first_token_s),
        _ms(shown.last_token_s),
        _ms(recording.ended_s),
        recording.ending,
        recording.end_marker,
        recording.reason,
        shown.unit,
        shown.tokens,
        round(shown.tokens_per_burst, 2),
        _ms(shown.wait_s) or 0.0,
        _ms(percentile(shown.gaps_s, 0.5)) or 0.0,
        _ms(percentile(shown.gaps_s, 0.99)) or 0.0,
        [burst.wire_bytes for burst in shown.bursts[:100]],
        recording.coding,
    )


def _ms(seconds: float | None) -> Any:
    return None if seconds is None else round(seconds * 1000, 3)


def _finding_lines(finding: Finding, following: Finding | None) -> Iterator[Text]:
    """Yield the lines of a finding; what the following one has too is left to that one."""
    where = ", ".join([finding.code, *(f"HTTP/{version}" for version in finding.http)])
    yield Text.assemble(
        (f"{finding.verdict:<6}", STYLES[finding.verdict]),
        printable(finding.seen),
        (f" [{where}]", "dim"),
    )
    is_same = following is not None and following.fixes == finding.fixes
    repeated = following.details if is_same and following else []
    for line in finding.details:
        if line not in repeated:
            yield Text(f"{'':6}{printable(line)}")
    if finding.verdict != "ok" and not is_same:
        for line in finding.fixes:
            yield Text(f"{'':6}fix: {printable(line)}")


_COLUMNS = (
    ("headers", 9),
    ("first token", 13),
    ("at once", 9),
    ("gap p50", 9),
    ("gap p99", 9),
    ("burst", 9),
    ("end", 8),
)
"""Name and width of each column; with the name of the way, a line has 81 characters."""
_WAY_WIDTH = 15


def _table(ways: Sequence[WayReport]) -> Iterator[str]:
    """Yield the figures of each way: medians of its answers."""
    yield f"{'':{_WAY_WIDTH}}" + "".join(f"{name:>{width}}" for name, width in _COLUMNS)
    for way in ways:
        name = f"{'direct' if way.way == 'direct' else 'URL'} HTTP/{way.http}"
        cells = zip(_cells(way.answers), _COLUMNS, strict=True)
        yield f"{name:<{_WAY_WIDTH}}" + "".join(f"{cell:>{width}}" for cell, (_, width) in cells)


def _cells(answers: Sequence[Answer]) -> Sequence[str]:
    heads = [answer.head_ms for answer in answers if answer.status]
    ok = [answer for answer in answers if answer.tokens]
    return (
        _time(median(heads)) if heads else "-",
        *(_stream_cells(ok) if ok else ["-"] * 5),
        "/".join(dict.fromkeys(map(_end, answers))) or "-",
    )


def _stream_cells(ok: Sequence[Answer]) -> Sequence[str]:
    return (
        _time(median(answer.first_token_ms or 0 for answer in ok)),
        f"{median(answer.tokens_per_burst for answer in ok):.1f}",
        _time(median(answer.gap_p50_ms for answer in ok)),
        _time(median(answer.gap_p99_ms for answer in ok)),
        f"{median(size for answer in ok for size in answer.burst_bytes):,.0f} B",
    )


def _end(answer: Answer) -> str:
    """Return how an answer ended, in a word."""
    if answer.status and not 200 <= answer.status < 300:
        return str(answer.status)
    if answer.ending != "complete":
        return answer.ending or "-"
    return "whole" if answer.end_marker else "no mark"


def _time(ms: float) -> str:
    return f"{ms / 1000:.2f} s" if ms >= 1000 else f"{ms:.0f} ms"
