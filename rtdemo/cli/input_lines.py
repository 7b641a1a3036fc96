"""Lines of standard input for `rtdemo publish -`: reports a silence, and lines that are left out."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from threading import Timer

SILENCE_S = 10.0
"""Seconds without any line after which a pipe is reported."""
MAX_KINDS = 20
"""Kinds of bad lines of which the first is reported in full."""
FIRST_COUNT = 10
"""Further bad lines after which their number is reported, and again after ten times as many."""
_SILENCE = (
    "no line has arrived yet; if a program in the pipe holds lines back, use fflush() in awk (in mawk "
    "also -W interactive), grep --line-buffered, sed -u, python -u, or stdbuf -oL before others like cut"
)
_NOTHING = "standard input had no line; nothing was published"

Report = Callable[[str], object]
"""Takes one sentence for the user."""


class BadLines:
    """Report the first bad line of each kind, and count the others: a pipe may have one a second.

    Arguments:
        report: takes each sentence.

    Attributes:
        count: of all bad lines.
    """

    def __init__(self, report: Report) -> None:
        self.count = 0
        self._report = report
        self._kinds: set[str] = set()
        self._more = self._reported = 0
        self._last = ""
        self._next_count = FIRST_COUNT

    def note(self, name: str, kind: str, sentence: str) -> None:
        """Take a bad line.

        Arguments:
            name: of the line, such as `line 3`.
            kind: what is wrong, in words that other such lines share.
            sentence: for the first of its kind.
        """
        self.count += 1
        if kind not in self._kinds and len(self._kinds) < MAX_KINDS:
            self._kinds.add(kind)
            self._report(sentence)
            return
        self._more += 1
        self._last = name
        if self._more == self._next_count:
            self._next_count *= 10
            self.close()

    def close(self) -> None:
        """Report the number of bad lines that were not reported one by one, if it has grown."""
        if self._more > self._reported:
            self._reported = self._more
            lines = "1 more such line" if self._more == 1 else f"{self._more} more such lines"
            self._report(f"{lines}; the last is {self._last}")


def read(report: Report, is_quiet: bool) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, each with its number from 1 on, as they arrive.

    Arguments:
        report: takes a sentence if there is no line, or none after `SILENCE_S` in a pipe.
        is_quiet: do not report such a silence.
    """
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]  # it is a TextIOWrapper
    silence = Timer(SILENCE_S, report, (_SILENCE,))
    silence.daemon = True
    if not is_quiet and _is_pipe():
        silence.start()
    number = 0
    try:
        for number, line in enumerate(sys.stdin, 1):
            silence.cancel()
            if line.strip():
                yield number, line.rstrip("\r\n")
    finally:
        silence.cancel()
    if number == 0:
        report(_NOTHING)


def _is_pipe() -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode)
    except OSError:
        return False
