"""Poll an HTTP endpoint over one kept connection, and send its body when it changes."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from rtdemo import Option, producer

URL = Option(str, help="What to poll, such as https://example.org/status.json.")
EVERY = Option(float, 10.0, "Seconds between two polls.")
TIMEOUT = Option(float, 5.0, "Seconds allowed for an answer.")

LIMIT = 64 * 1024
"""Largest answer in bytes; a larger one counts as a failure."""


async def text_of(response: ClientResponse) -> str:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LIMIT:
            raise ValueError(f"the answer is over {LIMIT // 1024} KiB")
    return body.decode(response.get_encoding(), "replace")


@producer(shared=True)
async def poll_http() -> AsyncIterator[str]:
    latest = etag = ""
    # aiohttp would end a request after 5 minutes, whatever the setting.
    async with ClientSession(raise_for_status=True, timeout=ClientTimeout(total=None)) as http:
        while True:
            headers = {"If-None-Match": etag} if etag else {}
            try:
                async with (
                    asyncio.timeout(TIMEOUT.value),
                    http.get(URL.value, headers=headers) as response,
                ):
                    # 304 Not Modified has no body (RFC 9110, section 15.4.5).
                    text = latest if response.status == 304 else await text_of(response)
                    etag = response.headers.get("ETag", "")
            except (ClientError, TimeoutError, ValueError) as error:
                # An endpoint may be unavailable for hours: send that once. Leave out the URL and the
                # error's text, which quotes it: a URL may contain a key, and a page shows this.
                text, etag = f"not available: {getattr(error, 'status', type(error).__name__)}", ""
            if text != latest:
                latest = text
                yield text
            await asyncio.sleep(EVERY.value)
