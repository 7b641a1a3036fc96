"""The findings of one run, as lines for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from rich.text import Text

from rtdemo import __version__
from rtdemo.errors import printable

ShownVerdict = Literal["ok", "warn", "fail", "skip"]
STYLES: dict[ShownVerdict, str] = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
_NAME_WIDTH = 19
"""Columns for the name of a check."""
_HTTP_WIDTH = 6
"""Columns for the versions of HTTP."""
_EXIT_FAILED, _EXIT_NOT_RUN = 1, 2
_OF_ADDRESS = frozenset(
    (
        *("clock-apart", "http1-only", "idle-unknown", "not-tested", "nothing-missed", "plugin"),
        *("probes-off", "token-expired"),
    )
)
"""Codes that are about one address, not about what is between two."""


class Result(msgspec.Struct, frozen=True):
    """The finding of one check.

    Arguments:
        check: name of the check.
        verdict: `ok`, `warn`, `fail`, or `skip` where another check has found the cause.
        code: stable name of what was found; `ok` for nothing.
        http: versions of HTTP that it is about, such as `1.1` and `2`; empty if about none.
        seen: what was seen, in one line.
        fix: how to fix it, in one line; may be empty.
        figures: numbers, with the unit in their names.
    """

    check: str
    verdict: ShownVerdict
    code: str
    http: list[str]
    seen: str
    fix: str
    figures: Mapping[str, Any] = {}


class Begin(msgspec.Struct, frozen=True):
    """Between which two addresses a fault begins.

    Arguments:
        code: of the fault.
        check: that found it.
        outside: the innermost address at which it is seen.
        inside: the next one, at which it is not; `rtdemo` if it is seen at all of them.
    """

    code: str
    check: str
    outside: str
    inside: str


class Report(msgspec.Struct, rename="camel"):
    """The result of one run.

    Arguments:
        url: the URL that was checked, as the user gave it.
        version: of the rtdemo that ran the checks.
        when: start of the run, in UTC (ISO 8601).
        seconds: duration of the run.
        proxies: names of the proxies that were recognised.
        could_run: whether a server was reached and at least one transport could be checked.
        checks: findings, in the order in which they are printed.
        hops: reports on the inner addresses, from the outside to the inside.
        begins: where each fault begins; only with inner addresses.
    """

    url: str
    version: str = __version__
    when: str = msgspec.field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    proxies: list[str] = msgspec.field(default_factory=list)
    could_run: bool = True
    checks: list[Result] = msgspec.field(default_factory=list)
    hops: list[Report] = msgspec.field(default_factory=list)
    begins: list[Begin] = msgspec.field(default_factory=list)

    @property
    def faults(self) -> list[Result]:
        """The findings that are warnings or failures."""
        return [result for result in self.checks if result.verdict in ("warn", "fail")]

    def compare_hops(self) -> None:
        """Find between which two addresses each fault begins."""
        chain = [self, *self.hops]
        for fault in self.faults:
            if fault.code in _OF_ADDRESS or fault.code.startswith("certificate-"):
                continue
            depth = 0
            while depth + 1 < len(chain) and _has(chain[depth + 1], fault):
                depth += 1
            inside = chain[depth + 1].url if depth + 1 < len(chain) else "rtdemo"
            self.begins.append(Begin(fault.code, fault.check, chain[depth].url, inside))

    @property
    def exit_code(self) -> int:
        """0; 1 if a check failed; 2 if no transport could be checked."""
        if not self.could_run or any(not hop.could_run for hop in self.hops):
            return _EXIT_NOT_RUN
        return _EXIT_FAILED if any(result.verdict == "fail" for result in self.checks) else 0

    def json(self) -> str:
        """Return the report as JSON, for programs."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def lines(self) -> Iterator[Text]:
        """Yield the report as lines for people: one for each check, and the fix under each fault."""
        yield from _table(self.checks)
        counts = [f"{sum(r.verdict == v for r in self.checks)} {v}" for v in ("ok", "warn", "fail")]
        yield Text(f"{', '.join(counts)} in {self.seconds:.0f} s", "dim")
        for hop in self.hops:
            yield Text(f"\nat {printable(hop.url)}:", "bold")
            yield from _table(
                hop.faults or [result for result in hop.checks if result.check == "server"]
            )
            if not hop.faults:
                yield Text("      no fault at this address", "dim")
        if self.begins:
            yield Text("\nwhere each fault begins:", "bold")
        for begin in self.begins:
            outside, inside = printable(begin.outside), printable(begin.inside)
            yield Text(f"      {begin.check} ({begin.code}): between {outside} and {inside}")


def _has(report: Report, fault: Result) -> bool:
    return any(result.code == fault.code for result in report.faults)


def _table(results: Sequence[Result]) -> Iterator[Text]:
    skipped: dict[str, list[str]] = {}
    for result in results:
        if result.verdict == "skip":
            skipped.setdefault(str(result.figures.get("because", "")), []).append(result.check)
            continue
        yield Text.assemble(
            (f"{result.verdict:<6}", STYLES[result.verdict]),
            (f"{printable(result.check):<{_NAME_WIDTH}} ", "bold"),
            (f"{'+'.join('h' + version[0] for version in result.http):<{_HTTP_WIDTH}}", "dim"),
            printable(result.seen),
        )
        if result.fix and result.verdict != "ok":
            yield Text(f"{'':6}fix: {printable(result.fix)}")
    for because, names in skipped.items():
        unique = ", ".join(map(printable, dict.fromkeys(names)))
        yield Text.assemble(
            ("skip  ", "dim"), (f"not judged, see {printable(because)}: {unique}", "dim")
        )
