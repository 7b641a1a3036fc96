"""The flag `--token` of the commands that connect to a server which needs a login."""

from __future__ import annotations

import re

import click

VARIABLE = "RTDEMO_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]*", re.ASCII)
"""What a header can have as a token (RFC 6750 section 2.1)."""


def _check(_context: click.Context, parameter: click.Parameter, given: str) -> str:
    """Return the token; the error for another text does not repeat it."""
    token = given.strip()
    if not _TOKEN.fullmatch(token):
        raise click.BadParameter(f"is no login token; see {VARIABLE} too", param=parameter)
    return token


TOKEN = click.option(
    "--token",
    envvar=VARIABLE,
    default="",
    callback=_check,
    help=f"Login token, for a server that needs one. Other users of this machine see flags, but not"
    f" variables. [{VARIABLE}]",
)
