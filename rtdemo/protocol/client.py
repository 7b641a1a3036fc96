"""Clients as plugins and logs see them, and the two transports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import urandom
from typing import Literal

Transport = Literal["websocket", "sse"]
TRANSPORTS: tuple[Transport, ...] = ("websocket", "sse")
LABELS: Mapping[Transport, str] = {"websocket": "WebSocket", "sse": "SSE"}
"""The transports' names for people."""


MAX_USER_LENGTH = 200
"""Characters of a user's name."""


def is_user_name(name: object) -> bool:
    """Return whether a login may give this name: 1 to 200 printable characters, not only blanks."""
    return (
        isinstance(name, str)
        and len(name) <= MAX_USER_LENGTH
        and name.isprintable()
        and bool(name.strip())
    )


def new_id(worker: int | None = None) -> str:
    """Return a new client id: 128 random bits in hexadecimal, and the worker that has the client.

    The id is a secret: anyone that has it can send texts for the client.

    Arguments:
        worker: process id of the worker; None for a server without other workers.
    """
    id_ = urandom(16).hex()
    return id_ if worker is None else f"{id_}-{worker}"


def worker_of(client_id: str) -> int | None:
    """Return the worker that a client id names; None for none. The id may be any text."""
    found = _NAMES_WORKER.search(client_id)
    return None if found is None else int(found[1])


_NAMES_WORKER = re.compile(r"-([0-9]{1,10})\Z", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """One connected peer. Nothing here changes while it is connected.

    Arguments:
        transport: `"websocket"` or `"sse"`.
        remote: the peer's IP address, without its port.
        user: the name that the client has proved by its login; None where login is off.
        query: the query of its request: the first value of each name.
        id: the secret that `POST /api/messages` requires; not in `repr`.
    """

    transport: Transport
    remote: str = ""
    user: str | None = None
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    id: str = field(default_factory=new_id, repr=False)

    @property
    def label(self) -> str:
        """The transport's name for people: `WebSocket` or `SSE`."""
        return LABELS[self.transport]

    @property
    def tag(self) -> str:
        """The first eight digits of the id: enough for a log line, too few to send for the client."""
        return self.id[:8]

    def __str__(self) -> str:
        return f"{self.transport} client {self.tag}"
