"""Report a storm: as text in the terminal, and as an HTML page without scripts or external files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from rtdemo.lab import presentation
from rtdemo.lab.bench.wording import NO_FIGURE
from rtdemo.lab.storm import charts
from rtdemo.lab.storm.findings import busiest, headline
from rtdemo.lab.storm.result import Figures, Level, Storm
from rtdemo.protocol.client import LABELS, Transport

_STYLES: dict[Level, str] = {"fail": "bold red", "warn": "yellow", "note": "dim", "ok": "green"}


@dataclass(frozen=True)
class Column:
    """Figures under one heading.

    Arguments:
        title: of the column.
        figures: that it shows.
        transport: that they are of; None for all transports together.
    """

    title: str
    figures: Figures
    transport: Transport | None = None


@dataclass(frozen=True)
class Row:
    """One figure of each column, as text.

    Arguments:
        label: of the figure.
        cells: in the order of the columns.
        about: what the figure means, in one sentence.
    """

    label: str
    cells: Sequence[str]
    about: str = ""


@dataclass(frozen=True)
class Section:
    """Rows under a heading.

    Arguments:
        title: of the section.
        rows: in order.
    """

    title: str
    rows: Sequence[Row]


def columns(storm: Storm, before: Storm | None = None) -> list[Column]:
    """Return the columns of a report.

    Arguments:
        storm: to report.
        before: an earlier storm to show beside it.
    """
    found = []
    for transport, figures in storm.sides.items():
        if before is not None and transport in before.sides:
            found.append(Column(f"{LABELS[transport]}\nbefore", before.sides[transport], transport))
        now = "\nnow" if before is not None else ""
        found.append(Column(LABELS[transport] + now, figures, transport))
    if len(found) > 1 and before is None:
        found.append(Column("all", storm.total))
    return found


def sections(shown: Sequence[Column]) -> list[Section]:
    """Return the rows of a report.

    Arguments:
        shown: its columns.
    """

    def row(label: str, cell: Callable[[Figures], str], about: str = "") -> Row:
        return Row(label, [cell(column.figures) for column in shown], about)

    back = [
        row("first client", lambda one: _time(one.back_after.first)),
        row("50 % of the clients", lambda one: _time(one.back_after.p50)),
        row("95 %", lambda one: _time(one.back_after.p95)),
        row("99 %", lambda one: _time(one.back_after.p99)),
        row("all", lambda one: _time(one.back_after.p100)),
    ]
    outage = [
        row("half of the clients at most", lambda one: _time(one.outage.p50)),
        row("99 % at most", lambda one: _time(one.outage.p99)),
        row("the longest", lambda one: _time(one.outage.p100)),
    ]
    load = [
        row("most connects in one second", lambda one: f"{one.peak_connects_per_second:,}"),
        row("attempts", lambda one: f"{one.attempts:,}"),
        *(row(f"failed: {reason}", _failures(reason)) for reason in _reasons(shown)),
        row("clients that gave up", lambda one: f"{sum(one.gave_up.values()):,}"),
    ]
    messages = [
        row("lost without a notice", lambda one: _count(one.lost)),
        row("repeated or out of order", lambda one: _count(one.repeated)),
        row("clients with a loss notice", lambda one: f"{one.notified:,}"),
    ]
    return [
        Section("Back after the signal", back),
        Section("Time without a stream, per client", outage),
        Section("Load", load),
        Section("Shared messages", messages),
    ]


def _failures(reason: str) -> Callable[[Figures], str]:
    return lambda one: f"{one.failures.get(reason, 0):,}"


def _reasons(shown: Sequence[Column]) -> list[str]:
    """Return the reasons of failures in any column, the most frequent first."""
    total: dict[str, int] = {}
    for column in shown:
        for reason, number in column.figures.failures.items():
            total[reason] = total.get(reason, 0) + number
    return sorted(total, key=lambda reason: -total[reason])


def _time(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:.2f} s"


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def conditions(storm: Storm) -> str:
    """Return what was done, as a line."""
    settings = storm.settings
    rules = ", ".join(f"{LABELS[name]}: {settings.backoffs[name]}" for name in settings.transports)
    interrupted = "   CUT SHORT" if storm.cut_short else ""
    signal = f"{settings.signal} to {storm.process or 'nothing'}"
    return f"{settings.clients:,} clients, {signal}, back-off {rules}{interrupted}"


def print_report(storm: Storm, before: Storm | None = None) -> None:
    """Print a storm.

    Arguments:
        storm: to print.
        before: an earlier storm to show beside it.
    """
    console = presentation.new_console()
    console.print(Text(headline(storm)), style="bold", soft_wrap=True)
    console.print(Text(busiest(storm)), soft_wrap=True)
    if before is not None:
        console.print(Text(f"Before: {headline(before)} {busiest(before)}"), soft_wrap=True)
    for finding in storm.findings:
        fix = f"; {finding.fix}" if finding.fix else ""
        level = (f"{finding.level:<4}  ", _STYLES[finding.level])
        console.print(Text.assemble(level, f"{finding.sentence}{fix}"), soft_wrap=True)
    if storm.signal_at_seconds is not None:
        console.print(_table(columns(storm, before)))
    console.print(Text(f"{storm.target} ({storm.environment.server})"), soft_wrap=True)
    console.print(Text(f"{'now: ' if before else ''}{conditions(storm)}"), soft_wrap=True)
    if before is not None:
        console.print(Text(f"before: {conditions(before)}"), soft_wrap=True)


def _table(shown: Sequence[Column]) -> Table:
    table = presentation.new_table()
    for column in shown:
        colour = presentation.COLOURS[column.transport] if column.transport else ""
        table.add_column(column.title, justify="right", style=colour)
    for section in sections(shown):
        table.add_row(Text(section.title, style="bold"))
        for row in section.rows:
            table.add_row(f"  {row.label}", *row.cells)
    return table


def html_page(storm: Storm, before: Storm | None = None) -> bytes:
    """Return the report as an HTML page, UTF-8.

    Arguments:
        storm: to report.
        before: an earlier storm to show beside it.
    """
    shown = columns(storm, before)
    values = {
        "run": storm,
        "before": before,
        "labels": LABELS,
        "headline": headline(storm),
        "busiest": busiest(storm),
        "headline_before": f"{headline(before)} {busiest(before)}" if before is not None else "",
        "conditions": conditions(storm),
        "conditions_before": conditions(before) if before is not None else "",
        "plots": charts.plots(storm, before),
        "columns": shown,
        "sections": sections(shown),
    }
    return presentation.html_page("storm.html", values)
