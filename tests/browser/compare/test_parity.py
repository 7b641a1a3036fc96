"""The fairness audit, line by line."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import BrowserErrors
from tests.browser.modules import run
from tests.browser.panel import Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARITY = """
    const facts = {
        server: "", process: 7, http: "1.1", tls: false,
        noDelay: true, compression: null, forwarding: [],
    };
    const evidence = {
        websocket: facts, sse: facts, protocol: "http/1.1",
        speeds: ["1", "1"], missingReason: "why not",
        payload: [{ mean: 80, least: 99 }, { mean: 80, least: 99 }],
        schedule: { names: ["message"], others: ["status"], block: 1000 },
    };
    const lines = (changes) => m.audit({ ...evidence, ...changes });
    const other = (changes) => lines({ sse: { ...facts, ...changes } });
    const failed = (all) => all.filter(({ result }) => result === "failed").map(({ name }) => name);
"""


@pytest.mark.empty_page
async def test_parity_of_what_is_alike(page: Page) -> None:
    """Seven lines, all ok; what differs by design is named in them."""
    found = await run(page, "compare/parity", PARITY + "return lines({})")
    assert {line["result"] for line in found} == {"ok"}
    assert [line["words"] for line in found] == [
        "process 7, both",
        "80.0 and 80.0 bytes of JSON, each producer with the same weight",
        "only message compared; excluded as different: status",
        "on, both",
        "none, both",
        "HTTP/1.1 at the server, both",
        "none seen, both",
    ]


@pytest.mark.empty_page
@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ("other({ process: 8 })", "Same process"),
        ("other({ server: 'b' })", "Same process"),
        ("lines({ payload: [{ mean: 80, least: 99 }, { mean: 110, least: 99 }] })", "Same payload"),
        ("lines({ speeds: ['1', '2'] })", "Same schedule"),
        ("lines({ schedule: { names: [], others: [], block: 1000 } })", "Same schedule"),
        ("other({ noDelay: false })", "TCP_NODELAY"),
        ("other({ compression: 'gzip' })", "Compression"),
        ("other({ http: '1.0' })", "HTTP version"),
        ("other({ forwarding: ['Via'] })", "Proxy in between"),
    ],
)
async def test_parity_fails_where_something_differs(page: Page, changes: str, name: str) -> None:
    """Each line fails for its own reason and for no other, and the verdict gives the reason."""
    found, reasons = await run(
        page, "compare/parity", f"{PARITY} const all = {changes}; return [failed(all), m.failures(all)]"
    )
    assert found == [name]
    assert len(reasons) == 1


@pytest.mark.empty_page
async def test_parity_says_what_is_not_told(page: Page) -> None:
    """Without the server's answer, or the kernel's, a line is unknown."""
    body = """
        const dumb = lines({ websocket: null, payload: [null, null] });
        return [
            dumb.map(({ result }) => result), other({ noDelay: null })[3].result,
            lines({ payload: [{ mean: 80, least: 99 }, { mean: 90, least: 99 }] })[1].result,
            lines({ payload: [{ mean: 80, least: 19 }, { mean: 110, least: 99 }] })[1].result,
            lines({ speeds: ["abc", "abc"] })[2].result, dumb[0].words,
            lines({ schedule: null })[2].result,
            lines({ protocol: "h2" })[6].words,
        ];
    """
    assert await run(page, "compare/parity", PARITY + body) == [
        ["unknown", "unknown", "ok", *["unknown"] * 4],
        "unknown",
        "ok",
        "unknown",
        "ok",
        "why not",
        "unknown",
        "none seen, both; it uses h2 to this page, HTTP/1.1 to the server",
    ]


async def test_a_probe_that_fails_is_asked_again(page: Page, browser_errors: BrowserErrors) -> None:
    """One answer that was lost does not leave the audit without it for good."""
    await page.route("**/api/probe/connection*", lambda route: route.abort())
    for side in ("websocket", "sse"):
        await Panel(page, side).connect()
    line = page.get_by_role("listitem").filter(has_text="TCP_NODELAY")
    await expect(line).to_contain_text("no answer from the server yet")
    await page.unroute("**/api/probe/connection*")
    await expect(line).to_have_attribute("data-result", "ok")
    browser_errors.remove_expected("ERR_FAILED")
