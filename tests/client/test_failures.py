"""Errors of servers that `rtdemo tail` and other commands follow."""

from __future__ import annotations

import pytest

from rtdemo.client.failures import refusal_error

URL = "https://here.test/api/sse"
HTML = "<html>\n<h1>Bad gateway</h1>"


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (500, "login failed; see the server log\n", "answered 500: login failed; see the server log"),
        (403, "not you\n", "answered 403: not you; see the server log"),
        (401, "log in", "answered 401: log in; give a login token with --token or token="),
        (502, HTML, "answered 502: <html> <h1>Bad gateway</h1>; see the server log"),
        (404, "", "answered 404; see the server log"),
        (307, "moved", "redirects to http://there.test/live; give that address"),
    ],
)
def test_refusal_is_one_line_that_says_what_to_do_once(status: int, body: str, line: str) -> None:
    """The server's own words may say it already. A redirect's query may be a secret."""
    headers = {"Location": "http://there.test/live?key=secret"} if status == 307 else {}
    assert str(refusal_error(URL, status, body, headers)) == f"{URL} {line}"
