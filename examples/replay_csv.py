"""Replay a CSV file to each client from its start, at the recorded pace or faster."""

import asyncio
import csv
from collections.abc import AsyncIterator, Generator
from contextlib import closing
from pathlib import Path

from rtdemo import Option, ProducerError, producer

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
    if not path.is_file():
        raise ProducerError(f"there is no file {path}; {PATH.variable} names it")
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        first = None
        for row in rows:
            try:
                seconds = float(row[column])
            except (KeyError, TypeError, ValueError):
                problem = f"{path}, line {rows.line_num}: no number of seconds in column {column!r}"
                fix = f"{COLUMN.variable} is to be one of {', '.join(rows.fieldnames or ())}"
                raise ProducerError(f"{problem}; {fix}") from None
            first = seconds if first is None else first
            yield seconds - first, {name: cell(text) for name, text in row.items() if name != column}


def numbers(row: Row, columns: set[str]) -> Row:
    """Return the columns that had a number so far, with None for another text; all if there are none.

    One text beside the numbers would make the view's chart a table.
    """
    columns |= {name for name, value in row.items() if isinstance(value, float)}
    return {
        name: None if isinstance(value, str) else value for name, value in row.items() if name in columns
    } or row


@producer
async def replay_csv() -> AsyncIterator[Row]:
    clock = asyncio.get_running_loop().time
    started = clock()
    columns: set[str] = set()
    with closing(timed(Path(PATH.value), COLUMN.value)) as rows:
        for seconds, row in rows:
            # Each row is due relative to the start, not to the row before, so delays do not add up.
            await asyncio.sleep(max(0.0, started + seconds / SPEED.value - clock()))
            yield numbers(row, columns)
