"""The request goes where the user says, with the user's headers."""

from __future__ import annotations

import pytest

from rtdemo.errors import AddressError
from rtdemo.lab.token_stream.request import new_request


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("http://h:8000/v1/chat", "http://h:8000/v1/chat"),
        ("h/v1", "http://h/v1"),
        ("https://h", "https://h/"),
        ("http://h/v1?key=a%20b&x=1#part", "http://h/v1?key=a%20b&x=1"),
        ("http://h/\u00e9", "http://h/%C3%A9"),
    ],
)
def test_url_is_that_of_the_request(url: str, whole: str) -> None:
    assert new_request(url, {}, b"").url == whole


@pytest.mark.parametrize("url", ["ws://h/v1", "ftp://h", "http://", "http://user:pass@h/"])
def test_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(AddressError):
        new_request(url, {}, b"")


def test_headers_of_the_user_replace_ours() -> None:
    """Whatever their case."""
    request = new_request("http://h:8000", {"ACCEPT-encoding": "br", "X-Key": "1"}, b"{}")
    headers = request.headers
    assert (headers["accept-encoding"], headers["x-key"]) == ("br", "1")
    assert headers["content-type"] == "application/json"
    assert request.encode().startswith(b"POST / HTTP/1.1\r\nHost: h:8000\r\n")
    assert request.encode().endswith(b"\r\nX-Key: 1\r\nContent-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"stream": true, "messages": []}', True),
        (b'{"stream": false}', False),
        (b'{"messages": []}', False),
        (b'{"contents": []}', True),
        (b"not JSON", True),
        (b"[" * 100_000, True),
    ],
)
def test_body_without_a_stream_is_noticed(body: bytes, asked: bool) -> None:
    assert new_request("http://h", {}, body).is_stream_asked == asked
