"""Take the pictures of the live page that the documentation shows: `make screenshots`.

The real program serves the page. Headless Chromium opens it in each color scheme, connects both
transports, and takes a picture after some messages. The browser is the one that RTDEMO_CHROMIUM names,
Chromium on the path, or playwright's own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from playwright.async_api import Browser, async_playwright

FOLDER = Path(__file__).parent
SCHEMES = ("light", "dark")
WIDTH, HEIGHT = 1280, 900
"""Size of the picture in CSS pixels, which are the picture's own."""
RECORDING_S = 12.0
"""Time at the normal rate after the verdict."""
PAGE_TIMEOUT_S = 15.0
"""Time for the page to load."""
VERDICT_TIMEOUT_S = 30.0
"""Time for both transports to connect, ten seconds of measuring, and the verdict."""
MAX_BYTES = 300_000
"""Size of a picture that a repository and a README can carry."""
_SERVE = ("--host", "127.0.0.1", "--port", "0", "--single-site", "--log-level", "warning")
_BROWSERS = ("chromium", "chromium-headless-shell")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), default=FOLDER, help="Folder for the pictures."
)
@click.option("--seconds", default=RECORDING_S, help="Time at the normal rate after the verdict.")
def main(folder: Path, seconds: float) -> None:
    """Take page-light.png and page-dark.png."""
    pictures = asyncio.run(take(folder, seconds))
    for picture in pictures:
        size = picture.stat().st_size
        click.echo(f"{picture}: {size / 1000:.0f} kB")
        if size > MAX_BYTES:
            sys.exit(f"{picture}: it has over {MAX_BYTES / 1000:.0f} kB")


async def take(folder: Path, seconds: float) -> list[Path]:
    """Take one picture for each color scheme; return their files.

    Arguments:
        folder: for the pictures.
        seconds: at the normal rate after the verdict.
    """
    named = os.environ.get("RTDEMO_CHROMIUM")
    executable = named or next(filter(None, map(shutil.which, _BROWSERS)), None)
    async with served() as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=_FLAGS)
        try:
            # One after the other: pages that share a processor would measure each other.
            return [await _take(browser, url, scheme, folder, seconds) for scheme in SCHEMES]
        finally:
            await browser.close()


async def _take(browser: Browser, url: str, scheme: str, folder: Path, seconds: float) -> Path:
    page = await browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page.set_default_timeout(PAGE_TIMEOUT_S * 1000)
    await page.goto(url)
    await page.get_by_role("button", name="Compare").click()
    await page.get_by_role("button", name="Compare again").wait_for(timeout=VERDICT_TIMEOUT_S * 1000)
    await asyncio.sleep(seconds)
    # A pointer over the page, or a focused button, would show a hint on the picture.
    await page.mouse.move(0, 0)
    await page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    picture = folder / f"page-{scheme}.png"
    await page.screenshot(path=picture)
    await page.close()
    return picture


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Run the program on a free port for the block; yield the page's address."""
    # Settings of this shell and of a .env file must not change the picture.
    ours = ("RTDEMO_", "REDIS_URL", "HOST")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environ |= {"PYTHONPATH": str(FOLDER.parent), "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtdemo", "serve", *_SERVE),
        cwd=FOLDER,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101 - for mypy: a pipe was asked for
    try:
        first = (await process.stdout.readline()).decode().split()
        if not first:
            sys.exit("the server did not start")
        yield first[-1]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


if __name__ == "__main__":
    main()
