"""Commands on a full disk, with a closed pipe, and interrupted while they start."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import program
from tests.lab.doctor.doctor_run import served

ROOT = Path(__file__).parents[2]
IO_ERROR = 74
SIGPIPE_CODE = 128 + signal.SIGPIPE


async def shell(line: str) -> tuple[str, str]:
    """Run a line of bash that may call `rtdemo`; return standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f'rtdemo() {{ {shlex.join(program())} "$@"; }}; {line}'),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 100)
    return out.decode(), err.decode()


QUICK = "-n 1 --seconds 4 --rounds 1 --speed 20 --transport sse"
"""A short run of `bench`, which has messages though the machine stands still for some seconds."""


@pytest.mark.parametrize("command", ["tail URL", "doctor URL --idle 1", "plugins", "bench URL"])
async def test_a_full_disk_is_one_line(command: str) -> None:
    """A full disk is one line and an exit code of its own, without a traceback."""
    quick = f" {QUICK}" if command.startswith("bench") else ""
    async with served(often=True) as server:
        line = f"rtdemo {command.replace('URL', server.web_url)}{quick} >/dev/full; echo $?"
        out, err = await shell(line)
    assert int(out) == IO_ERROR
    assert err == "rtdemo: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", ["doctor URL --idle 1", "plugins"])
async def test_closed_pipe_ends_a_command_silently(command: str) -> None:
    """The command ends as a filter does, by SIGPIPE and without output."""
    async with served(often=True) as server:
        line = f"rtdemo {command.replace('URL', server.web_url)} | true; echo ${{PIPESTATUS[0]}}"
        assert await shell(f"sleep 0.1; {line}") == (f"{SIGPIPE_CODE}\n", "")


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("publish x --to URL >&-", 0, ""),
        ("publish - --to URL <&-", 0, "rtdemo: standard input had no line; nothing was published\n"),
        # Its socket would get the number of standard output, and libuv would abort as it closes it.
        ("serve --host 127.0.0.1 --port PORT --single-site >&- 2>/dev/null", 1, ""),
    ],
)
async def test_files_that_a_shell_has_closed(line: str, code: int, error: str) -> None:
    """A command ends as with /dev/null, and its sockets get none of their numbers."""
    async with served(often=True) as server:
        url = server.web_url
        shown = line.replace("URL", url).replace("PORT", url.rpartition(":")[2])
        assert await shell(f"rtdemo {shown}; echo $?") == (f"{code}\n", error)


async def test_files_are_written_despite_a_closed_pipe(tmp_path: Path) -> None:
    """A closed pipe does not lose the file of a measurement."""
    file = tmp_path / "run.json"
    async with served(often=True) as server:
        line = f"rtdemo bench {server.web_url} {QUICK} --json {file} | true; echo ${{PIPESTATUS[0]}}"
        assert await shell(line) == (f"{SIGPIPE_CODE}\n", "")
    assert file.stat().st_size > 1000


@pytest.mark.parametrize("command", ["serve", "bench", "doctor", "tail"])
def test_an_interrupt_while_it_starts(command: str, tmp_path: Path) -> None:
    """An interrupt ends it with the code of SIGINT and without output."""
    (tmp_path / "aiohttp.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join(map(str, (tmp_path, ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "rtdemo", command],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


def test_a_command_is_loaded_when_it_is_called() -> None:
    """The command line imports no command before it is called."""
    code = "import sys; from rtdemo.cli import main; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
