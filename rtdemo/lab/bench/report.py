"""Render a run as one page that needs nothing else: no script, no style sheet, no address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jinja2
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rtdemo.lab.bench import charts, metrics, verdict
from rtdemo.lab.bench.comparison import compare
from rtdemo.lab.bench.metrics import METRICS, Basis
from rtdemo.lab.bench.result import Round, Run
from rtdemo.protocol.client import LABELS, Transport
from rtdemo.settings.folders import bundled
from rtdemo.timing.histogram import merged


def html_page(run: Run, old: Run | None = None) -> bytes:
    """Return the page, UTF-8.

    Arguments:
        old: the run that this one is compared with.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(bundled("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html").render(
        run=run,
        labels=LABELS,
        verdicts=verdict.verdicts(run, old),
        accuracy=verdict.accuracy(run),
        plots=charts.plots(run),
        sections=sections(run),
    )
    return text.encode()


_COLOURS: dict[Transport, str] = {"websocket": "blue", "sse": "green"}
_STATES = {"ok": "ok", "not told": "not told", "failed": "FAILED"}
PIPE_WIDTH = 100


def print_report(run: Run, old: Run | None = None) -> None:
    """Print the figures, the verdict, the audit and what makes the run doubtful.

    Arguments:
        old: the run that this one is compared with.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH, color_system=None)
    console.print(_heading(run), soft_wrap=True)
    console.print(_table(run))
    for line in verdict.verdicts(run, old) + verdict.accuracy(run):
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
            reason = row.about if NO_FIGURE in row.figures else ""
            table.add_row(f"  {row.label}", *row.figures, row.unit, row.difference or reason)
    return table


NO_FIGURE = "\N{EN DASH}"
_DUE = "So many percent of the messages came at least this fast. A server that stalls cannot hide it."
_SENT = "The same, from when the server says that it sent: what network and client add."
PERCENTILES = ("p50", "p95", "p99", "p99.9")
_STEPS = {"tcp": "TCP", "tls": "TLS", "answer": "first byte", "welcome": "welcome", "total": "in all"}


@dataclass(frozen=True)
class Row:
    """Hold one figure of each transport.

    Arguments:
        figures: as text, in the order of the run's transports.
        difference: of the second to the first; empty where it is not told.
        about: what it means, in one sentence.
    """

    label: str
    unit: str
    figures: tuple[str, ...]
    difference: str = ""
    about: str = ""


@dataclass(frozen=True)
class Section:
    """Hold rows under a heading; `about` says what it means."""

    title: str
    rows: tuple[Row, ...]
    about: str = ""


def sections(run: Run) -> list[Section]:
    """Return what there is to tell."""
    found = [
        Section("Latency from the instant it was due", _latency(run, "due"), _DUE),
        Section("Latency from sentAt", _latency(run, "sent"), _SENT),
        Section("Delivery", _delivery(run)),
        Section("Connecting", _connecting(run)),
        Section("Server", _server(run)),
    ]
    return [section for section in found if any(_has_figures(row) for row in section.rows)]


def _has_figures(row: Row) -> bool:
    return any(figure != NO_FIGURE for figure in row.figures)


def _rounds(run: Run) -> list[Sequence[Round]]:
    return [run.of(transport) for transport in run.transports]


def number(value: float | None) -> str:
    """Return a figure with as many digits as it deserves."""
    if value is None:
        return NO_FIGURE
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return (
        f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
    )


def _latency(run: Run, basis: Basis) -> tuple[Row, ...]:
    whole = [metrics.latencies(rounds, basis) for rounds in _rounds(run)]
    is_headline = basis == metrics.basis(run.rounds)
    rows = []
    for name in PERCENTILES:
        percent = METRICS[name].percent or 0.0
        values = [metrics.percentile(one, percent) for one in whole]
        about = ""
        if None in values:
            about = f"not told: it takes {metrics.MIN_SAMPLES.get(percent, 1):,} messages."
        difference = _difference(run, name) if is_headline else ""
        rows.append(Row(name, "ms", tuple(map(number, values)), difference, about))
    known = tuple(number(len(one) or None) for one in whole)
    most = tuple(number(one.maximum * 1000 if one.counts else None) for one in whole)
    return (
        *rows,
        Row("max", "ms", most),
        Row("of", "instants" if basis == "due" else "messages", known),
    )


def _difference(run: Run, name: str) -> str:
    if len(run.transports) < 2:
        return ""
    found = compare(name, *_rounds(run))
    if found is None:
        return ""
    return verdict.format_change(found) if found.is_clear else "not told"


def _metric(run: Run, name: str, about: str) -> Row:
    metric = METRICS[name]
    values = tuple(number(metrics.mean(rounds, metric)) for rounds in _rounds(run))
    return Row(metric.label, metric.unit, values, _difference(run, name), about)


def _each(run: Run, value: Callable[[Round], float | None]) -> tuple[str, ...]:
    found = []
    for rounds in _rounds(run):
        values = [one for each in rounds if (one := value(each)) is not None]
        found.append(number(sum(values) / len(values) if values else None))
    return tuple(found)


def _delivery(run: Run) -> tuple[Row, ...]:
    rate = _each(run, lambda one: one.figures.messages / one.seconds if one.seconds else None)
    return (
        Row("messages", "a second", rate, about="That came on all connections together."),
        _metric(run, "rate", "Of the messages that were due in the window, how many came."),
        _metric(run, "loss", "By each producer's numbers: those that never came."),
        _ledger(run, "repeated", lambda one: one.figures.repeated),
        _ledger(run, "out of order", lambda one: one.figures.disordered),
        _metric(
            run, "jitter", "How uneven transit is (RFC 3550, section 6.4.1), the mean of all streams."
        ),
        _metric(run, "bytes", "On the wire with framing, before TLS, heartbeats included."),
    )


def _ledger(run: Run, label: str, value: Callable[[Round], int]) -> Row:
    counts = _each(run, lambda one: value(one) if one.figures.numbered else None)
    return Row(label, "a round", counts, about="By each producer's numbers, of all connections.")


def _connecting(run: Run) -> tuple[Row, ...]:
    rows = []
    for step, label in _STEPS.items():
        whole = [
            merged(one.steps[step] for one in rounds if step in one.steps) for rounds in _rounds(run)
        ]
        if not any(one.counts for one in whole):
            continue
        for name in ("p50", "p95"):
            percent = METRICS[name].percent or 0.0
            values = [metrics.percentile(one, percent) for one in whole]
            about = _STEP_ABOUT[step] if name == "p50" else ""
            if None in values:
                about = f"not told: it takes {metrics.MIN_SAMPLES.get(percent, 1):,} connections."
            rows.append(Row(f"{label}, {name}", "ms", tuple(map(number, values)), about=about))
    return tuple(rows)


_STEP_ABOUT = {
    "tcp": "From the start until TCP is connected.",
    "tls": "From there until TLS is agreed on.",
    "answer": "From the request until the head of the answer.",
    "welcome": "From there until the first message.",
    "total": "From the start until the first message; many connections open at once.",
}


def _server(run: Run) -> tuple[Row, ...]:
    about = "Growth of resident memory while the connections opened, divided by their number."
    memory = tuple(map(number, (_memory(rounds) for rounds in _rounds(run))))
    rows = (
        _metric(run, "cpu", "User and system, of the server's processes; loopback's share included."),
        Row("memory a connection", "KiB", memory, about=about),
    )
    return tuple(row for row in rows if _has_figures(row))


def _memory(rounds: Sequence[Round]) -> float | None:
    """Return the most that a round showed, in KiB."""
    return max((one.memory / 1024 for one in rounds if one.memory is not None), default=None)
