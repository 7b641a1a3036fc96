"""Send what is published to a Redis channel to the page. Needs `pip install redis`."""

import asyncio
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rtdemo import Option, Secret, producer

URL = Option(Secret, Secret("redis://localhost:6379"), "URL of the server; it may contain a password.")
CHANNEL = Option(str, "rtdemo", "The channel to listen to.")
RETRY = Option(float, 1.0, "Seconds before the first retry; each further one waits twice as long.")

MAX_RETRY_S = 30.0


def connect() -> Redis:
    # PING regularly: otherwise a server that disappears silently is never noticed.
    return Redis.from_url(
        URL.value.reveal(),
        decode_responses=True,
        encoding_errors="replace",
        health_check_interval=15,
        socket_connect_timeout=5,
    )


@producer(shared=True)
async def redis_to_page() -> AsyncIterator[str]:
    wait = RETRY.value
    while True:
        try:
            async with connect() as redis, redis.pubsub() as channel:
                await channel.subscribe(CHANNEL.value)
                while True:
                    item = await channel.get_message(timeout=5.0)
                    wait = RETRY.value
                    if item is not None and item["type"] == "message":
                        yield item["data"]
        except (RedisError, OSError) as error:
            yield f"Redis is unavailable ({type(error).__name__}); retry in {wait:g} s"
        await asyncio.sleep(wait)
        wait = min(wait * 2, MAX_RETRY_S)
