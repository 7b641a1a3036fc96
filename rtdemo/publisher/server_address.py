"""Which server a program publishes to, and with which token: arguments, environment, default."""

from __future__ import annotations

import os

from rtdemo.errors import AddressError
from rtdemo.protocol import address as addresses

DEFAULT_URL = "http://localhost:3000"
URL_VARIABLE, TOKEN_VARIABLE = "RTDEMO_URL", "RTDEMO_PUBLISH_TOKEN"


def checked_url_of(given: str | None) -> str:
    """Return a URL, else that of the environment, else the default; a path can be added to it.

    Raises:
        AddressError: if it is not the address of a server; it names the variable that has it.
    """
    try:
        return addresses.parse_server(given or os.environ.get(URL_VARIABLE) or DEFAULT_URL).url("")
    except AddressError as error:
        error.variable = "" if given else URL_VARIABLE
        raise


def token_of(given: str | None) -> str:
    """Return a token, which may be empty, else that of the environment; empty for none."""
    return (os.environ.get(TOKEN_VARIABLE, "") if given is None else given).strip()
