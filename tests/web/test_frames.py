"""Any frames, cut anywhere: the server answers as the protocol of `websockets` does."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings

from rtdemo.server.server import Server
from rtdemo.web import closing_handshake
from tests.raw_client import RawClient, frames, request, turns
from tests.web.client_frames import Segments, expected_answers, segments

WELCOME = "WebSocket connection established"
MISSED_S = 30.0
"""Seconds after which a server that still has not closed fails the test."""


@pytest.mark.uncovered
@pytest.mark.timeout(300)  # it computes all the time
@pytest.mark.asyncio(loop_factories=["uvloop"])
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=segments())
async def test_frames_over_a_socket(
    server: Server, monkeypatch: pytest.MonkeyPatch, sent: Segments
) -> None:
    """Texts are echoed, pings answered, and errors end the connection with their code."""
    expected = [WELCOME, *expected_answers(b"".join(sent))]
    # On a busy machine, the rest comes later than a second after the frame that ended the connection.
    monkeypatch.setattr(closing_handshake, "LINGER_S", 60.0)
    client = await RawClient(server, "websocket").connect()
    try:
        await client.send(request(server, "websocket"))
        await client.read_until(b"\r\n\r\n")
        for segment in sent:
            await turns(3)
            await client.send(segment)
        with suppress(TimeoutError):  # of a server that has missed the end
            async with asyncio.timeout(MISSED_S):
                while is_begin(client, expected) and await client.read_more():
                    pass
    finally:
        client.leave()
    assert answers(client) == expected


def answers(client: RawClient) -> list[str]:
    """Return what the server has answered until now."""
    return list(map(str, frames(client.received, is_all=False)))


def is_begin(client: RawClient, expected: list[str]) -> bool:
    """Return whether all answers until now are as expected, so that it is worth to wait for more."""
    received = answers(client)
    return received == expected[: len(received)]
