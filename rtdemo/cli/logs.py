"""The format of the log: one line per event, as text or as JSON."""

from __future__ import annotations

import logging
import re
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from rtdemo.cli.log_limit import (
    MESSAGE_CHARACTERS,
    TRACEBACK_CHARACTERS,
    LimitedHandler,
    shorten,
)
from rtdemo.errors import one_line, printable

EVENT_FIELDS = (
    *("client", "transport", "remote", "reason", "code", "seconds", "messages"),
    # Many connects and disconnects in one line.
    *("connected", "disconnected", "reasons"),
    # The number of lines that were counted instead of written.
    "left_out",
)
"""Attributes of a log record that become fields of its JSON line."""


class TextFormatter(logging.Formatter):
    """Write time, level and message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - its name in logging
        """Return the line of a record; a traceback follows it."""
        message = _readable(record.message)
        return f"{_time_of_day(int(record.created))} {record.levelname:<7} {message}"

    def formatException(self, ei: Any) -> str:  # noqa: N802 - its name in logging
        """Return a traceback of a bounded length that is safe on a terminal."""
        traceback = shorten(super().formatException(ei), TRACEBACK_CHARACTERS)
        return "\n".join(map(printable, traceback.split("\n")))


class JsonFormatter(logging.Formatter):
    """Write one JSON object per line, with a field for each attribute of the event."""

    _encode = msgspec.json.Encoder().encode

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON in one line; a traceback is a field of it."""
        line: dict[str, object] = {
            "time": f"{_utc(int(record.created))}.{int(record.msecs):03}+00:00",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _encodable(shorten(record.getMessage(), MESSAGE_CHARACTERS)),
        }
        attributes = vars(record)
        line |= {name: attributes[name] for name in EVENT_FIELDS if name in attributes}
        if record.exc_info:
            traceback = self.formatException(record.exc_info)
            line["traceback"] = _encodable(shorten(traceback, TRACEBACK_CHARACTERS))
        return self._encode(line).decode()


def _readable(message: str) -> str:
    """Return a message of a bounded length that is safe on a terminal, and cannot forge another line."""
    message = shorten(message, MESSAGE_CHARACTERS)
    if message.isprintable():
        return message
    return "\n    ".join(map(printable, message.split("\n")))


def _encodable(text: str) -> str:
    """Return text that can be encoded: a plugin's error may have lone surrogates."""
    return text.encode(errors="backslashreplace").decode()


# Cached for the present second: formatting a time was a fifth of a line's cost.
@lru_cache(1)
def _time_of_day(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


@lru_cache(1)
def _utc(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_QUOTE = re.compile(r"b?['\"]")


class BadRequestFilter(logging.Filter):
    """Shorten aiohttp's tracebacks about invalid HTTP and lost connections to one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten such a record; return True, so that every record is logged."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return True
        # Not at the top: commands that use no network have a log, too.
        from aiohttp.http_exceptions import HttpProcessingError

        if isinstance(error, HttpProcessingError | ConnectionError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = "bad request: %s", (_without_quotes(error),)
            record.exc_info = None
        return True


def _without_quotes(error: Exception) -> str:
    """Return an error as one line, without what it quotes of the request: that may be a login token."""
    return _QUOTE.split(one_line(error), maxsplit=1)[0].rstrip(" :")


def setup(level: str, log_format: str) -> None:
    """Write log lines to standard error, repeated ones only up to a rate.

    Arguments:
        level: the lowest level that is written: `debug`, `info`, `warning` or `error`.
        log_format: `text` or `json`.
    """
    handler = LimitedHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.server").addFilter(BadRequestFilter())
    # aiohttp warns about each client that offers a subprotocol, although any client may offer one.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # It logs that something has changed; what became of it is logged by `Reloader`.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
