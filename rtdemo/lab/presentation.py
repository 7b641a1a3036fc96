"""What the reports of `bench` and `storm` have in common: the terminal, the table, the HTML page."""

from __future__ import annotations

from collections.abc import Mapping

import jinja2
from rich.console import Console
from rich.table import Table

from rtdemo.protocol.client import Transport
from rtdemo.settings.folders import bundled

PIPE_WIDTH = 100
"""Columns of a table if the output is not a terminal."""
COLOURS: Mapping[Transport, str] = {"websocket": "blue", "sse": "green"}
"""Colour of each transport's figures in a terminal."""


def new_console() -> Console:
    """Return the console of a report; a pipe gets no colours, and tables of one width."""
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=PIPE_WIDTH, color_system=None)


def new_table() -> Table:
    """Return a table without lines, whose first column has the labels."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    return table


def html_page(template: str, values: Mapping[str, object]) -> bytes:
    """Return an HTML page without scripts or external files, UTF-8.

    Arguments:
        template: name of its template in `templates/reports/`.
        values: that the template uses.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(bundled("templates") / "reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values).encode()
