"""Hand listening sockets from the parent process to its workers."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

import msgspec

from rtdemo.errors import RtdemoError
from rtdemo.listen import sites
from rtdemo.settings import Settings

log = logging.getLogger(__name__)

VARIABLE = "RTDEMO_WORKER"
"""Environment variable that tells a process that it is a worker; its parent sets it."""


class Inheritance(msgspec.Struct, frozen=True):
    """Hold what a worker gets from its parent, as numbers of open files.

    Arguments:
        sockets: the listening sockets of each site, by its settings' prefix.
        addresses: the host and port that the parent's settings gave each of them.
        parent: a pipe that ends with the parent.
        ready: a pipe to write to once the worker serves.
        folder: where the workers listen for each other and note what they count.
        since: when the parent started, by `time.monotonic`.
        announce: whether the worker prints where it serves.
    """

    sockets: dict[str, list[int]]
    addresses: dict[str, tuple[str, int]]
    parent: int
    ready: int
    folder: str
    since: float
    announce: bool

    @property
    def files(self) -> list[int]:
        """Every file that is handed over."""
        sockets = [number for numbers in self.sockets.values() for number in numbers]
        return [*sockets, self.parent, self.ready]

    def open(self) -> dict[str, list[socket.socket]]:
        """Return the sockets."""
        return {
            prefix: [socket.socket(fileno=number) for number in numbers]
            for prefix, numbers in self.sockets.items()
        }

    def settled(self, settings: Settings) -> Settings:
        """Return settings with the parent's addresses, whose sockets these are."""
        if {prefix: (host, port) for prefix, host, port in sites(settings)} == self.addresses:
            return settings
        log.warning("the addresses are the parent's; restart to change them")
        changes: dict[str, object] = {"single_site": len(self.addresses) == 1}
        for prefix, (host, port) in self.addresses.items():
            changes |= {f"{prefix}host": host, f"{prefix}port": port}
        return msgspec.structs.replace(settings, **changes)

    def on_orphaned(self, call: Callable[[], object]) -> None:
        """Have something called once the parent has ended, however: nobody replaces this worker then."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.parent)
            call()

        loop.add_reader(self.parent, ended)

    @property
    def is_orphaned(self) -> bool:
        """Whether the parent has ended."""
        looking = select.poll()
        looking.register(self.parent, select.POLLIN)
        return bool(looking.poll(0))

    def tell_ready(self) -> None:
        """Tell the parent that connections are served from now on."""
        os.write(self.ready, b"1")
        os.close(self.ready)


def take(environ: MutableMapping[str, str]) -> Inheritance | None:
    """Return what this process inherited; None where it is no worker.

    It goes no further: a program that a plugin starts would keep the ports after the stop.

    Raises:
        RtdemoError: when the variable was set by somebody else.
    """
    text = environ.pop(VARIABLE, "")
    if not text:
        return None
    try:
        heir = msgspec.json.decode(text, type=Inheritance)
        for number in heir.files:
            os.set_inheritable(number, False)
    except (msgspec.DecodeError, OSError) as error:
        raise RtdemoError(f"{VARIABLE} is set by a server for its workers; unset it") from error
    return heir


@dataclass(frozen=True, slots=True)
class Pipe:
    """Hold both ends of a pipe."""

    read: int
    write: int

    def close(self) -> None:
        """Close both ends."""
        os.close(self.read)
        os.close(self.write)


def pipe() -> Pipe:
    """Open a pipe."""
    return Pipe(*os.pipe())
