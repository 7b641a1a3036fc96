"""Lines of different sizes: each gets a scale of its own, unless they belong together."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import BrowserErrors
from tests.browser.modules import run
from tests.browser.view.conftest import OpenView, Publish

pytestmark = pytest.mark.asyncio(loop_scope="session")

OFFICE = {"co2": 420, "temperature": 20.5}
Range = tuple[float, float] | None
RANGES = """
    const given = GIVEN.map((each) => each ?? [Infinity, -Infinity]);
    const ranges = given.map(([low, high]) => ({ low, high }));
"""


async def is_any_flat(page: Page, *ranges: Range, before: bool = False) -> Any:
    body = f"{RANGES} return m.isAnyFlat(ranges, {json.dumps(before)});"
    return await run(page, "view/bands", body.replace("GIVEN", json.dumps(ranges)))


async def bands(
    page: Page, *ranges: Range, arrangement: str, **declared: float
) -> list[tuple[list[int], float, float]]:
    """Return lines and rounded ends of each band, for the least and largest value of each line."""
    arguments = ({"unit": "", "low": None, "high": None} | declared, arrangement)
    body = f"{RANGES} return m.bandsOf(ranges, ...{json.dumps(arguments)});"
    found = await run(page, "view/bands", body.replace("GIVEN", json.dumps(ranges)))
    return [(band["lines"], round(band["low"], 1), round(band["high"], 1)) for band in found]


@pytest.mark.empty_page
async def test_line_of_a_tenth_is_flat(page: Page) -> None:
    """And stays so until the other one is less than five times as large."""
    for largest, first, after in (
        (10, True, True),
        (9.9, False, True),
        (5, False, True),
        (4.9, False, False),
    ):
        ranges = ((0.5, 1), (-largest, -1))
        assert await is_any_flat(page, *ranges) is first
        assert await is_any_flat(page, *ranges, before=True) is after


@pytest.mark.empty_page
async def test_what_has_no_size_is_not_flat(page: Page) -> None:
    """Zeros, as of errors before the first one, or what is left of rounding. Alone, nothing changes."""
    for large, small in (((100, 200), (1e-10, 2e-10)), ((1e18, 2e18), (20, 21)), ((0, 1e308), (0, 0.4))):
        assert await is_any_flat(page, large, small) is True
    for other in ((0, 0), (-1e-17, 1e-17), None):
        assert await is_any_flat(page, (100, 200), other) is False
        assert await is_any_flat(page, (100, 200), other, before=True) is True
    assert await is_any_flat(page, (100, 200), (0, 0), (150, 160), before=True) is False
    assert await is_any_flat(page, (0, 0), (0, 0)) is False
    assert await is_any_flat(page) is False


@pytest.mark.empty_page
async def test_ends_of_the_scales(page: Page) -> None:
    """Each its own where they are apart, else one for all. A line without values has none."""
    ranges = ((400, 500), None, (20, 21))
    assert await bands(page, *ranges, arrangement="apart") == [([0], 394, 506), ([2], 19.9, 21.1)]
    assert await bands(page, *ranges, arrangement="together") == [([0, 2], 0, 528.8)]
    assert await bands(page, None, None, arrangement="apart") == []
    assert await bands(page, None, None, arrangement="together") == []


@pytest.mark.empty_page
async def test_declared_ends_are_for_all_lines(page: Page) -> None:
    """Where they are apart, each scale fits its own values; but a line that is the only one has them."""
    ranges = ((80, 90), (0, 1))
    assert await bands(page, *ranges, arrangement="together", high=100) == [([0, 1], 0, 100)]
    assert await bands(page, *ranges, arrangement="apart", high=100) == [
        ([0], 79.4, 90.6),
        ([1], 0, 1.1),
    ]
    assert await bands(page, (80, 90), None, arrangement="apart", high=100) == [([0], 79.4, 90.6)]
    assert await bands(page, (80, 90), arrangement="apart", high=100) == [([0], 79.4, 100)]


@pytest.mark.empty_page
@pytest.mark.parametrize(("low", "high"), [(5e-324, 1e-323), (-1e308, 1e308), (1e-310, 3e-308)])
async def test_scale_at_the_ends_of_what_a_number_can_be(page: Page, low: float, high: float) -> None:
    """It has no ticks. One that was looked for would never be found."""
    found = await run(page, "view/axis", f"return m.axis({low}, {high}, 3).ticks;")
    assert found == []


DRAWN = """
    const { Series } = await import("/static/view/series.js");
    const series = new Series();
    series.addLine();
    series.addLine();
    for (const [at, values] of [[-50, [4, 9999]], [50, [4, 400]]]) series.push(at, values);
    const calls = [];
    const note = (name) => (...call) => calls.push([name, ...call]);
    const own = {
        arc: note("arc"), fillText: note("fillText"), rect: note("rect"),
        measureText: (text) => ({ width: 10 * text.length }), getTransform: () => ({ a: 1 }),
    };
    const get = (target, name) => target[name] ?? (() => 0);
    const context = new Proxy(own, { get, set: () => true });
    const band = (line, name, high) => (
        { lines: [line], name, value: VALUE, axis: { low: 0, high, ticks: [], decimals: 0 } }
    );
    const stroke = { colour: "black", dash: [] };
    m.drawLineChart(context, 108, HEIGHT, {
        series, bands: [band(0, "one", 4), band(1, "a long other", 400)], count: 2, from: 0, to: 100,
        times: ["", "", ""], cursor: null, strokes: [stroke, stroke], palette: {},
    });
    return calls;
"""


async def drawn(page: Page, height: int, value: str = "", ticks: str = "[]") -> Any:
    """Return the calls of the canvas, for a chart of two bands."""
    body = DRAWN.replace("HEIGHT", str(height)).replace("VALUE", json.dumps(value))
    return await run(page, "view/line_chart", body.replace("ticks: []", f"ticks: {ticks}"))


@pytest.mark.empty_page
async def test_each_band_has_its_part_of_the_height(page: Page) -> None:
    """Its line does not leave it, and its name is cut to the width."""
    calls = await drawn(page, 124)
    # 100 px below 6 px, in two: 16 px of each are for the name.
    assert [call[2] for call in calls if call[0] == "arc"] == [22, 72]
    assert [call[1:] for call in calls if call[0] == "rect"] == [[0, 0, 102.75, 57], [0, 56, 102.75, 51]]
    assert [call[1] for call in calls if call[0] == "fillText" and call[1]] == ["one", "a long …"]


@pytest.mark.empty_page
async def test_low_bands_have_their_names_among_the_values(page: Page) -> None:
    """As before the chart is as high as it needs to be."""
    calls = await drawn(page, 64)
    assert [call[2] for call in calls if call[0] == "arc"] == [6, 26]


@pytest.mark.empty_page
async def test_labels_are_not_on_each_other(page: Page) -> None:
    """A low band has a label for some of its ticks."""
    calls = await drawn(page, 124, ticks="[0, high / 4, high / 2, high]")
    # Of the 34 px for the values, the second tick is at 8.5 px, and the third at 17 px.
    labels = [call[1] for call in calls if call[0] == "fillText" and call[1][:1].isdigit()]
    assert labels == ["0", "2", "4", "0", "200", "400"]


@pytest.mark.empty_page
async def test_value_that_is_read_out_is_beside_the_name(page: Page) -> None:
    """The name leaves it the room: 20 px for the swatch, 42 of 100 for the value."""
    calls = await drawn(page, 124, value="12.5")
    texts = [call[1:3] for call in calls if call[0] == "fillText" and call[1]]
    assert texts == [["one", 20], ["12.5", 58], ["a …", 20], ["12.5", 58]]


async def test_reader_arranges_the_lines(open_view: OpenView, publish: Publish) -> None:
    """The address follows, and Auto is as it was. A chart with more bands is higher."""
    await publish("office", OFFICE)
    await publish("room", {"temperature": 20, "humidity": 120})
    page = await open_view()
    office = page.get_by_role("group", name="Chart of office")
    room = page.get_by_role("group", name="Chart of room")
    choice = page.get_by_label("Lines")
    for arrangement, counts, query in (
        ("", (2, 1), ""),
        ("together", (1, 1), "?lines=together"),
        ("apart", (2, 2), "?lines=apart"),
        ("", (2, 1), ""),
        ("apart", (2, 2), "?lines=apart"),
    ):
        await choice.select_option(arrangement)
        for chart, count in zip((office, room), counts, strict=True):
            await expect(chart).to_have_css("--bands", str(count))
        assert page.url.endswith(f"/view{query}")
    await page.reload()
    await expect(choice).to_have_value("apart")
    image = office.get_by_role("img", name="each line on a scale of its own")
    await expect(image).to_be_visible()
    await publish("office", OFFICE | {f"key {number}": number for number in range(1, 5)})
    await expect(office).to_have_css("--bands", "6")
    await expect(office).to_have_css("min-height", f"{6 * 52}px")
    await choice.select_option("together")
    await expect(office).to_have_css("min-height", "104px")


async def test_without_a_list_of_producers_lines_get_bands(
    open_view: OpenView, publish: Publish, browser_errors: BrowserErrors
) -> None:
    """While the list is awaited, a declared unit may keep the lines together."""
    page = await open_view()
    await page.route("**/api/producers", lambda route: route.abort())
    await publish("office", OFFICE)
    chart = page.get_by_role("group", name="Chart of office")
    await expect(chart).to_have_css("--bands", "2")
    browser_errors.remove_expected("ERR_FAILED")


async def test_read_out_of_bands_hides_none(open_view: OpenView, publish: Publish) -> None:
    """It has the time alone, at the foot. What is spoken has the values."""
    await publish("office", OFFICE)
    page = await open_view()
    chart = page.get_by_role("group", name="Chart of office")
    await expect(chart).to_have_css("--bands", "2")
    await chart.focus()
    await page.keyboard.press("ArrowLeft")
    readout = chart.locator(".readout")
    await expect(readout).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    await expect(page.locator('[data-part="readout"]')).to_contain_text("co2 420, temperature 20.5")
    shown, box = await readout.bounding_box(), await chart.bounding_box()
    assert shown is not None
    assert box is not None
    assert shown["y"] + shown["height"] == pytest.approx(box["y"] + box["height"], abs=1)
    await page.get_by_label("Lines").select_option("together")
    await expect(readout).to_contain_text("co2 420, temperature 20.5")
    assert await readout.get_attribute("data-at") == "head"


async def test_choice_is_there_for_several_lines_only(open_view: OpenView, publish: Publish) -> None:
    """Else it would change nothing."""
    await publish("loss", 1)
    await publish("office", OFFICE)
    page = await open_view()
    await expect(page.get_by_label("Lines")).to_be_visible()
    await page.get_by_role("button", name="Hide office").click()
    await expect(page.get_by_label("Lines")).to_be_hidden()


@pytest.mark.empty_page
async def test_lines_stay_together_until_their_description_is_known(page: Page) -> None:
    """A unit would bring them together again. What has none is known, too."""
    found = await run(
        page,
        "view/card",
        """
        const { ProducerData } = await import("/static/view/producer_data.js");
        const drawn = [];
        for (const unit of ["", "%"]) {
            const data = new ProducerData("x");
            data.take({ message: "", value: { a: 1, b: 100 }, sentAt: 5, id: null }, 5);
            const card = new m.Card(data, { announce: () => {}, changed: () => {} });
            document.body.append(card.element);
            const chart = () => card.element.querySelector(".chart");
            const frame = { now: 6, edge: 6, window: 60, paused: false, lines: null };
            const draw = async () => {
                card.write(frame);
                // The chart draws once it is on the screen and has a size.
                while (!card.draw()) await new Promise(requestAnimationFrame);
                drawn.push(getComputedStyle(chart()).getPropertyValue("--bands"));
            };
            card.write(frame);
            chart().style = "width: 400px; height: 124px; --bands: 1";
            await draw();
            data.describe({ title: "", unit, low: null, high: null, period: null });
            frame.now = 1000;
            await draw();
        }
        return drawn;
        """,
    )
    assert found == ["1", "2", "1", "1"]
