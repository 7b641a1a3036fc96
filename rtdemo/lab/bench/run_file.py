"""Read the file of a bench run, of this version or an older one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rtdemo.errors import FileError
from rtdemo.lab import result_file
from rtdemo.lab.bench.result import FORMAT, VERSION, Run
from rtdemo.protocol.message import DECODE_ERRORS

OLDEST_VERSION = 1
"""Oldest version that can still be read."""
MAX_FILE_BYTES = 256 * 1024 * 1024
_FIX = "create one with rtdemo bench --json"
_RENAMED: Mapping[str, str] = {
    "clockError": "clockErrorMs",
    "cpu": "cpuSeconds",
    "jitter": "jitterMs",
    "memory": "memoryBytes",
    "others": "otherCores",
    "periods": "periodsMs",
    "serverCpu": "serverCpuSeconds",
}
"""Keys of a round, of its figures and of its costs in version 1, and what they are called now."""


_CHANGED = ("notes", "parity", "warnings")
"""Keys of a run with other content in version 1; a comparison does not need them."""


class _FileHeader(msgspec.Struct):
    format: str = ""
    version: int = 0


def read(path: Path) -> Run:
    """Read a run file.

    Raises:
        FileError: if it cannot be read, is not a run file, or has another version.
    """
    try:
        text = result_file.read_bytes(path, MAX_FILE_BYTES, _FIX)
        header = msgspec.json.decode(text, type=_FileHeader)
        if header.format != FORMAT:
            raise FileError(path, f"is not a run file; {_FIX}")
        if not OLDEST_VERSION <= header.version <= VERSION:
            versions = f"{OLDEST_VERSION} to {VERSION}"
            problem = f"is a run file of version {header.version}, but this rtdemo reads {versions}"
            raise FileError(path, f"{problem}; measure again")
        if header.version < VERSION:
            return _upgrade(text)
        return msgspec.json.decode(text, type=Run)
    except DECODE_ERRORS as error:
        raise FileError(path, f"is not a run file: {error}; {_FIX}") from error


def _upgrade(text: bytes) -> Run:
    """Return the figures of a file of version 1: its keys had no units, and its findings no codes."""
    content = msgspec.json.decode(text, type=dict[str, Any])
    content = {key: value for key, value in content.items() if key not in _CHANGED}
    for one in _objects(content.get("rounds")):
        for part in (one, *_objects([one.get("figures")]), *_objects(one.get("costs"))):
            for old in part.keys() & _RENAMED.keys():
                part[_RENAMED[old]] = part.pop(old)
    return msgspec.convert(content | {"version": VERSION}, Run, str_keys=True)


def _objects(found: object) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
