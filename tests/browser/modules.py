"""Call the page's modules in the browser, as the page does."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page


async def run(page: Page, module: str, body: str) -> Any:
    """Run a body with `m`, the module, and return what it returns."""
    source = "async ([module, body]) => { const m = await import(module); return (%s)(m); }"
    return await page.evaluate(source % f"async (m) => {{ {body} }}", [f"/static/{module}.js", body])


async def stop_clock(page: Page) -> None:
    """Let the page's time pass only as the test moves it."""
    await page.clock.install(time=0)
    await page.clock.pause_at(3_600_000)
