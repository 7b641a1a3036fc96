"""What an answer means that is not the expected one: its code, who gave it, and the fix."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from rtdemo.lab.doctor.answers import check_stream, explain, is_sign_in
from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.errors import AnswerError, NotTestedError
from rtdemo.lab.doctor.exchange import Answer
from rtdemo.lab.http2_exchange import Chunk
from rtdemo.protocol import address

HTML = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n</body></html>"
OWN = [("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")]
"""What each answer of rtdemo has."""
NGINX = [("Server", "nginx/1.22.1"), ("Content-Type", "text/html")]


async def nothing() -> AsyncGenerator[Chunk, None]:
    chunks: tuple[Chunk, ...] = ()
    for chunk in chunks:
        yield chunk


def answer(status: int, headers: list[tuple[str, str]]) -> Answer:
    return Answer("1.1", status, headers, nothing())


@pytest.fixture
def context() -> Context:
    found = Context(address.parse("https://demo.example.org"), idle=1)
    found.proxies = ["nginx"]
    return found


@pytest.mark.parametrize(
    ("status", "headers", "text", "code", "seen", "fix"),
    [
        (502, NGINX, HTML, "bad-gateway", "nginx answered 502: it cannot reach rtdemo", "start rtdemo"),
        (504, NGINX, HTML, "gateway-timeout", "nginx answered 504: rtdemo did not answer", "in nginx:"),
        (503, NGINX, HTML, "overloaded", "nginx answered 503: it has no server", "limit_req"),
        (
            429,
            [*NGINX, ("Retry-After", "7")],
            "",
            "rate-limited",
            "nginx answered 429 (Retry-After: 7): too",
            "limit",
        ),
        (401, NGINX, HTML, "sign-in", "nginx answered 401: a sign-in is needed", "--header"),
        (
            401,
            OWN,
            "a login token is needed",
            "sign-in",
            "rtdemo answered 401: a login token",
            "--token",
        ),
        (403, NGINX, HTML, "forbidden", "nginx answered 403: the request is refused", "nginx:"),
        (404, NGINX, HTML, "not-found", "this path is not forwarded to rtdemo", "forward /"),
        (413, NGINX, HTML, "size-limit", "nginx answered 413", "in nginx:"),
        (
            302,
            [("Location", "https://login.example.com/oauth2/start?rd=x")],
            "",
            "sign-in",
            "redirected to a sign-in page: https://login.example.com/oauth2/start",
            "--header",
        ),
        (
            301,
            [("Location", "https://h.example/x")],
            "",
            "redirected",
            "redirected to https://h.example/x (301)",
            "give the address",
        ),
        (
            421,
            OWN,
            "host 'servers' is not a name of this server; if it should be, add it with --allow-host",
            "host-rewritten",
            "Host was rewritten on the way",
            "proxy_set_header Host",
        ),
        (
            421,
            OWN,
            "host 'demo.example.org' is not a name of this server",
            "host-not-allowed",
            "does not serve the name demo.example.org",
            "--allow-host demo.example.org",
        ),
        (418, [], "\x1b[2J<b>", "unexpected-status", "nginx answered 418", ""),
    ],
)
def test_each_answer_has_its_own_finding(
    context: Context,
    status: int,
    headers: list[tuple[str, str]],
    text: str,
    code: str,
    seen: str,
    fix: str,
) -> None:
    """With who gave it, what it means and its fix; never with HTML."""
    found = explain(context, answer(status, headers), text)
    assert (found.verdict, found.code) == ("fail", code)
    assert seen in found.seen
    assert fix in found.fix
    assert "<" not in found.seen


def test_own_limit_of_probes_is_no_fault(context: Context) -> None:
    """The check could not run; the answer says when it can."""
    with pytest.raises(NotTestedError, match="too many probes from"):
        explain(context, answer(429, OWN), "too many probes from 127.0.0.1; try again later")


@pytest.mark.parametrize(
    ("kind", "code"),
    [("text/html", "html-answer"), ("text/plain", "sse-not-open"), ("", "sse-not-open")],
)
def test_answer_that_is_no_stream(context: Context, kind: str, code: str) -> None:
    """A page in the place of the stream has its own finding."""
    with pytest.raises(AnswerError) as error:
        check_stream(context, answer(200, [("Content-Type", kind)]))
    assert error.value.diagnosis.code == code
    check_stream(context, answer(200, [("Content-Type", "text/event-stream; charset=utf-8")]))


@pytest.mark.parametrize(
    ("location", "is_one"),
    [
        ("/login?next=/", True),
        ("/users/sign_in", True),
        ("https://auth.example.org/realms/x", True),
        ("/oauth2/start", True),
        ("/account", True),
        ("/sso/", True),
        ("/lessons/1", False),
        ("/authors", False),
        ("/accounting", False),
        ("https://example.org/", False),
        ("https://idea.example.org/", False),
    ],
)
def test_page_to_sign_in(location: str, is_one: bool) -> None:
    """Short words count only by themselves: lessons have sso in them."""
    assert is_sign_in(location) is is_one
