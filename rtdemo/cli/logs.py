"""The format of the log: one line per event, as text or as JSON."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from rtdemo.errors import one_line

EVENT_FIELDS = (
    *("client", "transport", "remote", "reason", "code", "seconds", "messages"),
    # Many connects and disconnects in one line.
    *("connected", "disconnected", "reasons"),
)
"""Attributes of a log record that become fields of its JSON line."""


class TextFormatter(logging.Formatter):
    """Write time, level and message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - its name in logging
        """Return the line of a record; a traceback follows it."""
        return f"{_time_of_day(int(record.created))} {record.levelname:<7} {record.message}"


class JsonFormatter(logging.Formatter):
    """Write one JSON object per line, with a field for each attribute of the event."""

    _encode = msgspec.json.Encoder().encode

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON in one line; a traceback is a field of it."""
        line: dict[str, object] = {
            "time": f"{_utc(int(record.created))}.{int(record.msecs):03}+00:00",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        attributes = vars(record)
        line |= {name: attributes[name] for name in EVENT_FIELDS if name in attributes}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return self._encode(line).decode()


# Cached for the present second: formatting a time was a fifth of a line's cost.
@lru_cache(1)
def _time_of_day(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


@lru_cache(1)
def _utc(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


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
            record.msg, record.args = f"bad request: {one_line(error)}", ()
            record.exc_info = None
        return True


def setup(level: str, log_format: str) -> None:
    """Write log lines to standard error.

    Arguments:
        level: the lowest level that is written: `debug`, `info`, `warning` or `error`.
        log_format: `text` or `json`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.server").addFilter(BadRequestFilter())
    # aiohttp warns about each client that offers a subprotocol, although any client may offer one.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
