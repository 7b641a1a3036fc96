"""The line that names the producers that fail, always or now and then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from rtdemo.testing import VirtualClock
from tests.browser.conftest import Serve
from tests.browser.modules import run, stop_clock
from tests.browser.view.conftest import OpenView

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHAKY = """
from itertools import count
from rtdemo import producer

runs = count(1)

@producer(every=1, shared=True)
def shaky():
    if next(runs) % 3 == 0:
        raise ValueError("no reading")
    return 1
"""
LOOKS = """
const failing = new m.Failing();
const shown = [];
for (const { at = 0, hidden = [], ...rest } of looks) {
    const producer = { name: "p", state: "running", runs: 0, failures: 0, error: "E: x", ...rest };
    const on = { websocket: null, sse: { stream: producer.stream } };
    failing.look([{ on, ...producer }], at * 1000);
    shown.push(failing.report((name) => !hidden.includes(name)));
}
return shown;
"""
UP, DOWN = "running", "backing off"


async def looks(page: Page, *entries: dict[str, Any]) -> list[tuple[str, bool]]:
    """Return what successive looks at one producer report, and whether the next is urgent."""
    found = await run(page, "view/failing", f"const looks = {json.dumps(entries)}; {LOOKS}")
    return [(each["text"], each["isUrgent"]) for each in found]


async def texts(page: Page, *entries: dict[str, Any]) -> list[str]:
    return [text for text, _ in await looks(page, *entries)]


def entry(at: float, runs: int, failures: int, state: str = UP, **rest: Any) -> dict[str, Any]:
    return {"at": at, "runs": runs, "failures": failures, "state": state, **rest}


async def look(page: Page) -> None:
    """Let the page's time pass until it reads the list again: three seconds after the last answer."""
    async with page.expect_request("**/api/producers") as asked:
        while not asked.is_done():
            await page.clock.run_for(3_000)
    # No time passes meanwhile: the page gives up an answer that takes five seconds of it.
    response = await (await asked.value).response()
    assert response is not None
    await response.finished()


async def test_plugin_that_was_not_loaded_is_named(
    open_view: OpenView, serve: Serve, tmp_path: Path
) -> None:
    """Only to those who may read details."""
    plugin = tmp_path / "broken.py"
    plugin.write_text("1 / 0\n")
    page = await open_view(server=await serve(files=(plugin,)))
    error = "line 1 of broken.py: ZeroDivisionError: division by zero"
    sentence = f"Plugin broken: {error}; it is not loaded."
    await expect(page.locator('[data-part="failing"]')).to_have_text(sentence)
    address = page.url
    # The page asks again and again: it ends before the requests of the next one are counted.
    await page.goto("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await stop_clock(page)
    await page.route_web_socket("**/*", lambda _: None)
    hidden = {"X-Forwarded-For": "192.0.2.1"}
    await page.set_extra_http_headers(hidden)
    await page.goto(address)
    await look(page)
    await expect(page.locator('[data-part="failing"]')).to_be_hidden()
    assert not [url for url in asked if url.endswith("/api/plugins")]


async def test_producer_that_fails_now_and_then_is_named(
    open_view: OpenView, serve: Serve, clock: VirtualClock, tmp_path: Path
) -> None:
    """From the second look on, within seconds, though each look finds it running."""
    plugin = tmp_path / "shaky.py"
    plugin.write_text(SHAKY)
    served = await serve(files=(plugin,), clock=clock)
    clock.advance(1)
    page = await open_view(server=served)
    await stop_clock(page)
    # In the page's time an attempt to connect takes too long, and Chromium reports that it was given up.
    await page.route_web_socket("**/*", lambda _: None)
    await page.reload()
    failing = page.locator('[data-part="failing"]')
    await look(page)
    await expect(failing).to_be_hidden()
    clock.advance(3)
    await look(page)
    await expect(failing).to_have_text("shaky failed 1 of 4 runs: ValueError: no reading.")
    clock.advance(3)
    await look(page)
    await expect(failing).to_have_text("shaky failed 2 of 7 runs: ValueError: no reading.")


@pytest.mark.empty_page
async def test_words_do_not_change_from_look_to_look(page: Page) -> None:
    """Whether it runs or backs off at the moment of a look, and if each finds it backing off."""
    found = await texts(
        page, entry(0, 3, 1, DOWN), entry(3, 6, 2, DOWN), entry(6, 8, 2, UP), entry(9, 12, 4, DOWN)
    )
    assert found == [
        "p fails: E: x.",
        "p failed 2 of 6 runs: E: x.",
        "p failed 2 of 8 runs: E: x.",
        "p failed 4 of 12 runs: E: x.",
    ]


@pytest.mark.empty_page
async def test_producer_that_works_no_longer_fails_in_one_word(page: Page) -> None:
    """At once, though it had worked before; a look that finds it disabled asks soon again."""
    found = await looks(
        page,
        entry(0, 900, 0),
        entry(30, 930, 1, DOWN),
        entry(60, 934, 5, DOWN),
        entry(90, 949, 20, "disabled"),
    )
    assert found == [("", True), *[("p fails: E: x.", True)] * 3]


@pytest.mark.empty_page
async def test_old_failures_are_not_reported(page: Page) -> None:
    """Failures of before the page, of a server that was replaced, and of a minute ago."""
    assert await texts(page, entry(0, 90, 30), entry(3, 93, 30)) == ["", ""]
    assert (await texts(page, entry(0, 90, 30), entry(3, 93, 31), entry(6, 2, 0)))[1:] == [
        "p failed 31 of 93 runs: E: x.",
        "",
    ]
    found = await looks(page, entry(0, 9, 0), entry(30, 39, 1), entry(60, 69, 1), entry(90, 99, 1))
    assert found == [
        ("", True),
        ("p failed 1 of 39 runs: E: x.", False),
        ("p failed 1 of 69 runs: E: x.", False),
        ("", False),
    ]


@pytest.mark.empty_page
async def test_name_without_an_error_and_numbers_of_an_async_generator(page: Page) -> None:
    """For a reader who may not read errors; and a generator's runs are its values."""
    found = await texts(page, entry(0, 4, 0, error=""), entry(3, 1_004, 1, error=""))
    assert found[1] == "p failed 1 of 1,004 runs: see the server's log."
    found = await texts(page, *(entry(3 * n, 7, 2**n - 1) | {"stream": True} for n in range(3)))
    assert found == ["", "p failed once: E: x.", "p failed 3 times: E: x."]


@pytest.mark.empty_page
async def test_hidden_producer_is_not_named(page: Page) -> None:
    """And no further look is urgent for it."""
    found = await looks(page, entry(0, 1, 1, DOWN), entry(20, 2, 2, DOWN, hidden=["p"]))
    assert found == [("p fails: E: x.", True), ("", False)]
