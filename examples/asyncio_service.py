"""Show how busy an asyncio service is: here one that answers each line in capitals."""

import asyncio
import sys
import time
from asyncio import StreamReader, StreamWriter

import rtdemo

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


async def report() -> None:
    # In a task of its own; and `publish` never waits, also while the page's server is away.
    began = time.monotonic()
    while True:
        await asyncio.sleep(1)
        done, now = durations.copy(), time.monotonic()
        durations.clear()
        # A busy event loop wakes up late: more than a second has passed.
        seconds, began = now - began, now
        rtdemo.publish("requests", len(done) / seconds, f"{len(done)} requests in {seconds:.1f} s")
        if done:
            rtdemo.publish("request_ms", {"mean": sum(done) / len(done), "longest": max(done)})


async def main(port: int) -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        await report()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else PORT))
