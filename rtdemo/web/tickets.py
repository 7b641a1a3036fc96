"""Login tickets: they replace a token in a URL, where a browser can send no header.

A ticket is random, and holds no data. Its user is kept under its hash, and is removed at the first use:
in Redis if that is the engine, so that any server of the deployment can take it; else in the folder that
the workers of one parent share; else in the memory of the only process. Tickets are not signed, so they
need no secret that all servers share.
"""

from __future__ import annotations

import os
import secrets
import time
from hashlib import sha256
from pathlib import Path

import msgspec

from rtdemo.engine.interface import Engine
from rtdemo.engine.one_time_values import OneTimeValues
from rtdemo.errors import Unavailable
from rtdemo.web.identity import Identity

TICKET_S = 30.0
"""Seconds for which a ticket is valid."""
TICKET_BYTES = 24
"""Random bytes of a ticket: nobody can guess one."""
MAX_TICKET_LENGTH = 100
"""Characters of a text that is looked up as a ticket."""


class Tickets:
    """Make tickets, and take each once.

    Arguments:
        values: keeps the identities of the tickets.
    """

    def __init__(self, values: OneTimeValues) -> None:
        self._values = values

    async def issue(self, identity: Identity) -> str:
        """Return a new ticket for an identity.

        Raises:
            Unavailable: it cannot be kept now.
        """
        ticket = secrets.token_urlsafe(TICKET_BYTES)
        await self._values.put(_name(ticket), msgspec.json.encode(identity).decode(), TICKET_S)
        return ticket

    async def take(self, ticket: str) -> Identity | None:
        """Return the identity of a ticket; None if it was used, has expired or never existed.

        Raises:
            Unavailable: it cannot be looked up now.
        """
        if len(ticket) > MAX_TICKET_LENGTH or not ticket.isascii():
            return None
        value = await self._values.take(_name(ticket))
        return None if value is None else msgspec.json.decode(value, type=Identity)


def _name(ticket: str) -> str:
    """Return the name under which a ticket is kept. The ticket cannot be computed from it."""
    return sha256(ticket.encode()).hexdigest()


def values_for(engine: Engine, folder: Path | None) -> OneTimeValues:
    """Return what keeps the tickets, so that every process that may be asked can take them.

    Arguments:
        engine: of this server.
        folder: that the workers of one parent share; None without other workers.
    """
    return (
        FolderValues(folder)
        if folder is not None and engine.name == "memory"
        else engine.one_time_values
    )


class FolderValues:
    """Keep values as files, for workers without a common engine; only their user can open the folder.

    Arguments:
        folder: that the workers share.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleaned_at = 0.0

    async def put(self, name: str, value: str, seconds: float) -> None:
        """Keep a value under a name that is new.

        Raises:
            Unavailable: the file cannot be written.
        """
        path, now = self._path(name), time.time()
        new = path.with_suffix(".new")
        self._clean(now)
        try:
            new.write_text(value)
            os.utime(new, (now, now + seconds))
            new.replace(path)
        except OSError as error:
            raise Unavailable(f"a ticket cannot be written: {error.strerror}") from error

    async def take(self, name: str) -> str | None:
        """Return and forget a value; None if there is none any more."""
        path = self._path(name)
        try:
            value, expires = path.read_text(), path.stat().st_mtime
            # Of several workers that read it, only one removes it.
            path.unlink()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"a ticket cannot be read: {error.strerror}") from error
        return value if time.time() < expires else None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.once"

    def _clean(self, now: float) -> None:
        """Remove the files of values that nobody took in time."""
        if now - self._cleaned_at < TICKET_S:
            return
        self._cleaned_at = now
        for path in self._folder.glob("*.once"):
            try:
                if path.stat().st_mtime <= now:
                    path.unlink()
            except OSError:
                continue  # another worker took or removed it
