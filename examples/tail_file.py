"""Follow a growing file, each client for itself, also when it is rotated or truncated."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from rtdemo import Option, producer

PATH = Option(str, help="The file to follow; it need not exist yet.")
BEGINNING = Option(bool, False, "Whether a client starts at the file's beginning, not at its end.")
EVERY = Option(float, 0.25, "Seconds between two looks at the file.")

CHUNK = 64 * 1024
"""Bytes read at a look: a file that is large floods neither the loop nor a client."""


class Tail:
    """Read the lines that a file gets; a line counts once its end is written."""

    def __init__(self, path: Path, from_beginning: bool) -> None:
        self.path = path
        self.rest = b""
        # As if the file had just come in place of an empty one.
        self.file = Path(os.devnull).open("rb")  # noqa: SIM115 - closed where it is replaced
        if not from_beginning:
            self._open()
            self.file.seek(0, os.SEEK_END)

    def look(self) -> list[str]:
        """Return the lines that were finished since the last look."""
        is_replaced = self._is_replaced()
        chunk = self.file.read(CHUNK)
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        # A file that was replaced is read to its end first; nobody will finish its last line.
        is_over = is_replaced and not chunk
        if self.rest and (is_over or len(self.rest) >= CHUNK):
            lines.append(self.rest)
            self.rest = b""
        if is_over:
            self._open()
        return [line.decode(errors="replace").removesuffix("\r") for line in lines]

    def _is_replaced(self) -> bool:
        """Tell whether the path names another file, as after a rotation."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False
        if not os.path.samestat(now, os.fstat(self.file.fileno())):
            return True
        # Truncated. One that has grown past its old size again looks like one that only grew.
        if now.st_size < self.file.tell():
            self.file.seek(0)
            self.rest = b""
        return False

    def _open(self) -> None:
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return  # between two files; the next look finds it
        self.file.close()
        self.file = file


@producer
async def tail_file() -> AsyncIterator[str]:
    tail = Tail(Path(PATH.value), BEGINNING.value)
    try:
        while True:
            for line in tail.look():
                yield line
            await asyncio.sleep(EVERY.value)
    finally:  # reached when the client leaves, too
        tail.file.close()
