"""Attack: a stranger uses a proxy on the server's own machine to count as a local user.

The proxies' configurations are what a beginner writes: only the address of the server.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.process import Process, rtdemo
from tests.lab.doctor.proxies import proxy as nginx
from tests.redis_server import free_port
from tests.system_packages import HAPROXY, require

# HAProxy as root does not change to another user by itself; distributions' own files have this line.
AS_OTHER_USER = "user nobody" if os.geteuid() == 0 else ""
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


@pytest.fixture(params=["--production", "no --production"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Process]:
    arguments = [request.param] if request.param == "--production" else []
    started = rtdemo(tmp_path, "server", "--host", "", *arguments)
    await started.start()
    yield started
    await started.kill()


@pytest.mark.parametrize("name", PROXIES)
async def test_stranger_behind_a_proxy_on_this_machine_is_not_local(
    server: Process, name: str, tmp_path: Path
) -> None:
    """No publication, no administration and no details, whatever Host the stranger sends."""
    is_traceless = name != "nginx by HTTP/1.0"
    if is_traceless and "--production" not in server.command and not AS_OTHER_USER:
        pytest.skip("only root can run the proxy as another user; see the test with --production")
    proxy = PROXIES[name](tmp_path, server.port)
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
        await proxy.kill()
