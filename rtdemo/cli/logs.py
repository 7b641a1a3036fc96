"""Write the log: one line an event, as text or as JSON."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from rtdemo.errors import one_line

_FACTS = ("client", "transport", "remote", "reason", "code", "seconds", "messages")


class TextFormatter(logging.Formatter):
    """Write time, level and sentence."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")


class JsonFormatter(logging.Formatter):
    """Write one JSON object a line, with the facts of the event as fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON; a traceback is a field with its line breaks escaped."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: vars(record)[name] for name in _FACTS if name in vars(record)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class BadRequestFilter(logging.Filter):
    """Turn aiohttp's tracebacks over what is no HTTP, or nobody's any more, into one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change such a record; let every record pass."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | ConnectionError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = f"bad request: {one_line(error)}", ()
            record.exc_info = None
        return True


def setup(level: str, form: str) -> None:
    """Send everything from `level` upwards to standard error.

    Arguments:
        level: `debug`, `info`, `warning` or `error`.
        form: `text` or `json`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.server").addFilter(BadRequestFilter())
    # It warns of every client that offers a subprotocol, which any client may.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
