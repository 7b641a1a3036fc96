"""Charts: what they read out, gaps, scales, and the address that a choice changes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from playwright.async_api import Page, expect

from rtdemo.engine.log import Log
from rtdemo.protocol.message import now
from tests.browser.modules import run
from tests.browser.view.conftest import OpenView, Publish, is_live

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_keyboard_reads_the_values(open_view: OpenView, publish: Publish) -> None:
    """The newest first; Home is the start of what is shown, and Escape removes the mark."""
    await publish("loss", 3, 2.5)
    page = await open_view()
    # It has both values.
    await expect(page.locator(".change")).to_contain_text("0.5 in")
    chart = page.get_by_role("group", name="Chart of loss")
    await chart.focus()
    await page.keyboard.press("ArrowLeft")
    spoken = page.locator('[data-part="readout"]')
    await expect(spoken).to_contain_text("2.5")
    await page.keyboard.press("Home")
    await expect(spoken).to_contain_text("3.0")
    shown = chart.locator(".readout")
    await expect(shown).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(shown).to_be_hidden()


async def test_pointer_reads_the_values(open_view: OpenView, publish: Publish) -> None:
    """Also of each line of a dict."""
    await publish("cpu", {"user": 12.5, "system": 3})
    page = await open_view()
    chart = page.get_by_role("group", name="Chart of cpu")
    await chart.hover()
    await expect(chart.locator(".readout")).to_contain_text("user 12.5, system 3")


@pytest.mark.empty_page
async def test_read_out_of_gaps_units_and_merged_points(page: Page) -> None:
    """Null is no value. A point that stands for several has the least and the largest of them."""
    found = await run(
        page,
        "view/chart",
        """
        const { ProducerData } = await import("/static/view/producer_data.js");
        const data = new ProducerData("x");
        data.describe({ title: "", unit: "°C", low: null, high: null, period: null });
        const take = (value, sentAt) => data.take({ message: "", value, sentAt, id: null }, 1e9);
        take(20.5, 1000); take(null, 2000); take(21, 3000);
        const at = (moment) => m.readValues(data, moment).texts.join();
        const texts = [0, 1400, 1900, 2600, 9000].map(at);
        data.series.high[0][0] = 22;
        return [...texts, at(0)];
        """,
    )
    assert found == ["20.5 °C", "20.5 °C", "no value", "21.0 °C", "21.0 °C", "20.5 to 22.0 °C"]


@pytest.mark.empty_page
async def test_numbers_of_another_kind_are_no_continuation(page: Page) -> None:
    """A dict after a number begins new lines; a text keeps them, with a gap."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        const take = (value, sentAt) => data.take({ message: "t", value, sentAt, id: null }, 1e9);
        const states = [];
        for (const value of [1, "text", 2, { a: 1 }, { a: 2, b: 3 }, true]) {
            take(value, 1000 * (states.length + 1));
            states.push([data.kind, data.keys.join(), data.series.length]);
        }
        return states;
        """,
    )
    assert found == [
        ["number", "", 1],
        ["text", "", 2],
        ["number", "", 3],
        ["lines", "a", 1],
        ["lines", "a,b", 2],
        ["state", "", 1],
    ]


@pytest.mark.empty_page
async def test_texts_alone_take_the_place_of_a_chart_without_numbers(page: Page) -> None:
    """While the chart has a number, a text or a dict of its keys leaves it; null is no text."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        const take = (value, sentAt) => data.take({ message: `${value}`, value, sentAt, id: null }, 1e9);
        const seen = () => [data.shownAs(1_500), data.undrawn?.text, data.undrawn?.key];
        const states = [seen()];
        const dicts = [{ t: 1, u: 2, h: "c" }, { t: "d" }, { t: null }, { h: "e" }];
        const values = [null, 5, "a", 6, "b", ...dicts];
        for (const [index, value] of values.entries()) {
            take(value, 1_000 * index);
            states.push(seen());
        }
        return [states, data.shownAs(9_000), data.others];
        """,
    )
    assert found == [
        [
            *(["text", None, None], ["text", None, None]),
            *(["number", None, None], ["text", "a", ""], ["number", "a", ""], ["number", "b", ""]),
            *(["lines", None, None], ["lines", "d", "t"], ["lines", "d", "t"]),
            ["table", "d", "t"],
        ],
        "table",
        [["h", "e"]],
    ]


@pytest.mark.empty_page
async def test_null_alone_is_no_line(page: Page) -> None:
    """As an empty cell of a column of texts. A line has its gap, and begins with its first number."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        const states = [];
        for (const [at, note, late] of [[1, "a", null], [2, null, 5], [3, "b", null]]) {
            data.take({ message: "", value: { n: at, m: at, note, late }, sentAt: at, id: null }, 1e9);
            states.push([data.keys.join(), data.others, data.undrawn]);
        }
        return states;
        """,
    )
    assert found == [
        ["n,m", [["note", "a"], ["late", None]], None],
        ["n,m,late", [["note", None]], None],
        ["n,m,late", [["note", "b"]], None],
    ]


@pytest.mark.empty_page
async def test_null_takes_no_line_of_another_key(page: Page) -> None:
    """It is counted where all lines are taken, also by the message that takes the last one."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        const seen = [];
        for (const at of [1, 70, 140]) {
            const value = { none: null };
            for (let key = 0; key < 12; key += 1) value[`k${key}`] = key === 5 && at > 1 ? null : at;
            data.take({ message: "", value, sentAt: at * 1000, id: null }, 1e9);
            seen.push([data.keys.includes("k5"), data.keys.length, data.moreKeys, data.others]);
        }
        return seen;
        """,
    )
    assert found == [[True, 12, 1, []]] * 3


@pytest.mark.empty_page
async def test_keys_beyond_all_bounds_are_counted_once(page: Page) -> None:
    """Of a dict with more keys than are looked at."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        const value = {};
        for (let key = 0; key < 12; key += 1) value[`n${key}`] = key;
        for (let key = 0; key < 1500; key += 1) value[`none${key}`] = null;
        data.take({ message: "", value, sentAt: 1000, id: null }, 1e9);
        return data.moreKeys;
        """,
    )
    assert found == 1500


@pytest.mark.empty_page
async def test_keys_that_change_do_not_fill_the_lines_for_ever(page: Page) -> None:
    """A key that is no longer sent gives its line to a new one, after a minute."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        for (let index = 0; index < 200; index += 1) {
            const sentAt = index * 10_000;
            data.take({ message: "", value: { [`k${index}`]: index }, sentAt, id: null }, 1e9);
        }
        return { lines: data.series.lines, keys: data.keys.includes("k199"), more: data.moreKeys };
        """,
    )
    assert found == {"lines": 12, "keys": True, "more": 0}


@pytest.mark.empty_page
async def test_times_of_the_future_and_clocks_set_back(page: Page) -> None:
    """A value of the future counts as now; after a clock was set back, a new series begins."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        data.take({ message: "", value: 1, sentAt: 9e12, id: null }, 500_000);
        const at = data.at;
        data.take({ message: "", value: 2, sentAt: 1_000, id: null }, 501_000);
        return [at, data.at, data.series.length, data.newest];
        """,
    )
    assert found == [500_000, 1_000, 1, [2]]


@pytest.mark.empty_page
async def test_past_that_comes_again_is_known_by_its_numbers(page: Page) -> None:
    """Messages may share a time, and a clock may be set back. A new log counts anew, after a gap."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        const take = (value, sentAt, id, seq = value) =>
            data.take({ message: "", value, sentAt, id, seq }, 1e9);
        const orNull = (value) => (Number.isNaN(value) ? null : value);
        const seen = () => Array.from(data.series.low[0].subarray(0, data.series.length), orNull);
        take(1, 5000, "a-1"); take(2, 5000, "a-2");
        data.expectPast();
        // The newest message of each producer comes with the position of the client as its id.
        take(2, 5000, "a-9"); take(3, 5000, "a-10"); take(4, 4000, "a-11");
        const sameTime = seen();
        data.expectPast();
        take(5, 3000, "b-1", 1);
        return [sameTime, seen()];
        """,
    )
    assert found == [[1, 2, 3, 4], [1, 2, 3, 4, None, 5]]


@pytest.mark.empty_page
async def test_past_fills_what_is_missing_before_a_live_value(page: Page) -> None:
    """After a restart a live value may come first. The past goes before it; nothing is twice."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        const take = (value, sentAt, id, seq) =>
            data.take({ message: `${value}`, value, sentAt, id, seq }, 1e9);
        const seen = () => {
            const { at, low, length } = data.series;
            return Array.from({ length }, (_, index) => [Math.round(at[index]), low[0][index]]);
        };
        take(55, 1000, "a-1", 1); take(56, 1200, "a-2", 2);
        take(60, 3000, "b-9", 4); take(61, 3200, "b-10", 5);
        data.expectPast();
        const filled = [[2000, 57], [3000, 58], [3000, 59]];
        const expected = [[1000, 55], [1200, 56], ...filled, [3000, 60], [3200, 61], [3400, 62]];
        // The clock of another server may be ahead.
        take(57, 2000, "b-1", 1); take(58, 3000, "b-2", 2); take(59, 3100, "b-3", 3);
        take(60, 3000, "b-9", 4); take(61, 3200, "b-10", 5);
        data.expectPast();
        for (const [index, value] of [57, 58, 59, 60, 61].entries()) take(value, 2000, "b-5", index + 1);
        const newest = [data.newest, data.value, data.text, data.at];
        take(62, 3400, "b-11", 6);
        return { seen: seen(), expected, newest };
        """,
    )
    assert found["seen"] == found["expected"]
    assert found["newest"] == [[61], 61, "61", 3200]


@pytest.mark.empty_page
async def test_past_of_another_kind_and_with_more_keys(page: Page) -> None:
    """The past of a dict may have a key that the newest value has not; a number in it has no line."""
    found = await run(
        page,
        "view/producer_data",
        """
        const data = new m.ProducerData("x");
        const take = (value, sentAt, id, seq) =>
            data.take({ message: "t", value, sentAt, id, seq }, 1e9);
        take({ a: 1 }, 1000, "a-1", 1); take({ a: 4 }, 4000, "a-4", 4);
        data.expectPast();
        take({ a: 2, b: 7 }, 2000, "a-2", 2); take(3, 3000, "a-3", 3);
        take({ a: 5 }, 5000, "a-5", 5);
        const text = (values) => values.subarray(0, data.series.length).join();
        return [data.kind, data.keys, ...data.series.low.map(text)];
        """,
    )
    assert found == ["lines", ["a", "b"], "1,2,4,5", "NaN,7,NaN,NaN"]


@pytest.mark.empty_page
async def test_states_within_one_point(page: Page) -> None:
    """A short false stays in sight after points were merged, and is read out."""
    found = await run(
        page,
        "view/state_chart",
        """
        const { readValues } = await import("/static/view/chart.js");
        const { ProducerData } = await import("/static/view/producer_data.js");
        const data = new ProducerData("x");
        const take = (value, sentAt) => data.take({ message: "", value, sentAt, id: null }, 1e9);
        take(true, 0); take(true, 1000); take(true, 2000); take(false, 3000);
        data.series.low[0][1] = 0;
        const bars = [];
        const own = { fillRect: (...bar) => bars.push(bar), measureText: () => ({ width: 1 }) };
        const context = new Proxy(own, {
            get: (target, name) => target[name] ?? (() => 0), set: () => true,
        });
        const scene = { series: data.series, count: 4, from: 0, to: 4000, now: 4000, times: ["", "", ""],
                        cursor: null, palette: {} };
        m.drawStateChart(context, 400, 54, scene);
        return [bars.slice(0, 4), readValues(data, 1000).texts[0]];
        """,
    )
    bars = [[0, 0, 100, 36], [100, 18, 100, 18], [200, 0, 100, 36], [300, 34, 100, 2]]
    assert found == [bars, "true and false"]


@pytest.mark.empty_page
async def test_address(page: Page) -> None:
    """What is no option counts as not given; other parameters stay."""
    found = await run(
        page,
        "view/address",
        """
        const valid = ["", "?window=60&columns=2&lines=apart&bare=1", "?lines=together"];
        const given = [...valid, "?window=1e9&columns=0&lines=own&bare=yes", "?producers=b,,a,b",
                       "?without=b,,a,b", "?producers=&without=a"];
        const many = Array.from({ length: 150 }, (_, index) => index);
        const read = given.map(m.readOptions);
        const names = ["producers", "without"];
        const most = names.map((name) => m.readOptions(`?${name}=${many}`)[name].length);
        return { read, most };
        """,
    )
    none: dict[str, object] = {
        "producers": None,
        "without": [],
        "window": None,
        "columns": None,
        "lines": None,
        "bare": False,
    }
    assert found["read"] == [
        none,
        {**none, "window": 60, "columns": 2, "lines": "apart", "bare": True},
        {**none, "lines": "together"},
        none,
        {**none, "producers": ["b", "a"]},
        {**none, "without": ["b", "a"]},
        {**none, "producers": []},
    ]
    assert found["most"] == [100, 100]


@pytest.mark.empty_page
async def test_choices_are_written_into_the_address(page: Page) -> None:
    """Picked names lose those that are hidden; a list of none stays. Other parameters stay too."""
    found = await run(
        page,
        "view/address",
        """
        const written = (query, choice) => {
            const options = { ...m.readOptions(query), ...choice };
            return m.addressWith(`http://h/view${query}`, options).replace("http://h/view", "");
        };
        return [
            written("?producers=a,b&x=1", { window: 60 }),
            written("?producers=", { columns: 2, lines: "apart" }),
            written("?producers=a,b&without=c", { without: ["a"] }),
            written("?x=1", { without: ["a", "b"] }),
            written("?without=a&x=1", { without: [] }), written("", { without: ["a%2C&b=1#+ c"] }),
        ];
        """,
    )
    assert found == [
        *("?producers=a,b&x=1&window=60", "?producers=&columns=2&lines=apart"),
        *("?producers=b&without=c", "?x=1&without=a,b"),
        *("?x=1", "?without=a%252C%26b%3D1%23%2B+c"),
    ]


@pytest.mark.empty_page
async def test_misspelt_option_is_named(page: Page) -> None:
    """Not one of another program, such as those that follow a link."""
    queries = ["?producers=a&window=60", "?producer=a", "?bare=1&Column=2", "?utm_source=x", "?bar=1"]
    found = await run(page, "view/address", f"return {json.dumps(queries)}.map(m.mistakeIn);")
    assert found == [
        *("", "The address has producer=, which is ignored: write producers=."),
        *("The address has Column=, which is ignored: write columns=.", ""),
        "",
    ]


@pytest.mark.empty_page
async def test_value_that_an_option_cannot_have_is_named(page: Page) -> None:
    """An empty value counts as not given; `bare=0` is allowed."""
    long = "9" * 1000
    queries = [
        *("?window=5m", "?window=9", f"?columns={long}", "?lines=foo&window=60", "?bare=yes"),
        *("?window=&bare=0&columns=&lines=", "?producers=&without=", "?x=5m"),
    ]
    found = await run(page, "view/address", f"return {json.dumps(queries)}.map(m.mistakeIn);")
    assert found == [
        "The address has window=5m, which is ignored: write whole seconds from 10 to 3600.",
        "The address has window=9, which is ignored: write whole seconds from 10 to 3600.",
        f"The address has columns={long[:40]}…, which is ignored: write a whole number from 1 to 12.",
        "The address has lines=foo, which is ignored: write together or apart.",
        "The address has bare=yes, which is ignored: write 1.",
        *("", "", ""),
    ]


async def test_pause_is_said(open_view: OpenView, publish: Publish) -> None:
    """The numbers go on, so the page may look as before."""
    await publish("loss", 3)
    page = await open_view()
    place = await page.get_by_label("Columns").bounding_box()
    assert place is not None
    await page.get_by_role("button", name="Pause").click()
    status = page.get_by_role("status").first
    paused = re.compile(r"Live over WebSocket. Charts paused at \d\d:\d\d:\d\d.")
    await expect(status).to_have_text(paused)
    # Only the width of the button's word could move it.
    assert await page.get_by_label("Columns").bounding_box() == place
    await page.get_by_role("button", name="Resume").click()
    await expect(status).to_have_text("Live over WebSocket.")


async def test_mistake_in_the_address_is_shown(open_view: OpenView) -> None:
    """Above the cards; without one there is no line."""
    line = (await open_view("?producer=loss")).locator('[data-part="mistake"]')
    await expect(line).to_have_text("The address has producer=, which is ignored: write producers=.")
    await line.page.goto(line.page.url.replace("producer=", "producers="))
    await expect(line).to_be_hidden()
    await line.page.goto(f"{line.page.url}&window=5m")
    await expect(line).to_contain_text("The address has window=5m, which is ignored")
    await line.page.get_by_role("button", name="1 min").click()
    await expect(line).to_be_hidden()


async def test_more_time_connects_again_only_for_older_values(
    open_view: OpenView, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts private producers anew, so it must be worth it."""
    await publish("loss", 3)
    page = await open_view()
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    hour = page.get_by_role("button", name="1 h", exact=True)
    await hour.click()
    await publish("loss", 2.5)
    await expect(page.locator(".number")).to_have_text("2.5")
    assert opened == []

    monkeypatch.setattr(Log, "oldest_at", 1.0)
    await page.goto(page.url.partition("?")[0])
    await is_live(page)
    async with page.expect_websocket(lambda socket: "rewind=3600s" in socket.url):
        await hour.click()


async def test_longer_times_connect_once_for_all_that_the_server_has(
    open_view: OpenView, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the page has the whole log, an even longer time needs no connection."""
    await publish("loss", 3)
    monkeypatch.setattr(Log, "oldest_at", now() - 120_000)
    page = await open_view("?window=60")
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    for name in ("10 min", "1 h"):
        await page.get_by_role("button", name=name, exact=True).click()
        await is_live(page)
    await publish("loss", 2.5)
    await expect(page.locator(".number")).to_have_text("2.5")
    assert ["rewind=600s" in url for url in opened] == [True]


async def test_time_of_the_address_has_a_button(open_view: OpenView) -> None:
    """Pressed at first, it brings the time back later. It is at its place."""
    page = await open_view("?window=90")
    pressed = page.locator('[data-window][aria-pressed="true"]')
    await expect(pressed).to_have_text(["90 s"])
    buttons = ["Auto", "1 min", "90 s", "10 min", "1 h"]
    await expect(page.locator("[data-window]")).to_have_text(buttons)
    await page.get_by_role("button", name="Auto", exact=True).first.click()
    await expect(pressed).to_have_text(["Auto"])
    await page.get_by_role("button", name="90 s").click()
    await expect(pressed).to_have_text(["90 s"])
    assert page.url.endswith("/view?window=90")


async def test_axis_shows_the_time_that_is_pressed(open_view: OpenView, publish: Publish) -> None:
    """Young data fills the chart only while Auto is pressed, as it is by default."""
    await publish("loss", 3, 2.5)
    page = await open_view()
    chart, pressed = page.get_by_role("img"), page.locator('[data-window][aria-pressed="true"]')
    for button, shown, query in (
        ("Auto", "the last 1 min", ""),
        ("10 min", "the last 10 min", "?window=600"),
        ("1 h", "the last 1 h", "?window=3600"),
        ("Auto", "the last 1 min", ""),
    ):
        if query or not page.url.endswith("/view"):
            await page.get_by_role("button", name=button, exact=True).click()
        await expect(pressed).to_have_text([button])
        await expect(chart).to_have_attribute("aria-label", f"loss, {shown}")
        assert page.url.endswith(f"/view{query}")


@pytest.mark.empty_page
async def test_whole_steps_have_no_decimals(page: Page) -> None:
    """Counts are whole; a step between them needs a decimal."""
    found = await run(
        page,
        "view/axis",
        """
        const ranges = [[2, 6, 5], [0, 10, 5], [0, 1, 5], [300, 302, 4], [0, 0.05, 5], [0, 12, 5]];
        return ranges.map(([low, high, wanted]) => {
            const { ticks, decimals } = m.axis(low, high, wanted);
            return ticks.slice(0, 2).map((tick) => tick.toFixed(decimals)).join();
        });
        """,
    )
    assert found == ["2,3", "0,2", "0.0,0.2", "300.0,300.5", "0.00,0.01", "0.0,2.5"]


@pytest.mark.empty_page
async def test_ticks_of_whole_numbers_are_whole(page: Page) -> None:
    """Unless that left fewer than two."""
    found = await run(
        page,
        "view/axis",
        """
        const ranges = [[0, 12, 5], [0, 1, 5], [300, 302, 4], [2.1, 2.9, 3], [0, 100, 4], [7, 7, 3]];
        return ranges.map(([low, high, wanted]) => {
            const { ticks, decimals } = m.axis(low, high, wanted, true);
            return ticks.map((tick) => tick.toFixed(decimals)).join();
        });
        """,
    )
    assert found == ["0,5,10", "0,1", "300,301,302", "2.25,2.50,2.75", "0,25,50,75,100", "6,7,8"]


@pytest.mark.empty_page
async def test_time_that_fits_the_data(page: Page) -> None:
    """Ten minutes at the most; a window that is chosen is shown whatever the data."""
    found = await run(
        page,
        "view/axis",
        """
        const ages = [0, 59, 61, 200, 400, 900, NaN];
        return [ages.map((age) => m.shownSeconds(null, age)), m.shownSeconds(3600, 5)];
        """,
    )
    assert found == [[60, 60, 120, 300, 600, 600, 600], 3600]


CARD = """
    const { ProducerData } = await import("/static/view/producer_data.js");
    const data = new ProducerData("x");
    data.describe({ title: "", unit: "", low: 0, high: 10, period: 30 });
    const now = 1_000_000;
    const take = (age, value) => {
        data.take({ message: "", value, sentAt: now - age * 1000, id: null }, now);
    };
    const card = new m.Card(data, { announce: () => {}, changed: () => {} });
    const frame = { now, edge: now, window: null, paused: false };
"""
TIMES = """
    take(500, 1); take(300, 3); take(90, 6);
    return [null, 60].map((window) => {
        card.write({ ...frame, window });
        return card.element.querySelector(".change").textContent;
    });
"""
DRAW = """
    const calls = [];
    const { prototype } = CanvasRenderingContext2D;
    const { arc, fillRect } = prototype;
    Object.assign(prototype, {
        arc(x, y, ...rest) { calls.push(Math.round(y)); arc.call(this, x, y, ...rest); },
        fillRect(...bar) { if (bar[3] === 36) calls.push("true"); fillRect.call(this, ...bar); },
    });
    card.element.style = "width: 400px; height: 300px";
    document.body.append(card.element);
    take(20, FIRST);
    card.write(frame);
    const chart = card.element.querySelector(".chart");
    chart.style = "width: 400px; height: 124px";
    // The chart draws once it is on the screen and has a size.
    while (!card.draw()) await new Promise(requestAnimationFrame), card.write(frame);
    const drawn = () => [...new Set(calls.splice(0))];
    const first = drawn();
    card.write({ ...frame, edge: now + 5_000 });
    take(10, NEXT);
    card.draw();
    const ahead = drawn();
    card.write(frame);
    card.draw();
    return [first, ahead, drawn()];
"""


@pytest.mark.empty_page
async def test_time_of_a_card_fits_its_own_data(page: Page) -> None:
    """An old card beside new ones shows what it has, unless a time is chosen."""
    assert await run(page, "view/card", CARD + TIMES) == ["+5 in 6 min 50 s", "\u00a0"]


@pytest.mark.empty_page
async def test_paused_chart_stays_as_it_is(page: Page) -> None:
    """The mark is on the last value before the pause, whatever follows."""
    changes = {
        "take(20, FIRST);": "take(0, 0);",
        "{ ...frame, edge: now + 5_000 }": "{ ...frame, paused: true }",
        "take(10, NEXT)": "data.take({ message: '', value: 10, sentAt: now + 9e3 }, now + 9e3)",
        "card.write(frame);\n    card.draw();": (
            "card.write({ ...frame, now: now + 1e4, paused: true }); card.draw();"
        ),
    }
    paused = DRAW
    for before, after in changes.items():
        assert before in paused
        paused = paused.replace(before, after)
    assert await run(page, "view/card", CARD + paused) == [[132], [132], [132]]


@pytest.mark.empty_page
async def test_body_of_another_kind_waits_for_its_texts(page: Page) -> None:
    """It would be empty until the next painting."""
    changed = """
    take(20, 7);
    card.write(frame);
    take(10, [1, 2]);
    const drawn = card.draw();
    const before = card.element.dataset.kind;
    card.write(frame);
    return [drawn, before, card.element.dataset.kind];
    """
    assert await run(page, "view/card", CARD + changed) == [False, "number", "table"]


@pytest.mark.empty_page
@pytest.mark.parametrize(
    ("first", "following", "expected"),
    [
        ("0", "10", [[132], [132], [6]]),
        ("false", "true", [[], [], ["true"]]),
    ],
    ids=["number", "state"],
)
async def test_chart_shows_what_the_figure_shows(
    page: Page, first: str, following: str, expected: list[list[int | str]]
) -> None:
    """What arrives between the two waits for the next painting."""
    drawing = DRAW.replace("FIRST", first).replace("NEXT", following)
    assert await run(page, "view/card", CARD + drawing) == expected


@pytest.mark.empty_page
async def test_line_does_not_cross_the_time_in_which_a_value_was_overdue(page: Page) -> None:
    """With the period of the producer, or a learned one. Irregular values are no outage."""
    found = await run(
        page,
        "view/producer_data",
        """
        const breaks = (period, value, times) => {
            const data = new m.ProducerData("x");
            data.describe({ title: "", unit: "", low: null, high: null, period });
            for (const sentAt of times) data.take({ message: "", value, sentAt, id: null }, 1e9);
            const { series } = data;
            return [...series.at.subarray(0, series.length)].filter((_, index) => series.isBreak(index));
        };
        const regular = [0, 1_000, 2_000, 3_000, 23_000, 24_000];
        return {
            declared: breaks(2, 1, [0, 2_000, 12_000]),
            late: breaks(2, 1, [0, 2_000, 7_000]),
            learned: breaks(null, { a: 1, b: 2 }, regular),
            again: breaks(null, 1, [...regular, 25_000, 60_000]),
            irregular: breaks(null, 1, [0, 9_000, 10_000, 30_000, 31_000, 50_000, 90_000]),
            state: breaks(2, true, [0, 2_000, 12_000]),
        };
        """,
    )
    assert found == {
        "declared": [7_000],
        "late": [],
        "learned": [13_000],
        "again": [13_000, 42_500],
        "irregular": [],
        "state": [],
    }


DRAWN = """
    const { Series } = await import("/static/view/series.js");
    const series = new Series();
    series.addLine();
    for (const [at, value] of POINTS) series.push(at, [value ?? NaN]);
    const calls = [];
    const own = {
        CALL: (...call) => calls.push(call),
        measureText: () => ({ width: 92 }), getTransform: () => ({ a: 1 }),
    };
    const get = (target, name) => target[name] ?? (() => 0);
    const context = new Proxy(own, { get, set: () => true });
    const axis = { low: 0, high: 4, ticks: [], decimals: 0 };
    const bands = [{ lines: [0], axis, name: "", value: "" }];
    m.drawLineChart(context, 108, 124, {
        series, bands, count: series.until(NEWEST), from: 0, to: 100, times: ["", "", ""], cursor: null,
        strokes: [{ colour: "black", dash: [] }], palette: {},
    });
    return calls;
"""


async def drawn_calls(
    page: Page, call: str, points: Sequence[tuple[float, float | None]], newest: float = 1e9
) -> Any:
    """Return the arguments of each call of the canvas, for a chart of values from 0 to 4, 100 by 100."""
    body = DRAWN.replace("CALL", call).replace("POINTS", json.dumps(points))
    return await run(page, "view/line_chart", body.replace("NEWEST", str(newest)))


@pytest.mark.empty_page
async def test_gaps_are_hatched(page: Page) -> None:
    """From the last value to the next one, and from the edge; not where they alternate with values."""
    points: list[tuple[float, float | None]]
    points = [(-50, 1), (-10, None), (20, 1), (30, 2), (50, None), (80, 3)]
    points += [(at, None if at % 2 else 3) for at in range(81, 100)]
    *gaps, _lines = await drawn_calls(page, "rect", [*points, (99.5, None)])
    assert gaps == [[0, 6, 20, 100], [30, 6, 50, 100]]


@pytest.mark.empty_page
async def test_gap_with_room_has_a_text(page: Page) -> None:
    """A stranger asked what the hatching means. The text is between the last value and the next one."""
    points = [(-50, 1), (-10, None), (20, 1), (30, 2), (50, None), (80, 3)]
    body = DRAWN.replace("width: 92", "width: 30").replace("CALL", "fillText").replace("NEWEST", "1e9")
    texts = await run(page, "view/line_chart", body.replace("POINTS", json.dumps(points)))
    assert [call for call in texts if call[0] == "no values"] == [["no values", 55, 100]]


@pytest.mark.empty_page
async def test_mark_is_on_the_newest_value(page: Page) -> None:
    """Values that came at once share a column of pixels: the newest one is not always the largest."""
    ((x, y, *_),) = await drawn_calls(page, "arc", [(10, 1), (50, 0), (50.1, 4), (50.2, 2)])
    assert (x, y) == (50, 6 + 100 * (1 - 2 / 4))


@pytest.mark.empty_page
async def test_merged_points_are_drawn_as_the_line_goes(page: Page) -> None:
    """The mark is at its end. Where it falls, each was drawn from its least to its largest value."""
    points = [(10, 4), (40, 3), (70, 2), (90, 1)]
    body = DRAWN.replace(
        "const calls = [];", "series.high[0].set([4, 3.5, 2.5, 1.5]); const calls = [];"
    )
    paths = """
    window.Path2D = class {
        constructor() { calls.push(this.ends = []); }
        lineTo(x, y) { this.ends.push([Math.round(x), 4 - (y - 6) / 25]); }
        moveTo() {}
    };
    const get = """
    body = body.replace("const get = ", paths, 1).replace("CALL", "arc").replace("NEWEST", "1e9")
    line, _area, mark = await run(page, "view/line_chart", body.replace("POINTS", json.dumps(points)))
    assert line == [[10, 4], [40, 3.5], [40, 3], [70, 2.5], [70, 2], [90, 1.5], [90, 1]]
    assert mark[:2] == [90, 6 + 100 * (1 - 1 / 4)]


@pytest.mark.empty_page
async def test_middle_of_the_times_has_a_label_where_there_is_room(page: Page) -> None:
    """In a narrow chart the labels would run together."""
    body = """
        const labels = [];
        const fillText = (text, x) => labels.push([text, x]);
        const context = { measureText: () => ({ width: 60 }), fillText };
        const times = ["5 min ago", "2 min 30 s ago", "now"];
        for (const width of [300, 299]) {
            m.drawTimes(context, { left: 0, top: 0, width, height: 9 }, { times, palette: {} });
        }
        return labels;
    """
    assert await run(page, "view/line_chart", body) == [
        *(["5 min ago", 0], ["now", 300], ["2 min 30 s ago", 150]),
        *(["5 min ago", 0], ["now", 299]),
    ]


@pytest.mark.empty_page
async def test_scale_has_a_value_that_came_during_the_painting(page: Page) -> None:
    """The line went to it, out of the scale."""
    labels = await run(
        page,
        "view/card",
        """
        const { ProducerData } = await import("/static/view/producer_data.js");
        const labels = [];
        CanvasRenderingContext2D.prototype.fillText = (text) => labels.push(text);
        const data = new ProducerData("x");
        for (const [at, value] of [[1_000, 400], [2_000, 402], [3_000, 410]]) {
            data.take({ message: "", value, sentAt: at, id: null }, at);
        }
        const card = new m.Card(data, { announce: () => {}, changed: () => {} });
        document.body.append(card.element);
        const frame = { now: 2_100, edge: 2_100, window: 60, paused: false, lines: null };
        card.write(frame);
        card.element.querySelector(".chart").style = "width: 400px; height: 124px";
        while (!card.draw()) await new Promise(requestAnimationFrame);
        return labels;
        """,
    )
    assert labels == ["400", "405", "410", "1 min ago", "now", "30 s ago"]


@pytest.mark.empty_page
@pytest.mark.parametrize(
    ("together", "way"),
    [
        ([3], [3]),
        ([4, 3, 0], [4, 0]),
        ([0, 3, 4], [0, 4]),
        ([2, 4, 0, 3], [2, 0, 4, 3]),
        ([3, 4, 0, 2], [3, 4, 0, 2]),
        ([1, 4, 1], [1, 4, 1]),
    ],
)
async def test_line_goes_on_from_the_last_of_the_values_that_came_at_once(
    page: Page, together: list[float], way: list[float]
) -> None:
    """A line that falls had a tooth where a program had sent what waited."""
    points = [(10, 1), *((50 + number / 100, value) for number, value in enumerate(together)), (90, 2)]
    paths = """
    window.Path2D = class {
        points = [];
        constructor() { if (calls.length < 2) calls.push(this.points); }
        lineTo(x, y) { this.points.push([Math.round(x), 4 - (Math.round(y) - 6) / 25]); }
        moveTo() {}
        addPath() {}
        arc() {}
    };
    const get = """
    body = DRAWN.replace("    const get = ", paths, 1)
    assert body != DRAWN
    body = body.replace("CALL", "unused").replace("POINTS", json.dumps(points)).replace("NEWEST", "1e9")
    line, area = await run(page, "view/line_chart", body)
    assert line == [[10, 1], *([50, value] for value in way), [90, 2]]
    ends = [[50, together[0]], [50, together[-1]]] if len(way) > 1 else [[50, together[0]]]
    # Down to zero at both ends.
    assert area == [[10, 1], *ends, [90, 2], [90, 0], [10, 0]]


@pytest.mark.empty_page
async def test_what_is_newer_than_the_figure_is_not_drawn(page: Page) -> None:
    """The mark is on the value of the card's figure, or is left out with it."""
    points = [(10, 1), (20, 3), (20, 2), (30, 4)]
    ((x, y, *_),) = await drawn_calls(page, "arc", points, 20)
    assert (x, y) == (20, 6 + 100 * (1 - 2 / 4))
    assert await drawn_calls(page, "arc", points, 9) == []


@pytest.mark.empty_page
@pytest.mark.parametrize(("ratio", "widths"), [(1, [1, 1, 1]), (2, [1.75])])
async def test_strokes_are_thin_where_the_screen_is_coarse(
    page: Page, ratio: int, widths: list[float]
) -> None:
    """A wide stroke of many points takes six times as long as three of one pixel."""
    changes = {
        "CALL: (...call) => calls.push(call)": "stroke: () => calls.push(own.lineWidth)",
        "set: () => true": "set: Reflect.set",
        "a: 1 ": f"a: {ratio} ",
        "POINTS": "[[10, 1], [50, 2]]",
        "NEWEST": "50",
    }
    body = DRAWN
    for before, after in changes.items():
        assert before in body
        body = body.replace(before, after)
    assert await run(page, "view/line_chart", body) == widths


@pytest.mark.empty_page
async def test_values_of_a_connection_that_was_given_up_are_dropped(page: Page) -> None:
    """After a loss, the next one starts private producers once more. Shared ones have a log."""
    found = await run(
        page,
        "view/producers_data",
        """
        const options = { producers: null, without: [] };
        const found = [];
        for (const since of [3_000, Infinity]) {
            const all = new m.ProducersData(options, []);
            const take = (producer, value, sentAt, id) => {
                all.take({ producer, message: "", value, sentAt, id, seq: value }, 1e9);
            };
            take("csv", 7, 1_000, null); take("loss", 1, 1_000, "a-1");
            take("csv", 1, 3_000, null); take("loss", 2, 3_000, "a-2");
            all.expectPast(since);
            take("csv", 1, 4_000, null);
            for (const { series } of all.sorted) found.push([...series.low[0].slice(0, series.length)]);
        }
        return found;
        """,
    )
    gap = pytest.approx(float("nan"), nan_ok=True)
    assert found == [[7, gap, 1], [1, 2], [7, 1, gap, 1], [1, 2]]


@pytest.mark.empty_page
async def test_read_out_of_a_state(page: Page) -> None:
    """It lasts until the next one, whichever is nearer; before the first one there is none."""
    found = await run(
        page,
        "view/chart",
        """
        const { ProducerData } = await import("/static/view/producer_data.js");
        const data = new ProducerData("x");
        const take = (value, sentAt) => data.take({ message: "", value, sentAt, id: null }, 1e9);
        take(true, 10_000); take(false, 20_000);
        return [9_000, 10_000, 19_000, 20_000].map((moment) => {
            const { at, texts } = m.readValues(data, moment);
            return [at, ...texts];
        });
        """,
    )
    assert found == [[9_000, "no value"], [10_000, "true"], [19_000, "true"], [20_000, "false"]]


@pytest.mark.empty_page
async def test_read_out_beside_a_gap(page: Page) -> None:
    """The last value before it is read out, and in its middle there is none."""
    found = await run(
        page,
        "view/chart",
        """
        const { ProducerData } = await import("/static/view/producer_data.js");
        const data = new ProducerData("x");
        data.describe({ title: "", unit: "", low: null, high: null, period: 1 });
        const take = (value, sentAt) => data.take({ message: "", value, sentAt, id: null }, 1e9);
        take(1, 1_000); take(2, 21_000); data.interrupt();
        return [1_000, 11_000, 21_000].map((moment) => m.readValues(data, moment).texts[0]);
        """,
    )
    assert found == ["1", "no value", "2"]


READ = """
    const { ProducerData } = await import("/static/view/producer_data.js");
    const data = new ProducerData("x");
    data.describe({ title: "", unit: "", low: 0, high: 10, period: 2 });
    const now = 60_000;
    for (const [at, value] of VALUES) data.take({ message: "", value, sentAt: at, id: null }, now);
    const chart = new m.Chart(() => {}, () => {});
    Object.assign(chart.element.style, { position: "relative", width: "600px", height: "124px" });
    chart.element.querySelector("canvas").style = "width: 600px; height: 124px";
    document.body.style = "margin: 0";
    document.body.append(chart.element);
    const frame = { now, edge: now, window: 60, seconds: 60, paused: false, newest: now, version: 1 };
    while (!chart.draw(data, frame)) await new Promise(requestAnimationFrame);
    const marks = [];
    const { fillRect } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillRect = function (...bar) {
        if (bar[2] === 1) marks.push(bar[0]);
        fillRect.call(this, ...bar);
    };
    const found = [];
    for (const second of [5, 32, 48]) {
        chart.element.dispatchEvent(new PointerEvent("pointermove", { clientX: 10 * second }));
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        const readout = chart.element.querySelector(".readout");
        const mark = parseFloat(readout.style.getPropertyValue("--mark"));
        const text = readout.textContent.slice(6).replace("\u2003", " = ");
        found.push([text, mark, marks.at(-1) - Math.round(mark)]);
    }
    const seconds = (mark) => Math.round((50 * mark) / found.at(-1)[1]);
    return found.map(([text, mark, off]) => [text, seconds(mark), off]);
"""


@pytest.mark.empty_page
async def test_mark_is_on_the_value_that_is_read_out(page: Page) -> None:
    """Also from where the chart has none: the nearest one, or the gap between two."""
    values = [[20_000, 1], [21_000, 2], [41_000, 3], [50_000, 4]]
    found = await run(page, "view/chart", READ.replace("VALUES", json.dumps(values)))
    assert found == [["20 = 1", 20, 0], ["33 = no value", 33, 0], ["50 = 4", 50, 0]]


KEYS = (
    READ.split("    const marks")[0]
    + """
    const found = [];
    for (const key of KEYS) {
        chart.element.dispatchEvent(new KeyboardEvent("keydown", { key }));
        await new Promise(requestAnimationFrame);
        const { textContent } = chart.element.querySelector(".readout");
        found.push(textContent.slice(6).replace("\u2003", " = "));
    }
    return found;
"""
)


@pytest.mark.empty_page
@pytest.mark.parametrize(
    ("values", "keys", "expected"),
    [
        (
            "[[20_000, 1], [45_000, 2]]",
            "Left Left Right Home End",
            "45 = 2, 32 = no value, 45 = 2, 20 = 1, 45 = 2",
        ),
        ("[[20_000, 1], [59_500, 2]]", "Right PageUp Up", "59 = 2, 39 = no value, 39 = no value"),
        ("[...Array(100).keys()].map((at) => [at - 900_000, at])", "End Home Left", "no, no, no"),
        ("[[1_000, 1], [2_000, 2], [2_000, 3], [3_000, 4]]", "End Left Left", "03 = 4, 02 = 3, 01 = 1"),
        ("[[-9_000, true], [45_000, false]]", "Home Right End", "00 = true, 00 = true, 45 = false"),
    ],
    ids=["sparse", "long step", "none in the window", "at once", "state from before"],
)
async def test_key_moves_at_least_to_the_next_value(
    page: Page, values: str, keys: str, expected: str
) -> None:
    """Those of one moment are one. What the chart does not show is not read out."""
    names = [f"Arrow{key}" if key in ("Left", "Right", "Up") else key for key in keys.split()]
    body = KEYS.replace("VALUES", values).replace("KEYS", json.dumps(names))
    found = await run(page, "view/chart", body)
    if expected == "no, no, no":
        assert [text.split(" = ")[1] for text in found] == ["no value"] * 3
    else:
        assert found == expected.split(", ")


@pytest.mark.empty_page
async def test_touch_reads_out_until_elsewhere(page: Page) -> None:
    """A finger leaves the chart when it is lifted; a mouse when it moves on."""
    touched = (
        KEYS.split("    const found")[0]
        + """
        const found = [];
        const send = (type, pointerType, x) => {
            chart.element.dispatchEvent(new PointerEvent(type, { pointerType, clientX: x }));
            const { hidden, textContent } = chart.element.querySelector(".readout");
            found.push(hidden ? "" : textContent.slice(6).replace("\u2003", " = "));
        };
        send("pointerdown", "touch", 200); send("pointerup", "touch", 200);
        send("pointerleave", "touch", 200);
        const later = { ...frame, now: now + 10_000, edge: now + 10_000, version: 2 };
        chart.draw(data, later); send("later", "", 0); chart.draw(data, { ...frame, version: 3 });
        document.activeElement.blur(); send("blurred", "", 0);
        send("pointerdown", "touch", 200); send("pointercancel", "touch", 200);
        send("pointermove", "mouse", 500); send("pointerleave", "mouse", 700);
        return [found];
    """
    )
    found = await run(page, "view/chart", touched.replace("VALUES", "[[20_000, 1], [45_000, 2]]"))
    assert found[0] == ["20 = 1"] * 4 + ["", "20 = 1", "", "45 = 2", ""]


async def test_chart_out_of_sight_is_not_drawn(open_view: OpenView, publish: Publish) -> None:
    """Until it is scrolled near; its name says that it was drawn."""
    for number in range(12):
        await publish(f"p{number:02}", 1)
    page = await open_view("?columns=1", viewport={"width": 1280, "height": 700})
    charts = page.get_by_role("group", name="Chart of p")
    await expect(charts.first).to_be_visible()
    assert await charts.count() < 6
    await page.locator(".card").last.scroll_into_view_if_needed()
    await expect(page.get_by_role("group", name="Chart of p11")).to_be_visible()


STALE = """
    const { Series } = await import("/static/view/series.js");
    const series = new Series();
    series.addLine();
    series.push(1_000, [1]);
    series.push(3_000, [4]);
    const body = m.BODIES.number({ announce: () => {}, changed: () => {} });
    const known = { newest: [4], decimals: [0], description: { unit: "" }, undrawn: null };
    const data = { series, at: 3_000, ...known };
    body.write(data, { now: 50_000, edge: 50_000, seconds: 60, paused: false });
    return body.elements[1].textContent;
"""


async def test_change_ends_with_the_newest_value(page: Page) -> None:
    """The time since then is no part of it: the card says for how long it is stale."""
    assert await run(page, "view/bodies", STALE) == "+3 in 2 s"
