"""The page and the commands at `/rt/` behind a real nginx, which removes the path or passes it on."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import Open, Serve
from tests.browser.panel import Panel
from tests.cluster.process import Process
from tests.cluster.proxies import nginx
from tests.lab.doctor.doctor_run import examine, findings

pytestmark = pytest.mark.asyncio(loop_scope="session")

REMOVED, PASSED_ON = "/removed/", "/passed/on/"
"""Where nginx has a server without the setting, and one with `--base-path`."""
SIDES = ("websocket", "sse")
TOKEN = "s3same"
VERDICT = re.compile(r"^(Equally fast here|Not decided|(WebSocket|SSE) is .* faster at)")


@dataclass
class Place:
    """Where the page is, for `open_page`."""

    web_url: str


def at_paths(text: str, addresses: dict[str, str]) -> str:
    """Return deploy/nginx.conf with a location for each path instead of the one for all."""
    start, location, rest = re.split(r"(?ms)^(        location / \{.*?^        \}\n)", text)
    locations = (
        location.replace("location /", f"location {path}", 1).replace("http://rtdemo", address, 1)
        for path, address in addresses.items()
    )
    return start + "".join(locations) + rest


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(serve: Serve, tmp_path: Path) -> AsyncIterator[Process]:
    """Serve behind nginx at both paths."""
    common = {"single_site": True, "publish_token": TOKEN, "without": (), "trusted_proxies": ("1",)}
    removed, passed_on = await serve(**common), await serve(base_path=PASSED_ON.rstrip("/"), **common)
    ports = [urlsplit(server.web_url).port or 0 for server in (removed, passed_on)]
    process = nginx(tmp_path, ports)
    config = tmp_path / "nginx.conf"
    # nginx replaces the location's path by that of `proxy_pass`, if this has one.
    addresses = {REMOVED: f"http://127.0.0.1:{ports[0]}/", PASSED_ON: f"http://127.0.0.1:{ports[1]}"}
    config.write_text(at_paths(config.read_text(), addresses))
    await process.start(f"{REMOVED}healthz")
    yield process
    await process.stop()


async def test_page_compares_below_a_path(proxy: Process, open_page: Open) -> None:
    """Both sides connect, a comparison ends, and the page requests nothing outside of its path."""
    asked: list[str] = []

    async def compare(path: str) -> None:
        page = await open_page(server=Place(f"{proxy.url}{path}"), address="?producers=message")
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        page.on("websocket", lambda socket: asked.append(urlsplit(socket.url).path))
        # From the first request.
        await page.reload()
        await page.get_by_role("button", name="Compare").click()
        sentence = page.locator('[data-part="verdict-sentence"]')
        await expect(sentence).to_have_text(VERDICT)
        for side in SIDES:
            panel = Panel(page, side)
            await panel.send_text("hello")
            await expect(panel.texts.filter(has_text="Echo: hello")).to_have_count(1)
        link = page.locator('[data-part="link"]')
        await expect(link).to_have_value(re.compile(f"^{re.escape(proxy.url + path)}\\?"))

    await asyncio.gather(compare(REMOVED), compare(PASSED_ON))
    for path in (REMOVED, PASSED_ON):
        names = {one.removeprefix(path) for one in asked if one.startswith(path)}
        assert names >= {"", "ws", "api/sse", "api/messages", "api/time", "api/producers"}
    assert [one for one in asked if not one.startswith((REMOVED, PASSED_ON))] == []


async def start(*arguments: str) -> asyncio.subprocess.Process:
    """Start a command."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "rtdemo", *arguments)
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)


async def run(*arguments: str) -> str:
    """Run a command that has to succeed; return its output."""
    process = await start(*arguments)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def until(process: asyncio.subprocess.Process, words: str) -> None:
    """Read the output of a command until a line has some words."""
    assert process.stdout is not None
    async for line in process.stdout:
        if words in line.decode():
            return
    raise AssertionError(f"it has ended without {words!r}")


async def publish_and_tail(url: str) -> None:
    """Publish a message that two tails print, one over each transport."""
    tails = [await start("tail", url, "--transport", side) for side in SIDES]
    try:
        await asyncio.gather(*(until(tail, "connection established") for tail in tails))
        await run("publish", "--to", url, "--token", TOKEN, "hello")
        await asyncio.gather(*(until(tail, "hello") for tail in tails))
    finally:
        for tail in tails:
            tail.terminate()
            await tail.communicate()


# Alone: on a busy machine events seem to come in clumps, and doctor's resume may miss its message.
@pytest.mark.alone
async def test_commands_below_a_path(proxy: Process, tmp_path: Path) -> None:
    """publish, tail, bench and doctor take the address with the path."""
    files = {path: tmp_path / f"{number}.json" for number, path in enumerate((REMOVED, PASSED_ON))}
    for path, file in files.items():
        await use_commands(f"{proxy.url}{path}", file)


async def use_commands(url: str, file: Path) -> None:
    """Run each command on a server; bench writes a file."""
    short = ("-n", "2", "--seconds", "3", "--rounds", "1", "--speed", "20", "--json", str(file))
    found = await examine(url, idle=1)
    await asyncio.gather(publish_and_tail(url), run("bench", url, *short))
    rounds = json.loads(file.read_text())["rounds"]
    assert {one["transport"] for one in rounds} == set(SIDES)
    results = findings(found)
    for check in ("WebSocket upgrade", "SSE first byte", "SSE events", "SSE resume", "origin rule"):
        assert results[check].verdict == "ok", results[check]
