"""`rtdemo.embed` in a page of another origin, as a notebook displays it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

import rtdemo
from tests.browser.conftest import BrowserErrors, Serve
from tests.browser.embed.conftest import OpenHost, Site
from tests.browser.view.conftest import Publish
from tests.clients import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_allowed_origin_shows_the_live_card(
    open_host: OpenHost, serve: Serve, site: Site, publish: Publish
) -> None:
    """Only that, without the page's header; it follows."""
    server = await serve(allow_embed=(site.origin,))
    await publish("loss", 3, server=server)
    page = await open_host(rtdemo.embed("loss", url=server.web_url)._repr_html_(), server)
    frame = page.frame_locator("iframe")
    await expect(frame.locator(".number")).to_have_text("3")
    await publish("loss", 4, server=server)
    await expect(frame.locator(".number")).to_have_text("4")
    await expect(frame.get_by_role("button", name="Pause")).not_to_be_visible()
    await expect(frame.get_by_role("button", name="Hide")).not_to_be_visible()


async def test_another_origin_shows_nothing(
    open_host: OpenHost, serve: Serve, site: Site, publish: Publish, browser_errors: BrowserErrors
) -> None:
    """Nor does any without --allow-embed; --allow-origin does not count for frames."""
    server = await serve(allow_embed=("http://other.localhost",), allow_origin=(site.origin,))
    await publish("loss", 3, server=server)
    page = await open_host(rtdemo.embed("loss", url=server.web_url)._repr_html_(), server)
    await page.wait_for_load_state("load")
    (frame,) = page.main_frame.child_frames
    assert frame.url.startswith("chrome-error:")
    await eventually(lambda: any("frame-ancestors" in error for error in browser_errors))
    browser_errors.remove_expected("frame-ancestors")
