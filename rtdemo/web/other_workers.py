"""Reach the other workers of the same parent, so that any of them can answer for all.

Each worker listens on a Unix socket in a folder that they share, and writes its counters to a file
there.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import aiohttp
import msgspec
from aiohttp import web

from rtdemo.hub import statistics
from rtdemo.hub.statistics import Statistics
from rtdemo.plugin_system.producer_registry import MAX_PRODUCERS
from rtdemo.protocol.client import worker_of

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 1.0
"""Seconds for another worker to answer what needs no plugin; one that is late is left out."""
RECEIVE_TIMEOUT_S = 30.0
"""Seconds for another worker to handle a text: a plugin may take 10 s, and earlier texts come first."""
MAX_LOOKUPS = 16
"""Look-ups at one other worker at the same time; further ones wait. So a flood of posts to unknown
clients leaves that worker time for everything else."""
LOOKUP_KEEPALIVE_S = 1.0
"""Seconds for which an idle connection for look-ups stays open."""
_NOT_HERE = (404, 504)
"""Statuses of a worker that does not have the stream, or does not answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold another worker's answer.

    Arguments:
        status: HTTP status; 504 for no answer in time, 404 for a worker that has exited.
        body: the answer's body.
    """

    status: int
    body: bytes = b""


class OtherWorkers:
    """Send requests to the other workers, each on its own socket in the shared folder.

    Only the user who runs the workers can open the folder, so a request on such a socket is from one
    of them.

    Arguments:
        folder: the shared folder; None for a server without other workers.

    Attributes:
        own_pid: process id of this worker; None without other workers.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.own_pid = os.getpid() if folder is not None else None
        self._folder = folder
        # For look-ups, by the worker's socket. Their connections are used again: a new one costs more
        # than a look-up.
        self._sessions: dict[Path, aiohttp.ClientSession] = {}

    @property
    def own_socket(self) -> Path | None:
        """Path of the socket on which this worker listens; None without other workers."""
        return socket_of(self._folder, os.getpid()) if self._folder is not None else None

    async def ask(self, method: str, path: str) -> list[Answer]:
        """Send a request to every other worker, and return the answers that came in time."""
        asked = (ask(worker, method, path, b"", ANSWER_TIMEOUT_S) for worker in self._others())
        return [answer for answer in await asyncio.gather(*asked) if answer.status != 504]

    async def post_to_owner(
        self, client_id: str, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Post a request to the worker that a client's id names.

        The worker is asked for the client first, by GET. So a flood of requests about nobody costs it
        little.

        Arguments:
            client_id: whose request it is, or any other text.
            path: path and query of the request.
            body: of the request.
            headers: of the request.

        Returns:
            That worker's answer; 504 if it did not answer in time; 404 without such a client.
        """
        answer = await self.look_up(client_id, path, RECEIVE_TIMEOUT_S)
        owner = self._owner(client_id)
        if owner is None or answer.status in _NOT_HERE:
            return answer
        return await ask(owner, "POST", path, body, RECEIVE_TIMEOUT_S, headers)

    async def look_up(self, client_id: str, path: str, timeout_s: float = ANSWER_TIMEOUT_S) -> Answer:
        """Send a GET request to the worker that a client's id names; 404 if it names no other worker.

        Arguments:
            client_id: which client the request is about, or any other text.
            path: path and query of the request.
            timeout_s: seconds to wait for the answer, and before for its turn.
        """
        owner = self._owner(client_id)
        if owner is None:
            return Answer(404)
        session = self._sessions.get(owner)
        if session is None:
            connector = aiohttp.UnixConnector(
                str(owner), limit=MAX_LOOKUPS, keepalive_timeout=LOOKUP_KEEPALIVE_S
            )
            session = self._sessions[owner] = aiohttp.ClientSession(connector=connector)
            await self.disconnect(keep={owner, *self._others()})
        return await _send(session, "GET", path, b"", timeout_s)

    def _owner(self, client_id: str) -> Path | None:
        """Return the socket of the other worker that a client's id names; None if there is none."""
        worker = worker_of(client_id)
        if worker is None or worker == self.own_pid or self._folder is None:
            return None
        owner = socket_of(self._folder, worker)
        return owner if owner.exists() else None

    def close(self, orphaned: bool = False) -> None:
        """Remove this worker's socket.

        Arguments:
            orphaned: whether the parent has died. Then the last worker also removes the folder.
        """
        if self._folder is not None and self.own_socket is not None:
            self.own_socket.unlink(missing_ok=True)
            if orphaned and not any(self._others()):
                rmtree(self._folder, ignore_errors=True)

    async def disconnect(self, keep: Collection[Path] = ()) -> None:
        """Close the connections for look-ups.

        Arguments:
            keep: the workers whose connections stay open, as paths of their sockets.
        """
        gone = [self._sessions.pop(worker) for worker in self._sessions.keys() - keep]
        for session in gone:
            await session.close()

    def _others(self) -> Iterable[Path]:
        found = sorted(self._folder.glob("*.sock")) if self._folder is not None else []
        return (path for path in found if path != self.own_socket)


async def ask(
    worker: Path,
    method: str,
    path: str,
    body: bytes,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request to one worker, and return its answer.

    Arguments:
        worker: path of the socket on which it listens.
        method: HTTP method.
        path: path and query of the request.
        body: of the request.
        timeout_s: seconds to wait for the whole answer.
        headers: of the request.
    """
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(worker))) as http:
        return await _send(http, method, path, body, timeout_s, headers)


async def _send(
    http: aiohttp.ClientSession,
    method: str,
    path: str,
    body: bytes,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request in a session that is connected to a worker; return its answer, as `ask` does."""
    url = f"http://worker{path}"
    try:
        # aiohttp's own limit may lose a cancellation that comes at the same moment.
        async with (
            asyncio.timeout(timeout_s),
            http.request(method, url, data=body, headers=headers) as answer,
        ):
            return Answer(answer.status, await answer.read())
    except TimeoutError:
        return Answer(504)
    except (aiohttp.ClientError, OSError):
        # The worker has exited, and its connections with it.
        return Answer(404)


def is_from_other_worker(request: web.Request) -> bool:
    """Return whether a request is from another worker."""
    transport = request.transport
    name = transport.get_extra_info("sockname") if transport is not None else None
    return isinstance(name, str) and bool(name)


def socket_of(folder: Path, pid: int) -> Path:
    """Return the path of the socket on which a worker listens for the others.

    Arguments:
        folder: the shared folder.
        pid: process id of the worker.
    """
    return folder / f"{pid}.sock"


class _Exited(msgspec.Struct):
    """Hold the counters of the workers that have exited.

    Arguments:
        total: sum over all of them.
        last: process id of the worker that was added last; its own file may still exist.
    """

    total: Statistics
    last: int


class CounterFiles:
    """Write and read workers' counters, one file a worker; their parent adds up the exited ones.

    A worker writes its counters before it reports them, so that no counter ever goes down.

    Arguments:
        folder: the workers' shared folder; None for a server without other workers.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def write(self, counted: Statistics) -> None:
        """Write a worker's own statistics to its file."""
        if self.folder is not None:
            _write(_file(self.folder, counted.worker), counted)

    def read(self) -> dict[int, Statistics]:
        """Return the statistics on file by process id; those of exited workers added up under 0."""
        if self.folder is None:
            return {}
        while True:
            exited = _read_exited(self.folder)
            files = [path for path in self.folder.glob("*.json") if path.stem.isdecimal()]
            found = {int(path.stem): _read(path) for path in files}
            if _read_exited(self.folder) == exited:
                break
        if exited is not None:
            found.pop(exited.last, None)
            found[0] = exited.total
        return {worker: counted for worker, counted in found.items() if counted is not None}

    def add_exited(self, worker: int) -> None:
        """Add the counters of a worker that has exited to the sum; only the parent may call this.

        Arguments:
            worker: its process id.
        """
        if self.folder is None or (counted := _read(_file(self.folder, worker))) is None:
            return
        exited, total = _read_exited(self.folder), counted.past()
        if exited is not None:
            exited.total.add(total)
            total = exited.total
        # The names that a plugin invents would add up without bound.
        del total.producers[MAX_PRODUCERS:]
        if _write(_exited_file(self.folder), _Exited(total, worker)):
            _file(self.folder, worker).unlink(missing_ok=True)


def _file(folder: Path, worker: int) -> Path:
    return folder / f"{worker}.json"


def _exited_file(folder: Path) -> Path:
    return folder / "gone.json"


def _read_exited(folder: Path) -> _Exited | None:
    try:
        return msgspec.json.decode(_exited_file(folder).read_bytes(), type=_Exited)
    except (OSError, msgspec.DecodeError):
        return None


def _read(path: Path) -> Statistics | None:
    try:
        return statistics.read(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        # There is none yet, or one of another version, from before a reload by SIGHUP.
        return None


def _write(path: Path, content: Statistics | _Exited) -> bool:
    new = path.with_suffix(".new")
    try:
        new.write_bytes(msgspec.json.encode(content))
        new.replace(path)
    except OSError as error:
        log.debug("%s was not written: %s", path, error)
        return False
    return True
