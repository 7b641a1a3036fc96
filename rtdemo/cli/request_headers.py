"""The flags `--token` and `--header` of the commands that connect to a server."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

VARIABLE = "RTDEMO_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]*", re.ASCII)
"""Form of a token in a header (RFC 6750 section 2.1)."""
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e][\x20-\x7e\t]*)", re.ASCII)
"""Name and value of a header (RFC 9110 section 5), with ASCII characters only."""
_OF_CONNECTION = frozenset(
    ("connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade")
)
"""Headers that belong to the connection or its framing (RFC 9110 section 7.6.1), in lower case."""


def _check_token(_context: click.Context, parameter: click.Parameter, given: str) -> str:
    """Return the token. The error for another text does not repeat the text."""
    token = given.strip()
    if not _TOKEN.fullmatch(token):
        raise click.BadParameter(f"not a login token; check {VARIABLE} too", param=parameter)
    return token


def _parse_headers(
    _context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """Return the headers by name. Errors do not repeat a value: it may be a secret."""
    headers = {}
    for number, text in enumerate(given, 1):
        parts = _HEADER.fullmatch(text.strip())
        if parts is None:
            raise click.BadParameter(f"number {number} is not 'Name: value'", param=parameter)
        if parts[1].lower() in _OF_CONNECTION:
            raise click.BadParameter(f"{parts[1]} belongs to the connection", param=parameter)
        headers[parts[1]] = parts[2]
    return headers


_TOKEN_OPTION = click.option(
    "--token",
    envvar=VARIABLE,
    default="",
    callback=_check_token,
    help=f"Login token, for a server that needs one. Other users of this machine see flags, but not"
    f" variables. [{VARIABLE}]",
)
_HEADER_OPTION = click.option(
    "--header",
    multiple=True,
    metavar="'NAME: VALUE'",
    callback=_parse_headers,
    help="Send this header with each request to the server. May be given several times.",
)


def request_headers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--token` and `--header` to a command, which gets both as one mapping `headers`."""

    @wraps(command)
    def with_headers(*arguments: Any, token: str, header: dict[str, str], **given: Any) -> Any:
        login = {"Authorization": f"Bearer {token}"} if token else {}
        return command(*arguments, headers=login | header, **given)

    return _TOKEN_OPTION(_HEADER_OPTION(with_headers))
