"""Whom the log's entries are for, where producers restrict them to users."""

from __future__ import annotations

from rtdemo.engine.log import Entry
from rtdemo.hub.batch import NO_RIGHTS, Rights


class Restrictions:
    """Note the sets of users that entries are restricted to.

    Attributes:
        users_by_producer: by a producer's name, the users that its newest restricted entry is for.
    """

    def __init__(self) -> None:
        self.users_by_producer: dict[str, frozenset[str]] = {}
        self._sets: set[frozenset[str]] = set()

    def note(self, entry: Entry) -> frozenset[str] | None:
        """Note whom an entry is for; return its set of users if it is a new one."""
        if entry.users is None:
            return None
        self.users_by_producer[entry.producer] = entry.users
        if entry.users in self._sets:
            return None
        self._sets.add(entry.users)
        return entry.users

    def rights(self, user: str | None) -> Rights:
        """Return the sets that a user belongs to."""
        if user is None or not self._sets:
            return NO_RIGHTS
        return frozenset(users for users in self._sets if user in users)
