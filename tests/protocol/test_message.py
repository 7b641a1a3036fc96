"""Messages: their JSON and their time stamp."""

from __future__ import annotations

import json
import time

import pytest

from rtdemo.protocol import message
from rtdemo.protocol.message import Message


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


def test_lone_surrogate_cannot_be_sent() -> None:
    """Text that UTF-8 cannot represent raises an error before anything is written."""
    with pytest.raises(UnicodeEncodeError):
        message.encode(Message("\ud800"))
