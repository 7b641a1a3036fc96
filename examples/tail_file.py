"""Show the new lines of a log file, and how many of each level came; follow rotation and truncation."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from rtdemo import Option, producer

PATH = Option(str, help="The file to follow; it need not exist yet.")
BEGINNING = Option(bool, False, "Whether to start at the file's beginning instead of its end.")
EVERY = Option(float, 0.25, "Seconds between two reads of the file.")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
CHUNK = 64 * 1024
"""Bytes per read: a large file must not block the event loop or flood a client."""


class Tail:
    """Read new lines of a file; a line counts once its line break is written."""

    def __init__(self, path: Path, from_beginning: bool) -> None:
        self.path = path
        self.rest = b""
        # Begin as if the file had just replaced an empty one.
        self.file = Path(os.devnull).open("rb")  # noqa: SIM115 - closed where it is replaced
        if not from_beginning:
            self._open()
            self.file.seek(0, os.SEEK_END)

    def look(self) -> list[str]:
        """Return the lines that were completed since the last call."""
        is_replaced = self._is_replaced()
        chunk = self.file.read(CHUNK)
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        # Read a replaced file to its end first; its last line will never be completed.
        is_over = is_replaced and not chunk
        if self.rest and (is_over or len(self.rest) >= CHUNK):
            lines.append(self.rest)
            self.rest = b""
        if is_over:
            self._open()
        return [line.decode(errors="replace").removesuffix("\r") for line in lines]

    def _is_replaced(self) -> bool:
        """Return whether the path now names another file, as after a rotation."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False
        if not os.path.samestat(now, os.fstat(self.file.fileno())):
            return True
        # Truncated. A file that has since grown past its old size cannot be recognised.
        if now.st_size < self.file.tell():
            self.file.seek(0)
            self.rest = b""
        return False

    def _open(self) -> None:
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return  # between two files; the next call finds the new one
        self.file.close()
        self.file = file


counts: Counter[str] = Counter()
"""Lines of each level since the last report."""


@producer(shared=True, title="Log")
async def tail_file() -> AsyncIterator[str]:
    tail = Tail(Path(PATH.value), BEGINNING.value)
    try:
        while True:
            for line in tail.look():
                counts.update(level for level in LEVELS if level in line)
                yield line
            await asyncio.sleep(EVERY.value)
    finally:  # also runs when the server stops
        tail.file.close()


@producer(every=5, shared=True, title="Lines by level", unit="in 5 s")
def tail_file_levels() -> dict[str, int]:
    report = {level: counts[level] for level in LEVELS}
    counts.clear()
    return report
