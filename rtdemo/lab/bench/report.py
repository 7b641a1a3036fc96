"""Report a run: as a table in the terminal, and as an HTML page without scripts or external files."""

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
from rtdemo.lab.bench.result import UNKNOWN, ParityState, Round, Run
from rtdemo.protocol.client import LABELS, Transport
from rtdemo.settings.folders import bundled
from rtdemo.timing.histogram import Latencies, merged

PIPE_WIDTH = 100
"""Columns of the table if the output is not a terminal."""
NO_FIGURE = "\N{EN DASH}"
"""Shown for a figure that is unknown."""
PERCENTILES = ("p50", "p95", "p99", "p99.9")
STATE_LABELS: dict[ParityState, str] = {"ok": "ok", UNKNOWN: "unknown", "failed": "FAILED"}
_COLOURS: dict[Transport, str] = {"websocket": "blue", "sse": "green"}
_DUE = (
    "This percentage of messages arrived within this time after they were due. It includes stalls of"
    " the server."
)
_SENT = "The same from sentAt, when the server sent: the delay of network and client."
_STEPS = {"tcp": "TCP", "tls": "TLS", "answer": "first byte", "welcome": "welcome", "total": "total"}
_STEP_ABOUT = {
    "tcp": "From the start until TCP is connected.",
    "tls": "From TCP until TLS is connected.",
    "answer": "From the request until the head of the response.",
    "welcome": "From the head of the response until the first message.",
    "total": "From the start until the first message; many connections open at the same time.",
}


def html_page(run: Run, old: Run | None = None) -> bytes:
    """Return the report as an HTML page, UTF-8.

    Arguments:
        run: with at least one round.
        old: an earlier run to compare with.
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
        states=STATE_LABELS,
        verdicts=verdict.verdicts(run, old),
        accuracy=verdict.accuracy(run),
        plots=charts.plots(run),
        sections=sections(run),
    )
    return text.encode()


def print_report(run: Run, old: Run | None = None) -> None:
    """Print the figures, the verdict, the parity checks, the notes and the warnings.

    Arguments:
        run: with at least one round.
        old: an earlier run to compare with.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH, color_system=None)
    console.print(_heading(run), soft_wrap=True)
    console.print(_table(run))
    for line in verdict.verdicts(run, old) + verdict.accuracy(run):
        console.print(Text(line), style="bold", soft_wrap=True)
    for check in run.parity:
        console.print(
            Text(f"  {STATE_LABELS[check.state]:<8}  {check.name}: {check.words}"), soft_wrap=True
        )
    for note in run.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    for warning in run.warnings:
        console.print(Text(f"warning: {warning}"), soft_wrap=True)


def _heading(run: Run) -> Text:
    s = run.settings
    interrupted = "   CUT SHORT" if run.cut_short else ""
    return Text(
        f"{run.target} ({run.environment.server}): {s.connections} connections, speed {s.speed:g},"
        f" {len(run.rounds)} rounds of {s.seconds:g} s, in turns{interrupted}"
    )


def _table(run: Run) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for transport in run.transports:
        table.add_column(LABELS[transport], justify="right", style=_COLOURS[transport])
    table.add_column("")
    both = run.transports[::-1] if len(run.transports) > 1 else []
    table.add_column(" vs ".join(LABELS[transport] for transport in both))
    for section in sections(run):
        table.add_row(Text(section.title, style="bold"))
        for row in section.rows:
            reason = row.about if NO_FIGURE in row.figures else ""
            table.add_row(f"  {row.label}", *row.figures, row.unit, row.difference or reason)
    return table


@dataclass(frozen=True)
class Row:
    """One figure of each transport, as text.

    Arguments:
        label: of the figure.
        unit: of the figure.
        figures: in the order of the run's transports.
        difference: from the first to the second; empty if they are not compared.
        about: what the figure means, in one sentence.
    """

    label: str
    unit: str
    figures: tuple[str, ...]
    difference: str = ""
    about: str = ""


@dataclass(frozen=True)
class Section:
    """Rows under a heading.

    Arguments:
        title: of the section.
        rows: in order.
        about: what the figures mean.
    """

    title: str
    rows: tuple[Row, ...]
    about: str = ""


def sections(run: Run) -> list[Section]:
    """Return the figures of a run; sections without figures are left out."""
    found = [
        Section("Latency from due time", _latency(run, "due"), _DUE),
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
    """Return a figure as text with about four digits."""
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
        figures, about = _percentile(whole, name, "messages")
        difference = _difference(run, name) if is_headline else ""
        rows.append(Row(name, "ms", figures, difference, about))
    known = tuple(number(len(one) or None) for one in whole)
    maximum = tuple(number(one.maximum * 1000 if one.counts else None) for one in whole)
    return (
        *rows,
        Row("max", "ms", maximum),
        Row("samples", "due times" if basis == "due" else "messages", known),
    )


def _percentile(found: Sequence[Latencies], name: str, samples: str) -> tuple[tuple[str, ...], str]:
    """Return a percentile of each side as text, and why one is unknown."""
    percent = METRICS[name].percent or 0.0
    values = [metrics.percentile(one, percent) for one in found]
    about = ""
    if None in values:
        about = f"unknown: it needs {metrics.MIN_SAMPLES.get(percent, 1):,} {samples}."
    return tuple(map(number, values)), about


def _difference(run: Run, name: str) -> str:
    if len(run.transports) < 2:
        return ""
    found = compare(name, *_rounds(run))
    if found is None:
        return ""
    return verdict.format_change(found) if found.is_clear else "no clear difference"


def _metric(run: Run, name: str, about: str) -> Row:
    metric = METRICS[name]
    values = tuple(number(metrics.mean(rounds, metric)) for rounds in _rounds(run))
    return Row(metric.label, metric.unit, values, _difference(run, name), about)


def _means(run: Run, value: Callable[[Round], float | None]) -> tuple[str, ...]:
    """Return the mean over rounds of each transport, as text."""
    found = []
    for rounds in _rounds(run):
        values = [one for each in rounds if (one := value(each)) is not None]
        found.append(number(sum(values) / len(values) if values else None))
    return tuple(found)


def _delivery(run: Run) -> tuple[Row, ...]:
    rate = _means(run, lambda one: one.figures.messages / one.seconds if one.seconds else None)
    return (
        Row("messages", "per second", rate, about="Received on all connections together."),
        _metric(run, "rate", "The share of due messages that arrived."),
        _metric(run, "loss", "By each producer's seq: messages that never arrived."),
        _sequence(run, "repeated", lambda one: one.figures.repeated),
        _sequence(run, "out of order", lambda one: one.figures.disordered),
        _metric(run, "jitter", "Variation of transit time (RFC 3550, section 6.4.1), mean of streams."),
        _metric(run, "bytes", "On the wire with framing and heartbeats, without TLS."),
    )


def _sequence(run: Run, label: str, value: Callable[[Round], int]) -> Row:
    counts = _means(run, lambda one: value(one) if one.figures.numbered else None)
    return Row(label, "per round", counts, about="By each producer's seq, on all connections.")


def _connecting(run: Run) -> tuple[Row, ...]:
    rows = []
    for step, label in _STEPS.items():
        whole = [
            merged(one.steps[step] for one in rounds if step in one.steps) for rounds in _rounds(run)
        ]
        if not any(one.counts for one in whole):
            continue
        for name in ("p50", "p95"):
            figures, why_unknown = _percentile(whole, name, "connections")
            about = _STEP_ABOUT[step] if name == "p50" else ""
            rows.append(Row(f"{label}, {name}", "ms", figures, about=why_unknown or about))
    return tuple(rows)


def _server(run: Run) -> tuple[Row, ...]:
    about = "Growth of resident memory while the connections opened, divided by their number."
    memory = tuple(map(number, (_max_memory(rounds) for rounds in _rounds(run))))
    rows = (
        _metric(run, "cpu", "User and system time of the server's processes, including loopback."),
        Row("memory per connection", "KiB", memory, about=about),
    )
    return tuple(row for row in rows if _has_figures(row))


def _max_memory(rounds: Sequence[Round]) -> float | None:
    """Return the largest memory per connection of a round, in KiB."""
    return max((one.memory / 1024 for one in rounds if one.memory is not None), default=None)
