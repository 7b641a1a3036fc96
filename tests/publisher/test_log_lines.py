"""Lines of the publisher on a program's standard error."""

from __future__ import annotations

import logging
import threading

import pytest

from rtdemo.publisher.log_lines import PrefixHandler
from tests.publisher.programs import run

NEVER = "http://127.0.0.1:9"
SCRIPT = """
import logging, rtdemo
rtdemo.publisher.publish.EXIT_TIMEOUT_S = 0
rtdemo.publish("loss", float("nan"))
{}
rtdemo.publisher.sender.log.warning("one")
"""


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("", "rtdemo: one"),
        ("logging.basicConfig(format='%(name)s|%(message)s')", "rtdemo.publisher.sender|one"),
        ("logging.getLogger('rtdemo').addHandler(logging.NullHandler())", ""),
        ("logging.getLogger('rtdemo.publisher').addHandler(logging.StreamHandler())", "one"),
        ("logging.lastResort = None", ""),
    ],
    ids=["none", "root", "package", "part", "silence"],
)
async def test_lines_name_rtdemo_unless_logging_is_configured(configuration: str, expected: str) -> None:
    """Each line has one format: that of the program, or else the prefix; before a configuration, too."""
    code, output, errors = await run(NEVER, SCRIPT.format(configuration))
    assert (code, output) == (0, "")
    lines = errors.splitlines()
    assert lines[0].startswith("rtdemo: a NaN or an infinity under 'loss' is sent as null")
    assert [line for line in lines if line.endswith("one")] == ([expected] if expected else [])
    if not configuration:
        assert all(line.startswith("rtdemo: ") for line in lines)


async def test_lines_of_the_client_name_rtdemo() -> None:
    """It is another part of the package; what is no warning is not written."""
    script = "import rtdemo.client.stream as s; s.log.info('quiet'); s.log.warning('lost')"
    assert await run(NEVER, script) == (0, "", "rtdemo: lost\n")


def test_logging_can_be_configured_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """`logging.config` takes the lock of each handler while it holds the one of `getLogger`."""
    handler, real = PrefixHandler(), logging.getLogger
    was_free: list[bool] = []

    def look() -> None:
        assert handler.lock is not None
        was_free.append(handler.lock.acquire(timeout=0.1))
        if was_free[-1]:
            handler.lock.release()

    def looked_up(name: str) -> logging.Logger:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return real(name)

    record = logging.LogRecord("rtdemo.part", logging.WARNING, "", 0, "one", None, None)
    with monkeypatch.context() as patch:
        patch.setattr(logging, "getLogger", looked_up)
        handler.handle(record)
    assert was_free == [True]
