"""Files that a command writes after it has measured, and reads to compare."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from rtdemo.errors import FileError


def read_bytes(path: Path, most: int, fix: str) -> bytes:
    """Return the content of a file.

    Arguments:
        path: of the file.
        most: bytes that it may have.
        fix: how to make such a file, for errors.

    Raises:
        FileError: if it cannot be read, is no regular file, or is larger.
    """
    try:
        # Reading a pipe would wait, and a device may have no end.
        if path.exists() and not path.is_file():
            raise FileError(path, f"is not a regular file; {fix}")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from error
    if len(content) > most:
        raise FileError(path, f"is over {most >> 20} MiB, too large for this; {fix}")
    return content


def check_writable(path: Path) -> None:
    """Check before a run that its file can be written afterwards.

    Raises:
        FileError: if it cannot.
    """
    try:
        if path.exists() and not path.is_file():
            # Opening a pipe would wait for its reader.
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        part = _part(path)
        part.touch()
        part.unlink()
    except OSError as error:
        raise _not_written(path, error) from error


def write(path: Path, content: bytes) -> None:
    """Write a file completely or not at all; to a device or a pipe, write directly.

    Raises:
        FileError: if it cannot be written.
    """
    part = _part(path)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise _not_written(path, error) from error


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _not_written(path: Path, error: OSError) -> FileError:
    return FileError(path, f"cannot be written: {error.strerror or error}")
