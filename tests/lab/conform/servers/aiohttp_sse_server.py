"""aiohttp and aiohttp-sse."""

import asyncio

from aiohttp import web
from aiohttp_sse import sse_response


async def events(request: web.Request) -> web.StreamResponse:
    async with sse_response(request) as response:
        number = 0
        while response.is_connected():
            await response.send(f"tick {number}")
            await asyncio.sleep(0.1)
            number += 1
    return response


async def main() -> None:
    app = web.Application()
    app.router.add_get("/events", events)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"port {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
