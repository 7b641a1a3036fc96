"""The user that a login has proved, or why a token is not valid."""

from __future__ import annotations

from typing import NamedTuple


class TokenError(Exception):
    """A token is not valid. The text is the reason, and contains no part of the token."""


class Identity(NamedTuple):
    """The user that a client's login has proved.

    Arguments:
        user: the user's name; None where login is off.
        expires: when the login expires, in seconds since the Unix epoch; None for never.
    """

    user: str | None = None
    expires: float | None = None


NOBODY = Identity()
"""The identity of each client where login is off."""
