"""Limit the log: repeated lines are counted instead of written, and no line is longer than a bound."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

INTERVAL_S = 1.0
"""Seconds over which lines are counted."""
LINES_PER_INTERVAL = 50
"""Lines of one kind that are written in an interval; further ones are only counted."""
KIND_BYTES_PER_INTERVAL = 6 * 1024
"""Bytes of one kind in an interval. A first line is written whatever its size, such as a traceback."""
BYTES_PER_INTERVAL = 12 * 1024
"""Bytes of all kinds together in an interval, but for the first line of each kind."""
MAX_KINDS = 100
"""Kinds that are counted apart; lines of further kinds count as one kind."""
MESSAGE_CHARACTERS = 2000
"""Characters of one message; its middle is left out if it has more."""
TRACEBACK_CHARACTERS = 6000
"""The same for a traceback."""

# Where the text of a message without arguments begins to vary: a value, or a second line.
_VALUE = re.compile(r"[\d:'\"(\[{<\n]")
_OTHER_KINDS = ("", 0, "", 0, "", None)

Kind = tuple[str, int, str, int, str, type[BaseException] | None]


@dataclass(slots=True)
class _Count:
    """What one kind of lines had in the present interval.

    Arguments:
        first: its first record; the line with the count names it.
    """

    first: logging.LogRecord
    lines: int = 0
    size: int = 0
    left_out: int = 0


class LimitedHandler(logging.StreamHandler[IO[str]]):
    """Write log lines to a stream, up to 50 lines or 6 KiB of one kind in a second.

    Lines are of one kind if they have the same logger, level, place in the code, template and type of
    exception. The lines that are left out are counted. One line reports their number at the end of the
    second, so nothing is left out silently, and no kind hides another one. Debug lines are not limited:
    only a developer asks for them.

    Arguments:
        stream: gets the lines.
        now: returns seconds on a monotonic clock.
        call_later: calls a function once after so many seconds, in any thread. It is called only when
            a line was left out.
    """

    def __init__(
        self,
        stream: IO[str],
        now: Callable[[], float] = time.monotonic,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        super().__init__(stream)
        self._now = now
        self._call_later = call_later or _call_later
        self._began = 0.0
        self._size = 0
        self._counts: dict[Kind, _Count] = {}
        self._reports_later = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it. `logging` calls this with the handler's lock held."""
        if record.levelno <= logging.DEBUG:
            super().emit(record)
            return
        if self._now() - self._began >= INTERVAL_S:
            self._report()
        kind = _kind_of(record)
        if kind not in self._counts and len(self._counts) >= MAX_KINDS:
            kind = _OTHER_KINDS
        count = self._counts.setdefault(kind, _Count(record))
        is_over = count.lines >= LINES_PER_INTERVAL or count.size >= KIND_BYTES_PER_INTERVAL
        if is_over or (count.lines and self._size >= BYTES_PER_INTERVAL):
            count.left_out += 1
            if not self._reports_later:
                self._reports_later = True
                self._call_later(INTERVAL_S, self.report)
            return
        count.lines += 1
        size = self._write(record)
        count.size += size
        self._size += size

    def report(self) -> None:
        """Write a line with the number of lines of each kind that were left out; begin to count anew."""
        self.acquire()
        try:
            self._reports_later = False
            self._report()
        finally:
            self.release()

    def close(self) -> None:
        """Report what was left out, and close."""
        self.report()
        super().close()

    def _report(self) -> None:
        seconds = self._now() - self._began
        counts, self._counts = self._counts, {}
        self._began, self._size = self._now(), 0
        for count in counts.values():
            if count.left_out:
                self._write(_summary(count, seconds))

    def _write(self, record: logging.LogRecord) -> int:
        """Write a line; return its number of bytes."""
        try:
            line = self.format(record)
            self.stream.write(line + self.terminator)
            self.flush()
        except Exception:
            self.handleError(record)
            return 0
        return len(line.encode(errors="replace"))


def _kind_of(record: logging.LogRecord) -> Kind:
    """Return what records of one kind have in common."""
    template = str(record.msg)
    if not record.args:
        found = _VALUE.search(template)
        template = template[: found.start()] if found else template
    error = record.exc_info[0] if record.exc_info else None
    return record.name, record.levelno, record.pathname, record.lineno, template[:200], error


def shorten(text: str, limit: int) -> str:
    """Return text with its middle left out if it has more characters than `limit`."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} ... {len(text) - 2 * half:,} more characters ... {text[-half:]}"


def _summary(count: _Count, seconds: float) -> logging.LogRecord:
    first = count.first
    line = "line" if count.left_out == 1 else "lines"
    text = f"%s more {line} like this in the last %.1f s: %s"
    arguments = (f"{count.left_out:,}", seconds, shorten(" ".join(first.getMessage().split()), 200))
    summary = logging.LogRecord(
        first.name, first.levelno, first.pathname, first.lineno, text, arguments, None
    )
    summary.left_out, summary.seconds = count.left_out, seconds
    return summary


def _call_later(seconds: float, function: Callable[[], None]) -> None:
    # Not a timer of the event loop: plugins log from threads, and commands have no loop.
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()
