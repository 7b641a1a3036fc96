"""Keep on file what each worker has counted, so that no sum falls when one is gone or stands still."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from rtdemo import statistics
from rtdemo.roster import MAX_PRODUCERS
from rtdemo.statistics import Statistics

log = logging.getLogger(__name__)


class Gone(msgspec.Struct):
    """Hold what the workers that are gone had counted.

    Arguments:
        total: of all of them.
        last: whose file was added last; it may still be there.
    """

    total: Statistics
    last: int


class Tally:
    """Note and read what was counted, one file a worker; their parent adds up those of the gone.

    A worker notes what it counted before it tells it: what was shown once is never lost.

    Arguments:
        folder: the workers'; None where this server is the only one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def note(self, counted: Statistics) -> None:
        """Put a worker's own statistics on file."""
        if self._folder is not None:
            _write(_file(self._folder, counted.worker), counted)

    def read(self) -> dict[int, Statistics]:
        """Return what was counted, by worker; under 0 what those that are gone had counted."""
        if self._folder is None:
            return {}
        while True:
            gone = _gone(self._folder)
            files = [path for path in self._folder.glob("*.json") if path.stem.isdecimal()]
            found = {int(path.stem): _read(path) for path in files}
            if _gone(self._folder) == gone:
                break
        if gone is not None:
            found.pop(gone.last, None)
            found[0] = gone.total
        return {worker: counted for worker, counted in found.items() if counted is not None}

    def close(self, worker: int) -> None:
        """Add what a worker that is gone had counted to the rest; for the parent alone."""
        if self._folder is None or (counted := _read(_file(self._folder, worker))) is None:
            return
        gone, total = _gone(self._folder), counted.past()
        if gone is not None:
            gone.total.add(total)
            total = gone.total
        # Names that a plugin invents would add up without end.
        del total.producers[MAX_PRODUCERS:]
        if _write(self._folder / "gone.json", Gone(total, worker)):
            _file(self._folder, worker).unlink(missing_ok=True)


def _file(folder: Path, worker: int) -> Path:
    return folder / f"{worker}.json"


def _gone(folder: Path) -> Gone | None:
    try:
        return msgspec.json.decode((folder / "gone.json").read_bytes(), type=Gone)
    except (OSError, msgspec.DecodeError):
        return None


def _read(path: Path) -> Statistics | None:
    try:
        return statistics.read(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        # None yet, or that of another version, from before SIGHUP.
        return None


def _write(path: Path, content: Statistics | Gone) -> bool:
    new = path.with_suffix(".new")
    try:
        new.write_bytes(msgspec.json.encode(content))
        new.replace(path)
    except OSError as error:
        log.debug("%s is not noted: %s", path, error)
        return False
    return True
