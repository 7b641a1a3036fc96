"""Keep what was found, and show it to people and programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from rich.text import Text

from rtdemo import __version__
from rtdemo.errors import printable
from rtdemo.plugin_system.checks import Finding, Verdict

STYLES: dict[Verdict, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_WIDTH = 20
_FAILED, _NOTHING_TO_EXAMINE = 1, 2


class Result(msgspec.Struct, frozen=True):
    """Hold one check's finding."""

    check: str
    verdict: Verdict
    seen: str
    fix: str


class Report(msgspec.Struct, rename="camel"):
    """Hold a run.

    Arguments:
        url: as it was given.
        version: of this rtdemo.
        when: its beginning, in UTC.
        seconds: that it took.
        proxy: by name; empty where none was recognised.
        could_run: whether there was a server, and a transport of it to examine.
        checks: in the order in which they are shown.
    """

    url: str
    version: str = __version__
    when: str = msgspec.field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    proxy: str = ""
    could_run: bool = True
    checks: list[Result] = msgspec.field(default_factory=list)

    def add(self, check: str, finding: Finding) -> None:
        """Add what a check found."""
        self.checks.append(Result(check, finding.verdict, finding.seen, finding.fix))

    @property
    def exit_code(self) -> int:
        """0, 1 where something fails, 2 where there was nothing to examine."""
        if not self.could_run:
            return _NOTHING_TO_EXAMINE
        return _FAILED if any(result.verdict == "fail" for result in self.checks) else 0

    def json(self) -> str:
        """Return it for programs."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def lines(self) -> Iterator[Text]:
        """Return it for people: a line for each check, and under a fault what mends it."""
        for result in self.checks:
            yield Text.assemble(
                (f"{result.verdict:<6}", STYLES[result.verdict]),
                (f"{printable(result.check):<{_WIDTH}}", "bold"),
                printable(result.seen),
            )
            if result.fix and result.verdict != "ok":
                yield Text(f"{'':6}fix: {printable(result.fix)}")
        counts = [f"{sum(r.verdict == v for r in self.checks)} {v}" for v in STYLES]
        yield Text(f"{', '.join(counts)} in {self.seconds:.0f} s", "dim")
