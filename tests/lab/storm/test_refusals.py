"""storm kills nothing but the server: what it refuses, in one line and with exit code 2."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import click
import pytest

from rtdemo.cli.storm import storm
from rtdemo.errors import RtdemoError
from rtdemo.lab.bench.machine import Environment
from rtdemo.lab.storm.result import Storm, StormSettings
from rtdemo.lab.storm.run import StormRun
from rtdemo.lab.storm.server_process import RunningProcess, kill_rest
from rtdemo.protocol.address import parse
from tests.free_port import free_port

PORT = free_port()
URL = f"http://127.0.0.1:{PORT}"
LISTENS = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""


def refusal(*arguments: object) -> str:
    """Return the sentence with which the command ends."""
    with pytest.raises((RtdemoError, click.ClickException)) as refused:
        storm.main(list(map(str, arguments)), standalone_mode=False)
    error = refused.value
    assert isinstance(error, RtdemoError | click.ClickException)
    assert error.exit_code == 2
    sentence = error.format_message() if isinstance(error, click.ClickException) else str(error)
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def listening() -> Iterator[int]:
    """Run a process that listens on PORT; return its id."""
    process = subprocess.Popen([sys.executable, "-c", LISTENS, str(PORT)])
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", PORT))
            except OSError:
                break
    yield process.pid
    assert process.poll() is None, "it was killed"
    process.kill()
    process.wait()


@pytest.fixture
def stranger() -> Iterator[int]:
    """Run a process that has nothing to do with the server; return its id."""
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    assert process.poll() is None, "it was killed"
    process.kill()
    process.wait()


def test_process_that_does_not_listen_on_the_port(listening: int, stranger: int) -> None:
    """The sentence names the one that does."""
    sentence = refusal(URL, "--pid", stranger)
    assert (
        f"process {stranger} (sleep 60) does not listen on port {PORT}; give --pid {listening}"
        in sentence
    )
    assert "neither" in refusal(f"http://127.0.0.1:{free_port()}", "--pid", listening)


def test_process_that_listens_at_another_address(listening: int) -> None:
    """It has the port, but no client of the URL reaches it."""
    sentence = refusal(f"http://127.0.0.2:{PORT}", "--pid", listening)
    assert f"listens on port {PORT}, but not at 127.0.0.2; give its own address" in sentence


def test_proxy_before_the_server(listening: int, stranger: int) -> None:
    """With --server-port the URL may have another port; the process is checked all the same."""
    assert f"port {PORT}; give --pid {listening}" in refusal(
        "http://127.0.0.1:1", "--server-port", PORT, "--pid", stranger
    )
    # It is the right process, but nothing serves at the URL, so it is not killed.
    assert "cannot be reached" in refusal("ws://127.0.0.1:1", "--server-port", PORT, "--pid", listening)


def test_storm_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert "does not listen" in refusal(url, "--pid", os.getpid())


def test_process_that_serves_no_stream(listening: int) -> None:
    """It listens on the port, but a client gets no answer there. It lives on."""
    sentence = refusal(f"ws://127.0.0.1:{PORT}", "--pid", listening, "-n", 1)
    assert "opens no stream: cut before an answer; is it the right address?" in sentence


def test_command_on_a_port_that_is_in_use(listening: int) -> None:
    """Its clients would be those of another server."""
    assert "is served already" in refusal(URL, "--command", "sleep 60")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("http://192.0.2.1:80", "--pid", 1), "is not on this machine"),
        ((URL, "--pid", 4_194_305), "no such process"),
        ((URL,), "give either --pid or --command"),
        ((URL, "--pid", 1, "--command", "x"), "give either --pid or --command"),
        ((URL, "--command", "echo no; exit"), "its last line: no; exit"),
        ((URL, "--command", "false"), "it printed nothing"),
        ((URL, "--command", "'"), "No closing quotation"),
        ((URL, "--command", " "), "it is empty"),
        ((URL, "--command", "/no/such"), "No such file or directory: /no/such"),
        ((URL, "--command", "x", "--json", "/no/such/file"), "cannot be written"),
        ((URL, "--command", "x", "--backoff", "soon"), "'soon' is not one of"),
        ((f"ws://127.0.0.1:{PORT}", "--command", "x", "--transport", "sse"), "without sse"),
    ],
)
def test_wrong_use(arguments: tuple[object, ...], words: str) -> None:
    assert words in refusal(*arguments)


def test_end_is_prevented_by_nothing() -> None:
    """Storm leaves the handler of SIGTERM as it was."""
    before = signal.getsignal(signal.SIGTERM)
    refusal(URL, "--command", "false")
    assert signal.getsignal(signal.SIGTERM) == before


def test_ended_command_whose_number_a_stranger_has() -> None:
    """The kernel uses the number of an ended process again, and its group with it."""
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    ended = SimpleNamespace(pid=stranger.pid, returncode=0)
    kill_rest(cast("asyncio.subprocess.Process", ended))
    # The signal that follows is the first one only if there was no SIGKILL.
    stranger.terminate()
    assert stranger.wait() == -signal.SIGTERM


async def test_rest_of_a_command_that_has_ended() -> None:
    """A process that the command has left is killed: only then its output ends."""
    left = await asyncio.create_subprocess_exec(
        *("sh", "-c", "sleep 60 & echo started"),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert left.stdout is not None
    assert await left.stdout.readline() == b"started\n"
    # `wait` may wait for the end of the output, too.
    while left.returncode is None:
        await asyncio.sleep(0.01)
    assert left.returncode == 0
    kill_rest(left)
    assert await asyncio.wait_for(left.stdout.read(), 60) == b""
    kill_rest(left)


class Closed(RunningProcess):
    """A server that only records whether it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    async def close(self, patience_s: float) -> None:
        """Record it."""
        self.is_closed = True


async def test_server_is_closed_even_if_storm_fails_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command has a session of its own, so nothing else would end it."""

    def fail(_: object) -> None:
        raise asyncio.CancelledError  # as by a second Ctrl-C

    monkeypatch.setattr(StormRun, "_add_figures", fail)
    server = Closed()
    server.description = "a server"
    settings = StormSettings(clients=1, transports=("sse",), backoffs={"sse": "page"})
    found = Storm("", URL, Environment("0", "3", "here", 2, ""), settings)
    run = StormRun(found, parse(URL), server, lambda _: None)
    with pytest.raises(asyncio.CancelledError):
        await run.run()
    assert server.is_closed
