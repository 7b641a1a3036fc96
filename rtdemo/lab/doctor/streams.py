"""Read a stream over one connection, without coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiohttp

from rtdemo.client import Transport
from rtdemo.lab.doctor.outcome import StreamError, check_status
from rtdemo.lab.event_stream import Event, EventParser

OPENING = 10.0
"""Seconds for a stream to open."""
AS_A_BROWSER = {"Accept": "text/event-stream", "Accept-Encoding": "gzip, deflate"}
MAX_MESSAGE = 4 * 1024 * 1024


async def events(
    http: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None
) -> AsyncGenerator[Event | None, None]:
    """Give what comes on an event stream; None is its first byte.

    Raises:
        StreamError: when it is none, or ends.
    """
    asked = AS_A_BROWSER | (headers or {})
    async with asyncio.timeout(OPENING) as opening, http.get(url, headers=asked) as answer:
        await check_status(answer)
        if answer.content_type != "text/event-stream":
            raise StreamError(f"sends {answer.content_type}, no event stream")
        opening.reschedule(None)
        parser = EventParser()
        is_first = True
        while chunk := await answer.content.readany():
            if is_first:
                yield None
                is_first = False
            for event in parser.feed(chunk):
                yield event
    raise StreamError("ended")


async def texts(
    http: aiohttp.ClientSession, transport: Transport, url: str, position: str = ""
) -> AsyncGenerator[str, None]:
    """Give the texts of a stream of either transport.

    Arguments:
        position: behind which it goes on; over SSE the header tells it, as browsers do.

    Raises:
        StreamError: when it does not open, or ends.
    """
    if transport == "sse":
        headers = {"Last-Event-ID": position} if position else {}
        async with aclosing(events(http, url, headers)) as stream:
            async for event in stream:
                if event is not None:
                    yield event.data.decode(errors="replace")
        return
    params = {"last_event_id": position} if position else {}
    timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
    async with (
        asyncio.timeout(OPENING) as opening,
        http.ws_connect(url, params=params, timeout=timeout, max_msg_size=MAX_MESSAGE) as socket,
    ):
        opening.reschedule(None)
        async for frame in socket:
            if frame.type is aiohttp.WSMsgType.TEXT:
                yield frame.data
        code = socket.close_code or 1006
        raise StreamError("was cut" if code == 1006 else f"was closed with code {code}")
