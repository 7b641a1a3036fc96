"""FastAPI with its own EventSourceResponse, on uvicorn."""

import asyncio
from collections.abc import AsyncIterable

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse

from tests.lab.conform.servers.on_uvicorn import serve

app = FastAPI()


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterable[str]:
    number = 0
    while True:
        yield f"tick {number}"
        await asyncio.sleep(0.1)
        number += 1


serve(app)
