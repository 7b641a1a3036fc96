"""Put what is published to a Redis channel on the page: `pip install redis`."""

import asyncio
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rtdemo import Option, Secret, producer

URL = Option(Secret, Secret("redis://localhost:6379"), "The server; its URL may hold a password.")
CHANNEL = Option(str, "rtdemo", "The channel to listen to.")
RETRY = Option(float, 1.0, "Seconds before the first new try; each further one waits twice as long.")

LAST_RETRY = 30.0


def connect() -> Redis:
    # A PING now and then: else a server that vanished without a word would never be missed.
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
                    said = await channel.get_message(timeout=5.0)
                    wait = RETRY.value
                    if said is not None and said["type"] == "message":
                        yield said["data"]
        except (RedisError, OSError) as error:
            yield f"Redis is away ({type(error).__name__}); next try in {wait:g} s"
        await asyncio.sleep(wait)
        wait = min(wait * 2, LAST_RETRY)
