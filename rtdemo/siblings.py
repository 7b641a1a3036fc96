"""Ask the other workers of the same parent, so that whichever answers speaks for all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import aiohttp
from aiohttp import web

PATIENCE = 1.0
"""Seconds for what a sibling answers at once; one that stands still is left out."""
HEARING = 30.0
"""Seconds for a sibling to hear a text: plugins may take 10 s each, and texts before it come first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold a sibling's answer; 504 stands for none in time, 404 for one that is gone."""

    status: int
    body: bytes = b""


class Siblings:
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


def is_from_sibling(request: web.Request) -> bool:
    """Tell whether another worker asks."""
    transport = request.transport
    name = transport.get_extra_info("sockname") if transport is not None else None
    return isinstance(name, str) and bool(name)


def socket_of(folder: Path, pid: int) -> Path:
    """Return where a worker listens for the others."""
    return folder / f"{pid}.sock"
