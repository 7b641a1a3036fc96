"""What tests need of a browser: open a page, and run scripts in it."""

from __future__ import annotations

import abc
import asyncio
import shutil
import tempfile
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0
"""Time for a browser to start, to open the page, and to run one script."""
POLL_MS = 50
"""Time between two looks at a condition, in the page."""
POLLS_MS = 10_000
"""Time of one script that looks again and again: less than a driver allows."""
CONNECT = """
    for (const side of %s) {
        const buttons = [...document.querySelectorAll(`[data-side="${side}"] button`)];
        buttons.find(({ textContent }) => textContent.trim() === "Connect").click();
    }
"""


class Unsupported(Exception):
    """The driver of an engine has no such command."""


class Engine(abc.ABC):
    """A browser with one page."""

    @abc.abstractmethod
    async def open(self, url: str) -> None:
        """Open an address in the page, and wait until it has loaded."""

    @abc.abstractmethod
    async def run(self, body: str) -> Any:
        """Run the body of an asynchronous function in the page; return its value, which is JSON's."""

    @abc.abstractmethod
    async def resize(self, width: int, height: int) -> None:
        """Give the page a size, CSS pixels."""

    @abc.abstractmethod
    async def errors(self) -> list[str]:
        """Return the errors and warnings of the page that is open."""

    @abc.abstractmethod
    async def picture(self) -> str:
        """Return a PNG of the page in Base64."""

    async def back(self) -> None:
        """Go back to the page before, and wait until it is shown.

        Raises:
            Unsupported: the driver cannot.
        """
        raise Unsupported("the driver runs no script in a page from the back/forward cache")

    async def set_offline(self, offline: bool) -> None:
        """Take the network from the page, or give it back.

        Raises:
            Unsupported: the driver cannot.
        """
        raise Unsupported("the driver cannot switch the network off")

    @abc.abstractmethod
    async def processes(self) -> list[int]:
        """Return the ids of the browser's processes, those of pages included."""

    async def until(self, condition: str, timeout_s: float = TIMEOUT_S) -> Any:
        """Wait until an expression is true in the page; return its value."""
        body = f"""
            const end = performance.now() + {POLLS_MS};
            for (;;) {{
                const found = {condition};
                if (found || performance.now() > end) return found;
                await new Promise((resolve) => setTimeout(resolve, {POLL_MS}));
            }}
        """
        end = time.monotonic() + timeout_s
        while not (found := await self.run(body)):
            if time.monotonic() > end:
                raise AssertionError(f"not true within {timeout_s:g} s: {condition}")
        return found

    async def connect(self, *sides: str) -> None:
        """Press Connect of each side, in this order, at one moment."""
        await self.run(CONNECT % list(sides))

    async def press(self, name: str) -> None:
        """Press the button that the template gives this name."""
        await self.run(f"document.querySelector('[data-part=\"{name}\"]').click()")

    async def text(self, name: str, side: str | None = None) -> str:
        """Return the text of a part of the page, or of a side."""
        return str(await self.run(f"return {text(name, side)}"))


def text(name: str, side: str | None = None) -> str:
    """Return the expression of a part's text, for `Engine.until`."""
    within = "" if side is None else f'[data-side="{side}"] '
    return f"document.querySelector('{within}[data-part=\"{name}\"]').textContent"


@asynccontextmanager
async def program(
    *command: str, environ: Mapping[str, str], stdout: int = DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program for the block."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdin=DEVNULL, stdout=stdout, stderr=DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def descendants(process: int) -> list[int]:
    """Return the ids of the processes that a process has started, and of theirs."""
    found = []
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, tasks.read_text().split()):
            found += [child, *descendants(child)]
    return found


@asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    """Make a folder for the block. A browser may still write into it when it has ended."""
    made = Path(tempfile.mkdtemp(prefix="rtdemo-browser-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
