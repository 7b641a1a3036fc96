"""The message: its form on the wire and its time stamp."""

from __future__ import annotations

import json
import time

import pytest

from rtdemo.protocol import message
from rtdemo.protocol.message import Message


def test_fields_on_the_wire_in_order() -> None:
    """What is not set is not sent."""
    text = message.encode(Message("hi", 1763841600123.457, "message", 12))
    assert text == b'{"message":"hi","sentAt":1763841600123.457,"producer":"message","seq":12}'


def test_welcome_tells_the_client() -> None:
    """Stamping keeps what the plugin set."""
    fields = json.loads(message.encode(Message("hello", client="abc").sent(5.0, "welcome", 1)))
    assert fields == {
        "message": "hello",
        "sentAt": 5.0,
        "producer": "welcome",
        "seq": 1,
        "client": "abc",
    }


def test_now_is_milliseconds_with_microseconds() -> None:
    """The stamp is the wall clock, no finer than a microsecond and no coarser."""
    before = time.time() * 1000
    stamps = [message.now() for _ in range(50)]
    assert all(before - 1 <= stamp <= time.time() * 1000 + 1 for stamp in stamps)
    assert all(stamp == round(stamp, 3) for stamp in stamps)
    assert any(stamp != round(stamp) for stamp in stamps)


def test_lone_surrogate_cannot_be_sent() -> None:
    """Text that is not Unicode is an error of whoever made it, before anything is written."""
    with pytest.raises(UnicodeEncodeError):
        message.encode(Message("\ud800"))
