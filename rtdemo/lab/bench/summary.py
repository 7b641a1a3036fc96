"""Each figure of a run as a number with its unit, for programs that read `--json`."""

from __future__ import annotations

from rtdemo.lab.bench import metrics
from rtdemo.lab.bench.comparison import Comparison, Difference
from rtdemo.lab.bench.metrics import METRICS, Basis, Metric
from rtdemo.lab.bench.result import Run
from rtdemo.protocol.client import Transport

_UNITS = {"ms": "Ms", "%": "Percent", "B": "Bytes", "µs": "Us"}
"""End of a key, by the unit of the metric."""
Entry = dict[str, str | float | None]


def summarize(run: Run, comparison: Comparison | None) -> list[Entry]:
    """Return each metric that is known for a transport.

    Arguments:
        run: with at least one round.
        comparison: of its transports, if it has two.
    """
    found = []
    for name, metric in METRICS.items():
        basis = (metric.basis or metrics.basis(run.rounds)) if metric.unit == "ms" else None
        values = {one: _value(run, one, metric, basis) for one in run.transports}
        if all(value is None for value in values.values()):
            continue
        entry: Entry = {"code": name}
        if metric.percent is not None:
            entry["basis"] = basis
        unit = _UNITS[metric.unit]
        entry |= {f"{transport}{unit}": _rounded(value) for transport, value in values.items()}
        difference = comparison.difference(name) if comparison is not None else None
        found.append(entry | (_difference(difference) if difference is not None else {}))
    return found


def _value(run: Run, transport: Transport, metric: Metric, basis: Basis | None) -> float | None:
    rounds = run.of(transport)
    if metric.percent is not None and basis is not None:
        return metrics.percentile(metrics.latencies(rounds, basis), metric.percent)
    if metric is METRICS["max"]:
        return max((value for one in rounds if (value := metric.value(one)) is not None), default=None)
    return metrics.mean(rounds, metric)


def _difference(found: Difference) -> Entry:
    """Return the outcome and the interval of a difference, second transport minus first."""
    unit = {"ms": "Ms", "points": "Points", "share": "Share"}[METRICS[found.metric].scale]
    return {
        "outcome": found.outcome,
        f"low{unit}": _rounded(found.low),
        f"high{unit}": _rounded(found.high),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
