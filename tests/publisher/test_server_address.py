"""Every way to publish takes the same addresses as all other commands, and refuses the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from click.testing import CliRunner

import rtdemo
from rtdemo.cli.publish import publish as command
from rtdemo.errors import AddressError
from rtdemo.publisher import this_process
from rtdemo.publisher.server_address import checked_url_of
from rtdemo.server.server import Server
from tests.publisher.programs import run

WAYS: dict[str, Callable[[str], object]] = {
    "publish": lambda url: rtdemo.publish("x", 1, url=url),
    "asyncio": rtdemo.AsyncPublisher,
    "embed": lambda url: rtdemo.embed(url=url),
    "command": lambda url: CliRunner().invoke(command, ["x", "--to", url], catch_exceptions=False),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "http://",
        "http://host:0",
        "host:x",
        "http://a:b@host",
        "ws://host",
        "http://host/api?x=1",
    ],
)
def test_what_is_no_server(url: str, way: str) -> None:
    """The error is raised at the call, and says what to give."""
    with pytest.raises((AddressError, ValueError), match="give that of an rtdemo server, http://"):
        WAYS[way](url)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("localhost:4300", "http://localhost:4300"),
        ("demo.example.org", "http://demo.example.org"),
        ("https://demo.example.org/", "https://demo.example.org"),
        ("https://demo.example.org/rt", "https://demo.example.org/rt"),
        ("https://demo.example.org/rt/", "https://demo.example.org/rt"),
        ("[::1]:4300", "http://[::1]:4300"),
    ],
)
def test_scheme_and_slash_may_be_left_out(given: str, url: str) -> None:
    """As for `rtdemo tail` and the client."""
    assert checked_url_of(given) == url


def test_variable_with_a_bad_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks for it in the program; an argument is not blamed on the variable."""
    # Those of other tests, to which it would publish.
    monkeypatch.setattr(this_process, "_servers", [])
    monkeypatch.setenv("RTDEMO_URL", "ftp://host")
    with pytest.raises(AddressError, match=r"^RTDEMO_URL: 'ftp://host' has the scheme 'ftp'; give"):
        rtdemo.publish("x", 1)
    with pytest.raises(AddressError, match=r"^'ws://host' is"):
        rtdemo.publish("x", 1, url="ws://host")


async def test_address_without_a_scheme_publishes(server: Server) -> None:
    """From the variable, in a script and in asyncio."""
    address = server.web_url.removeprefix("http://")
    assert await run(address, "import rtdemo; rtdemo.publish('x', 1)") == (0, "", "")
    async with rtdemo.AsyncPublisher(address) as publisher, asyncio.timeout(60):
        assert await publisher.publish("x", 2) == str(server.hub.engine.log.last)
    assert server.hub.engine.log.last.offset == 2
