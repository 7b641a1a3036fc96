"""Name what may come of asking a server, other than an answer."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from rtdemo.errors import one_line

TOO_MANY = 429


class CannotRunError(Exception):
    """Say that there is nothing to examine."""


class NotTestedError(Exception):
    """Say why something could not be tested; its check becomes a warning."""


class StreamError(Exception):
    """Say why a stream did not open, or how it ended."""


FAULTS = (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError, StreamError)
"""What networks and servers do, wrong answers included."""
_CUT = (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionError)


def describe(error: BaseException) -> str:
    """Return what happened, in a few words."""
    if isinstance(error, StreamError):
        return str(error)
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"answered {error.status} to the WebSocket handshake"
    if isinstance(error, _CUT):
        return "was cut"
    return "said nothing in time" if isinstance(error, TimeoutError) else one_line(error)


async def check_status(answer: aiohttp.ClientResponse, wanted: int = 200) -> None:
    """Let an answer of the wanted status pass.

    Raises:
        NotTestedError: where the server answers probes less often.
        StreamError: for any other.
    """
    if answer.status == wanted:
        return
    line = first_line(await answer.text(errors="replace"))
    if answer.status == TOO_MANY:
        raise NotTestedError(f"rate-limited: {line}")
    raise StreamError(f"answered {answer.status}: {line}")


def first_line(text: str) -> str:
    """Return the first line of a body, 200 characters at the most."""
    return next((line.strip()[:200] for line in text.splitlines() if line.strip()), "")


def decode(text: str | bytes) -> Any:
    """Return what JSON says; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None
