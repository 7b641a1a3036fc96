"""Ask the other workers of the same parent, so that whichever answers speaks for all."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import aiohttp
import msgspec
from aiohttp import web

from rtdemo.hub import statistics
from rtdemo.hub.statistics import Statistics
from rtdemo.plugin_system.registry import MAX_PRODUCERS

PATIENCE = 1.0
"""Seconds for what a sibling answers at once; one that stands still is left out."""
HEARING = 30.0
"""Seconds for a sibling to hear a text: plugins may take 10 s each, and texts before it come first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold a sibling's answer; 504 stands for none in time, 404 for one that is gone."""

    status: int
    body: bytes = b""


class OtherWorkers:
    """Reach the workers that share a folder, each by a socket of its own there.

    Only the user who runs them may open the folder: who comes by such a socket is one of them.

    Arguments:
        folder: None where this server is the only one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @property
    def own(self) -> Path | None:
        """Where this worker is to listen for the others."""
        return socket_of(self._folder, os.getpid()) if self._folder is not None else None

    async def ask(self, method: str, path: str) -> list[Answer]:
        """Send a request to every other worker and return the answers that came in time."""
        asked = (ask(sibling, method, path, b"", PATIENCE) for sibling in self._others())
        return [answer for answer in await asyncio.gather(*asked) if answer.status != 504]

    async def hand_over(self, path: str, body: bytes) -> Answer:
        """Post what concerns one of the other workers, which the rest answer with 404.

        Returns:
            That worker's answer; 504 where one did not answer in time; else 404.
        """
        asked = [
            asyncio.ensure_future(ask(sibling, "POST", path, body, HEARING))
            for sibling in self._others()
        ]
        found = Answer(404)
        try:
            for coming in asyncio.as_completed(asked):
                answer = await coming
                if answer.status not in (404, 504):
                    return answer
                found = max(found, answer, key=lambda answer: answer.status)
            return found
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    def close(self, orphaned: bool = False) -> None:
        """Be gone from the folder; where the parent has died, the last one out removes it."""
        if self._folder is not None and self.own is not None:
            self.own.unlink(missing_ok=True)
            if orphaned and not any(self._others()):
                rmtree(self._folder, ignore_errors=True)

    def _others(self) -> Iterable[Path]:
        found = sorted(self._folder.glob("*.sock")) if self._folder is not None else []
        return (path for path in found if path != self.own)


async def ask(worker: Path, method: str, path: str, body: bytes, patience: float) -> Answer:
    """Send a request to the worker that listens on a socket file; give up after so many seconds."""
    connector = aiohttp.UnixConnector(str(worker))
    timeout = aiohttp.ClientTimeout(total=patience)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
            http.request(method, f"http://worker{path}", data=body) as answer,
        ):
            return Answer(answer.status, await answer.read())
    except TimeoutError:
        return Answer(504)
    except (aiohttp.ClientError, OSError):
        # It is gone, and what it had with it.
        return Answer(404)


def is_from_other_worker(request: web.Request) -> bool:
    """Tell whether another worker asks."""
    transport = request.transport
    name = transport.get_extra_info("sockname") if transport is not None else None
    return isinstance(name, str) and bool(name)


def socket_of(folder: Path, pid: int) -> Path:
    """Return where a worker listens for the others."""
    return folder / f"{pid}.sock"


log = logging.getLogger(__name__)


class Gone(msgspec.Struct):
    """Hold what the workers that are gone had counted.

    Arguments:
        total: of all of them.
        last: whose file was added last; it may still be there.
    """

    total: Statistics
    last: int


class CounterFiles:
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
