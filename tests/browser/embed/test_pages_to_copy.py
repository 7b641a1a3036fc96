"""Pages to copy, in docs/ and examples/, work as they are but for the server's address."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from rtdemo.server.server import Server
from tests.browser.embed.conftest import Site, Visit
from tests.browser.view.conftest import Publish
from tests.clients import eventually
from tests.docs.markdown import ROOT, blocks

pytestmark = pytest.mark.asyncio(loop_scope="session")
(DOCUMENTED, *_) = (block.text for block in blocks("docs/embed.md", "html"))
PAGES = {"docs/embed.md": DOCUMENTED, "examples/embed.html": (ROOT / "examples/embed.html").read_text()}
ADDRESS = "http://localhost:3000"


@pytest.mark.parametrize("name", PAGES)
async def test_page_shows_values(
    visit: Visit, site: Site, allowing: Server, publish: Publish, name: str
) -> None:
    """A value in its sentence, and its chart."""
    assert PAGES[name].count(ADDRESS) == 1
    await publish("loss", 0.5, 0.25, server=allowing)
    site.html = PAGES[name].replace(ADDRESS, allowing.web_url)
    page = await visit()
    await expect(page.locator('rtdemo-value[producer="loss"] .value')).to_have_text("0.25")
    await expect(page.locator("rtdemo-chart .number")).to_have_text("0.25")


async def test_page_with_the_client_prints_values(
    visit: Visit, site: Site, allowing: Server, publish: Publish
) -> None:
    """The script in docs/clients.md, in a page of another origin."""
    (script,) = (block.text for block in blocks("docs/clients.md", "html"))
    site.html = script.replace(ADDRESS, allowing.web_url)
    page = await visit()
    printed: list[str] = []
    page.on("console", lambda line: printed.append(line.text))
    await publish("loss", 0.5, server=allowing)
    await eventually(lambda: "loss 0.5" in printed)
