"""What counts as an error of a page: the fixture of all tests of pages."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.conftest import QUESTION, BrowserErrors

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]

ASK = "async (address) => { await fetch(address); }"
UNTIL = "() => console.error('the last')"
"""Errors come in their order: all before this one have been noted."""


async def test_a_late_question_is_none(page: Page, browser_errors: BrowserErrors) -> None:
    """The server may have ended a connection when the page asks about it, once; any other 404 counts."""
    for client in ("ended", "other", "ended"):
        await page.evaluate(ASK, f"{QUESTION}{client}")
    await page.evaluate(ASK, "/api/nowhere")
    async with page.expect_console_message(lambda message: message.text == "the last"):
        await page.evaluate(UNTIL)
    assert len(browser_errors) == 3
    browser_errors.remove_expected("404 (Not Found)")
    browser_errors.remove_expected("the last")


async def test_errors_that_come_after_their_removal(page: Page, browser_errors: BrowserErrors) -> None:
    """They are removed too, and others are not."""
    browser_errors.remove_possible("404")
    await page.evaluate(ASK, "/api/nowhere")
    async with page.expect_console_message(lambda message: message.text == "the last"):
        await page.evaluate(UNTIL)
    assert browser_errors == ["the last"]
    browser_errors.remove_expected("the last")
