"""Messages: their JSON and their time stamp; positions as clients send them back."""

from __future__ import annotations

import json
import time

import pytest

from rtdemo.protocol import message
from rtdemo.protocol.message import Message, Position, parse_opening_position


def test_json_has_the_fields_in_order() -> None:
    """Fields without a value are left out."""
    text = message.encode(Message("hi", 1763841600123.457, "message", 12))
    assert text == b'{"message":"hi","sentAt":1763841600123.457,"producer":"message","seq":12}'


def test_welcome_contains_the_client_id() -> None:
    """The time stamp and the number leave the plugin's fields unchanged."""
    fields = json.loads(message.encode(Message("hello", client="abc").sent(5.0, "welcome", 1)))
    assert fields == {
        "message": "hello",
        "sentAt": 5.0,
        "producer": "welcome",
        "seq": 1,
        "client": "abc",
    }


def test_now_is_milliseconds_with_microseconds() -> None:
    """The time stamp is the wall clock in milliseconds, with a resolution of one microsecond."""
    before = time.time() * 1000
    stamps = [message.now() for _ in range(50)]
    assert all(before - 1 <= stamp <= time.time() * 1000 + 1 for stamp in stamps)
    assert all(stamp == round(stamp, 3) for stamp in stamps)
    assert any(stamp != round(stamp) for stamp in stamps)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a1-12", (Position("a1", 12), None)),
        ("a1-12.7", (Position("a1", 12), 7)),
        ("a1-12.0", (Position("a1", 12), 0)),
        *(
            (text, (None, None))
            for text in ("", "a1-12.", "a1-12.07", "a1-12.7.7", "a1.7", "12.7", "x-1.1")
        ),
    ],
)
def test_position_of_a_client_that_awaits_newest_messages(
    text: str, found: tuple[Position | None, int | None]
) -> None:
    """It has a second part; any other text is no position."""
    assert parse_opening_position(text) == found


def test_lone_surrogate_cannot_be_sent() -> None:
    """Text that UTF-8 cannot represent raises an error before anything is written."""
    with pytest.raises(UnicodeEncodeError):
        message.encode(Message("\ud800"))
