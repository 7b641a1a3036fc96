"""What storm prints of a process, of its start, and what it keeps of that process's own words."""

from __future__ import annotations

import asyncio
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rtdemo.errors import ServerError
from rtdemo.lab.bench import machine
from rtdemo.lab.storm import server_process
from rtdemo.lab.storm.command_output import KEPT_BYTES, MAX_BYTES, CommandOutput
from rtdemo.lab.storm.server_process import ELSEWHERE_S, CommandProcess, Elsewhere, command_line
from rtdemo.protocol.address import parse
from tests.free_port import free_port


def test_folders_are_left_out_of_a_command_line_and_paths_of_a_url_are_not() -> None:
    """`--base-path rt` would be another server than `--base-path /rt`."""
    program = "import sys; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, "--base-path", "/rt", "/opt/site/app.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        line = command_line(process.pid)
        process.communicate()
    assert line.endswith("--base-path /rt app.py")


def test_output_of_a_command_is_bounded() -> None:
    """A server that prints a line for each of thousands of clients must not fill the disk."""
    output = CommandOutput()
    lines = ("seq", "-f", "line %.0f of a log that grows", "40000")
    subprocess.run(lines, stdout=output.file, check=True)
    assert output.file.seek(0, os.SEEK_END) > MAX_BYTES
    output.trim()
    assert output.file.seek(0, os.SEEK_END) == KEPT_BYTES
    assert output.last_line() == "its last line: line 40000 of a log that grows"
    # What the command prints next follows.
    subprocess.run(["echo", "the end"], stdout=output.file, check=True)
    assert output.file.seek(0, os.SEEK_END) == KEPT_BYTES + len("the end\n")
    assert output.last_line() == "its last line: the end"
    output.close()


async def test_command_that_listens_on_another_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user reads early, and once, why storm waits and which port to give; the limit stays."""
    port, other = free_port(), free_port()
    # The server is a child of the command, as with a script that starts it.
    server = f"{shlex.quote(sys.executable)} -m http.server --bind 127.0.0.1 {other}; true"
    command = shlex.join(("sh", "-c", server))
    hint = await hint_about(command, port, lambda: bool(machine.listeners(other)), monkeypatch)
    fix = "correct the port in the URL or in --command"
    assert hint == f"--command listens on port {other}; {fix}"


async def test_command_that_listens_at_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is right: `localhost` may be `::1` for one program and 127.0.0.1 for another."""
    port = free_port()
    command = f"{shlex.quote(sys.executable)} -m http.server --bind 127.0.0.2 {port}"
    hint = await hint_about(
        port=port,
        command=command,
        is_time=lambda: bool(machine.listeners(port)),
        monkeypatch=monkeypatch,
    )
    where = f"--command listens on port {port}, but not at 127.0.0.1"
    assert hint == f"{where}; correct the host in the URL or in --command"


async def test_command_that_stays_on_another_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Storm ends soon, with one line: what it expected, where the command listens, what to do."""
    monkeypatch.setattr(server_process, "HINT_AFTER_S", 0.0)
    monkeypatch.setattr(server_process, "ELSEWHERE_S", 0.0)
    monkeypatch.setattr(server_process, "START_TIMEOUT_S", math.inf)
    port, other = free_port(), free_port()
    command = f"{shlex.quote(sys.executable)} -m http.server --bind 127.0.0.1 {other}"
    process = CommandProcess(command, parse(f"http://127.0.0.1:{port}"), port)
    try:
        async with asyncio.timeout(60):
            with pytest.raises(ServerError) as found:
                await process.start(lambda _sentence: None)
    finally:
        await process.close(0.0)
    fix = f"--command listens on port {other}; correct the port in the URL or in --command"
    assert str(found.value) == f"http://127.0.0.1:{port} has nothing on port {port}; {fix}"


def test_command_that_opens_its_ports_one_after_the_other() -> None:
    """Each new port gives it the whole time again; one without a port is slow, not elsewhere."""
    elsewhere, patience = Elsewhere(), ELSEWHERE_S
    assert not elsewhere.is_final([], now=0.0)
    assert not elsewhere.is_final([], now=10 * patience)
    assert not elsewhere.is_final([4001], now=10 * patience)
    assert not elsewhere.is_final([4001, 4002], now=11 * patience)
    assert not elsewhere.is_final([4001, 4002], now=11.9 * patience)
    assert elsewhere.is_final([4001, 4002], now=12 * patience)


def test_processes_with_any_name_are_looked_at() -> None:
    """The kernel cuts a name at 15 bytes, which may be within a character."""
    set_name = (
        "import ctypes; ctypes.CDLL(None).prctl(15, 'é'.encode() * 12); print(flush=True); input()"
    )
    command = (sys.executable, "-c", set_name)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert machine.listening_ports(process.pid) == []
        process.communicate(b"\n")


async def test_command_that_listens_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint has the last line that it printed."""
    port, printed = free_port(), tmp_path / "printed"
    program = f"echo no database; touch {shlex.quote(str(printed))}; exec sleep 60"
    command = shlex.join(("sh", "-c", program))
    hint = await hint_about(command, port, printed.exists, monkeypatch)
    assert hint == f"does --command serve port {port}? its last line: no database"


async def hint_about(
    command: str, port: int, is_time: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return what the user reads about a command that does not serve a port, when it is time."""
    monkeypatch.setattr(server_process, "HINT_AFTER_S", math.inf)
    monkeypatch.setattr(server_process, "ELSEWHERE_S", math.inf)
    said: list[str] = []
    process = CommandProcess(command, parse(f"http://127.0.0.1:{port}"), port)
    starting = asyncio.ensure_future(process.start(said.append))
    try:
        async with asyncio.timeout(60):
            while not is_time():
                await asyncio.sleep(0.01)
            monkeypatch.setattr(server_process, "HINT_AFTER_S", 0.0)
            while not said:
                await asyncio.sleep(0.01)
        # A second one would come with one of the next looks at the port.
        await asyncio.sleep(0.1)
        assert not starting.done()
    finally:
        starting.cancel()
        await asyncio.wait({starting})
        await process.close(0.0)
    [sentence] = said
    waiting, _, hint = sentence.partition("; ")
    assert waiting == f"waiting for 127.0.0.1 port {port}: connection refused"
    return hint
