"""Files that the page saves."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Page


async def saved(page: Page, name: str, folder: Path) -> str:
    """Press a button and return what is saved."""
    async with page.expect_download() as download:
        await page.get_by_role("button", name=name).click()
    file = await download.value
    path = folder / file.suggested_filename
    await file.save_as(path)
    return path.read_text()
