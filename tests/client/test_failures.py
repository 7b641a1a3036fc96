"""Errors of servers that `rtdemo tail` and other commands follow."""

from __future__ import annotations

import pytest

from rtdemo.client.failures import close_error, no_stream_error, refusal_error

URL = "https://here.test/api/sse"
HTML = "<html>\n<h1>Bad gateway</h1>"


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (500, "login failed; see the server log\n", "answered 500: login failed; see the server log"),
        (403, "not you\n", "answered 403: not you"),
        (
            401,
            "log in",
            "answered 401: log in; give the login token with --token, RTDEMO_TOKEN or token=",
        ),
        (502, HTML, "answered 502 with a web page; see the server log"),
        (
            404,
            HTML,
            "answered 404 with a web page: no rtdemo server answers at this path;"
            " is it the right address?",
        ),
        (
            401,
            "the token has expired; get a new one\n",
            "answered 401: the token has expired; get a new one; give the login token with --token,"
            " RTDEMO_TOKEN or token=",
        ),
        (
            401,
            HTML,
            "answered 401 with a web page; give the login token with --token, RTDEMO_TOKEN or token=",
        ),
        (500, "", "answered 500; see the server log"),
        (404, "", "answered 404; is it the right address?"),
        (307, "moved", "redirects to http://there.test/live; give that address"),
    ],
)
def test_refusal_is_one_line_that_says_what_to_do_once(status: int, body: str, line: str) -> None:
    """The server's own words say it already; a page is not printed; a redirect's query may be secret."""
    headers = {"Location": "http://there.test/live?key=secret"} if status == 307 else {}
    assert str(refusal_error(URL, status, body, headers)) == f"{URL} {line}"


@pytest.mark.parametrize(
    ("code", "reason", "line"),
    [
        (1009, "over 64 KiB", "ended the connection with code 1009: over 64 KiB"),
        (1002, "", "ended the connection with code 1002; see the server log"),
        (1008, "", "ended the connection with code 1008; send less"),
    ],
)
def test_close_frame_with_a_reason_says_enough(code: int, reason: str, line: str) -> None:
    """Only without one, the log has more."""
    assert str(close_error(URL, code, reason)) == f"{URL} {line}"


@pytest.mark.parametrize(
    ("path", "kind", "fix"),
    [
        ("/view", "text/html", "for an rtdemo server, give http://h:4300/"),
        ("/rt/api/sse", "text/html", "is it the right address?"),
        ("/view", "text/plain", "is it the right address?"),
    ],
)
def test_page_names_the_address_to_give(path: str, kind: str, fix: str) -> None:
    """A user gives the address of the view; that of a server was right, and something is before it."""
    error = no_stream_error(f"http://h:4300{path}?q=1", kind)
    assert str(error).endswith(f" sends {kind}, which is not an event stream; {fix}")
