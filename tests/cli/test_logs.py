"""The format of a log line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

import pytest

from rtdemo.cli.logs import JsonFormatter, TextFormatter

BEGIN = 1_763_841_600.0
"""Seconds since the Unix epoch: 2025-11-22, 20:00 UTC."""


def record(created: float, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "x.y", "levelname": "INFO", "msg": "a %s", "args": ("b",)})
    made.created, made.msecs = created, int(created % 1 * 1000)
    vars(made).update(fields)
    return made


def test_text_has_time_level_and_message() -> None:
    """The time of day is the local one, and moves on with the records."""
    formatter = TextFormatter()
    for created in (BEGIN, BEGIN + 0.9, BEGIN + 1.0, BEGIN + 3600.0, BEGIN):
        expected = datetime.fromtimestamp(created).strftime("%H:%M:%S")
        assert formatter.format(record(created)) == f"{expected} INFO    a b"


def test_json_has_time_level_logger_message_and_fields() -> None:
    """Fields of an event are at the top level, also those with counts; others are left out."""
    formatter = JsonFormatter()
    fields: dict[str, object] = {"client": "0123abcd", "connected": {"sse": 3}}
    line = formatter.format(record(BEGIN + 0.25, **fields, other=1))
    assert json.loads(line) == {
        "time": "2025-11-22T20:00:00.250+00:00",
        "level": "info",
        "logger": "x.y",
        "message": "a b",
        **fields,
    }
    later = json.loads(formatter.format(record(BEGIN + 61 + 1 / 128)))
    assert later["time"] == "2025-11-22T20:01:01.007+00:00"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_traceback_is_in_the_line(formatter: logging.Formatter) -> None:
    """As further lines of text, or as a field."""
    try:
        raise OSError("gone")
    except OSError:
        failed = record(BEGIN, exc_info=sys.exc_info())
    text = formatter.format(failed)
    shown = json.loads(text)["traceback"] if text.startswith("{") else text.partition("\n")[2]
    assert shown.startswith("Traceback")
    assert shown.endswith("OSError: gone")
