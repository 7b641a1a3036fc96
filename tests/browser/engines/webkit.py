"""WebKitGTK by WebDriver, with the small browser that comes with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.browser.engines.engine import TIMEOUT_S, Engine, descendants, folder, program
from tests.free_port import free_port
from tests.system_packages import WEBKIT, XVFB, require

ZOOM = 1.5
"""Pixels for each CSS pixel: its window is at least 447 pixels wide, and a phone has 390 CSS pixels."""
SCREEN = "2560x1920x24"
WATCH = """
    window.reported = [];
    const report = (text) => { window.reported.push(String(text)); };
    addEventListener("error", (event) => report(event.message));
    addEventListener("unhandledrejection", (event) => report(event.reason));
    document.addEventListener("securitypolicyviolation", (event) => report(event.violatedDirective));
    for (const level of ["error", "warn"]) {
        const write = console[level];
        console[level] = (...texts) => { report(texts.join(" ")); write.apply(console, texts); };
    }
"""
"""WebDriver has no events: errors from here on are kept in the page."""


class WebKit(Engine):
    """A page of WebKitGTK.

    Arguments:
        http: for the driver's address.
        session: the path of a session (W3C WebDriver, section 8).
        driver: id of the process that has started the browser.
    """

    def __init__(self, http: aiohttp.ClientSession, session: str, driver: int) -> None:
        self._http = http
        self._session = session
        self._driver = driver

    async def open(self, url: str) -> None:
        await self.call("POST", "/url", url=url)
        await self.run(WATCH)

    async def run(self, body: str) -> Any:
        source = f"""
            const done = arguments[0];
            (async () => {{ {body} }})().then(
                (value) => done({{ value: value ?? null }}),
                (error) => done({{ error: String(error) }}),
            );
        """
        answer = await self.call("POST", "/execute/async", script=source, args=[])
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]

    async def resize(self, width: int, height: int) -> None:
        await self.call("POST", "/window/rect", width=round(width * ZOOM), height=round(height * ZOOM))
        await self.until(f"innerWidth === {width}")

    async def errors(self) -> list[str]:
        return list(await self.run("return window.reported"))

    async def picture(self) -> str:
        return str(await self.call("GET", "/screenshot"))

    async def processes(self) -> list[int]:
        return descendants(self._driver)

    async def call(self, method: str, path: str, **parameters: object) -> Any:
        """Send a command and return its value."""
        return await _call(self._http, method, f"{self._session}{path}", parameters)


@asynccontextmanager
async def webkit(**environ: str) -> AsyncIterator[WebKit]:
    """Run WebKitGTK on a screen of its own for the block, with these environment variables."""
    driver, screen = require(WEBKIT), require(XVFB)
    port = free_port()
    ours = {
        "GDK_BACKEND": "x11",
        "GDK_DPI_SCALE": str(ZOOM),
        # Without a graphics card.
        "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
        **environ,
    }
    display = ("-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp")
    async with (
        folder() as home,
        program(screen, *display, environ=os.environ, stdout=asyncio.subprocess.PIPE) as x,
    ):
        assert x.stdout is not None
        number = (await asyncio.wait_for(x.stdout.readline(), TIMEOUT_S)).decode().strip()
        folders = {
            name: str(home) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
        }
        environment = {**os.environ, **folders, **ours, "DISPLAY": f":{number}"}
        async with (
            program(driver, f"--port={port}", environ=environment) as process,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        ):
            await asyncio.wait_for(_listens(http), TIMEOUT_S)
            opened = await _call(http, "POST", "/session", {"capabilities": {}})
            browser = WebKit(http, f"/session/{opened['sessionId']}", process.pid)
            yield browser
            await browser.call("DELETE", "")


async def _listens(http: aiohttp.ClientSession) -> None:
    while True:
        try:
            await _call(http, "GET", "/status", {})
            return
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.05)


async def _call(http: aiohttp.ClientSession, method: str, path: str, parameters: dict[str, Any]) -> Any:
    body = parameters if method == "POST" else None
    async with http.request(method, path, json=body, timeout=aiohttp.ClientTimeout(TIMEOUT_S)) as answer:
        value = (await answer.json())["value"]
    if answer.status != 200:
        raise AssertionError(f"{path}: {value['error']}: {value['message']}")
    return value
