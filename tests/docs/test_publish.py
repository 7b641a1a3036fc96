"""README.md and docs/publish.md: the programs and pipes that publish do what the pages say."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from rtdemo.server.server import Server
from tests.conftest import Connect, Start
from tests.docs.markdown import ROOT, blocks
from tests.publisher.programs import running

SHOWN = {block.name for page in ("README.md", "docs/publish.md") for block in blocks(page, "python")} - {
    ""
}
VALUES: dict[str, list[object]] = {
    "loss.py": [1.0, 1 / 2, 1 / 3],
    "train.py": [0.12, {"temperature": 21.5, "humidity": 40}, "epoch 3 has begun"],
    "ride.py": [{"speed": 3.5, "altitude": 120}, {"speed": 4}],
    "service.py": [0.12],
}
"""By the file's name: the first values that arrive; a text has none, and stands for itself."""


def test_every_program_is_tested() -> None:
    """The test below has its values."""
    assert set(VALUES) == SHOWN


@pytest.mark.parametrize("name", VALUES)
async def test_program_of_the_page(name: str, folder: Path, server: Server, connect: Connect) -> None:
    """What it publishes arrives, in order."""
    (folder / "ride.csv").write_text("date,speed,altitude\n2026-01-01,3.5,120\n2026-01-02,4,\n")
    peer = await connect(server, "sse")
    async with running(server.web_url, name):
        got = [await peer.receive() for _ in VALUES[name]]
    assert [message.get("value", message["message"]) for message in got] == VALUES[name]


VMSTAT = """#!/bin/sh
printf 'procs -----------memory---------- ---swap--\\n r  b   swpd   free   buff  cache\\n'
printf ' 1  0  0 23163 7  8  9  9  1  2  3  4  5  6 %s  0  0\\n' 31 87 88
cat
"""
"""Prints two lines of names, one with the average since the machine started, and two of numbers. Then it
waits, as vmstat does for a second."""


def pipe_of(page: str, start: str) -> str:
    """Return the one pipe of a page that starts with this program."""
    commands = [command for block in blocks(page, "console") for command in block.commands]
    (found,) = [each for each in commands if each.startswith(start) and "rtdemo publish -" in each]
    return found


@asynccontextmanager
async def shell(url: str, command: str, folder: Path) -> AsyncIterator[Process]:
    """Run a command of a page in a shell; all its processes die with the block.

    Arguments:
        url: of the server.
        command: of the page.
        folder: an empty one, for the programs of the command.
    """
    programs = {"vmstat": VMSTAT, "rtdemo": f'#!/bin/sh\nexec {sys.executable} -m rtdemo "$@"\n'}
    for name, text in programs.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "RTDEMO_URL": url}
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command), env=variables, stdin=PIPE, stderr=PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.mark.parametrize(
    "command", [pipe_of("README.md", "while"), pipe_of("docs/publish.md", "vmstat")]
)
async def test_pipe_of_the_page(command: str, tmp_path: Path, server: Server, connect: Connect) -> None:
    """Its numbers arrive one by one, though its first program does not end."""
    peer = await connect(server, "sse")
    async with shell(server.web_url, command.replace("sleep 1", "sleep 0.05"), tmp_path):
        values = [(await peer.receive())["value"] for _ in range(2)]
    assert values == [87, 88] or all(isinstance(value, float) for value in values)


async def test_loop_of_the_page_ends_with_the_command(tmp_path: Path, start: Start) -> None:
    """The shell ends once rtdemo publish has: the signal that ends `cut` does not end a loop."""
    server = await start(publish_token="s3same")
    command = pipe_of("README.md", "while").replace("sleep 1", "sleep 0.05")
    async with shell(server.web_url, command, tmp_path) as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode().endswith("; line 1 was not accepted; rtdemo publish ends\n")
