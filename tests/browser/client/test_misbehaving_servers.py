"""The browser's client on servers that misbehave: the same table as for the Python client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from rtdemo.web.joined_files import join_library
from rtdemo.web.static_files import CLIENT, FOLDER
from tests.browser.conftest import EMPTY
from tests.browser.modules import stop_clock
from tests.client.misbehaving import CASES, Case, MisbehavingServer, behaves, misbehaving
from tests.client.seen import Seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEP_MS, LONG_STEP_MS = 100, 2_000
"""Time of the page between two looks at it; the longer one where a case waits for time to pass."""
START = """async ([url, transport]) => {
    const { connect } = await import("/static/client.js");
    window.seen = { messages: [], sentences: [] };
    window.stream = connect({
        url,
        transport,
        onMessage: ({ message }) => window.seen.messages.push(message),
        onState: ({ state, sentence }) => window.seen.sentences.push(`${state}: ${sentence}`),
    });
}"""
LOOK = """() => {
    const { messages, sentences } = window.seen;
    const { error, transport, ledger, state } = window.stream;
    return { messages, sentences: sentences.join("\\n"), error: error ?? "", transport, ledger, state };
}"""


def client_files() -> dict[str, tuple[str, str]]:
    """Return the client as it is served, and an empty page."""
    sources = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*.js")}
    return {
        "/empty": ("text/html", str(EMPTY["body"])),
        "/static/client.js": ("text/javascript", join_library(sources, CLIENT)),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[MisbehavingServer]:
    """One server for all cases: the page stays."""
    async with misbehaving(behaves, client_files()) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(browser: Browser, server: MisbehavingServer) -> AsyncIterator[Page]:
    """An empty page, whose time the test moves."""
    page = await browser.new_page()
    await page.goto(f"{server.url}/empty")
    await stop_clock(page)
    yield page
    await page.close()


async def seen_of(page: Page, url: str, transport: str, case: Case) -> Seen:
    """Receive until all that is wanted has arrived, or an error ends the stream."""
    await page.evaluate(START, [f"{url}/", transport])
    step = LONG_STEP_MS if case.waits else STEP_MS
    try:
        while True:
            found: dict[str, Any] = await page.evaluate(LOOK)
            is_complete = len(found["messages"]) >= len(case.messages) and not case.error
            if is_complete or found["state"] == "failed":
                break
            await page.clock.run_for(step)
            await asyncio.sleep(0.01)
    finally:
        await page.evaluate("window.stream.close()")
    del found["state"]
    return Seen(**found)


@pytest.mark.parametrize(
    ("name", "transport"),
    [(name, transport) for name, case in CASES.items() for transport in case.transports],
)
async def test_outcome_is_as_wanted(
    page: Page, server: MisbehavingServer, name: str, transport: str
) -> None:
    """See the table of cases."""
    case = CASES[name]
    server.begin(case.serve)
    async with asyncio.timeout(20):
        seen = await seen_of(page, server.url, transport, case)
    seen.check(case, server.after.get(transport, []))
