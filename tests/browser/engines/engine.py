"""What tests need of a browser that Playwright does not start: open a page, and run scripts in it."""

from __future__ import annotations

import abc
import asyncio
import shutil
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

TIMEOUT_S = 30.0
"""Time for a browser to start, to open the page, and to run one script."""
POLL_MS = 50
"""Time between two looks at a condition, in the page."""


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

    async def until(self, condition: str) -> Any:
        """Wait until an expression is true in the page; return its value."""
        body = f"""
            for (;;) {{
                const found = {condition};
                if (found) return found;
                await new Promise((resolve) => setTimeout(resolve, {POLL_MS}));
            }}
        """
        return await self.run(body)

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


@asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    """Make a folder for the block. A browser may still write into it when it has ended."""
    made = Path(tempfile.mkdtemp(prefix="rtdemo-browser-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
