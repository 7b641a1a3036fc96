"""Chromium by Playwright, as one engine among the others."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import ConsoleMessage, Page, ViewportSize, async_playwright

from tests.browser.engines.engine import Engine
from tests.system_packages import CHROMIUM, require

FLAGS = ("--no-sandbox", "--disable-gpu")
LEVELS = ("error", "warning")


class Chromium(Engine):
    """A page of Chromium.

    Arguments:
        page: Playwright's.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self._errors: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self._errors.append(str(error)))

    async def open(self, url: str) -> None:
        self._errors.clear()
        await self.page.goto(url)

    async def run(self, body: str) -> Any:
        return await self.page.evaluate(f"async () => {{ {body} }}")

    async def resize(self, width: int, height: int) -> None:
        await self.page.set_viewport_size(ViewportSize(width=width, height=height))

    async def errors(self) -> list[str]:
        return list(self._errors)

    async def picture(self) -> str:
        return base64.b64encode(await self.page.screenshot()).decode()

    async def back(self) -> None:
        await self.page.go_back(wait_until="commit")

    async def set_offline(self, offline: bool) -> None:
        await self.page.context.set_offline(offline)

    async def processes(self) -> list[int]:
        browser = self.page.context.browser
        assert browser is not None
        session = await browser.new_browser_cdp_session()
        found = await session.send("SystemInfo.getProcessInfo")
        await session.detach()
        return [int(process["id"]) for process in found["processInfo"]]

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in LEVELS:
            self._errors.append(message.text)


@asynccontextmanager
async def chromium(*, is_whole: bool = False) -> AsyncIterator[Chromium]:
    """Run Chromium for the block.

    Arguments:
        is_whole: the whole browser, which has a back/forward cache; else the one without windows, if
            there is one, which takes less of the machine.
    """
    path = (shutil.which("chromium") if is_whole else None) or require(CHROMIUM)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=[*FLAGS, *(["--headless=new"] if is_whole else [])],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield Chromium(await browser.new_page())
        await browser.close()
