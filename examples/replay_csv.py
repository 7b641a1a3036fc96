"""Replay a CSV file to each client from its start, at the recorded pace or faster."""

import asyncio
import csv
from collections.abc import AsyncIterator, Generator
from contextlib import closing
from pathlib import Path

from rtdemo import Option, producer

PATH = Option(str, help="The CSV file; its first line names the columns.")
COLUMN = Option(str, "seconds", "Column with the time of recording, in seconds.")
SPEED = Option(float, 1.0, "Multiplies the recorded pace.")

Row = dict[str, float | str | None]


def cell(text: str | None) -> float | str | None:
    """Return a number where the text is one, and None where there is none: the view draws numbers."""
    try:
        return float(text or "")
    except ValueError:
        return text or None


def timed(path: Path, column: str) -> Generator[tuple[float, Row]]:
    """Yield each row with the seconds since the first one."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        first = None
        for row in rows:
            try:
                seconds = float(row[column])
            except (KeyError, TypeError, ValueError) as error:
                where = f"{path.name}, line {rows.line_num}"
                raise ValueError(f"{where}: no number of seconds in column {column!r}") from error
            first = seconds if first is None else first
            yield seconds - first, {name: cell(text) for name, text in row.items() if name != column}


@producer
async def replay_csv() -> AsyncIterator[Row]:
    clock = asyncio.get_running_loop().time
    started = clock()
    with closing(timed(Path(PATH.value), COLUMN.value)) as rows:
        for seconds, row in rows:
            # Each row is due relative to the start, not to the row before, so delays do not add up.
            await asyncio.sleep(max(0.0, started + seconds / SPEED.value - clock()))
            yield row
