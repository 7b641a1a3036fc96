"""Errors of the checks, and short texts that describe what a network or server did.

* `CannotRunError`: no server can be reached, so no check can run
* `NotTestedError`: one check cannot run; its verdict is a warning
* `StreamError`: a stream did not open, or ended
"""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from rtdemo.errors import one_line

TOO_MANY_REQUESTS = 429
MAX_LINE_CHARS = 200
"""Characters of a response's first line that a finding quotes."""


class CannotRunError(Exception):
    """Report that there is nothing to check."""


class NotTestedError(Exception):
    """Report why a check could not run."""


class StreamError(Exception):
    """Report why a stream did not open, or how it ended."""


NETWORK_ERRORS = (
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    ValueError,
    KeyError,
    TypeError,
    StreamError,
)
"""What a network or a server can cause, including responses in a wrong format."""
_CUT_ERRORS = (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionError)


def describe(error: BaseException) -> str:
    """Return what happened in a few words, such as `was cut`."""
    if isinstance(error, StreamError):
        return str(error)
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"answered {error.status} to the WebSocket handshake"
    if isinstance(error, _CUT_ERRORS):
        return "was cut"
    return "timed out" if isinstance(error, TimeoutError) else one_line(error)


async def check_status(response: aiohttp.ClientResponse, expected: int = 200) -> None:
    """Raise an error unless a response has the expected status.

    Raises:
        NotTestedError: for 429: the server limits how often probes may run.
        StreamError: for any other status.
    """
    if response.status == expected:
        return
    line = first_line(await response.text(errors="replace"))
    if response.status == TOO_MANY_REQUESTS:
        raise NotTestedError(f"rate-limited: {line}")
    raise StreamError(f"answered {response.status}: {line}")


def first_line(text: str) -> str:
    """Return the first line of a body that is not empty, at most 200 characters of it."""
    return next((line.strip()[:MAX_LINE_CHARS] for line in text.splitlines() if line.strip()), "")


def decode_json(text: str | bytes) -> Any:
    """Return the decoded JSON value; None if the text is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None
