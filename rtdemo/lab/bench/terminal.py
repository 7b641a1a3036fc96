"""Print a run on a terminal or into a pipe."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rtdemo.client import LABELS, Transport
from rtdemo.lab.bench import verdict
from rtdemo.lab.bench.result import Run
from rtdemo.lab.bench.summary import NOTHING, sections

_COLOURS: dict[Transport, str] = {"websocket": "blue", "sse": "green"}
_STATES = {"ok": "ok", "not told": "not told", "failed": "FAILED"}
PIPE_WIDTH = 100


def show(run: Run, old: Run | None = None) -> None:
    """Print the figures, the verdict, the audit and what makes the run doubtful.

    Arguments:
        old: the run that this one is compared with.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH, color_system=None)
    console.print(_heading(run), soft_wrap=True)
    console.print(_table(run))
    for line in verdict.verdicts(run, old) + verdict.errors(run):
        console.print(Text(line), style="bold", soft_wrap=True)
    for audited in run.parity:
        console.print(
            Text(f"  {_STATES[audited.state]:<8}  {audited.name}: {audited.words}"), soft_wrap=True
        )
    for note in run.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    for warning in run.warnings:
        console.print(Text(f"warning: {warning}"), soft_wrap=True)


def _heading(run: Run) -> Text:
    s = run.settings
    measured = "   CUT SHORT" if run.cut_short else ""
    return Text(
        f"{run.target} ({run.environment.server}): {s.connections} connections, speed {s.speed:g},"
        f" {len(run.rounds)} rounds of {s.seconds:g} s, in turns{measured}"
    )


def _table(run: Run) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for transport in run.transports:
        table.add_column(LABELS[transport], justify="right", style=_COLOURS[transport])
    table.add_column("")
    both = run.transports[::-1] if len(run.transports) > 1 else []
    table.add_column(" to ".join(LABELS[transport] for transport in both))
    for section in sections(run):
        table.add_row(Text(section.title, style="bold"))
        for row in section.rows:
            reason = row.about if NOTHING in row.figures else ""
            table.add_row(f"  {row.label}", *row.figures, row.unit, row.difference or reason)
    return table
