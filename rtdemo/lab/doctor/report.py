"""The findings of one run, as lines for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from rich.text import Text

from rtdemo import __version__
from rtdemo.errors import printable
from rtdemo.plugin_system.checks import Finding, Verdict

STYLES: dict[Verdict, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_NAME_WIDTH = 20
"""Columns for the name of a check."""
_EXIT_FAILED, _EXIT_NOT_RUN = 1, 2


class Result(msgspec.Struct, frozen=True):
    """The finding of one check.

    Arguments:
        check: name of the check.
        verdict: `ok`, `warn` or `fail`.
        seen: what was seen, in one line.
        fix: how to fix it, in one line; may be empty.
    """

    check: str
    verdict: Verdict
    seen: str
    fix: str


class Report(msgspec.Struct, rename="camel"):
    """The result of one run.

    Arguments:
        url: the URL that was checked, as the user gave it.
        version: of the rtdemo that ran the checks.
        when: start of the run, in UTC (ISO 8601).
        seconds: duration of the run.
        proxy: name of the detected proxy; empty if none was recognised.
        could_run: whether a server was reached and at least one transport could be checked.
        checks: findings, in the order in which they are printed.
    """

    url: str
    version: str = __version__
    when: str = msgspec.field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    proxy: str = ""
    could_run: bool = True
    checks: list[Result] = msgspec.field(default_factory=list)

    def add(self, check: str, finding: Finding) -> None:
        """Add the finding of a check."""
        self.checks.append(Result(check, finding.verdict, finding.seen, finding.fix))

    @property
    def exit_code(self) -> int:
        """0; 1 if a check failed; 2 if no transport could be checked."""
        if not self.could_run:
            return _EXIT_NOT_RUN
        return _EXIT_FAILED if any(result.verdict == "fail" for result in self.checks) else 0

    def json(self) -> str:
        """Return the report as JSON, for programs."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def lines(self) -> Iterator[Text]:
        """Yield the report as lines for people: one for each check, and the fix under each fault."""
        for result in self.checks:
            yield Text.assemble(
                (f"{result.verdict:<6}", STYLES[result.verdict]),
                (f"{printable(result.check):<{_NAME_WIDTH}}", "bold"),
                printable(result.seen),
            )
            if result.fix and result.verdict != "ok":
                yield Text(f"{'':6}fix: {printable(result.fix)}")
        counts = [f"{sum(r.verdict == v for r in self.checks)} {v}" for v in STYLES]
        yield Text(f"{', '.join(counts)} in {self.seconds:.0f} s", "dim")
