"""Charts: what they read out, gaps, scales, and the address that a choice changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.modules import run
from tests.browser.view.conftest import OpenView, Publish

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_keyboard_reads_the_values(open_view: OpenView, publish: Publish) -> None:
    """The newest first; Home is the start of what is shown, and Escape removes the mark."""
    await publish("loss", 3, 2.5)
    page = await open_view()
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
        const at = (moment) => m.readoutText(data, moment).split("  ")[1];
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
        const { readoutText } = await import("/static/view/chart.js");
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
        const scene = { series: data.series, from: 0, to: 4000, now: 4000, start: "", end: "",
                        cursor: null, palette: {} };
        m.drawStateChart(context, 400, 54, scene);
        return [bars.slice(0, 4), readoutText(data, 1000).split("  ")[1]];
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
        const valid = ["", "?window=60&columns=2&bare=1"];
        const given = [...valid, "?window=1e9&columns=0&bare=yes", "?producers=b,,a,b",
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
        "bare": False,
    }
    assert found["read"] == [
        none,
        {**none, "window": 60, "columns": 2, "bare": True},
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
            written("?producers=a,b&x=1", { window: 60 }), written("?producers=", { columns: 2 }),
            written("?producers=a,b&without=c", { without: ["a"] }),
            written("?x=1", { without: ["a", "b"] }),
            written("?without=a&x=1", { without: [] }), written("", { without: ["a%2C&b=1#+ c"] }),
        ];
        """,
    )
    assert found == [
        *("?producers=a,b&x=1&window=60", "?producers=&columns=2"),
        *("?producers=b&without=c", "?x=1&without=a,b"),
        *("?x=1", "?without=a%252C%26b%3D1%23%2B+c"),
    ]


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
    m.drawLineChart(context, 108, 124, {
        series, axis, from: 0, to: 100, start: "", end: "", cursor: null,
        strokes: [{ colour: "black", dash: [] }], palette: {},
    });
    return calls;
"""


async def drawn_calls(page: Page, call: str, points: Sequence[tuple[float, float | None]]) -> Any:
    """Return the arguments of each call of the canvas, for a chart of values from 0 to 4, 100 by 100."""
    body = DRAWN.replace("CALL", call).replace("POINTS", json.dumps(points))
    return await run(page, "view/line_chart", body)


@pytest.mark.empty_page
async def test_gaps_are_hatched(page: Page) -> None:
    """From the last value to the next one, and from the edge; not where they alternate with values."""
    points: list[tuple[float, float | None]]
    points = [(-50, 1), (-10, None), (20, 1), (30, 2), (50, None), (80, 3)]
    points += [(at, None if at % 2 else 3) for at in range(81, 100)]
    *gaps, _lines = await drawn_calls(page, "rect", [*points, (99.5, None)])
    assert gaps == [[0, 6, 20, 100], [30, 6, 50, 100]]


@pytest.mark.empty_page
async def test_mark_is_on_the_newest_value(page: Page) -> None:
    """Values that came at once share a column of pixels: the newest one is not always the largest."""
    ((x, y, *_),) = await drawn_calls(page, "arc", [(10, 1), (50, 0), (50.1, 4), (50.2, 2)])
    assert (x, y) == (50, 6 + 100 * (1 - 2 / 4))


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
    }
    body = DRAWN
    for before, after in changes.items():
        assert before in body
        body = body.replace(before, after)
    assert await run(page, "view/line_chart", body) == widths


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
        return [1_000, 11_000, 21_000].map((moment) => m.readoutText(data, moment).split("  ")[1]);
        """,
    )
    assert found == ["1", "no value", "2"]


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
