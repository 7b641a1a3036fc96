"""Findings with a code, the errors of checks that become findings, and short texts about errors.

* `CannotRunError`: no server can be reached, so no check can run
* `NotTestedError`: one check cannot run; its verdict is a warning
* `NotJudgedError`: another check has found the cause of what this one would report
* `AnswerError`: a request was answered in another way than it should be
* `StreamError`: a stream ended; `EndedError`: in order; `UnansweredError`: not in time; `ExpiredError`:
  the login token expired
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from rtdemo.errors import network_reason, one_line
from rtdemo.lab.content_coding import CodingError
from rtdemo.lab.http2_exchange import Http2Error
from rtdemo.plugin_system.checks import Finding

MAX_LINE_CHARS = 160
"""Characters of a response's first line that a finding quotes."""
MAX_TIME_MS = 1e15
"""Milliseconds since the epoch that no server's clock shows."""


@dataclass(frozen=True, slots=True)
class Diagnosis(Finding):
    """A finding with a code for programs.

    Arguments:
        code: stable name of what was found; `ok` for nothing.
        figures: numbers, with the unit in their names.
    """

    code: str = "ok"
    figures: Mapping[str, Any] = field(default_factory=dict)


class CannotRunError(Exception):
    """Report that there is nothing to check.

    Attributes:
        code: of the finding.
        fix: what to do about it; may be empty.
    """

    def __init__(self, code: str, seen: str, fix: str = "") -> None:
        super().__init__(seen)
        self.code, self.fix = code, fix


class NotTestedError(Exception):
    """Report why a check could not run."""


class NotJudgedError(Exception):
    """Report which check has found the cause already."""


class AnswerError(Exception):
    """Report an answer that is not the expected one.

    Attributes:
        diagnosis: what it means.
    """

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.seen)
        self.diagnosis = diagnosis


class StreamError(Exception):
    """Report how a stream ended."""


class UnansweredError(StreamError):
    """Report what a stream has not done in time."""


class ExpiredError(StreamError):
    """Report that the server has ended a stream as the login token expired."""

    def __init__(self) -> None:
        super().__init__("ended: the login token expired")


class EndedError(StreamError):
    """Report that the server has ended a stream in order."""

    def __init__(self) -> None:
        super().__init__("ended")


NETWORK_ERRORS = (
    aiohttp.ClientError,
    OSError,
    asyncio.IncompleteReadError,
    asyncio.LimitOverrunError,
    ValueError,
    KeyError,
    TypeError,
    StreamError,
)
"""What a network or a server can cause, including responses in a wrong format."""
_CUT_ERRORS = (
    aiohttp.ClientPayloadError,
    aiohttp.ServerDisconnectedError,
    ConnectionResetError,
    BrokenPipeError,
)


def describe(error: BaseException) -> str:
    """Return what happened in a few words, such as `was cut`."""
    if isinstance(error, (StreamError, Http2Error, CodingError)):
        return str(error)
    if isinstance(error, _CUT_ERRORS):
        return "was cut"
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError)):
        return "was answered with invalid HTTP"
    if isinstance(error, TimeoutError):
        return "was not answered in time"
    if isinstance(error, (OSError, aiohttp.ClientError)):
        return f"failed ({network_reason(error)})"
    if isinstance(error, (ValueError, KeyError, TypeError)):
        return "was answered in a format that is not understood"
    return f"failed ({one_line(error)})"


def first_line(text: str) -> str:
    """Return the first line of a body that is not empty, at most 160 characters; none of HTML."""
    if "<" in text[:200] and ("<html" in text[:2000].lower() or text.lstrip()[:1] == "<"):
        return ""
    return next((line.strip()[:MAX_LINE_CHARS] for line in text.splitlines() if line.strip()), "")


def decode_json(text: str | bytes) -> Any:
    """Return the decoded JSON value; None if the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def time_of(value: Any) -> float | None:
    """Return a time that a server has sent, in ms; None if it is none, as the server may be any."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < MAX_TIME_MS else None
