"""Requests take turns, and one that is refused for good is not repeated."""

from __future__ import annotations

from aiohttp import web

from tests.app_server import answering
from tests.lab.token_stream.examination import examine


async def asked(status: int) -> list[str]:
    """Return the paths of the requests, in their order, to a server that answers with a status."""
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status)

    async with answering(answer) as url:
        await examine(f"{url}/url", f"{url}/direct", b"{}")
    return paths


async def test_ways_take_turns() -> None:
    """So that a busy minute of the server touches both."""
    assert await asked(500) == ["/url", "/direct", "/direct", "/url", "/url", "/direct"]


async def test_refused_request_is_sent_once() -> None:
    """It would get the same answer; 429 may not."""
    assert await asked(401) == ["/url", "/direct"]
    assert len(await asked(429)) == 6


async def test_compressed_answers_that_are_held_are_asked_for_without_compression() -> None:
    """Once on each way."""
    accepted: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        accepted.append(request.headers["Accept-Encoding"])
        tokens = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n' * 50
        response = web.Response(body=tokens, content_type="text/event-stream")
        if "gzip" in accepted[-1]:
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async with answering(answer) as url:
        await examine(url, None, b"{}")
    assert accepted == [*["gzip, deflate"] * 3, "identity"]
