"""What a person may give as an address."""

from __future__ import annotations

import pytest

from rtdemo.errors import AddressError
from rtdemo.lab import address


@pytest.mark.parametrize("given", ["http://h:3000", "http://h:3000/", "h:3000", "http://h:3000/#x"])
def test_server_has_both_transports(given: str) -> None:
    """And the scheme may be left out."""
    found = address.parse(given)
    assert found.stream("websocket") == "ws://h:3000/ws"
    assert found.stream("sse") == "http://h:3000/api/sse"
    assert (found.origin, found.port, found.secure, found.is_whole) == (
        "http://h:3000",
        3000,
        False,
        True,
    )


def test_secure_server() -> None:
    """Https is wss, and its port is 443 where none is given."""
    found = address.parse("https://h")
    assert found.stream("websocket") == "wss://h/ws"
    assert (found.port, found.secure) == (443, True)


def test_one_stream_of_any_server() -> None:
    """A path or ws:// names just that; its query stays beside ours, and what is None is left out."""
    socket = address.parse("ws://[::1]:8080/feed?a=b")
    assert socket.transports == ("websocket",)
    assert (
        socket.stream("websocket", {"speed": "2", "producers": None})
        == "ws://[::1]:8080/feed?a=b&speed=2"
    )
    assert (socket.host, socket.origin, socket.is_whole) == ("::1", "http://[::1]:8080", False)
    assert address.parse("https://h/events").stream("sse") == "https://h/events"
    with pytest.raises(AddressError, match="there is no sse"):
        socket.stream("sse")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("ftp://h", "has the scheme 'ftp'"),
        ("http://", "names no host"),
        ("http://h:99999", "cannot be read"),
        ("http://u:p@h", "user name"),
        ("http://[::1", "cannot be read"),
        ("", "names no host"),
        ("a b", "names no host"),
        ("http://a..b", "names a host that cannot be"),
        (f"http://{'a' * 70}.example", "names a host that cannot be"),
    ],
)
def test_what_is_no_address(given: str, why: str) -> None:
    """One line that says what can be given, and exit code 2."""
    with pytest.raises(AddressError) as refused:
        address.parse(given)
    assert why in str(refused.value)
    assert "give http://host:port" in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("host", "here"), [("localhost", True), ("127.0.0.9", True), ("[::1]", True), ("h", False)]
)
def test_what_shares_this_machine(host: str, here: bool) -> None:
    """Only loopback is known to have this machine's clock."""
    assert address.parse(f"http://{host}:1").is_loopback is here
