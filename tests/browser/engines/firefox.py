"""Firefox by WebDriver BiDi, which it speaks itself; Debian has no geckodriver."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.browser.engines.engine import TIMEOUT_S, Engine, descendants, folder, program
from tests.system_packages import FIREFOX, require

LISTENING = "WebDriverBiDiServer.json"
"""File in the profile where Firefox says at which port it listens."""
LEVELS = ("error", "warn")


class Firefox(Engine):
    """A page of Firefox.

    Arguments:
        socket: a WebDriver BiDi session's (W3C Working Draft, section 5).
        process: the browser's id.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, process: int) -> None:
        self._socket = socket
        self._process = process
        self._ids = itertools.count(1)
        self._errors: list[str] = []
        self.page = ""

    async def open(self, url: str) -> None:
        # The page before reports that its connections end.
        await self.call(
            "browsingContext.navigate", context=self.page, url="about:blank", wait="complete"
        )
        self._errors.clear()
        await self.call("browsingContext.navigate", context=self.page, url=url, wait="complete")

    async def run(self, body: str) -> Any:
        source = f"(async () => JSON.stringify(await (async () => {{ {body} }})() ?? null))()"
        target = {"context": self.page}
        answer = await self.call("script.evaluate", expression=source, target=target, awaitPromise=True)
        if answer["type"] == "exception":
            raise AssertionError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    async def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height}
        await self.call("browsingContext.setViewport", context=self.page, viewport=size)

    async def errors(self) -> list[str]:
        # An answer comes after the events before it.
        await self.run("return null")
        return list(self._errors)

    async def picture(self) -> str:
        return str((await self.call("browsingContext.captureScreenshot", context=self.page))["data"])

    async def back(self) -> None:
        await self.call("browsingContext.traverseHistory", context=self.page, delta=-1)

    async def set_offline(self, offline: bool) -> None:
        conditions = {"type": "offline"} if offline else None
        await self.call(
            "emulation.setNetworkConditions", contexts=[self.page], networkConditions=conditions
        )

    async def processes(self) -> list[int]:
        return [self._process, *descendants(self._process)]

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(TIMEOUT_S):
            while (message := await self._socket.receive_json()).get("id") != number:
                entry = message.get("params", {})
                if message.get("method") == "log.entryAdded" and entry["level"] in LEVELS:
                    self._errors.append(entry["text"])
        if message["type"] == "error":
            raise AssertionError(f"{method}: {message['message']}")
        result: dict[str, Any] = message["result"]
        return result


@asynccontextmanager
async def firefox(preferences: Mapping[str, object] | None = None) -> AsyncIterator[Firefox]:
    """Run Firefox without windows for the block, with these preferences."""
    path = require(FIREFOX)
    async with folder() as profile:
        lines = [
            f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in (preferences or {}).items()
        ]
        (profile / "user.js").write_text("".join(lines))
        command = (
            path,
            "--headless",
            "--no-remote",
            "--profile",
            str(profile),
            "--remote-debugging-port=0",
        )
        async with program(*command, environ=os.environ) as process, aiohttp.ClientSession() as http:
            port = await asyncio.wait_for(_port(profile / LISTENING), TIMEOUT_S)
            async with http.ws_connect(f"ws://127.0.0.1:{port}/session", max_msg_size=0) as socket:
                browser = Firefox(socket, process.pid)
                await browser.call("session.new", capabilities={})
                await browser.call("session.subscribe", events=["log.entryAdded"])
                tree = await browser.call("browsingContext.getTree")
                browser.page = tree["contexts"][0]["context"]
                yield browser


async def _port(file: Path) -> int:
    while True:
        try:
            return int(json.loads(file.read_text())["ws_port"])
        except (FileNotFoundError, ValueError):
            # Not there yet, or not yet complete.
            await asyncio.sleep(0.05)
