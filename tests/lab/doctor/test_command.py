"""The command `rtdemo doctor`: exit codes, output for people and JSON."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from rtdemo import __version__
from rtdemo.lab.doctor.report import Report, Result
from tests.lab.doctor.doctor_run import served

PLUGIN = """
from rtdemo import Check, Finding, hookimpl

def fine(url):
    return Finding("ok", f"looked at {url}")

async def bad(url):
    raise OSError("no luck")

@hookimpl
def checks():
    return [Check("mine", fine), Check("other", bad)]
"""


async def start(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "rtdemo", "doctor", *arguments)
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await start(*arguments)
    out, err = await asyncio.wait_for(process.communicate(), 100)
    return process.returncode, out.decode(), err.decode()


# Alone: on a busy machine events seem to come in clumps.
@pytest.mark.alone
async def test_plugins_add_checks_and_programs_read_json(tmp_path: Path) -> None:
    """A failed check sets the exit code to 1; a plugin that cannot be loaded is reported and skipped."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "broken.py").write_text("def (")
    files = [str(tmp_path / name) for name in ("mine.py", "broken.py")]
    async with served(often=True) as server:
        code, out, err = await run(server.web_url, *files, "--idle", "1", "--json")
    result = json.loads(out)
    assert code == 1
    assert "plugin 'broken'" in err
    assert "Traceback" not in err
    assert set(result) == {
        *("url", "version", "when", "seconds", "proxies", "couldRun", "checks", "hops", "begins")
    }
    assert (result["url"], result["version"], result["couldRun"]) == (server.web_url, __version__, True)
    found = {check.pop("check"): check for check in result["checks"]}
    empty: dict[str, object] = {"fix": "", "http": [], "figures": {}}
    seen = f"looked at {server.web_url}"
    assert found["mine"] == {"verdict": "ok", "code": "ok", "seen": seen, **empty}
    assert found["other"] == {"verdict": "fail", "code": "plugin", "seen": "OSError: no luck", **empty}
    assert found["SSE events"]["http"] == ["1.1"]
    assert (found["SSE events"]["verdict"], found["SSE events"]["code"]) == ("ok", "ok")
    # Below the silence after a message, 2 s: it did not wait for the next one.
    assert 0 <= found["SSE events"]["figures"]["delayMs"] < 2000
    assert found["TCP"]["verdict"] == "ok"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupt_prints_the_findings_so_far(number: signal.Signals) -> None:
    """With the exit code of SIGINT, 130, and no traceback."""
    async with served(often=True) as server:
        process = await start(server.web_url, "--idle", "60")
        # It opens the normal streams after the first checks.
        while len(server.hub) < 2:
            await asyncio.sleep(0.02)
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 130
    assert "ok    TCP" in out.decode()
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://127.0.0.1:1"], "is the server running"),
        (["ftp://h"], "has the scheme 'ftp'"),
    ],
)
async def test_url_that_cannot_be_checked_is_reported(arguments: list[str], words: str) -> None:
    """With exit code 2, in one line or in the finding of the check that failed."""
    code, out, err = await run(*arguments)
    assert code == 2
    assert words in out + err
    assert "Traceback" not in err


def test_lines_for_people() -> None:
    """A fix is printed only under a fault, and no text can move the cursor."""
    report = Report("http://h")
    report.checks = [
        Result("one", "ok", "ok", ["1.1", "2"], "all \x1b[2J well", "not shown"),
        Result("two", "warn", "sse-slow", [], "so so", "do this"),
        Result("three", "skip", "not-judged", ["2"], "", "", {"because": "two"}),
    ]
    assert [line.plain for line in report.lines()] == [
        "ok    one                 h1+h2 all \\x1b[2J well",
        "warn  two                       so so",
        "      fix: do this",
        "skip  not judged, see two: three",
        "1 ok, 1 warn, 0 fail in 0 s",
    ]
    assert report.exit_code == 0
