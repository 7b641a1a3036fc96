"""The login of a client: a token in a header, or a ticket in the URL of each connection."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

Renewable = Callable[[], str | Awaitable[str]]
"""Returns a new token or ticket at each call."""


class Credentials:
    """Give each connection its login.

    Arguments:
        token: a login token; a function is called for each connection, and returns a valid one.
        ticket: called for each connection; returns a new ticket.
    """

    def __init__(self, token: str | Renewable | None, ticket: Renewable | None) -> None:
        self._token = token
        self._ticket = ticket

    @property
    def can_renew(self) -> bool:
        """Whether the next connection may have another login."""
        return callable(self._token) or self._ticket is not None

    async def header(self) -> dict[str, str]:
        """Return the header with the token; none without one."""
        token = await _called(self._token) if callable(self._token) else self._token
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def query(self) -> dict[str, str]:
        """Return the parameter with a new ticket; none without one."""
        return {"ticket": await _called(self._ticket)} if self._ticket is not None else {}


async def _called(function: Renewable) -> str:
    found = function()
    return await found if inspect.isawaitable(found) else found
