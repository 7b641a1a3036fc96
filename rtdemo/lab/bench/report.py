"""Render a run as one page that needs nothing else: no script, no style sheet, no address."""

from __future__ import annotations

import jinja2

from rtdemo.client import LABELS
from rtdemo.lab.bench import charts, verdict
from rtdemo.lab.bench.result import Run
from rtdemo.lab.bench.summary import sections
from rtdemo.paths import bundled


def page(run: Run, old: Run | None = None) -> bytes:
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
        errors=verdict.errors(run),
        plots=charts.plots(run),
        sections=sections(run),
    )
    return text.encode()
