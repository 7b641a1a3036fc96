"""Replay a CSV file to each client from its start, at the recorded pace or faster."""

import asyncio
import csv
import logging
import re
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cache
from itertools import chain, islice
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
DATE_FORMATS = ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%Y/%m/%d", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%y")
HOUR_FORMATS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
TIME_OF_DAY = re.compile(r"\d\d?:\d\d\b.*")
LIKE_A_DATE = re.compile(r"\d[-/.:]\d+[-/.:\s]")
DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
DECIMAL_COMMA_CELL = re.compile(r"[+-]?\s?€?\s?[+-]?\d[\d.]*,\d+\s?[€%]?")
ONE_GROUP = re.compile(r"(?<![\d.])[1-9]\d{0,2},\d{3}(?!\d)")
POINT_GROUPS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+")
COMMA_GROUPS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
MARKED = re.compile(r"([+-]?)\s?[$€£]?\s?([+-]?[\d.,]+)\s?[$€£%]?")
HEAD_CHARACTERS = 65_536
HEAD_ROWS = 20
MILLISECONDS_FROM = 1e11  # as seconds, it would be the year 5138

Cells = dict[str, str | None]
Row = dict[str, float | str | None]


def cell(text: str | None) -> float | str | None:
    """Return a number where the text is one, and None where there is none: the view draws numbers."""
    try:
        return float(unmarked(text or ""))
    except ValueError:
        return text or None


def unmarked(text: str) -> str:
    """Return a number without its currency or percent sign, and any other text as it is."""
    marked = MARKED.fullmatch(text.strip())
    return marked[1] + marked[2] if marked else text


def are_decimal(separator: str, head: str) -> bool:
    """Return whether commas in numbers are decimal signs, as a cell in the start of the file shows."""
    whole = head.splitlines()[:-1] if len(head) == HEAD_CHARACTERS else head.splitlines()
    cells = chain.from_iterable(csv.reader(whole, delimiter=separator))
    found = [cell.strip() for cell in cells if DECIMAL_COMMA_CELL.fullmatch(cell.strip())]
    # Semicolons are for the sake of decimal commas. Beside tabs, 1,234 may have groups.
    return separator != "," and any(separator == ";" or not ONE_GROUP.search(cell) for cell in found)


def plain(text: str | None, has_decimal_commas: bool) -> str | None:
    """Return a number as Python reads it, and any other text as it is."""
    number = unmarked(text or "")
    if has_decimal_commas and (DECIMAL_COMMA.fullmatch(number) or POINT_GROUPS.fullmatch(number)):
        return number.replace(".", "").replace(",", ".")
    if COMMA_GROUPS.fullmatch(number) and not has_decimal_commas:
        return number.replace(",", "")
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

    A date without a time of day has it in a second column, if there is one. Without a time, it is the
    column that seems to have it.
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
    for column in [*named, *texts]:
        text = texts.get(column, "")
        if column not in hours and LIKE_A_DATE.search(text):
            return [column] if ":" in text else [column, *hours[:1]]
    return (named or [COLUMN.value])[:1]


def columns_of(head: list[tuple[int, Cells]]) -> list[str]:
    """Return the columns with the time, by the first row that seems to have one, such as below units."""
    for _, cells in head:
        columns = time_columns(cells)
        text = text_in(cells, columns)
        if time_of(text) is not None or LIKE_A_DATE.search(text):
            return columns
    return time_columns(head[0][1])


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
            has_decimal_commas = are_decimal(separator, head)
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
    with closing(lines(path)) as rows:
        head = list(islice(rows, HEAD_ROWS))
        if not head:
            raise ProducerError(f"{path} has no rows below the first line")
        names = list(head[0][1])
        columns = columns_of(head)
        if time_of(columns[0]) is not None or all(time_of(name) is not None for name in names):
            first = next(iter(names), "")
            raise ProducerError(f"{path}: the first line is to name the columns; it has {first!r}")
        if any(time_of(text_in(cells, columns)) is not None for _, cells in head):
            note(logging.INFO, f"{path}: the time is in column {quoted(columns)}")
            yield from paced(path, columns, chain(head, rows))
            return
        number, cells = head[0]
        problem = f"{path}, line {number}: {no_time(columns, cells)}"
        if COLUMN.value != COLUMN.default or FORMAT.value:
            raise ProducerError(problem)
        note(logging.WARNING, f"{problem}. Until then, its rows are sent one a second")
        for index, (_, each) in enumerate(chain(head, rows)):
            # One a second at any speed: this multiplies a pace that is not known.
            pause = SPEED.value if index > 0 else 0.0
            yield pause, f"row {index + 1}", {name: cell(text) for name, text in each.items()}


def paced(
    path: Path, columns: list[str], rows: Iterable[tuple[int, Cells]]
) -> Generator[tuple[float, str, Row]]:
    """Yield the same at the pace of the times in some columns."""
    before: float | None = None
    last_step = 0.0
    is_whole = True
    for number, cells in rows:
        text = text_in(cells, columns)
        time = time_of(text)
        if time is None:
            if is_whole:
                problem = f"{path}, line {number}: {no_time(columns, cells)}"
                note(logging.WARNING, f"{problem}; such rows are left out")
            is_whole = False
            continue
        step = 0.0 if before is None else time - before
        # Some files have the newest row first. In others, a clock was set back: that is no pause.
        pause = 0.0 if step < 0 < last_step else abs(step)
        last_step = step or last_step
        others = {name: cell(other) for name, other in cells.items() if name not in columns}
        yield pause, text, others
        before = time


def quoted(columns: list[str]) -> str:
    """Return the names of columns as text."""
    return " and ".join(map(repr, columns))


def no_time(columns: list[str], cells: Cells) -> str:
    """Return what is wrong with a row, and what to do."""
    times = "a time such as 12.5 or 2026-01-01 10:00"
    if columns[0] in cells:
        text = text_in(cells, columns)[:40]
        problem = f"does not have the format {FORMAT.value}" if FORMAT.value else f"is not {times}"
        fix = f"correct it, or set {FORMAT.variable} to {formats(text)}"
        return f"{text!r} in column {quoted(columns)} {problem}; {fix}"
    wanted = f"no column {quoted(columns)}" if COLUMN.value != COLUMN.default else "no time"
    fix = f"let {COLUMN.variable} name one with {times}"
    return f"there is {wanted} among the columns; {fix}. They are {', '.join(cells)}"


def formats(text: str) -> str:
    """Return the formats that a date may have: 1/2/2026 has two."""
    found = []
    for form in (f"{date}{hours}" for date in DATE_FORMATS for hours in HOUR_FORMATS):
        with suppress(ValueError):
            datetime.strptime(text, form)
            found.append(form)
    return " or ".join(found[:2]) or "its format, such as %m/%d/%Y %I:%M %p"


@producer
async def replay_csv() -> AsyncIterator[Message]:
    clock = asyncio.get_running_loop().time
    due = clock()
    with closing(timed(Path(PATH.value))) as rows:
        for pause, time, row in rows:
            pause /= SPEED.value
            if pause > PAUSE.value:
                limit = f"rows come {PAUSE.value:g} s apart at most"
                fix = f"{SPEED.variable} sets the speed, {PAUSE.variable} the longest pause"
                note(logging.INFO, f"{PATH.value}: {limit}; {fix}")
            # Each row is due relative to when the one before was due, so delays do not add up.
            due += min(PAUSE.value, pause)
            await asyncio.sleep(max(0.0, due - clock()))
            text = ", ".join(f"{name} {each}" for name, each in row.items() if each is not None)
            yield Message(f"{time}: {text}", value=row)
