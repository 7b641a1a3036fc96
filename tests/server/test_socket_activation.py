"""A server that systemd starts serves on the sockets that it gets, and its restart refuses nobody."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import aiohttp
import pytest

from rtdemo.errors import RtdemoError
from rtdemo.server import socket_activation
from rtdemo.server.server import Server
from rtdemo.settings.settings import Settings

LAUNCHER = """
import os, sys
pid, names, numbers, *command = sys.argv[1:]
numbers = [os.dup(int(number)) for number in numbers.split(",")]
for index, number in enumerate(numbers):
    os.dup2(number, 3 + index)
    os.set_inheritable(3 + index, True)
os.environ |= {"LISTEN_PID": pid or str(os.getpid()), "LISTEN_FDNAMES": names}
os.environ["LISTEN_FDS"] = str(len(numbers))
os.execv(sys.executable, [sys.executable, *command])
"""
"""Passes sockets as sd_listen_fds(3) says: as file descriptors from 3 on, to its own process id."""
SERVE = ("-m", "rtdemo", "serve", "--log-level", "warning", "--drain-seconds", "1")
Process = asyncio.subprocess.Process


class Service:
    """Start a program on listening sockets that stay open between its starts."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack

    async def start(
        self, sockets: list[socket.socket], *arguments: str, names: str = "", pid: str = ""
    ) -> Process:
        """Start it; it ends with the test."""
        numbers = ",".join(str(sock.fileno()) for sock in sockets)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", LAUNCHER, pid, names, numbers, *SERVE, *arguments),
            pass_fds=[sock.fileno() for sock in sockets],
            cwd=self._folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._stack.push_async_callback(_end, process)
        return process


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def addresses(process: Process) -> list[str]:
    """Return the addresses of the two sites that a server prints once it serves."""
    assert process.stdout is not None
    page, _view, websocket = [(await process.stdout.readline()).decode() for _ in range(3)]
    return [page.split()[-1], websocket.split()[-1]]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        yield Service(tmp_path, stack)


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Two listening sockets."""
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield made
    for sock in made:
        sock.close()


def port(sock: socket.socket) -> int:
    number: int = sock.getsockname()[1]
    return number


async def test_sockets_are_of_the_site_that_their_name_says(
    service: Service, sockets: list[socket.socket]
) -> None:
    """`websocket` is the websocket site's; any other name is the web site's. Both serve."""
    server = await service.start(sockets, names="websocket:connection")
    websocket, web = map(port, sockets)
    assert await addresses(server) == [f"http://127.0.0.1:{web}/", f"ws://127.0.0.1:{websocket}/"]
    async with aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{web}/readyz") as answer:
            assert answer.status == 200
        async with http.ws_connect(f"ws://127.0.0.1:{websocket}/") as client:
            assert "established" in await client.receive_str()
        # A site that is bound to loopback is open to local names only.
        async with http.get(f"http://127.0.0.1:{web}/", headers={"Host": "example.org"}) as answer:
            assert answer.status == 421


async def test_site_without_a_socket_is_bound_by_its_settings(sockets: list[socket.socket]) -> None:
    """As without a socket unit."""
    free = Settings(websocket_host="127.0.0.1", websocket_port=0, drain_seconds=0.0)
    server = Server(free, activated={"": sockets[:1]})
    await server.start()
    try:
        assert server.web_url == f"http://127.0.0.1:{port(sockets[0])}"
        assert str(port(sockets[1])) not in server.websocket_url
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("hosts", "host"), [(["127.0.0.1", "0.0.0.0"], ""), (["127.0.0.1", "127.0.0.2"], "127.0.0.1")]
)
def test_settings_have_the_address_that_is_open_to_most_clients(hosts: list[str], host: str) -> None:
    """Which names a request may have depends on it: on loopback only local ones."""
    with ExitStack() as stack:
        made = [stack.enter_context(socket.create_server((each, 0))) for each in hosts]
        settings = socket_activation.with_addresses(Settings(), {"": made})
    assert settings.host == host


async def test_restart_refuses_nobody(service: Service, sockets: list[socket.socket]) -> None:
    """A client that connects while the server drains, or while none runs, waits for the next start."""
    url = f"http://127.0.0.1:{port(sockets[0])}"
    old = await service.start(sockets[:1], "--single-site")
    await addresses(old)
    async with aiohttp.ClientSession() as http:
        stays = [await http.ws_connect(f"{url}/ws") for _ in range(2)]
        old.terminate()
        # It ends one connection at once, and the other later: meanwhile it drains.
        await closed(stays[0])
        waiting = [asyncio.ensure_future(first(http, url)) for first in (over_websocket, over_sse)]
        await closed(stays[1])
        assert await old.wait() == 0
        waiting += [asyncio.ensure_future(first(http, url)) for first in (over_websocket, over_sse)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        await addresses(await service.start(sockets[:1], "--single-site"))
        assert all("established" in message for message in await asyncio.gather(*waiting))


async def closed(client: aiohttp.ClientWebSocketResponse) -> None:
    """Wait until the server has ended a connection."""
    while (await client.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    assert client.close_code == 1001


async def over_websocket(http: aiohttp.ClientSession, url: str) -> str:
    async with http.ws_connect(f"{url}/ws") as client:
        return str(await client.receive_str())


async def over_sse(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(f"{url}/api/sse") as answer:
        assert answer.status == 200
        await answer.content.readuntil(b"data:")
        return (await answer.content.readline()).decode()


async def test_sockets_for_another_process_are_ignored(
    service: Service, sockets: list[socket.socket]
) -> None:
    """A program that systemd started may start a server, and leave its variables."""
    free = ("--host", "127.0.0.1", "--port", "0", "--single-site")
    server = await service.start(sockets[:1], *free, pid="1")
    web, _ = await addresses(server)
    assert web != f"http://127.0.0.1:{port(sockets[0])}/"


def test_socket_of_a_site_that_is_not_served_is_an_error(sockets: list[socket.socket]) -> None:
    """The line says what to change."""
    with pytest.raises(RtdemoError, match="remove the socket from the unit, or --single-site"):
        socket_activation.with_addresses(Settings(single_site=True), {"websocket_": sockets})


async def test_socket_that_cannot_be_used_is_one_line(
    service: Service, sockets: list[socket.socket]
) -> None:
    """A datagram socket, and any socket for several workers; the exit code is 1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        errors = [
            await failed(await service.start([datagrams], "--single-site")),
            await failed(await service.start(sockets, "--workers", "2", "--isolated-workers")),
        ]
    assert "LISTEN_FDS: file descriptor 3: not a listening TCP socket" in errors[0]
    assert "start rtdemo with --workers 1" in errors[1]


async def failed(process: Process) -> str:
    """Return the line with which a program ends."""
    _, err = await process.communicate()
    assert (process.returncode, err.count(b"\n")) == (1, 1)
    return err.decode()
