"""A stub of a server that answers token by token, as an LLM server does, to test proxies with.

    python -m examples.token_stream --port 8000

It answers a POST to any path. The body chooses how, under `stub`:

    {"stream": true, "stub": {"tokens": 60, "every_ms": 250, "first_ms": 500}}
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from aiohttp import web

MAX_BODY_BYTES = 64 * 1024**2
MAX_NUMBER = 1_000_000
MODEL = "stub"


@dataclass(frozen=True)
class Stub:
    """How to answer.

    Arguments:
        tokens: number of tokens.
        every_ms: milliseconds between two tokens.
        first_ms: milliseconds from the request to the first token.
        waits: whether the head of the answer waits for the first token too.
        batch: tokens that are sent at once; a batch waits for its last token.
        token_bytes: size of a token's event, where that is more than it needs.
        format: `chat`, `responses` (OpenAI), `messages` (Anthropic), `ollama` (JSON lines) or `text`.
        status: HTTP status; an error has no tokens.
        gzip: whether the server itself compresses, without flushing.
        pause_after: number of tokens after which the server is silent for `pause_ms`; 0 for never.
        pause_ms: length of that silence in milliseconds.
        cut_after: number of tokens after which the server cuts the connection; 0 for never.
        error_after: number of tokens after which it reports an error in the stream; 0 for never.
        has_end: whether the event that ends the stream is sent, such as `[DONE]`.
        headers: further headers of the answer, such as `{"X-Accel-Buffering": "no"}`.
    """

    tokens: int = 60
    every_ms: float = 20.0
    first_ms: float = 200.0
    waits: bool = False
    batch: int = 1
    token_bytes: int = 0
    format: str = "chat"
    status: int = 200
    gzip: bool = False
    pause_after: int = 0
    pause_ms: float = 0.0
    cut_after: int = 0
    error_after: int = 0
    has_end: bool = True
    headers: dict[str, str] | None = None


def event(data: Any, kind: str = "") -> bytes:
    """Return an event of an event stream, with the data as JSON."""
    name = f"event: {kind}\n" if kind else ""
    return f"{name}data: {json.dumps(data)}\n\n".encode()


def chat(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    # With the time, so that a client on the same machine can see how late a token is.
    common = {"object": "chat.completion.chunk", "model": MODEL, "sent_at_us": time.time_ns() // 1000}
    return event({**common, "choices": [choice]})


def responses(text: str) -> bytes:
    kind = "response.output_text.delta"
    return event({"type": kind, "delta": text}, kind)


def messages(text: str) -> bytes:
    kind = "content_block_delta"
    return event({"type": kind, "index": 0, "delta": {"type": "text_delta", "text": text}}, kind)


def ollama(text: str) -> bytes:
    return json.dumps({"model": MODEL, "response": text, "done": False}).encode() + b"\n"


def text_only(text: str) -> bytes:
    return text.encode()


FORMATS: dict[str, tuple[Callable[[str], bytes], bytes, str]] = {
    "chat": (chat, b"data: [DONE]\n\n", "text/event-stream"),
    "responses": (
        responses,
        event({"type": "response.completed"}, "response.completed"),
        "text/event-stream",
    ),
    "messages": (messages, event({"type": "message_stop"}, "message_stop"), "text/event-stream"),
    "ollama": (ollama, b'{"response": "", "done": true}\n', "application/x-ndjson"),
    "text": (text_only, b"", "text/plain"),
}
"""By name: the function that makes a token, the end, and the type of the answer."""


def is_allowed(name: str, value: Any) -> bool:
    """Return whether a parameter may have a value: of its default's type, and no negative number."""
    default = getattr(Stub(), name)
    if default is None:
        return isinstance(value, dict)
    if isinstance(default, bool | str):
        return isinstance(value, type(default))
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER


def read_stub(body: Any) -> Stub:
    """Return how to answer a body.

    Raises:
        web.HTTPBadRequest: if the body does not say it right.
    """
    given = body.get("stub", {}) if isinstance(body, dict) else None
    known = sorted(field.name for field in fields(Stub))
    if not isinstance(given, dict) or not given.keys() <= set(known):
        raise web.HTTPBadRequest(text=f"stub takes {', '.join(known)}")
    for name, value in given.items():
        if not is_allowed(name, value):
            raise web.HTTPBadRequest(text=f"stub: {name} may not be {value!r}")
    stub = Stub(**given)
    if stub.format not in FORMATS or stub.batch < 1 or stub.status < 200:
        raise web.HTTPBadRequest(text=f"format is one of {', '.join(FORMATS)}; batch is at least 1")
    return stub


def token(stub: Stub, number: int) -> bytes:
    """Return a token, filled up to the size that is wanted."""
    make = FORMATS[stub.format][0]
    text = f"word{number} "
    missing = stub.token_bytes - len(make(text))
    return make(text + "x" * max(missing, 0))


def batches(stub: Stub) -> Iterator[range]:
    """Yield the numbers of the tokens of each batch."""
    for first in range(0, stub.tokens, stub.batch):
        yield range(first, min(first + stub.batch, stub.tokens))


async def answer(request: web.Request) -> web.StreamResponse:
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    stub = read_stub(body)
    if stub.status >= 400:
        await asyncio.sleep(stub.first_ms / 1000)
        error = {"error": {"message": f"the stub answers {stub.status}"}}
        return web.json_response(error, status=stub.status, headers=stub.headers)
    if not body.get("stream", True):
        await asyncio.sleep((stub.first_ms + stub.tokens * stub.every_ms) / 1000)
        text = "".join(f"word{number} " for number in range(stub.tokens))
        return web.json_response({"choices": [{"message": {"content": text}}]}, headers=stub.headers)
    return await stream(request, stub)


async def stream(request: web.Request, stub: Stub) -> web.StreamResponse:
    _, end, content_type = FORMATS[stub.format]
    headers = {"Content-Type": content_type, "Cache-Control": "no-cache", **(stub.headers or {})}
    response = web.StreamResponse(status=stub.status, headers=headers)
    if stub.gzip and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    started = asyncio.get_running_loop().time()
    if stub.waits:
        await asyncio.sleep(stub.first_ms / 1000)
    await response.prepare(request)
    pause_s = 0.0
    for numbers in batches(stub):
        last = numbers[-1]
        if stub.pause_after and last >= stub.pause_after:
            pause_s = stub.pause_ms / 1000
        due = started + (stub.first_ms + last * stub.every_ms) / 1000 + pause_s
        await asyncio.sleep(max(due - asyncio.get_running_loop().time(), 0))
        await response.write(b"".join(token(stub, number) for number in numbers))
        if stub.error_after and last + 1 >= stub.error_after:
            await response.write(event({"error": {"message": "the stub reports an error"}}))
            return response
        if stub.cut_after and last + 1 >= stub.cut_after:
            if request.transport is not None:
                request.transport.abort()
            return response
    if stub.has_end:
        await response.write(end)
    return response


async def health(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def new_app() -> web.Application:
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_get("/healthz", health)
    app.router.add_post("/{path:.*}", answer)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer POST requests token by token.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    web.run_app(new_app(), host=given.host, port=given.port)


if __name__ == "__main__":
    main()
