"""The last part of what a command prints, in a file without a name."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile

from rtdemo.errors import printable

MAX_BYTES = 1024 * 1024
"""Size from which the beginning of the file is dropped."""
KEPT_BYTES = 64 * 1024
"""What is kept of it then: its end."""
PERIOD_S = 1.0
"""Seconds between two looks at the size."""
_MAX_LINE = 300


class CommandOutput:
    """What a command prints.

    A pipe would stop a server that prints much while storm is busy, so it writes to a file.

    Attributes:
        file: for the command to write to.
    """

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._handle = self.file.fileno()
        # Each write goes to the end, also when the file has become shorter.
        fcntl.fcntl(self._handle, fcntl.F_SETFL, fcntl.fcntl(self._handle, fcntl.F_GETFL) | os.O_APPEND)

    async def bound(self) -> None:
        """Drop the beginning of a file that grows, until cancelled."""
        while True:
            self.trim()
            await asyncio.sleep(PERIOD_S)

    def trim(self) -> None:
        """Drop all but the end if the file is too large."""
        size = os.fstat(self._handle).st_size
        if size > MAX_BYTES:
            end = os.pread(self._handle, KEPT_BYTES, size - KEPT_BYTES)
            os.ftruncate(self._handle, 0)
            os.write(self._handle, end)

    def last_line(self) -> str:
        """Return the last line that is not blank, as the end of a sentence; empty if there is none."""
        size = os.fstat(self._handle).st_size
        tail = os.pread(self._handle, 4 * _MAX_LINE, max(0, size - 4 * _MAX_LINE))
        lines = tail.decode(errors="replace").split("\n")
        found = [line for line in map(str.strip, lines) if line]
        return f"its last line: {printable(found[-1])[:_MAX_LINE]}" if found else ""

    def close(self) -> None:
        """Close the file, which removes it."""
        self.file.close()
