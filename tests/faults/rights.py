"""Strangers who try to get a local user's rights, by proxies, headers and names; what they may read."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.cluster.process import Process
from tests.faults.attack import Figures
from tests.faults.peers import first_bytes, status, streams
from tests.faults.target import Setup, Target
from tests.free_port import free_port
from tests.lab.doctor.proxies import program
from tests.system_packages import find

FORWARDING = (
    *(
        "Forwarded",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
    ),
    *("X-Forwarded-Server", "X-Forwarded", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP"),
    *("True-Client-IP", "CF-Connecting-IP", "CF-Ray", "Fly-Client-IP", "X-Envoy-External-Address"),
    *("X-Original-Forwarded-For", "X-Original-Host", "X-Azure-ClientIP", "X-Amzn-Trace-Id"),
    *("X-Appengine-User-IP", "Fastly-Client-IP", "CDN-Loop", "X-ProxyUser-Ip"),
)
PUBLISH, ENABLE = "/api/publish", "/api/producers/message/enable"
MESSAGE = b'{"message": "a stranger was here"}'
HAPROXY_DEFAULT = """
defaults
    mode http
    timeout connect 3s
    timeout client 30s
    timeout server 30s

frontend web
    bind 127.0.0.1:PORT
    default_backend rtdemo

backend rtdemo
    server one 127.0.0.1:SERVER
"""
NGINX_DEFAULT = Path(__file__).parents[1] / "lab" / "doctor" / "setups" / "nginx_default.conf"
FOREIGN = b"Host: evil.example"
READS = ("/", "/view", "/api/sse", "/api/stats", "/api/producers", "/api/plugins", "/metrics")
UPGRADE = (
    b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
)
"""Headers of a handshake, after another header."""
STRANGER = b"Host: localhost\r\nX-Forwarded-For: 203.0.113.7"
"""What a proxy sends for a client elsewhere."""
WORKERS, REQUESTS = 4, 100


def _post(path: str, headers: bytes, version: str = "1.1") -> bytes:
    length = b"Content-Length: %d" % len(MESSAGE)
    return (
        f"POST {path} HTTP/{version}\r\n".encode() + headers + b"\r\n" + length + b"\r\n\r\n" + MESSAGE
    )


def _get(path: str, headers: bytes) -> bytes:
    return f"GET {path} HTTP/1.1\r\n".encode() + headers + b"\r\n\r\n"


async def _granted(port: int, headers: Sequence[bytes], version: str = "1.1") -> int:
    """Return how many requests to publish and to administrate are answered with success."""
    answers = [
        await first_bytes(port, _post(path, header, version))
        for header in headers
        for path in (PUBLISH, ENABLE)
    ]
    return sum(200 <= status(answer) < 300 for answer in answers)


@asynccontextmanager
async def _proxy(setup: Setup, name: str, target: Target) -> AsyncIterator[Process]:
    """Run a proxy with the shortest configuration that works; it adds no header.

    Raises:
        FileNotFoundError: the program is missing; the text says how to install it.
    """
    port = free_port()
    text = HAPROXY_DEFAULT if name == "haproxy.cfg" else NGINX_DEFAULT.read_text()
    text = text.replace("PORT", str(port)).replace("SERVER", str(target.port))
    config = setup.folder / name
    config.write_text(text.replace("FOLDER", str(setup.folder)))
    binary = find(program(name))
    if binary is None:
        raise FileNotFoundError(program(name).advice)
    options = ["-db", "-f"] if name == "haproxy.cfg" else ["-p", str(setup.folder), "-c"]
    process = Process([binary, *options, str(config)], port, setup.folder / "proxy.log")
    try:
        async with asyncio.timeout(10):
            await process.start()
        yield process
    finally:
        await process.stop()  # not by SIGKILL: nginx would leave its worker


async def through_proxy(setup: Setup, name: str, arguments: tuple[str, ...]) -> Figures:
    """Send `Host: localhost` through a proxy on the same host.

    Arguments:
        setup: starts the server.
        name: nginx.conf or haproxy.cfg.
        arguments: of the server.
    """
    async with setup.server(*arguments) as target, _proxy(setup, name, target) as proxy:
        hosts = [b"Host: localhost", b"Host: 127.0.0.1", b"Host: x.localhost"]
        return {"granted": await _granted(proxy.port, hosts)}


async def forwarding_headers(setup: Setup) -> Figures:
    """Send each header by which proxies report themselves, HTTP/1.0, and nothing of that."""
    async with setup.server() as target:
        headers = [b"Host: localhost\r\n%s: 203.0.113.7" % name.encode() for name in FORWARDING]
        own_page = b"Host: localhost:%d" % target.port
        return {
            "granted with a header": await _granted(target.port, headers),
            "granted by HTTP/1.0": await _granted(target.port, [b"Host: localhost"], "1.0"),
            "granted to local users": await _granted(target.port, [own_page]),
        }


async def production_without_tokens(setup: Setup) -> Figures:
    """Publish and administrate from this machine to a server with `--production` and no token."""
    async with setup.server("--production") as target:
        answers = [
            await first_bytes(target.port, _post(path, b"Host: localhost")) for path in (PUBLISH, ENABLE)
        ]
        reasons = (b"--publish-token", b"--admin-token")
        return {
            "granted": sum(200 <= status(answer) < 300 for answer in answers),
            "answers that name the setting": sum(
                reason in answer for reason, answer in zip(reasons, answers, strict=True)
            ),
        }


async def rebinding(setup: Setup, arguments: tuple[str, ...] = ()) -> Figures:
    """Ask a server on loopback by a foreign name.

    Arguments:
        setup: starts the server.
        arguments: of the server.
    """
    async with setup.server(*arguments) as target:
        requests = [_get(path, FOREIGN) for path in READS]
        requests += [_get("/ws", FOREIGN + UPGRADE)]
        requests += [_post(f"{path}?client=x", FOREIGN) for path in (PUBLISH, "/api/messages")]
        answers = [status(await first_bytes(target.port, request)) for request in requests]
        return {
            "refused with 421": answers.count(421),
            "answered": sum(answer in (101, 200, 202) for answer in answers),
        }


async def what_strangers_read(setup: Setup, arguments: tuple[str, ...] = ()) -> Figures:
    """Read metrics, plugins and producers as a stranger behind a proxy.

    Arguments:
        setup: starts the server.
        arguments: of the server.
    """
    plugin = setup.folder / "broken.py"
    plugin.write_text(
        "from rtdemo import producer\n@producer(every=0.05)\n"
        "def broken():\n    raise ValueError('a detail of the error')\n"
    )
    async with setup.server(str(plugin), *arguments) as target:
        async with streams(target, "sse", 1):
            # The producer runs for this client, and fails.
            while '"lastError":"ValueError' not in (await target.get("/api/producers"))[1]:
                await asyncio.sleep(0.02)
        details, opened, answered = 0, 0, 0
        for path in ("/metrics", "/api/plugins", "/api/producers", "/api/stats"):
            answer = await first_bytes(target.port, _get(path, STRANGER))
            answered += status(answer) > 0
            details += str(plugin).encode() in answer or b"a detail of the error" in answer
            opened += path in ("/metrics", "/api/plugins") and status(answer) == 200
        return {
            "answers": answered,
            "answers with details": details,
            "open to strangers": opened,
        }


async def statistics(setup: Setup) -> Figures:
    """Ask four workers for their statistics again and again, for a second."""
    async with setup.server("--workers", str(WORKERS), "--isolated-workers") as target:
        while json.loads((await target.get("/api/stats"))[1])["workers"] < WORKERS:
            await asyncio.sleep(0.05)
        idle = target.cpu_seconds()
        await asyncio.sleep(1)
        before = target.cpu_seconds()
        start = time.monotonic()
        async with aiohttp.ClientSession(target.web_url) as http:
            for _ in range(REQUESTS):
                async with http.get("/api/stats") as answer:
                    await answer.read()
                await asyncio.sleep(1 / REQUESTS)
        used = target.cpu_seconds() - before - (before - idle) * (time.monotonic() - start)
        return {"CPU of a request": used / REQUESTS * 1000}
