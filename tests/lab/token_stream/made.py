"""Answers that are made up: what arrives when is given, so tests do not depend on a clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rtdemo.lab.http2_exchange import Head
from rtdemo.lab.token_stream.recording import Ending, Recording
from rtdemo.lab.token_stream.request import new_request
from rtdemo.lab.token_stream.way import Name, Way

URL = "http://proxy.example/v1/chat/completions"
BODY = b'{"stream": true}'
EVENT_STREAM = ("Content-Type", "text/event-stream")
END = b"data: [DONE]\n\n"
Arrivals = Iterable[tuple[float, bytes]]


def token(size_bytes: int = 250) -> bytes:
    """Return an event of OpenAI's chat with a size."""
    event = b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": ""}}]}).encode()
    text = b"x" * max(size_bytes - len(event), 1)
    return event.replace(b'""', b'"%b"' % text)


def stream(
    tokens: int = 100,
    every_s: float = 0.02,
    first_s: float = 0.3,
    batch: int = 1,
    size_bytes: int = 250,
    ends: bool = True,
) -> list[tuple[float, bytes]]:
    """Return what a server sends: when, and which bytes."""
    sent = [
        (
            first_s + min(start + batch, tokens) * every_s - every_s,
            token(size_bytes) * min(batch, tokens),
        )
        for start in range(0, tokens, batch)
    ]
    return [*sent, (sent[-1][0], END)] if ends else sent


def through_buffer(sent: Arrivals, size_bytes: int) -> list[tuple[float, bytes]]:
    """Return how bytes arrive that a buffer holds until it is full, or the answer ends."""
    arrived, held, at = [], b"", 0.0
    for at, data in sent:
        held += data
        while len(held) >= size_bytes:
            arrived.append((at, held[:size_bytes]))
            held = held[size_bytes:]
    return [*arrived, (at, held)]


def through_timer(sent: Arrivals, every_s: float) -> list[tuple[float, bytes]]:
    """Return how bytes arrive that are sent on only at an interval, or at the end of the answer."""
    arrived, held, due, at = [], b"", 0.0, 0.0
    for at, data in sent:
        if held and at >= due:
            arrived.append((due, held))
            held = b""
        if not held:
            due = max(at, due) + every_s
        held += data
    return [*arrived, (at, held)]


def held_to_end(sent: Sequence[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    """Return how bytes arrive that something stores."""
    return [(sent[-1][0], b"".join(data for _, data in sent))]


def recording(
    arrived: Arrivals,
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (EVENT_STREAM,),
    ending: Ending = "complete",
    ended_s: float | None = None,
    reason: str = "",
) -> Recording:
    """Return the recording of an answer."""
    made = Recording()
    made.sent_at = 0.0
    arrived = list(arrived)
    if status:
        made.take_head(Head(status, list(headers)), arrived[0][0] * 1000 if arrived else 100.0)
    for at, data in arrived:
        made.take(data, len(data), at * 1000)
    last = arrived[-1][0] if arrived else 0.1
    made.end(ending, (last if ended_s is None else ended_s) * 1000, reason)
    return made


def way(name: Name, *recordings: Recording, version: str = "1.1", body: bytes = BODY) -> Way:
    """Return a way with these answers; a single one stands for three."""
    request = new_request(URL, {}, body)
    answers = list(recordings) if len(recordings) > 1 else list(recordings) * 3
    return Way(name, "2" if version == "2" else "1.1", request, answers)
