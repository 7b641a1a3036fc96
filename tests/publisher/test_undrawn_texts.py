"""Texts in the place of numbers: one line on standard error for each name."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from rtdemo.publisher import undrawn_texts
from rtdemo.publisher.undrawn_texts import UndrawnTexts, reads_as_number
from rtdemo.server.server import Server
from tests.publisher.programs import run

MIXED = """
import rtdemo
for value in (1, "n/a", 2, "n/a", None):
    rtdemo.publish("mixed", value)
for name, value in (("quoted", "4"), ("quoted", "5"), ("comma", "50,1"), ("told", "0.5")):
    rtdemo.publish(name, value, "half" if name == "told" else None)
for row in ({"temp": 20, "hum": "50,1"}, {"temp": "21"}):
    rtdemo.publish("air", row)
for value in ({"sky": "blue", "wind": 3}, "off"):
    rtdemo.publish("weather", value)
for value in ("epoch 3", "2026-01-01", "10:30", "", "4 steps", {"name": "a"}, "b", [1], "c"):
    rtdemo.publish("job", value)
"""
COMMA = "with a point in the place of a decimal comma"
IS_TEXT = "is a text, so it is not drawn; publish"
GAP = "None for a gap, or texts under another name"


async def test_text_in_the_place_of_a_number_is_named_once(server: Server) -> None:
    """What reads as a number, and what follows numbers; other texts and tables are no mistake."""
    code, out, err = await run(server.web_url, MIXED)
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        f"rtdemo: 'n/a' under 'mixed' {IS_TEXT} {GAP}",
        f"rtdemo: '4' under 'quoted' {IS_TEXT} a number, float('4')",
        f"rtdemo: '50,1' under 'comma' {IS_TEXT} a number, {COMMA}",
        f"rtdemo: '0.5' under 'told' {IS_TEXT} a number, float('0.5')",
        f"rtdemo: '50,1' in 'hum' under 'air' {IS_TEXT} a number, {COMMA}",
        f"rtdemo: 'off' under 'weather' {IS_TEXT} {GAP}",
    ]


@pytest.mark.parametrize("text", ["4", "-4.5", " 0.5\r\n", "50,1", ".5", "+1e-3"])
def test_text_that_reads_as_a_number(text: str) -> None:
    """As `float` reads it, with spaces around it, or with a comma for the point."""
    assert reads_as_number(text)
    assert isinstance(float(text.replace(",", ".")), float)


@pytest.mark.parametrize(
    "text", ["", "n/a", "nan", "1 2", "1.2.3", "0x10", "50%", "1_000", "٤", "1" * 41]
)
def test_text_that_is_no_number(text: str) -> None:
    """Others stay texts, also those that only Python reads as a number."""
    assert not reads_as_number(text)


def test_names_without_end_cost_bounded_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Further names are not remembered, and not reported."""
    monkeypatch.setattr(undrawn_texts, "MAX_NAMES", 3)
    monkeypatch.setattr(undrawn_texts, "MAX_REPORTS", 2)
    texts = UndrawnTexts()

    def reported(names: Iterable[str], *values: object) -> int:
        caplog.clear()
        for name in names:
            for value in values:
                texts.look(name, value)
        return len(caplog.records)

    many = [f"name {number}" for number in range(10)]
    assert reported(many, 1, {"a": 1}) == 0
    assert list(texts.names) == many[:3]
    assert reported(many[3:], "n/a") == 0
    assert reported(["x" * 101], 1, "4") == 0
    assert reported(many, "n/a", "n/a", "4") == 2
    assert reported(["further"], "4") == 0
