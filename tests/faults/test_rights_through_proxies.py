"""Attack: a stranger uses a proxy on the server's own machine to count as a local user.

The proxies' configurations are what a beginner writes: only the address of the server.
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from rtdemo.server.server import Server
from tests.cluster.process import Process
from tests.conftest import Start
from tests.free_port import free_port
from tests.lab.doctor.proxies import proxy as nginx
from tests.system_packages import HAPROXY, require

IS_ROOT = os.geteuid() == 0
# HAProxy as root does not change to another user by itself; distributions' own files have this line.
AS_OTHER_USER = "user nobody" if IS_ROOT else ""
HAPROXY_DEFAULT = f"""
global
    maxconn 64
    {AS_OTHER_USER}
defaults
    mode http
    timeout connect 3s
    timeout client 5s
    timeout server 5s
listen web
    bind 127.0.0.1:PORT
    server one 127.0.0.1:SERVER
"""
HOSTS = ("localhost", "demo.example.org", "")
"""What the stranger sends as Host; empty: the proxy's own address."""


def haproxy(folder: Path, server: int) -> Process:
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY_DEFAULT.replace("PORT", str(port)).replace("SERVER", str(server)))
    return Process([require(HAPROXY), "-db", "-f", str(config)], port, folder / "haproxy.log")


PROXIES = {
    "nginx by HTTP/1.0": lambda folder, port: nginx(folder, "nginx_default.conf", port, []),
    # The default from nginx 1.29.7 on.
    "nginx by HTTP/1.1": lambda folder, port: nginx(
        folder, "nginx_default.conf", port, ["proxy_http_version 1.1"]
    ),
    "HAProxy": haproxy,
}


@pytest.fixture(params=[True, False], ids=["--production", "no --production"])
async def server(
    request: pytest.FixtureRequest, start: Start, monkeypatch: pytest.MonkeyPatch
) -> Server:
    """A server on every interface, that another user than the proxy's runs.

    Only root can start a proxy as another user. Elsewhere, the server takes itself for another user.
    """
    if not IS_ROOT:
        own = os.geteuid()
        monkeypatch.setattr("os.geteuid", lambda: own + 1)
    return await start(host="", websocket_host="", production=request.param)


@pytest.mark.parametrize("name", PROXIES)
async def test_stranger_behind_a_proxy_on_this_machine_is_not_local(
    server: Server, name: str, tmp_path: Path
) -> None:
    """No publication, no administration and no details, whatever Host the stranger sends."""
    proxy = PROXIES[name](tmp_path, int(server.web_url.rpartition(":")[2]))
    await proxy.start()
    try:
        async with httpx.AsyncClient(base_url=proxy.url) as http:
            for host in HOSTS:
                headers = {"Host": host} if host else {}
                answers = [
                    await http.post("/api/publish", json={"message": "x"}, headers=headers),
                    await http.post("/api/producers/message/enable", headers=headers),
                    await http.get("/metrics", headers=headers),
                    await http.get("/api/plugins", headers=headers),
                ]
                assert [answer.status_code for answer in answers] == [403] * 4, (host, answers[0].text)
                assert all(answer.text.count("\n") == 1 for answer in answers)
    finally:
        await proxy.stop()  # not by SIGKILL: nginx would leave its worker
