"""Examine whether a client that was cut gets what it missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rtdemo.lab.doctor.context import Path
from rtdemo.lab.doctor.errors import NotTestedError, StreamError
from rtdemo.lab.doctor.streams import Watch, place_of, read, texts
from rtdemo.plugin_system.checks import Finding
from rtdemo.protocol.client import Transport
from rtdemo.protocol.message import Message, Position

MISSED_WITHIN = 6.0
"""Seconds to wait for a shared message: the built-in broadcast sends one every 5 s."""
BACK_WITHIN = 10.0
"""Seconds for what was missed to come."""


class AsNewError(Exception):
    """Say why a client that came back is taken for a new one.

    Attributes:
        symptom: of the fix.
    """

    def __init__(self, seen: str, symptom: str) -> None:
        super().__init__(seen)
        self.symptom = symptom


async def resume(path: Path, transport: Transport) -> Finding:
    """Drop one client without a close, and see it come back for what another one saw meanwhile."""
    if transport == "websocket" and path.no_websocket:
        raise NotTestedError("no WebSocket can be opened")
    place = await _drop(path, transport)
    try:
        async with asyncio.timeout(MISSED_WITHIN):
            missed = list(await _staying(path).shared_behind(place))
    except TimeoutError:
        missed = []
    try:
        async with asyncio.timeout(BACK_WITHIN):
            came = await _back(path, transport, place, len(missed))
    except AsNewError as error:
        return Finding("fail", str(error), path.fix(error.symptom))
    if not missed:
        seen = f"position accepted; no shared message came in {MISSED_WITHIN:g} s to miss"
        return Finding("warn", seen)
    if came != missed:
        seen = f"missed {_list(missed)}, got {_list(came)}"
        return Finding("fail", seen, path.fix("resume"))
    return Finding("ok", f"{len(missed)} missed while away, and got exactly that")


def _staying(path: Path) -> Watch:
    for watch in path.watches.values():
        if watch.opened is not None and watch.error is None:
            return watch
    raise NotTestedError("no stream stays open to compare with")


async def _drop(path: Path, transport: Transport) -> Position:
    """Connect, and be gone without a word; return the position that the welcome told."""
    # Of its own: when its connections are closed, no WebSocket says goodbye.
    async with path.session() as http:
        stream = texts(http, transport, path.address.stream(transport))
        async with asyncio.timeout(BACK_WITHIN):
            place = place_of(await _message(stream))
        await http.close()
        await stream.aclose()
    if place is None:
        raise NotTestedError("the welcome tells no position")
    return place


async def _back(path: Path, transport: Transport, place: Position, count: int) -> list[Position]:
    """Come back; return the positions of as many shared messages as were missed.

    Raises:
        AsNewError: where the server does not go on behind the position.
    """
    stream = texts(path.http, transport, path.address.stream(transport), str(place))
    async with aclosing(stream):
        welcome = await _message(stream)
        # A server that knows nothing of the position says so at once.
        if place_of(welcome) != place and (await _message(stream)).lost:
            raise AsNewError("came back to a server whose log does not have the position", "log")
        if place_of(welcome) != place:
            raise AsNewError("came back as new: the position does not arrive", "resume")
        came: list[Position] = []
        while len(came) < count:
            found = place_of(await _message(stream))
            if found is not None:
                came.append(found)
    return came


async def _message(stream: AsyncGenerator[str, None]) -> Message:
    message = read(await anext(stream))
    if message is None:
        raise StreamError("sends no messages of rtdemo")
    return message


def _list(places: list[Position]) -> str:
    return ", ".join(str(place.offset) for place in places) or "nothing"
