"""The server's list of producers, as the page joins it."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_plugins_that_may_not_be_read_cost_no_producer(page: Page) -> None:
    """The server may have been started again with other rights, while the page is open."""
    body = """
        globalThis.fetch = async (path) => path === "api/plugins"
            ? new Response("no", { status: 403 }) : Response.json([]);
        const list = new m.ProducerList(() => {}, async () => null, true);
        await list.refresh();
        return [list.producers, list.pluginErrors, list.pollError];
    """
    assert await run(page, "producers", body) == [[], [], ""]


async def test_gathering_producers(page: Page) -> None:
    """Entries of one name are one producer, with the worst state of them."""
    body = """
        const account = (transport, rest) => ({
            name: "p", plugin: "q", shared: false, always: false, stream: false, period: null,
            state: "running", runs: 2, failures: 0, blocked: 1, transports: [transport], ...rest,
        });
        const accounts = [
            account("websocket", { period: 2, state: "disabled", failures: 3, lastError: "E\\n1" }),
            account("sse", {}),
            account("sse", { name: "s", period: 0.01, shared: true }),
        ];
        const text = m.periodText;
        const [one, two] = m.joinEntries(accounts);
        const published = (sentAt) => ({ plugin: "", shared: true, state: "published", sentAt });
        const origins = [null, Date.parse("2020-02-03T12:00Z"), Date.now()].map(
            (sentAt) => m.joinEntries([account("sse", published(sentAt))])[0].origin,
        );
        const { name, state, runs, failures, blocked, error } = one;
        return [
            [name, state, runs, failures, blocked, error],
            [text(one, "websocket", "3"), text(one, "sse", "3"), text(two, "sse", "3")],
            [text(two, "websocket", "3"), m.switchableNames([one, two], "websocket")],
            [one.origin, ...origins.map((origin) => origin.replace(/\\d\\d:\\d\\d:\\d\\d$/, "TIME"))],
        ];
    """
    assert await run(page, "producers", body) == [
        ["p", "disabled", 4, 3, 2, "WebSocket: E␊1"],
        ["every 667 ms", "at connect", "every 10 ms"],
        ["SSE only", ["p"]],
        [
            "private, plugin q",
            "shared, no message yet",
            "shared, last message 2020-02-03",
            "shared, last message TIME",
        ],
    ]
