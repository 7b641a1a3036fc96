"""Show how busy an asyncio service is: here one that answers each line in capitals."""

import asyncio
import sys
import time
from asyncio import StreamReader, StreamWriter

from rtdemo import AsyncPublisher

PORT = 4000
durations: list[float] = []
"""Milliseconds of each request since the last report."""


async def serve(reader: StreamReader, writer: StreamWriter) -> None:
    async for line in reader:
        began = time.perf_counter()
        writer.write(line.upper())
        await writer.drain()
        durations.append((time.perf_counter() - began) * 1000)
    writer.close()


async def report(publisher: AsyncPublisher) -> None:
    # In a task of its own: no request waits for the page.
    while True:
        await asyncio.sleep(1)
        done = durations.copy()
        durations.clear()
        await publisher.publish("requests", len(done), f"{len(done)} requests in a second")
        if done:
            await publisher.publish("request_ms", {"mean": sum(done) / len(done), "longest": max(done)})


async def main(port: int) -> None:
    async with AsyncPublisher() as publisher, await asyncio.start_server(serve, "127.0.0.1", port):
        await report(publisher)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else PORT))
