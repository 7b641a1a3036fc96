"""Understand control messages: texts by which a client changes its own connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rtdemo.selection import Selection, SelectionError, read_producers, read_speed

MAX_TEXT = 64 * 1024
"""Bytes of a text that a client may send, over either transport."""
KEY = "rtdemo"
"""A JSON object with this one key is a control message; its answer has this producer's name."""


def read(text: str) -> Mapping[str, Any] | None:
    """Return what a control message asks for, or None for any other text."""
    if not text.startswith("{") or f'"{KEY}"' not in text:
        return None
    try:
        content = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if not isinstance(content, dict) or list(content) != [KEY]:
        return None
    wanted = content[KEY]
    return wanted if isinstance(wanted, dict) else {"": wanted}


def change(selection: Selection, wanted: Mapping[str, Any], known: list[str]) -> Selection:
    """Return the selection with what a control message changes.

    Arguments:
        wanted: `speed`, a number, and `producers`, a list of names or null for all.
        known: the names of the producers that exist.

    Raises:
        SelectionError: for an unknown key, or a value that is not allowed.
    """
    unknown = [key for key in wanted if key not in ("speed", "producers")]
    if unknown or not wanted:
        name = str(unknown[0])[:100] if unknown else ""
        raise SelectionError(f"there is no control {name!r}; there are speed, producers")
    producers, speed = selection.producers, selection.speed
    if "speed" in wanted:
        speed = read_speed(wanted["speed"])
    if "producers" in wanted:
        names = wanted["producers"]
        if names is not None and not isinstance(names, list):
            raise SelectionError("producers: give a list of names, or null for all")
        producers = None if names is None else read_producers(names, known)
    return Selection(producers, speed)


def answer(selection: Selection) -> str:
    """Return the text that tells a client what it receives from now on."""
    producers = selection.producers
    picked = None if producers is None else sorted(producers)
    return msgspec.json.encode({"producers": picked, "speed": selection.speed}).decode()


def refusal(error: SelectionError) -> str:
    """Return the text that tells a client why nothing changed."""
    return msgspec.json.encode({"error": str(error)}).decode()
