"""Local rights are those of the server's own user and of root, not of other users, such as a proxy's."""

from __future__ import annotations

import os
import sys

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.web import http_connection, peer_user
from tests.conftest import Start
from tests.raw_client import RawClient, turns

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux reports the user of a socket"
)


async def status(server: Server, port: int) -> int:
    """Return the status of a publication by this process."""
    url = f"http://{'[::1]' if server.settings.host == '::1' else '127.0.0.1'}:{port}/api/publish"
    async with httpx.AsyncClient() as http:
        answer = await http.post(url, json={"message": "x"})
    return answer.status_code


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", ""])
async def test_program_of_another_user_has_no_local_rights(
    start: Start, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel reports the program's user; here the server's own one is changed instead."""
    server = await start(host=host)
    port = int(server.web_url.rpartition(":")[2])
    assert await status(server, port) == 200
    monkeypatch.setattr(peer_user, "_ROOT", -1)
    assert await status(server, port) == 200
    own = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: own + 1)
    assert await status(server, port) == 403
    monkeypatch.setattr(peer_user, "_ROOT", own)
    assert await status(server, port) == 200


async def test_program_that_has_left_has_no_local_rights(server: Server) -> None:
    """A proxy's client could leave at once, and the kernel shows a closed socket as root's."""
    body = b'{"message": "x"}'
    head = f"POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    for by_reset in (False, True):
        client = await RawClient(server, "sse").connect()
        await client.send(head.encode() + body)
        client.leave(by_reset)
        await turns(30)
    assert len(server.hub.engine.log) == 0


async def test_system_that_reports_no_users_keeps_local_rights(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sandbox may refuse the kernel's answer: then all other rules still hold."""
    monkeypatch.setattr(peer_user, "_NETLINK_SOCK_DIAG", 31)
    assert await status(server, int(server.web_url.rpartition(":")[2])) == 200


async def test_user_of_a_connection_is_asked_for_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket keeps its user, and a publisher may send hundreds of requests a second over one."""
    asked: list[object] = []

    def ask(transport: object) -> bool:
        asked.append(transport)
        return False

    monkeypatch.setattr(http_connection, "is_of_other_user", ask)
    for connections in (1, 2):
        async with httpx.AsyncClient() as http:
            for _ in range(3):
                answer = await http.post(f"{server.web_url}/api/publish", json={"message": "x"})
                assert answer.status_code == 200
        assert len(asked) == connections
