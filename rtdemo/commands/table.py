"""Print rows in aligned columns, readable on a terminal and through a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest


def aligned(head: Sequence[str], rows: Sequence[Sequence[Sequence[str]]]) -> str:
    """Return a heading and rows; a cell is a list of lines.

    Arguments:
        head: the columns' names.
        rows: each has a cell for each column; the last column may be as long as it likes.
    """
    lines = [tuple(head)]
    for row in rows:
        lines.extend(zip_longest(*row, fillvalue=""))
    flat = [[" ".join(cell.split()) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in flat) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in flat
    )
