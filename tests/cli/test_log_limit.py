"""A flood of log lines is counted, and hides no other line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest

from rtdemo.cli.log_limit import INTERVAL_S, LINES_PER_INTERVAL, LimitedHandler
from rtdemo.cli.logs import JsonFormatter, TextFormatter


class Log:
    """A logger whose handler has a clock and a timer of the test.

    Attributes:
        now: seconds.
        timers: functions that are to be called later.
    """

    def __init__(self, logger: str, formatter: logging.Formatter) -> None:
        self.stream = io.StringIO()
        self.now = 0.0
        self.timers: list[Callable[[], None]] = []
        self.handler = LimitedHandler(
            self.stream, lambda: self.now, lambda _, function: self.timers.append(function)
        )
        self.handler.setFormatter(formatter)
        self.logger = logging.getLogger(logger)

    @property
    def lines(self) -> list[str]:
        """What was written, without the time of day."""
        return [line[9:] for line in self.stream.getvalue().splitlines()]

    def wait(self) -> None:
        """Let an interval pass, and its timer run."""
        self.now += INTERVAL_S
        timers, self.timers = self.timers, []
        for timer in timers:
            timer()


@pytest.fixture(params=["tests.flood"])
def flooded(request: pytest.FixtureRequest) -> Iterator[Log]:
    log = Log(request.param, TextFormatter())
    log.logger.addHandler(log.handler)
    log.logger.setLevel(logging.INFO)
    yield log
    log.logger.removeHandler(log.handler)


def test_flood_of_one_kind_is_counted(flooded: Log) -> None:
    """Its first lines are written; one line has the number of the others; then it begins anew."""
    for _ in range(2):
        before = len(flooded.lines)
        for number in range(LINES_PER_INTERVAL + 1000):
            flooded.logger.info("bad request %d", number)
        assert len(flooded.lines) - before == LINES_PER_INTERVAL
        flooded.wait()
        expected = "INFO    1,000 more lines like this in the last 1.0 s: bad request 0"
        assert flooded.lines[-1] == expected
    flooded.wait()
    assert len(flooded.lines) == 2 * LINES_PER_INTERVAL + 2
    assert flooded.timers == []


def test_next_line_reports_if_the_timer_is_late(flooded: Log) -> None:
    """No line comes before the report of an interval that is over."""
    for _ in range(LINES_PER_INTERVAL + 1):
        flooded.logger.info("a")
    flooded.now += 5.0
    flooded.logger.info("b")
    assert flooded.lines[-2:] == ["INFO    1 more line like this in the last 5.0 s: a", "INFO    b"]
    flooded.wait()
    assert len(flooded.lines) == LINES_PER_INTERVAL + 2


def test_end_of_the_process_reports(flooded: Log) -> None:
    """`logging` closes its handlers at exit."""
    for _ in range(LINES_PER_INTERVAL + 3):
        flooded.logger.info("a")
    flooded.handler.close()
    assert flooded.lines[-1].startswith("INFO    3 more lines like this")


def test_other_kinds_are_written_during_a_flood(flooded: Log) -> None:
    """Kinds differ by template, level, exception, and the words before the first value."""
    for _ in range(10 * LINES_PER_INTERVAL):
        flooded.logger.info("x" * 500)
    flooded.logger.info("disk of %s is full", "server 1")
    flooded.logger.warning("x" * 500)
    for error in (OSError("e"), ValueError("e")):
        flooded.logger.error("Task exception was never retrieved\nfuture: <1>", exc_info=error)
    flooded.logger.error("socket.accept() out of system resource\nsocket: <1>")
    text = flooded.stream.getvalue()
    for expected in ("disk of server 1", "WARNING", "OSError: e", "ValueError: e", "socket.accept()"):
        assert expected in text


def test_flood_of_tracebacks_is_bounded_in_bytes(flooded: Log) -> None:
    """Asyncio wrote 49,000 tracebacks, 24 MB, while no file descriptor was free."""
    for number in range(1000):
        error = OSError(24, "Too many open files")
        flooded.logger.error(f"socket.accept() out of system resource\n<{number}>", exc_info=error)
    flooded.wait()
    assert len(flooded.stream.getvalue()) < 8 * 1024
    assert "more lines like this" in flooded.lines[-1]


def test_many_kinds_together_are_bounded(flooded: Log) -> None:
    """Under 20 KiB in a second, whatever is flooded."""
    for number in range(3000):
        flooded.logger.info(f"{'abcdefghij'[number % 10] * 300}")
    flooded.wait()
    assert len(flooded.stream.getvalue()) < 20 * 1024


def test_table_of_kinds_is_bounded(flooded: Log) -> None:
    """Templates without end count as one kind beyond the first hundred."""
    for number in range(20_000):
        word = "".join(chr(97 + int(digit)) for digit in str(number))
        flooded.logger.info(f"kind {word}")
    assert len(flooded.handler._counts) <= 101
    assert len(flooded.stream.getvalue()) < 20 * 1024


def test_debug_lines_are_not_limited(flooded: Log) -> None:
    """Who sets --log-level debug wants all of them."""
    flooded.logger.setLevel(logging.DEBUG)
    for _ in range(10 * LINES_PER_INTERVAL):
        flooded.logger.debug("a")
    assert len(flooded.lines) == 10 * LINES_PER_INTERVAL


def test_count_is_a_field_of_json(flooded: Log) -> None:
    """So a program can add up what is missing."""
    flooded.handler.setFormatter(JsonFormatter())
    for _ in range(LINES_PER_INTERVAL + 7):
        flooded.logger.info("a")
    flooded.wait()
    line = json.loads(flooded.stream.getvalue().splitlines()[-1])
    assert (line["left_out"], line["seconds"], line["level"]) == (7, 1.0, "info")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_error_of_a_megabyte_is_a_bounded_line(flooded: Log, formatter: logging.Formatter) -> None:
    """Of a message and a traceback the beginning and the end are kept; surrogates are escaped."""
    flooded.handler.setFormatter(formatter)
    error = ValueError("y" * 1_000_000 + "\ud800")
    # Not by the logger: pytest would capture the surrogates, and cannot report them.
    for fields in (
        {"levelname": "INFO", "levelno": logging.INFO, "msg": "\ud800" + "x" * 1_000_000 + " end"},
        {"levelname": "ERROR", "levelno": logging.ERROR, "exc_info": (ValueError, error, None)},
    ):
        flooded.handler.handle(logging.makeLogRecord(fields))
    text = flooded.stream.getvalue()
    assert len(text) < 9000
    assert "x end" in text
    assert "ValueError: yyy" in text
    assert "99" in text
    assert "more characters" in text
    assert "\ud800" not in text


def test_message_cannot_forge_a_line(flooded: Log) -> None:
    """Control characters are escaped, and a second line of a message is indented."""
    flooded.logger.info("GET %s", "/\x1b[2J\r\n12:00:00 INFO    all is well")
    assert flooded.stream.getvalue().splitlines()[1:] == ["    12:00:00 INFO    all is well"]
    assert flooded.lines[0] == r"INFO    GET /\x1b[2J\r"


@pytest.mark.parametrize("flooded", ["aiohttp.server", "asyncio"], indirect=True)
def test_loggers_of_libraries_are_limited(flooded: Log) -> None:
    """What they log is a kind like any other."""
    for number in range(LINES_PER_INTERVAL + 30):
        flooded.logger.error("Error handling request from %s", number)
    flooded.wait()
    assert flooded.lines[-1].startswith("ERROR   30 more lines like this")
