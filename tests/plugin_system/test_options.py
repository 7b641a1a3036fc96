"""Settings of plugins: read from the environment, checked, and hidden if they are secrets."""

from __future__ import annotations

from typing import Any

import pytest

from rtdemo import Option, Secret
from rtdemo.errors import ProducerError


def test_value_of_the_environment_and_default() -> None:
    """The variable is RTDEMO_<PLUGIN>_<NAME>; its text is converted to the option's type."""
    city, count = Option(str, "Berlin"), Option(int, 3)
    city.read("weather", "CITY", {})
    count.read("my-weather", "COUNT", {"RTDEMO_MY_WEATHER_COUNT": "7"})
    assert (city.value, city.variable, city.shown) == ("Berlin", "RTDEMO_WEATHER_CITY", "Berlin")
    assert count.value == 7
    count.read("my-weather", "COUNT", {})
    assert count.value == 3


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        (Option(int, 3), "many", ["RTDEMO_P_X", "'many'", "int"]),
        (Option(bool, False), "maybe", ["RTDEMO_P_X", "'maybe'", "bool"]),
        (
            Option(str, help="Where to ask."),
            None,
            ["is not set and has no default: Where to ask"],
        ),
    ],
)
def test_bad_value_is_one_line(option: Option[Any], text: str | None, words: list[str]) -> None:
    """The error names the variable, the value and the allowed type."""
    with pytest.raises(ProducerError) as caught:
        option.read("p", "X", {} if text is None else {"RTDEMO_P_X": text})
    assert [word for word in words if word not in str(caught.value)] == []


def test_secret_is_shown_by_nothing() -> None:
    """Only `reveal` returns the text."""
    key = Option(Secret, Secret(""))
    key.read("p", "KEY", {"RTDEMO_P_KEY": "hunter2"})
    assert key.value.reveal() == "hunter2"
    assert key.value
    for text in (str(key.value), repr(key.value), key.shown, f"{key.value}"):
        assert "hunter2" not in text


def test_value_before_loading_is_an_error() -> None:
    """An option without a value raises when it is read, instead of returning None."""
    with pytest.raises(ProducerError, match="set"):
        _ = Option(str).value
    assert Option(str).shown == "(not set)"
