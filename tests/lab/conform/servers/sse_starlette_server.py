"""Starlette and sse-starlette on uvicorn."""

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from tests.lab.conform.servers.on_uvicorn import serve


async def ticks() -> AsyncIterator[dict[str, str]]:
    number = 0
    while True:
        yield {"data": f"tick {number}"}
        await asyncio.sleep(0.1)
        number += 1


async def events(_request: Request) -> EventSourceResponse:
    return EventSourceResponse(ticks())


serve(Starlette(routes=[Route("/events", events)]))
