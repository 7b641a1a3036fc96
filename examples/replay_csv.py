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
FORMAT = Option(str, "", "Format of dates that are not in ISO 8601, such as %d/%m/%Y %H:%M.")
SPEED = Option(float, 1.0, "Multiplies the recorded pace.")
PAUSE = Option(float, 5.0, "Longest pause between two rows, in seconds; longer ones are cut.")

NAMES = ("seconds", "time", "timestamp", "date")
DAY_FIRST = re.compile(r"^(\d\d)\.(\d\d)\.(\d{4})")
TIME_OF_DAY = re.compile(r"\d\d?:\d\d\b.*")
DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
DECIMAL_COMMA_CELL = re.compile(r"(^|[;\t])[+-]?\d[\d.]*,\d+([;\t]|$)", re.MULTILINE)
POINT_GROUPS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+")
COMMA_GROUPS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
HEAD_CHARACTERS = 65_536
MILLISECONDS_FROM = 1e11  # as seconds, it would be the year 5138

Cells = dict[str, str | None]
Row = dict[str, float | str | None]


def cell(text: str | None) -> float | str | None:
    """Return a number where the text is one, and None where there is none: the view draws numbers."""
    try:
        return float(text or "")
    except ValueError:
        return text or None


def plain(text: str | None, has_decimal_commas: bool) -> str | None:
    """Return a number as Python reads it, and any other text as it is."""
    if text and has_decimal_commas and (DECIMAL_COMMA.fullmatch(text) or POINT_GROUPS.fullmatch(text)):
        return text.replace(".", "").replace(",", ".")
    if text and COMMA_GROUPS.fullmatch(text) and not has_decimal_commas:
        return text.replace(",", "")
    return text


def time_of(text: str | None) -> float | None:
    """Return the seconds of a number or a date; None for another text."""
    value = cell(text)
    if isinstance(value, float):
        return value / 1000 if value >= MILLISECONDS_FROM else value
    if value is None:
        return None
    try:
        iso = DAY_FIRST.sub(r"\3-\2-\1", value)
        date = datetime.strptime(value, FORMAT.value) if FORMAT.value else datetime.fromisoformat(iso)
    except ValueError:
        return None
    return date.replace(tzinfo=date.tzinfo or UTC).timestamp()


def time_columns(cells: Cells) -> list[str]:
    """Return the column that is set; by default one of the usual names, or the first one with a date.

    A date without a time of day has it in a second column, if there is one.
    """
    if COLUMN.value in cells or COLUMN.value != COLUMN.default:
        return [COLUMN.value]
    named = [column for name in NAMES for column in cells if column.strip().lower() == name]
    texts = {column: text for column, text in cells.items() if text and isinstance(cell(text), str)}
    hours = [column for column, text in texts.items() if TIME_OF_DAY.fullmatch(text)]
    for column in [*named, *texts]:
        is_date = column in texts and ":" not in texts[column]
        if is_date and hours and time_of(text_in(cells, [column, hours[0]])) is not None:
            return [column, hours[0]]
        if time_of(cells[column]) is not None:
            return [column]
    return (named or [COLUMN.value])[:1]


def text_in(cells: Cells, columns: list[str]) -> str:
    """Return the texts of some columns, joined."""
    return " ".join(cells.get(column) or "" for column in columns)


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
        try:
            head = file.read(HEAD_CHARACTERS)
            file.seek(0)
            separator = max(",;\t", key=head.partition("\n")[0].count)
            has_decimal_commas = separator != "," and DECIMAL_COMMA_CELL.search(head) is not None
            rows = csv.DictReader(file, delimiter=separator)
            for cells in rows:
                cells.pop(None, None)  # what follows the last column, such as a comma
                yield (
                    rows.line_num,
                    {name: plain(text, has_decimal_commas) for name, text in cells.items()},
                )
        except UnicodeDecodeError as error:
            raise ProducerError(f"{path} is not UTF-8; save it as CSV UTF-8") from error


def timed(path: Path) -> Generator[tuple[float, str, Row]]:
    """Yield the seconds between each row and the one before, its time, and its other cells."""
    columns: list[str] = []
    before: float | None = None
    last_step = 0.0
    is_whole = True
    for number, cells in lines(path):
        columns = columns or time_columns(cells)
        if time_of(columns[0]) is not None:
            raise ProducerError(f"{path}: the first line is to name the columns; it has {columns[0]!r}")
        text = text_in(cells, columns)
        time = time_of(text)
        if time is None:
            problem = f"{path}, line {number}: {no_time(columns, cells)}"
            if before is None:
                raise ProducerError(problem)
            if is_whole:
                note(logging.WARNING, f"{problem}; such rows are left out")
            is_whole = False
            continue
        note(logging.INFO, f"{path}: the time is in column {quoted(columns)}")
        step = 0.0 if before is None else time - before
        # Some files have the newest row first. In others, a clock was set back: that is no pause.
        pause = 0.0 if step < 0 < last_step else abs(step)
        last_step = step or last_step
        others = {name: cell(other) for name, other in cells.items() if name not in columns}
        yield pause, text, others
        before = time
    if before is None:
        raise ProducerError(f"{path} has no rows below the first line")


def quoted(columns: list[str]) -> str:
    """Return the names of columns as text."""
    return " and ".join(map(repr, columns))


def no_time(columns: list[str], cells: Cells) -> str:
    """Return what is wrong with a row, and what to do."""
    times = f"a time such as 12.5 or {FORMAT.value or '2026-01-01 10:00'}"
    or_set = f"or set {FORMAT.variable}, such as %d/%m/%Y %H:%M or %m/%d/%Y %I:%M %p"
    if columns[0] in cells:
        text = text_in(cells, columns)
        return f"{text!r} in column {quoted(columns)} is not {times}; correct it, {or_set}"
    is_set = COLUMN.value != COLUMN.default
    wanted = (
        f"no column {quoted(columns)}"
        if is_set
        else f"none of the columns {', '.join(NAMES)}, and no date"
    )
    fix = f"{COLUMN.variable} is to name one with {times}, {or_set}"
    return f"there is {wanted} in the first line, {', '.join(cells)!r}; {fix}"


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
