"""Replay a CSV file to each client from its start, at the recorded pace or faster."""

import asyncio
import csv
import logging
import re
from collections.abc import AsyncIterator, Generator
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from rtdemo import Message, Option, ProducerError, producer

PATH = Option(str, help="The CSV file; its first line names the columns.")
COLUMN = Option(
    str, "seconds", "Column with the time; without it: time, timestamp, date, or one with dates."
)
SPEED = Option(float, 1.0, "Multiplies the recorded pace.")
PAUSE = Option(float, 5.0, "Longest pause between two rows, in seconds; longer ones are cut.")

NAMES = ("seconds", "time", "timestamp", "date")
DAY_FIRST = re.compile(r"^(\d\d)\.(\d\d)\.(\d{4})")
MILLISECONDS_FROM = 1e11  # as seconds, it would be the year 5138

Cells = dict[str, str | None]
Row = dict[str, float | str | None]


def cell(text: str | None) -> float | str | None:
    """Return a number where the text is one, and None where there is none: the view draws numbers."""
    try:
        return float(text or "")
    except ValueError:
        return text or None


def with_point(text: str | None) -> str | None:
    """Return a number with a point in the place of its decimal comma, and any other text as it is."""
    return text.replace(",", ".") if text and re.fullmatch(r"[+-]?\d+,\d+", text) else text


def time_of(text: str | None) -> float | None:
    """Return the seconds of a number or of a date in ISO 8601; None for another text."""
    value = cell(text)
    if isinstance(value, float):
        return value / 1000 if value >= MILLISECONDS_FROM else value
    if value is None:
        return None
    try:
        date = datetime.fromisoformat(DAY_FIRST.sub(r"\3-\2-\1", value))
    except ValueError:
        return None
    return date.replace(tzinfo=date.tzinfo or UTC).timestamp()


def time_column(cells: Cells) -> str:
    """Return the column that is set; by default one of the usual names, or the first one with a date."""
    if COLUMN.value in cells or COLUMN.value != COLUMN.default:
        return COLUMN.value
    named = [column for name in NAMES for column in cells if column.strip().lower() == name]
    texts = [column for column, text in cells.items() if isinstance(cell(text), str)]
    times = (column for column in named + texts if time_of(cells[column]) is not None)
    return next(times, named[0] if named else COLUMN.value)


@cache
def note(level: int, text: str) -> None:
    """Log a text once, not for each client."""
    logging.getLogger("replay_csv").log(level, text)


def lines(path: Path) -> Generator[tuple[int, Cells]]:
    """Yield the number of each row's last line, and its cells."""
    if not path.is_file():
        raise ProducerError(f"there is no file {path}; {PATH.variable} names it")
    # Excel writes a byte order mark, which is no part of the first column's name.
    with path.open(newline="", encoding="utf-8-sig") as file:
        # Excel separates by semicolons where the comma is the decimal sign.
        separator = max(",;\t", key=file.readline().count)
        file.seek(0)
        rows = csv.DictReader(file, delimiter=separator)
        for cells in rows:
            cells.pop(None, None)  # what follows the last column, such as a comma
            is_decimal = separator != ","
            yield (
                rows.line_num,
                {name: with_point(text) if is_decimal else text for name, text in cells.items()},
            )


def timed(path: Path) -> Generator[tuple[float, str, Row]]:
    """Yield the seconds between each row and the one before, its time, and its other cells."""
    column = ""
    before: float | None = None
    last_step = 0.0
    is_whole = True
    for number, cells in lines(path):
        column = column or time_column(cells)
        time = time_of(cells.get(column))
        if time is None:
            problem = f"{path}, line {number}: {no_time(column, cells)}"
            if before is None:
                raise ProducerError(problem)
            if is_whole:
                note(logging.WARNING, f"{problem}; such rows are left out")
            is_whole = False
            continue
        note(logging.INFO, f"{path}: the time is in column {column!r}")
        step = 0.0 if before is None else time - before
        # Some files have the newest row first. In others, a clock was set back: that is no pause.
        pause = 0.0 if step < 0 < last_step else abs(step)
        last_step = step or last_step
        others = {name: cell(text) for name, text in cells.items() if name != column}
        yield pause, cells[column] or "", others
        before = time
    if before is None:
        note(logging.WARNING, f"{path} has no rows")


def no_time(column: str, cells: Cells) -> str:
    """Return what is wrong with a row, and what to do."""
    times = "a time such as 12.5 or 2026-01-01 10:00"
    if column in cells:
        return f"{cells[column]!r} in column {column!r} is not {times}; correct it"
    is_set = COLUMN.value != COLUMN.default
    wanted = (
        f"no column {column!r}" if is_set else f"none of the columns {', '.join(NAMES)}, and no date"
    )
    return f"there is {wanted} in {', '.join(cells)!r}; {COLUMN.variable} is to name one with {times}"


@producer
async def replay_csv() -> AsyncIterator[Message]:
    clock = asyncio.get_running_loop().time
    due = clock()
    with closing(timed(Path(PATH.value))) as rows:
        for pause, time, row in rows:
            # Each row is due relative to when the one before was due, so delays do not add up.
            due += min(PAUSE.value, pause / SPEED.value)
            await asyncio.sleep(max(0.0, due - clock()))
            text = ", ".join(f"{name} {each}" for name, each in row.items() if each is not None)
            yield Message(f"{time}: {text}", value=row)
