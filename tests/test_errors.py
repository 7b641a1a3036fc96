"""The words in which errors of the network reach a person."""

from __future__ import annotations

import asyncio
import socket
import ssl

import aiohttp
import pytest

from rtdemo.errors import answered, may_heal, network_reason, one_line
from tests.free_port import free_port
from tests.raw_server import raw_server


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "name or service not known"),
        (TimeoutError(), "no answer in time"),
        (OSError("unknown"), "OSError: unknown"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)"),
            "connection refused",
        ),
        (ValueError("no\nnumber"), "ValueError: no number"),
    ],
)
def test_reason_of_a_failed_connection(error: Exception, reason: str) -> None:
    """It has no number, no address and no name of a class where the system gives words."""
    assert network_reason(error) == reason


def test_long_error_shows_that_it_is_cut() -> None:
    """It could end in the middle of a name that a person copies."""
    assert one_line(ValueError("x" * 288)) == f"ValueError: {'x' * 288}"
    assert one_line(ValueError("x" * 289)) == f"ValueError: {'x' * 287}…"
    assert one_line(ValueError(f"x{' ' * 2000}y")) == "ValueError: x…"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_closed_port_refuses_the_connection(host: str) -> None:
    """The two libraries report it in other ways, and `localhost` has two addresses."""
    port = free_port()
    with pytest.raises(OSError, match="Connect call failed") as refused:
        await asyncio.open_connection(host, port)
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorError) as unconnected:
            await http.get(f"http://{host}:{port}/")
    assert [network_reason(one.value) for one in (refused, unconnected)] == ["connection refused"] * 2


async def test_server_without_tls_and_one_that_nobody_trusts(
    server_context: ssl.SSLContext,
) -> None:
    """The reasons are those of OpenSSL, without its file and line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        await reader.read(1)

    reasons = []
    for context in (None, server_context):
        async with raw_server(answer, context) as port, aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientConnectorError) as failed:
                await http.get(f"https://127.0.0.1:{port}/")
        reasons.append(network_reason(failed.value))
    assert reasons == ["wrong version number", "self-signed certificate"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_answer_after_which_another_try_makes_sense(status: int) -> None:
    """The server, or its load, has to change, and nobody has to do anything."""
    assert may_heal(status)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 405, 501])
def test_answer_that_stays_the_same(status: int) -> None:
    """Such as that of another web server, which has no such page or method."""
    assert not may_heal(status)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("the log\nis \x1b[2J away\n", "answered 503: the log is \\x1b[2J away"),
        ("", "answered 503"),
        (" \n", "answered 503"),
        ("\n<!DOCTYPE html><title>x</title>", "answered 503 with a web page"),
        ("<?xml version='1.0'?><Error/>", "answered 503 with a web page"),
        ("x" * 5000, f"answered 503: {'x' * 300}"),
    ],
)
def test_answer_in_one_line(body: str, words: str) -> None:
    """A page says nothing in a terminal, and control characters move no cursor."""
    assert answered(503, body) == words


@pytest.mark.parametrize("status", [404, 405, 501])
def test_page_that_rtdemo_does_not_have(status: int) -> None:
    """Python's own web server answers a POST with 501; only a proxy has a page for 502."""
    page = "<!DOCTYPE html><title>x</title>"
    assert (
        answered(status, page)
        == f"answered {status} with a web page: no rtdemo server answers at this path"
    )
