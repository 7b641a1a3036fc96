"""Addresses: which ones are valid, and what they mean."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rtdemo.errors import AddressError
from rtdemo.protocol import address


@pytest.mark.parametrize("given", ["http://h:3000", "http://h:3000/", "h:3000", "http://h:3000/#x"])
def test_server_has_both_transports(given: str) -> None:
    """The address of a server has a URL for each transport; its scheme may be left out."""
    found = address.parse(given)
    assert found.stream("websocket") == "ws://h:3000/ws"
    assert found.stream("sse") == "http://h:3000/api/sse"
    assert (found.origin, found.port, found.secure, found.is_whole) == (
        "http://h:3000",
        3000,
        False,
        True,
    )


def test_port_alone_is_on_this_machine() -> None:
    """It is what a user changes most often."""
    assert address.parse("4300") == address.parse("localhost:4300")
    assert address.parse_server("4300").origin == "http://localhost:4300"
    with pytest.raises(AddressError, match="has a port that is not a number from 1 to 65535"):
        address.parse("70000")


def test_secure_server() -> None:
    """An https address has wss URLs, and port 443 unless another is given."""
    found = address.parse("https://h")
    assert found.stream("websocket") == "wss://h/ws"
    assert (found.port, found.secure) == (443, True)


def test_server_below_a_path() -> None:
    """A path that ends in a slash is a server below it; one without is a stream."""
    found = address.parse("https://h/rt/")
    assert found.is_whole
    assert found.stream("sse") == "https://h/rt/api/sse"
    assert found.stream("websocket") == "wss://h/rt/ws"
    assert found.url("/api/time") == "https://h/rt/api/time"
    assert not address.parse("https://h/rt").is_whole
    assert not address.parse("https://h/rt/?a=b").is_whole


def test_one_stream_of_any_server() -> None:
    """A path or ws:// is one stream. Its query is kept; parameters with the value None are left out."""
    socket = address.parse("ws://[::1]:8080/feed?a=b")
    assert socket.transports == ("websocket",)
    assert (
        socket.stream("websocket", {"speed": "2", "producers": None})
        == "ws://[::1]:8080/feed?a=b&speed=2"
    )
    assert (socket.host, socket.origin, socket.is_whole) == ("::1", "http://[::1]:8080", False)
    assert address.parse("https://h/events").stream("sse") == "https://h/events"
    with pytest.raises(AddressError, match="without sse"):
        socket.stream("sse")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("ftp://h", "has the scheme 'ftp'"),
        ("http://", "has no host"),
        ("http://h:99999", "has a port that is not a number from 1 to 65535"),
        ("h:7800x", "'h:7800x' has a port that is not a number from 1 to 65535; give "),
        ("h:0", "has the port 0"),
        ("http://u:p@h", "user name"),
        ("http://[::1", "is not a valid address"),
        ("", "has no host"),
        ("a b", "contains white space"),
        ("http://h:3000\n", "'http://h:3000\\n' contains white space"),
        ("http://a..b", "has an invalid host name"),
        (f"http://{'a' * 70}.example", "has an invalid host name"),
    ],
)
def test_invalid_addresses_are_refused(given: str, why: str) -> None:
    """The error is one line that names valid addresses, with exit code 2."""
    with pytest.raises(AddressError) as refused:
        address.parse(given)
    assert why in str(refused.value)
    assert "give http://host:port" in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("parse", [address.parse, address.parse_server])
@pytest.mark.parametrize(
    "given", ["http://u:s3cret@h", "u:s3cret@h", "x://u:s3cret@h", "http://u:s3@cret@h:x"]
)
def test_password_is_not_shown(given: str, parse: Callable[[str], object]) -> None:
    """The log of a program has the error, too."""
    with pytest.raises(AddressError, match=r"\.\.\.@h") as refused:
        parse(given)
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "here"), [("localhost", True), ("127.0.0.9", True), ("[::1]", True), ("h", False)]
)
def test_loopback_is_this_machine(host: str, here: bool) -> None:
    """Only a loopback address certainly has this machine's clock."""
    assert address.parse(f"http://{host}:1").is_loopback is here


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ("http://h:3000/view?bare=1", "http://h:3000/"),
        ("https://h/rt/view", "https://h/rt/"),
        ("http://h/api/publish", "http://h/"),
        ("https://h/rt/ws", "https://h/rt/"),
        ("http://h/preview.html", "http://h/"),
    ],
)
def test_hint_names_the_server_of_a_page(given: str, server: str) -> None:
    """Also below a path, where the address is that of the view."""
    assert address.hint_at_server(given) == f"for an rtdemo server, give {server}"
