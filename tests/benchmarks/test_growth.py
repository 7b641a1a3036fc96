"""Growth: how far memory is from a straight line, and the plot."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from benchmarks import growth
from benchmarks.growth import Curve, bend, label_heights, step

COUNTS = [1000, 2000, 5000]
CURVES = [
    Curve("rtdemo", "websocket", COUNTS, [20.0, 22.0, 24.0], [5.0, 10.0, 25.0]),
    Curve("rtdemo", "sse", COUNTS, [20.0, 22.0, 32.0], [4.0, 8.0, 40.0]),
    Curve("ws", "websocket", COUNTS, [25.0, 26.0, 27.0], [9.0, 18.0, 44.0]),
]
SVG = "{http://www.w3.org/2000/svg}"


def test_straight_line_has_no_bend() -> None:
    """A constant part does not bend it."""
    assert bend([1, 2, 5, 10], [103, 106, 115, 130]) == pytest.approx(0)


def test_bend_is_in_percent_of_the_most() -> None:
    """The line of least squares through 0, 3, 0 is 1 everywhere."""
    assert bend([0, 1, 2], [0, 3, 0]) == pytest.approx(100 * 2 / 3)


def test_goals_of_growth() -> None:
    """CPU may grow by half, and memory has to be on a line."""
    assert [goal["reached"] for goal in growth.goals(CURVES[0])] == [True, True]
    assert [goal["reached"] for goal in growth.goals(CURVES[1])] == [False, False]


def test_plot_has_each_line_in_both_charts() -> None:
    """A line has a point for each number of connections, and its server's name."""
    drawn = ElementTree.fromstring(growth.plot(CURVES))
    lines = drawn.findall(f"{SVG}polyline")
    assert len(lines) == 2 * len(CURVES)
    assert {len(line.attrib["points"].split()) for line in lines} == {len(COUNTS)}
    names = [text.text for text in drawn.findall(f"{SVG}text")]
    assert {"rtdemo, WS", "rtdemo, SSE", "ws, WS", "5,000"} <= set(names)


def test_plot_has_higher_values_further_up() -> None:
    """SVG counts from the top."""
    drawn = ElementTree.fromstring(growth.plot(CURVES))
    first = drawn.findall(f"{SVG}polyline")[0].attrib["points"].split()
    heights = [float(point.split(",")[1]) for point in first]
    assert heights == sorted(heights, reverse=True)


def test_plot_without_a_value_above_zero() -> None:
    """A short run may use no CPU time that the kernel counts."""
    nothing = Curve("rtdemo", "sse", COUNTS, [0.0, 0.0, 0.0], [-1.0, 0.0, 0.0])
    assert ElementTree.fromstring(growth.plot([nothing])).tag == f"{SVG}svg"


def test_labels_do_not_overlap() -> None:
    """Those that would are moved up."""
    heights = sorted(label_heights([100, 101, 102, 40]))
    assert all(lower - upper >= 14 for upper, lower in pairwise(heights))
    assert max(heights) == 102


@pytest.mark.parametrize("greatest", [0.03, 1, 7.4, 24, 99, 1234])
def test_grid_has_a_few_round_lines(greatest: float) -> None:
    """Three to six of them reach over the greatest value."""
    assert 3 <= greatest / step(greatest) <= 6
