"""The format of the log: one line per event, as text or as JSON."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import msgspec

from rtdemo.errors import one_line

EVENT_FIELDS = ("client", "transport", "remote", "reason", "code", "seconds", "messages")
"""Attributes of a log record that become fields of its JSON line."""


class TextFormatter(logging.Formatter):
    """Write time, level and message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")


class JsonFormatter(logging.Formatter):
    """Write one JSON object per line, with a field for each attribute of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON in one line; a traceback is a field of it."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: vars(record)[name] for name in EVENT_FIELDS if name in vars(record)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


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
