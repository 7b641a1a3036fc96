"""Understand control messages: texts by which a client changes its own connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from rtdemo.hub.connection import Connection
from rtdemo.hub.selection import Selection, SelectionError, read_producers, read_speed
from rtdemo.protocol.close_reasons import Reason

KEY = "rtdemo"
"""A JSON object with this one key is a control message; its answer has this producer's name."""
BREAK = "break"
"""The control that breaks the connection it comes over, where the lab is on."""


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
        raise SelectionError(f"there is no control {name!r}; there are speed, producers, break")
    producers, speed = selection.producers, selection.speed
    if "speed" in wanted:
        speed = read_speed(wanted["speed"])
    if "producers" in wanted:
        names = wanted["producers"]
        if names is not None and not isinstance(names, list):
            raise SelectionError("producers: give a list of names, or null for all")
        producers = None if names is None else read_producers(names, known)
    return Selection(producers, speed)


def read_break(wanted: Mapping[str, Any], allowed: Iterable[str]) -> str:
    """Return by which name a control message asks for its connection to be broken.

    Arguments:
        allowed: the names that there are; none where the lab is off.

    Raises:
        SelectionError: where it is none of them, or asks for something else besides.
    """
    names = list(allowed)
    if not names:
        raise SelectionError("break: the lab is off; start the server with --lab")
    if len(wanted) > 1 or wanted[BREAK] not in names:
        raise SelectionError(f"break: give one of {', '.join(names)}, and nothing else with it")
    return str(wanted[BREAK])


def obey(
    connection: Connection,
    wanted: Mapping[str, Any],
    known: list[str],
    select: Callable[[Selection], object],
    lab: bool,
) -> None:
    """Do what a control message asks for and answer it; a break comes after its answer.

    Arguments:
        known: the names of the producers that exist.
        select: changes what the connection receives.
        lab: whether it may be broken.
    """
    try:
        if BREAK in wanted:
            name = read_break(wanted, BREAKS if lab else ())
            _answer(connection, answer(name))
            apply(name, connection)
            return
        selection = change(connection.selection, wanted, known)
        select(selection)
        picked = None if selection.producers is None else sorted(selection.producers)
        _answer(connection, {"producers": picked, "speed": selection.speed})
    except SelectionError as error:
        _answer(connection, {"error": str(error)})


def _answer(connection: Connection, content: Mapping[str, object]) -> None:
    connection.send(KEY, msgspec.json.encode(content).decode(), periodic=False)


STOP = 5.0
"""Seconds for which a stopped connection delivers nothing."""
DELAY = 0.25
"""Seconds by which everything is late on a delayed connection."""
_Break = tuple[Callable[[Connection], object], float | None]


def _cut(connection: Connection) -> None:
    connection.end(Reason.CONNECTION_LOST)


def _stop(connection: Connection) -> None:
    connection.throttle().stop(STOP)


def _delay(connection: Connection) -> None:
    connection.throttle().delay = DELAY


def _mend(connection: Connection) -> None:
    connection.throttle().release()


BREAKS: Mapping[str, _Break] = {
    "cut": (_cut, None),
    "stop": (_stop, STOP),
    "delay": (_delay, DELAY),
    "none": (_mend, None),
}
"""What a client may ask for: how it is done, and the seconds that its answer tells."""


def answer(name: str) -> dict[str, object]:
    """Return what a client is told before it happens."""
    seconds = BREAKS[name][1]
    return {"break": name} | ({"seconds": seconds} if seconds is not None else {})


def apply(name: str, connection: Connection) -> None:
    """Do it."""
    BREAKS[name][0](connection)
