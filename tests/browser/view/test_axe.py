"""axe-core finds nothing on the view: without values, with each kind of card, and with a hidden one."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.axe import violations
from tests.browser.view.conftest import OpenView, Publish

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_view(open_view: OpenView, publish: Publish) -> None:
    """Light, dark, and on a phone."""
    page = await open_view()
    assert await violations(page) == []
    await publish("loss", 3, 2.5)
    await publish("cpu", {"user": 12.5, "system": 3})
    await publish("door", False, True)
    await publish("note", "first", "second")
    await publish("rows", [{"pid": 7, "name": "a"}])
    await expect(page.get_by_role("article", name="rows").locator("tr")).to_have_count(2)
    assert await violations(page) == []
    await page.get_by_role("button", name="Hide rows").click()
    await expect(page.get_by_role("button", name="Show hidden")).to_be_visible()
    assert await violations(page) == []
