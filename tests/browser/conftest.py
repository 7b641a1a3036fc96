"""Open a real server's page in Chromium; a test fails if the browser reports an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Route,
    async_playwright,
    expect,
)

from rtdemo.server.server import Server
from rtdemo.settings.settings import Settings
from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import Clock
from tests.browser.engines.chromium import Chromium
from tests.browser.panel import Panel
from tests.system_packages import CHROMIUM, require

Serve = Callable[..., Awaitable[Server]]
Open = Callable[..., Awaitable[Page]]

TIMEOUT_MS = 60_000
FOREIGN_NAME = "elsewhere.test"
"""Name by which the browser reaches this machine. Unlike `localhost`, it is not trustworthy by HTTP."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {FOREIGN_NAME} 127.0.0.1",
)
QUESTION = "/api/probe/connection?client="
"""Address at which the page asks how its connection is served."""
GIVEN_UP = (
    *("closed before the connection is established", "Connection closed before receiving a handshake"),
    "503 (Service Unavailable)",
)
"""What Chromium reports of a try to connect that ends with Disconnect, or at a server that stops."""
FLOOD = """
from rtdemo import producer

@producer(every=0.01)
def flood():
    return "a hundred a second"
"""

EMPTY: dict[str, Any] = {
    "content_type": "text/html",
    "body": "<!doctype html><title>Empty</title>",
    # As the page's: it has the same timers.
    "headers": {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
    },
}
"""A document for tests that only call the page's modules: the page itself takes twice the CPU time."""
UNFOLD = "() => { for (const part of document.querySelectorAll('main > details')) part.open = true; }"
MARKUP = "<img src=x onerror='window.injected = 1'>"
SHAKY = f"""
from rtdemo import producer

@producer(every=1)
def shaky():
    raise ValueError("{MARKUP} " + "and so on " * 30)

@producer
def greeting():
    raise KeyError("name")

@producer(every=5, transports=["websocket"])
def steady():
    return "steady"
"""


class BrowserErrors(list[str]):
    """Errors that the browser reported: errors, warnings, exceptions, violations of the policy."""

    def __init__(self) -> None:
        super().__init__()
        self._removed: list[str] = []
        self._late: set[str] = set()

    def remove_expected(self, part: str) -> None:
        """Remove the errors that a test provokes; there must be at least one.

        A browser reports some only when the test has gone on: those are removed too.
        """
        count = len(self)
        self.remove_possible(part)
        assert len(self) < count, f"no error has {part!r}: {self}"

    def remove_possible(self, part: str) -> None:
        """Remove the errors that a test provokes at some moments only, also those that come later."""
        self[:] = [error for error in self if part not in error]
        self._removed.append(part)

    def remove_outage(self) -> None:
        """Remove what a server that stops may provoke. Which errors come depends on the moment."""
        for part in ("ERR_CONNECTION_", "ERR_EMPTY_RESPONSE", *GIVEN_UP):
            self.remove_possible(part)

    def note(self, message: ConsoleMessage) -> None:
        """Keep errors and warnings, but for removed ones and questions that came too late.

        The page asks once about each connection, which may have ended meanwhile.
        """
        if message.type not in {"error", "warning"}:
            return
        address = message.location["url"]
        is_question = "404 (Not Found)" in message.text and QUESTION in address
        if is_question and address not in self._late:
            self._late.add(address)
            return
        if not any(part in message.text for part in self._removed):
            self.append(message.text)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium: RTDEMO_CHROMIUM, the one on the path, or playwright's own."""
    expect.set_options(timeout=TIMEOUT_MS)
    path = require(CHROMIUM)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(browser: Browser) -> AsyncIterator[Chromium]:
    """An empty page, for tests of the path to a server of their own; the browser may report errors."""
    context = await browser.new_context()
    context.set_default_timeout(TIMEOUT_MS)
    yield Chromium(await context.new_page())
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def serve() -> AsyncIterator[Serve]:
    """Start servers with files, a clock and settings of the test's choice; they die with the test."""
    servers: list[Server] = []

    async def served(files: tuple[Path, ...] = (), clock: Clock | None = None, **changes: Any) -> Server:
        local: dict[str, Any] = {"host": "127.0.0.1", "websocket_host": "127.0.0.1"}
        # The tests count what one connection gets by itself.
        local |= {"port": 0, "websocket_port": 0, "drain_seconds": 0.0, "without": ("broadcast",)}
        server = Server(Settings(**{**local, **changes}), files, clock)
        await server.start()
        servers.append(server)
        return server

    yield served
    for server in servers:
        await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def server(serve: Serve) -> Server:
    """Serve the built-in plugins."""
    return await serve()


@pytest_asyncio.fixture(loop_scope="session")
async def flooded(serve: Serve, tmp_path: Path) -> Server:
    """Serve a hundred messages a second beside the built-in ones."""
    plugin = tmp_path / "flood.py"
    plugin.write_text(FLOOD)
    return await serve(files=(plugin,))


@pytest.fixture
def clock() -> VirtualClock:
    """Time that passes only when the test advances it."""
    return VirtualClock(start=1000.0)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A file with producers of which two are broken."""
    path = tmp_path / "trouble.py"
    path.write_text(SHAKY)
    return path


@pytest_asyncio.fixture(loop_scope="session")
async def troubled(serve: Serve, clock: VirtualClock, plugin: Path) -> Server:
    """Serve them beside the built-in ones."""
    return await serve(clock=clock, files=(plugin,))


@pytest.fixture
def browser_errors() -> BrowserErrors:
    """Errors that the page's browser reported so far."""
    return BrowserErrors()


async def fulfill_empty(route: Route) -> None:
    """Answer with an empty document."""
    await route.fulfill(**EMPTY)


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(
    browser: Browser, server: Server, browser_errors: BrowserErrors
) -> AsyncIterator[Open]:
    """Open pages: an address, a server, and what a browser context takes, such as a viewport.

    The details are unfolded, as a reader would do, unless a test asks for a folded page. A page is open
    once the element `sentence` has a text.
    """
    contexts: list[BrowserContext] = []
    served = server

    async def opened(
        address: str = "/",
        server: Server = served,
        *,
        folded: bool = False,
        empty: bool = False,
        sentence: str = ".sentence",
        **options: Any,
    ) -> Page:
        context = await browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = await context.new_page()
        page.on("console", browser_errors.note)
        page.on("pageerror", lambda error: browser_errors.append(str(error)))
        if empty:
            await page.route("**/empty", fulfill_empty)
            await page.goto(f"{server.web_url}/empty")
            return page
        await page.goto(f"{server.web_url}{address}")
        await expect(page.locator(sentence).first).not_to_be_empty()
        if not folded:
            await page.evaluate(UNFOLD)
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert browser_errors == [], "the browser reported errors"


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: Open, request: pytest.FixtureRequest) -> Page:
    """Open the page of the built-in server; with the mark `empty_page`, an empty one at its origin."""
    return await open_page(empty=request.node.get_closest_marker("empty_page") is not None)


@pytest.fixture(params=["websocket", "sse"])
def side(request: pytest.FixtureRequest) -> str:
    """Both sides: the promise is the same."""
    return str(request.param)


@pytest_asyncio.fixture(loop_scope="session")
async def panel(page: Page, side: str) -> Panel:
    """One side's panel on the page."""
    return Panel(page, side)
