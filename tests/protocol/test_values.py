"""Values: what JSON can hold of them, and their text for people."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from rtdemo.protocol import values
from rtdemo.protocol.message import Message, encode
from rtdemo.protocol.values import ValueTypeError, to_json, to_text


class Level(IntEnum):
    HIGH = 3


class Array:
    """As NumPy's arrays and numbers, PyTorch's tensors and pandas' series."""

    def __init__(self, content: Any) -> None:
        self._content = content

    def tolist(self) -> Any:
        return self._content


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (21.5, 21.5),
        (True, True),
        ("text", "text"),
        (None, None),
        (Level.HIGH, 3),
        (2**70, float(2**70)),
        (Decimal("1.5"), 1.5),
        (Fraction(1, 4), 0.25),
        (date(2026, 11, 24), "2026-11-24"),
        (datetime(2026, 11, 24, 7, tzinfo=UTC), "2026-11-24T07:00:00+00:00"),
        ({"a": (1, [2.5, None])}, {"a": [1, [2.5, None]]}),
        ({"a": 1.5, "b": 2, "c": "x", "d": None, "e": True},) * 2,
        ({"a": 1.5, "b": 2**70}, {"a": 1.5, "b": float(2**70)}),
        ({1: "x"}, {"1": "x"}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Array(0.5), 0.5),
        ({"loss": Array([1.0, 2.0])}, {"loss": [1.0, 2.0]}),
    ],
)
def test_value_becomes_what_json_holds(given: Any, expected: Any) -> None:
    """Numbers of other libraries become numbers; the encoder takes the result."""
    value, nulls = to_json(given)
    assert (value, nulls) == (expected, 0)
    assert type(value) is type(expected)
    assert msgspec.json.decode(msgspec.json.encode(value)) == expected


@pytest.mark.parametrize("given", [{"a": 1.5}, {"a": [1.5]}])
def test_value_is_a_copy(given: dict[str, Any]) -> None:
    """A plugin may change its mapping later, while the message still waits for the log."""
    value, _ = to_json(given)
    given["b"] = 1
    assert value.keys() == {"a"}


def test_nan_and_infinities_become_null_and_are_counted() -> None:
    """JSON has no numbers for them (RFC 8259 section 6); so has an integer that no float holds."""
    value, nulls = to_json({"a": math.nan, "b": [math.inf, 1.0, -math.inf], "c": 10**400})
    assert value == {"a": None, "b": [None, 1.0, None], "c": None}
    assert nulls == 4
    assert to_json(Array(math.nan)) == (None, 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"x", "bytes"),
        ({1, 2}, "set"),
        (1j, "complex"),
        ({(1, 2): 3}, "a key of type tuple"),
        ([object()], "object"),
    ],
)
def test_other_types_are_refused(given: Any, words: str) -> None:
    """The error names the type, and what can be given."""
    with pytest.raises(ValueTypeError, match=words):
        to_json(given)


def test_value_that_contains_itself_is_refused() -> None:
    """It ends with an error, not with the process."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        to_json(endless)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (21.5, "°C", "21.5 °C"),
        (21.5, "", "21.5"),
        (0.1 + 0.2, "", "0.3"),
        (3, "%", "3 %"),
        (12345678901234, "", "12345678901234"),
        (True, "°C", "true"),
        (None, "°C", "no value"),
        ("on", "V", "on"),
        ({"a": 1}, "V", '{"a":1}'),
        ([1, 2], "", "[1,2]"),
    ],
)
def test_text_of_a_value(value: Any, unit: str, text: str) -> None:
    """Clients that know only texts show this."""
    assert to_text(value, unit) == text


@pytest.mark.parametrize("value", [{"a": "x" * 40_000}, ["ä"] * 8000, "y" * 60_000])
def test_long_text_of_a_value_is_cut_off(value: Any) -> None:
    """The value is whole, and counts once; people see the beginning."""
    message = values.message_of(value)
    values.check_size(message)
    assert message.value == value
    assert to_text(value).startswith(message.message.removesuffix("…"))
    assert len(message.message) == values.SHORT_TEXT_CHARACTERS + 1


def test_text_that_just_fits_is_whole() -> None:
    """It ends in no `…`."""
    text = "x" * values.SHORT_TEXT_CHARACTERS
    assert values.message_of(text).message == text


def test_value_that_is_too_large_is_refused() -> None:
    """However short its text is."""
    with pytest.raises(ValueError, match="the maximum is 65536"):
        values.check_size(values.message_of("y" * 66_000))


def test_value_is_last_in_a_message() -> None:
    """A text has none, so clients of the first version get what they always got; null is a value."""
    assert encode(Message("a")) == b'{"message":"a"}'
    assert (
        encode(Message("no value", id="e-1", value=None))
        == b'{"message":"no value","id":"e-1","value":null}'
    )
    assert (
        encode(values.message_of({"id": "x"})) == b'{"message":"{\\"id\\":\\"x\\"}","value":{"id":"x"}}'
    )
