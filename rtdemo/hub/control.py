"""Control messages: texts by which a client changes its own connection, or injects faults into it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from rtdemo.hub.connection import Connection
from rtdemo.hub.selection import Selection, SelectionError, read_producers, read_speed
from rtdemo.protocol.close_reasons import Reason

KEY = "rtdemo"
"""A JSON object with this one key is a control message; its answer has this producer's name."""
FAULT = "break"
"""Key of the control that injects a fault into the connection over which it comes."""
STOP_S = 5.0
"""Seconds for which the fault `stop` delivers nothing."""
DELAY_S = 0.25
"""Seconds by which the fault `delay` makes each message late."""


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


def handle(
    connection: Connection,
    wanted: Mapping[str, Any],
    known: Collection[str],
    select: Callable[[Selection], object],
    lab: bool,
) -> None:
    """Do what a control message asks for, and answer it; a fault is injected after its answer.

    Arguments:
        connection: the connection over which the message came.
        wanted: content of the message, as `read` returns it.
        known: names that the client may pick.
        select: changes what the connection receives.
        lab: whether fault injection is allowed.
    """
    try:
        if FAULT in wanted:
            name = read_fault(wanted, lab)
            inject, seconds = FAULTS[name]
            duration = {} if seconds is None else {"seconds": seconds}
            _answer(connection, {FAULT: name, **duration})
            inject(connection)
            return
        selection = change(connection.selection, wanted, known)
        select(selection)
        picked = None if selection.producers is None else sorted(selection.producers)
        _answer(connection, {"producers": picked, "speed": selection.speed})
    except SelectionError as error:
        send_error(connection, str(error))


def change(selection: Selection, wanted: Mapping[str, Any], known: Collection[str]) -> Selection:
    """Return a selection with the changes that a control message asks for.

    Arguments:
        selection: the present selection.
        wanted: `speed`, a number, and `producers`, a list of names or null for all.
        known: names that the client may pick.

    Raises:
        SelectionError: an unknown key, or a value that is not allowed.
    """
    unknown = [key for key in wanted if key not in ("speed", "producers")]
    if unknown or not wanted:
        name = str(unknown[0])[:100] if unknown else ""
        raise SelectionError(f"there is no control {name!r}; there are speed, producers, {FAULT}")
    producers, speed = selection.producers, selection.speed
    if "speed" in wanted:
        speed = read_speed(wanted["speed"])
    if "producers" in wanted:
        names = wanted["producers"]
        if names is not None and not isinstance(names, list):
            raise SelectionError("producers: give a list of names, or null for all")
        producers = None if names is None else read_producers(names, known)
    return Selection(producers, speed)


def read_fault(wanted: Mapping[str, Any], lab: bool) -> str:
    """Return the name of the fault that a control message asks for.

    Arguments:
        wanted: content of the message.
        lab: whether fault injection is allowed.

    Raises:
        SelectionError: fault injection is off, there is no such fault, or the message asks for more.
    """
    if not lab:
        raise SelectionError(f"{FAULT}: fault injection is off; start the server with --lab")
    if len(wanted) > 1 or wanted[FAULT] not in list(FAULTS):
        raise SelectionError(f"{FAULT}: give one of {', '.join(FAULTS)}, and no other key with it")
    return str(wanted[FAULT])


def send_error(connection: Connection, sentence: str) -> None:
    """Send a client what is wrong with its text, as a message of producer `rtdemo`."""
    _answer(connection, {"error": sentence})


def _answer(connection: Connection, content: Mapping[str, object]) -> None:
    connection.send(KEY, msgspec.json.encode(content).decode(), periodic=False)


def _cut(connection: Connection) -> None:
    connection.end(Reason.CONNECTION_LOST)


def _stop(connection: Connection) -> None:
    connection.throttle().stop(STOP_S)


def _delay(connection: Connection) -> None:
    connection.throttle().delay = DELAY_S


def _remove_fault(connection: Connection) -> None:
    connection.throttle().release()


FAULTS: Mapping[str, tuple[Callable[[Connection], object], float | None]] = {
    "cut": (_cut, None),
    "stop": (_stop, STOP_S),
    "delay": (_delay, DELAY_S),
    "none": (_remove_fault, None),
}
"""The function that injects each fault, and the seconds that its answer reports."""
