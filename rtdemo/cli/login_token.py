"""The flag `--token` of the commands that connect to a server which needs a login."""

from __future__ import annotations

import re

import click

VARIABLE = "RTDEMO_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]*", re.ASCII)
"""Form of a token in a header (RFC 6750 section 2.1)."""


def _check(_context: click.Context, parameter: click.Parameter, given: str) -> str:
    """Return the token. The error for another text does not repeat the text."""
    token = given.strip()
    if not _TOKEN.fullmatch(token):
        raise click.BadParameter(f"not a login token; check {VARIABLE} too", param=parameter)
    return token


TOKEN = click.option(
    "--token",
    envvar=VARIABLE,
    default="",
    callback=_check,
    help=f"Login token, for a server that needs one. Other users of this machine see flags, but not"
    f" variables. [{VARIABLE}]",
)
