"""Who a client is, as its login has proved, and why a token proves nothing."""

from __future__ import annotations

from typing import NamedTuple


class TokenError(Exception):
    """A token is not valid. The text says why, and has nothing of the token."""


class Identity(NamedTuple):
    """Who a client is, as its login has proved.

    Arguments:
        user: the user's name; None where login is off.
        expires: when that ends, in seconds since the Unix epoch; None for never.
    """

    user: str | None = None
    expires: float | None = None
