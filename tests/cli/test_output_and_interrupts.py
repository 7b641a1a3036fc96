"""What becomes of the command line where its output cannot be taken, or it is interrupted early."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.doctor.doctor_run import served

ROOT = Path(__file__).parents[2]
IO_ERROR = 74
CLOSED = 128 + signal.SIGPIPE


async def shell(line: str) -> tuple[str, str]:
    """Run a line of bash with `rtdemo` for the command; return its output and errors."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f'rtdemo() {{ "{sys.executable}" -m rtdemo "$@"; }}; {line}'),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return out.decode(), err.decode()


@pytest.mark.parametrize("command", ["tail URL", "doctor URL --idle 1", "plugins", "bench URL"])
async def test_a_full_disk_is_one_line(command: str) -> None:
    """With a code of its own and no traceback."""
    quick = (
        " -n 1 --seconds 1 --rounds 1 --speed 20 --transport sse" if command.startswith("bench") else ""
    )
    async with served(often=True) as server:
        line = f"rtdemo {command.replace('URL', server.web_url)}{quick} >/dev/full; echo $?"
        out, err = await shell(line)
    assert int(out) == IO_ERROR
    assert err == "rtdemo: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", ["doctor URL --idle 1", "plugins"])
async def test_who_reads_no_more_ends_a_command_without_a_word(command: str) -> None:
    """As it ends every filter, with the code of SIGPIPE."""
    async with served(often=True) as server:
        line = f"rtdemo {command.replace('URL', server.web_url)} | true; echo ${{PIPESTATUS[0]}}"
        assert await shell(f"sleep 0.1; {line}") == (f"{CLOSED}\n", "")


async def test_the_files_are_written_where_nobody_reads_the_table(tmp_path: Path) -> None:
    """What was measured for minutes is not lost with it."""
    file = tmp_path / "run.json"
    quick = "-n 1 --seconds 1 --rounds 1 --speed 20 --transport sse"
    async with served(often=True) as server:
        line = f"rtdemo bench {server.web_url} {quick} --json {file} | true; echo ${{PIPESTATUS[0]}}"
        assert await shell(line) == (f"{CLOSED}\n", "")
    assert file.stat().st_size > 1000


@pytest.mark.parametrize("command", ["serve", "bench", "doctor", "tail"])
def test_an_interrupt_while_it_starts(command: str, tmp_path: Path) -> None:
    """Says nothing and has the code of SIGINT."""
    (tmp_path / "aiohttp.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join(map(str, (tmp_path, ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "rtdemo", command],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


def test_a_command_is_loaded_when_it_is_called() -> None:
    """So that `--version` waits for none."""
    code = "import sys; from rtdemo.cli import main; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
