"""compose.yaml keeps its rules, and its commands run: one server, or two with Redis behind HAProxy."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pytest

from tests.cluster.process import Process
from tests.deploy.files import ROOT, compose, image, served_variables
from tests.deploy.rules import broken_by_compose
from tests.free_port import free_port
from tests.redis_server import RedisServer
from tests.system_packages import HAPROXY, require

CLUSTER = {"one", "two", "redis", "proxy"}
TOKEN = "a-token-of-the-test"


def test_compose_keeps_its_rules() -> None:
    """Read-only roots, no capabilities, health checks, ports of this machine only."""
    assert broken_by_compose(compose()) == []


@pytest.mark.parametrize(
    ("service", "key", "value", "rule"),
    [
        ("server", "read_only", False, "server: its root is writable, or it has capabilities"),
        ("redis", "cap_drop", [], "redis: its root is writable, or it has capabilities"),
        ("one", "security_opt", [], "one: it can gain privileges"),
        ("two", "restart", "no", "two: it is not restarted"),
        ("server", "ports", ["3000:3000"], "server: port 3000:3000 is open to other machines"),
        ("server", "enviroment", {}, "server: enviroment is no key that a service of this file uses"),
        ("one", "depends_on", {"redis": {}}, "one: it does not wait until redis is healthy"),
        ("one", "profiles", ["other"], "one: redis is not of the same profile"),
    ],
)
def test_broken_rule_is_found(service: str, key: str, value: Any, rule: str) -> None:
    """Each rule fails where the file breaks it."""
    changed = compose()
    changed["services"][service] = {**changed["services"][service], key: value}
    assert rule in broken_by_compose(changed)


def test_one_server_by_default_and_the_others_by_their_profile() -> None:
    """`docker compose up` starts one server; what `proxy` depends on is the rest of the cluster."""
    services = compose()["services"]
    by_profile: dict[str, set[str]] = {}
    for name, service in services.items():
        (profile,) = service.get("profiles", ["default"])
        by_profile.setdefault(profile, set()).add(name)
    monitoring = {"prometheus", "grafana"}
    assert by_profile == {"default": {"server"}, "cluster": CLUSTER, "monitoring": monitoring}
    started, waiting = set(), ["proxy"]
    while waiting:
        started.add(name := waiting.pop())
        waiting += services[name].get("depends_on", {})
    assert started == CLUSTER


def test_variables_are_settings_of_the_program() -> None:
    """Each variable is one that `rtdemo serve` reads, or that haproxy.cfg does."""
    haproxy = set(re.findall(r"\$\{(\w+)-", (ROOT / "deploy/haproxy.cfg").read_text()))
    services = compose()["services"]
    assert set(services["proxy"]["environment"]) == haproxy
    for name in ("server", "one", "two"):
        assert services[name]["environment"].keys() <= served_variables().keys(), name


def test_ports_are_those_that_the_programs_listen_on() -> None:
    """A container's port is the image's EXPOSE, or what haproxy.cfg binds."""
    services = compose()["services"]
    (exposed,) = image().ports
    assert services["server"]["ports"] == [f"127.0.0.1:{exposed}:{exposed}"]
    assert services["proxy"]["ports"] == ["127.0.0.1:8080:8080"]
    assert "bind 0.0.0.0:8080" in (ROOT / "deploy/haproxy.cfg").read_text()
    named = set(services["proxy"]["environment"].values())
    assert named == {f"one:{exposed}", f"two:{exposed}"}


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[tuple[Process, list[Process]]]:
    """HAProxy and two servers as compose.yaml starts them, with names and ports of this machine."""
    services = compose()["services"]
    program, *options = services["redis"]["command"]
    (folder := tmp_path / "redis").mkdir()
    assert program == "redis-server"
    redis = RedisServer(folder, *options)
    servers = []
    for name in ("one", "two"):
        environ = {key: str(value) for key, value in services[name]["environment"].items()}
        environ["REDIS_URL"] = environ["REDIS_URL"].replace("redis:6379", f"127.0.0.1:{redis.port}")
        environ |= {"HOST": "127.0.0.1", "PORT": str(free_port()), "RTDEMO_PUBLISH_TOKEN": TOKEN}
        command = [sys.executable, *image().command[1:]]
        servers.append(Process(command, int(environ["PORT"]), tmp_path / f"{name}.log", environ))
    port = free_port()
    config = tmp_path / "haproxy.cfg"
    text = (ROOT / "deploy/haproxy.cfg").read_text()
    config.write_text(text.replace("0.0.0.0:8080", f"127.0.0.1:{port}"))
    places = {"SERVER_ONE": servers[0].url, "SERVER_TWO": servers[1].url}
    environ = {name: url.removeprefix("http://") for name, url in places.items()}
    command = [require(HAPROXY), "-db", "-f", str(config)]
    proxy = Process(command, port, tmp_path / "haproxy.log", environ)
    try:
        await redis.start()
        for process in (*servers, proxy):
            await process.start()
        yield proxy, servers
    finally:
        for process in (proxy, *servers):
            await process.kill()
        await redis.stop()


async def test_cluster_shares_its_messages(cluster: tuple[Process, list[Process]]) -> None:
    """A message published through HAProxy reaches clients of both servers; SIGTERM ends each with 0."""
    proxy, servers = cluster
    async with httpx.AsyncClient(timeout=30) as http:
        received = [asyncio.create_task(published(http, server.url)) for server in servers]
        body = {"message": "to everyone", "producer": "news"}
        while not all(task.done() for task in received):
            answer = await http.post(
                f"{proxy.url}/api/publish", json=body, headers={"Authorization": f"Bearer {TOKEN}"}
            )
            assert answer.status_code == 200
            await asyncio.wait(received, timeout=0.2)
        assert [await task for task in received] == ["to everyone"] * 2
        assert (await http.post(f"{proxy.url}/api/publish", json=body)).status_code == 401
    assert [await server.stop() for server in servers] == [0, 0]


async def published(http: httpx.AsyncClient, url: str) -> str:
    """Return the first message that producer `news` sends on a server's event stream."""
    async with httpx_sse.aconnect_sse(http, "GET", f"{url}/api/sse") as stream:
        async for event in stream.aiter_sse():
            message: dict[str, Any] = json.loads(event.data)
            if message["producer"] == "news":
                return str(message["message"])
    raise AssertionError("the stream ended")
