"""Report a run: as a table in the terminal, and as an HTML page without scripts or external files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.table import Table
from rich.text import Text

from rtdemo.errors import printable
from rtdemo.lab import presentation
from rtdemo.lab.bench import charts, metrics, verdict
from rtdemo.lab.bench.comparison import Comparison
from rtdemo.lab.bench.metrics import METRICS, Basis
from rtdemo.lab.bench.result import ParityState, Round, Run
from rtdemo.lab.bench.wording import (
    NO_FIGURE,
    UNKNOWN,
    difference_text,
    milliseconds,
    number,
    why_unknown,
)
from rtdemo.protocol.client import LABELS
from rtdemo.timing.histogram import Latencies, merged

STATE_LABELS: dict[ParityState, str] = {"ok": "ok", "unknown": "unknown", "failed": "FAILED"}
_DUE = "50, 95, 99 % of messages were at most this late; stalls of the server count."
_SENT = "The same from the time at which the server sent: network and client alone."
_GAPS = "The time between two messages of one connection, as they arrive."
_JITTER = (
    "Variation of transit time (RFC 3550, section 6.4.1), mean of streams; without sentAt, of gaps."
)
_CPU = "User and system time of the server's processes, including loopback."
_SAMPLES: dict[Basis, str] = {"due": "due times", "sent": "messages", "gap": "gaps"}
_STEPS = {"tcp": "TCP", "tls": "TLS", "answer": "first byte", "welcome": "welcome", "total": "total"}
_STEP_ABOUT = {
    "tcp": "From the start until TCP is connected.",
    "tls": "From TCP until TLS is connected.",
    "answer": "From the request until the head of the response.",
    "welcome": "From the head of the response until the first message; none if both come at once.",
    "total": "From the start until the first message; many connections open at the same time.",
}


def html_page(run: Run, comparison: Comparison | None) -> bytes:
    """Return the report as an HTML page, UTF-8.

    Arguments:
        run: with its verdicts.
        comparison: of its transports, if it has two.
    """
    values = {
        "run": run,
        "labels": LABELS,
        "states": STATE_LABELS,
        "accuracy": verdict.accuracy(run),
        "conditions": conditions(run),
        "plots": charts.plots(run),
        "sections": sections(run, comparison),
    }
    return presentation.html_page("bench.html", values)


def print_report(run: Run, comparison: Comparison | None) -> None:
    """Print the verdict, the figures, the parity checks, the notes and the warnings.

    Arguments:
        run: with its verdicts.
        comparison: of its transports, if it has two.
    """
    console = presentation.new_console()

    def show(text: str, style: str = "") -> None:
        # A pipe gets each sentence as one line; on a terminal no word is cut.
        console.print(Text(text), style=style, soft_wrap=not console.is_terminal)

    for one in run.verdicts:
        show(one.sentence, "bold")
    for line in (conditions(run), *verdict.accuracy(run)):
        show(line)
    shown = sections(run, comparison)
    for section in shown:
        if section.about:
            show(f"{section.title}: {section.about}")
    console.print(_table(run, shown))
    for check in run.parity:
        show(f"  {STATE_LABELS[check.state]:<8}  {check.name}: {check.words}")
    for note in run.notes:
        show(f"note: {note.text}")
    for warning in run.warnings:
        show(f"warning: {warning.text}")


def conditions(run: Run) -> str:
    """Return what was measured, and how, as one line."""
    s = run.settings
    rounds = Counter(one.transport for one in run.rounds)
    each = f"{len(run.rounds)} round{'s' if len(run.rounds) > 1 else ''} of {s.seconds:g} s"
    turns = ", in turns" if len(rounds) > 1 else ""
    speed = f", speed {s.speed:g}" if s.speed != 1 else ""
    method = ", POST" if s.body_bytes is not None else ""
    cut = ", CUT SHORT" if run.cut_short else ""
    connections = f"{s.connections} connection{'s' if s.connections > 1 else ''}"
    server = f" ({run.environment.server})" if run.environment.server else ""
    return f"{printable(run.target)}{server}: {connections}{speed}{method}, {each}{turns}{cut}"


def _table(run: Run, shown: Sequence[Section]) -> Table:
    table = presentation.new_table()
    for transport in run.transports:
        table.add_column(LABELS[transport], justify="right", style=presentation.COLOURS[transport])
    table.add_column("")
    both = run.transports[::-1] if len(run.transports) > 1 else []
    table.add_column(" vs ".join(LABELS[transport] for transport in both))
    for section in shown:
        table.add_row(Text(section.title, style="bold"))
        for row in section.rows:
            reason = row.about if row.about.startswith(UNKNOWN) else ""
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


def sections(run: Run, comparison: Comparison | None) -> list[Section]:
    """Return the figures of a run; sections without figures are left out.

    Arguments:
        run: with at least one round.
        comparison: of its transports, if it has two.
    """
    gaps = _durations(run, "gap", comparison) if has_untimed(run) else ()
    found = [
        Section("Latency from due time", _durations(run, "due", comparison), _DUE),
        Section("Latency from sentAt", _durations(run, "sent", comparison), _SENT),
        Section("Gaps between messages", gaps, _GAPS),
        Section("Delivery", _delivery(run, comparison)),
        Section("Connecting", _connecting(run)),
        Section("Server", _server(run, comparison)),
    ]
    return [
        replace(section, rows=tuple(row for row in section.rows if _is_shown(row)))
        for section in found
        if any(_has_figures(row) for row in section.rows)
    ]


def _is_shown(row: Row) -> bool:
    """Return whether a row has a figure, or a reason why it has none."""
    return _has_figures(row) or row.about.startswith(UNKNOWN)


def _has_figures(row: Row) -> bool:
    return any(figure != NO_FIGURE for figure in row.figures)


def _rounds(run: Run) -> list[Sequence[Round]]:
    return [run.of(transport) for transport in run.transports]


def has_untimed(run: Run) -> bool:
    """Return whether a transport has messages, and none of them has `sentAt`."""
    return any(
        one.figures.messages and one.figures.messages == one.figures.untimed for one in run.rounds
    )


def _durations(run: Run, basis: Basis, comparison: Comparison | None) -> tuple[Row, ...]:
    whole = [metrics.latencies(rounds, basis) for rounds in _rounds(run)]
    if not any(one.counts for one in whole):
        return ()
    prefix = "gap" if basis == "gap" else "p"
    # Gaps are between two times of one clock.
    error = 0.0 if basis == "gap" else max((one.clock_error or 0.0 for one in run.rounds), default=0.0)
    is_compared = basis in ("gap", metrics.basis(run.rounds))
    rows = []
    for percent in (50, 95, 99) if basis == "gap" else (50, 95, 99, 99.9):
        name = f"{prefix}{percent:g}"
        figures, about = _percentile(whole, name, "messages", error)
        difference = _difference(comparison, run, name) if is_compared else ""
        rows.append(Row(f"p{percent:g}", "ms", figures, difference, about))
    known = tuple(f"{len(one):,}" if one.counts else NO_FIGURE for one in whole)
    maximum = tuple(milliseconds(one.maximum * 1000 if one.counts else None, error) for one in whole)
    return (*rows, Row("max", "ms", maximum), Row(_SAMPLES[basis], "", known))


def _percentile(
    found: Sequence[Latencies], name: str, samples: str, error: float = 0.0
) -> tuple[tuple[str, ...], str]:
    """Return a percentile of each side as text, and why one is unknown."""
    percent = METRICS[name].percent or 0.0
    values = [metrics.percentile(one, percent) for one in found]
    about = why_unknown(percent, samples) if None in values else ""
    return tuple(milliseconds(value, error) for value in values), about


def _difference(comparison: Comparison | None, run: Run, name: str) -> str:
    found = comparison.difference(name) if comparison is not None else None
    if found is None:
        return ""
    first, second = (LABELS[transport] for transport in run.transports)
    return difference_text(found, first, second)


def _metric(run: Run, comparison: Comparison | None, name: str, about: str) -> Row:
    metric = METRICS[name]
    values = tuple(number(metrics.mean(rounds, metric)) for rounds in _rounds(run))
    return Row(metric.label, metric.unit, values, _difference(comparison, run, name), about)


def _means(run: Run, value: Callable[[Round], float | None]) -> tuple[str, ...]:
    """Return the mean over rounds of each transport, as text."""
    found = []
    for rounds in _rounds(run):
        values = [one for each in rounds if (one := value(each)) is not None]
        found.append(number(sum(values) / len(values) if values else None))
    return tuple(found)


def _delivery(run: Run, comparison: Comparison | None) -> tuple[Row, ...]:
    rate = _means(run, lambda one: one.figures.messages / one.seconds if one.seconds else None)
    rows = (
        Row("messages per second", "", rate, about="Received on all connections together."),
        _metric(run, comparison, "rate", "The share of due messages that arrived."),
        _metric(run, comparison, "loss", "By each producer's seq: messages that never arrived."),
        _sequence(run, "repeated", lambda one: one.figures.repeated),
        _sequence(run, "out of order", lambda one: one.figures.disordered),
        _metric(run, comparison, "jitter", _JITTER),
        _metric(run, comparison, "bytes", "On the wire with framing and heartbeats, without TLS."),
    )
    if run.settings.body_bytes is None:
        return rows
    repeats = _means(run, lambda one: one.repeats)
    return (*rows, Row("requests per round", "", repeats, about="Repeated after a complete response."))


def _sequence(run: Run, label: str, value: Callable[[Round], int]) -> Row:
    counts = _means(run, lambda one: value(one) if one.figures.numbered else None)
    return Row(f"{label} per round", "", counts, about="By each producer's seq, on all connections.")


def _connecting(run: Run) -> tuple[Row, ...]:
    rows = []
    for step, label in _STEPS.items():
        whole = [
            merged(one.steps[step] for one in rounds if step in one.steps) for rounds in _rounds(run)
        ]
        if not any(one.counts for one in whole):
            continue
        for name in ("p50", "p95"):
            figures, _ = _percentile(whole, name, "connections")
            row = Row(f"{label}, {name}", "ms", figures, about=_STEP_ABOUT[step])
            if _has_figures(row):
                rows.append(row)
    return tuple(rows)


def _server(run: Run, comparison: Comparison | None) -> tuple[Row, ...]:
    about = "Growth of resident memory while the connections opened, divided by their number."
    memory = tuple(map(number, (_max_memory(rounds) for rounds in _rounds(run))))
    rows = (
        _metric(run, comparison, "cpu", _CPU),
        Row("memory per connection", "KiB", memory, about=about),
    )
    return tuple(row for row in rows if _has_figures(row))


def _max_memory(rounds: Sequence[Round]) -> float | None:
    """Return the largest memory per connection of a round, in KiB."""
    return max((one.memory / 1024 for one in rounds if one.memory is not None), default=None)
