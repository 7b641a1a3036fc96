"""What pages of other origins may load, read and frame: nothing but what the settings name."""

from __future__ import annotations

import httpx
import pytest

from rtdemo.errors import SettingError
from rtdemo.server.server import Server
from rtdemo.settings.settings import load
from rtdemo.testing import VirtualClock
from tests.conftest import Start

POLICY, RESOURCE_POLICY = "Content-Security-Policy", "Cross-Origin-Resource-Policy"
READABLE, EXPOSED = "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"
NOTEBOOK, FRIEND, STRANGER = "http://localhost:8888", "https://friend.example", "https://else.example"
PATHS = ("/healthz", "/api/producers", "/api/sse?speed=0", "/api/messages?client=x", "/api/ticket")
"""What a client in a page needs; some of these requests are refused."""
OTHER_PATHS = ("/", "/view", "/api/stats", "/api/time", "/metrics", "/static/app.js", "/nothing")


def ancestors(answer: httpx.Response) -> str:
    """Return who may frame an answer."""
    directives = [each.strip() for each in answer.headers[POLICY].split(";")]
    (found,) = (each for each in directives if each.startswith("frame-ancestors "))
    return found.removeprefix("frame-ancestors ")


async def get(server: Server, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.web_url, headers=headers) as http:
        return await http.get(path)


async def test_nobody_may_frame_the_view_by_default(server: Server) -> None:
    """Not even its own origin."""
    answer = await get(server, "/view?bare=1")
    assert ancestors(answer) == "'none'"
    assert RESOURCE_POLICY not in answer.headers


async def test_allowed_origins_may_frame_the_view_and_nothing_else(start: Start) -> None:
    """Isolated pages of them too, which need the resource policy."""
    server = await start(allow_embed=(NOTEBOOK, FRIEND))
    answer = await get(server, "/view?bare=1")
    assert ancestors(answer) == f"{NOTEBOOK} {FRIEND}"
    assert answer.headers[RESOURCE_POLICY] == "cross-origin"
    for path in ("/", "/healthz", "/nothing", "/static/view/app.js"):
        assert ancestors(await get(server, path)) == "'none'", path


NO_ORIGINS = [
    *("localhost:8888", "http://", "*", "null", "http://a.example/", "http://a.example/x"),
    *("https://*.a.example", "http://a.example:", "http://a.example:x", "http://u@a.example"),
    *("http://a.example; script-src *", "http://a.example 'self'", "file://", "http://[::1]:8888"),
    *("http://a.example\n", "'self'", "HTTP://A.example"),
]


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_what_is_no_origin_is_refused_at_the_start(origin: str) -> None:
    """One line; nothing can be added to the policy."""
    with pytest.raises(SettingError) as raised:
        load({"allow_embed": (origin,)}, {})
    assert "--allow-embed" in str(raised.value)
    assert "http://localhost:8888" in str(raised.value)
    assert str(raised.value).isprintable()


async def test_every_page_may_load_the_elements(server: Server) -> None:
    """Their script and style, and no other file."""
    for path in ("/static/embed.js", "/static/embed.css"):
        answer = await get(server, path, Origin=STRANGER)
        assert (answer.status_code, answer.headers[READABLE]) == (200, "*"), path
        assert answer.headers[RESOURCE_POLICY] == "cross-origin"
    for path in ("/static/app.js", "/static/embed/source.js"):
        answer = await get(server, path, Origin=STRANGER)
        assert answer.headers[RESOURCE_POLICY] == "same-origin"
        assert READABLE not in answer.headers


@pytest.mark.parametrize("path", PATHS)
async def test_page_that_may_connect_reads_answers_and_refusals(start: Start, path: str) -> None:
    """Another page reads none; and when to try again is for the first one too."""
    server = await start(allow_origin=(FRIEND,))
    answer = await get(server, path, Origin=FRIEND)
    assert answer.headers[READABLE] == FRIEND
    assert answer.headers["Vary"] == "Origin"
    assert answer.headers[EXPOSED] == "Retry-After"
    for origin in (STRANGER, "null", f"{FRIEND}:444"):
        assert READABLE not in (await get(server, path, Origin=origin)).headers


@pytest.mark.parametrize("path", OTHER_PATHS)
async def test_other_answers_stay_hidden(start: Start, path: str) -> None:
    """From pages that may connect too."""
    server = await start(allow_origin=(FRIEND,))
    assert READABLE not in (await get(server, path, Origin=FRIEND)).headers


async def ask(server: Server, path: str, origin: str, method: str = "POST") -> httpx.Response:
    """Ask as a browser does before it sends a login token."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization",
    }
    async with httpx.AsyncClient(base_url=server.web_url, headers=headers) as http:
        return await http.options(path)


async def test_page_that_may_connect_may_send_its_token(start: Start) -> None:
    """Browsers ask first (Fetch section 3.3.2). Others are refused; elsewhere nothing can be asked."""
    server = await start(allow_origin=(FRIEND,))
    for path in ("/api/ticket", "/api/producers", "/api/sse"):
        answer = await ask(server, path, FRIEND)
        assert (answer.status_code, answer.headers[READABLE]) == (204, FRIEND)
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        refused = await ask(server, path, STRANGER)
        assert refused.status_code == 403
        assert READABLE not in refused.headers
    for path in ("/api/publish", "/api/producers/loss/enable", "/api/stats", "/"):
        assert (await ask(server, path, FRIEND)).status_code == 405, path


async def test_question_without_an_origin_is_no_preflight(server: Server) -> None:
    """It is answered as before."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.options("/api/ticket")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


async def test_refused_origin_is_logged_once_a_minute(
    start: Start, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where only the browser hides the answer. The line names the origin and the flag."""
    server = await start(allow_origin=(FRIEND,))
    await get(server, "/healthz", Origin=FRIEND)
    assert caplog.messages == []
    for seconds in (0, 59, 1):
        clock.advance(seconds)
        await get(server, "/healthz", Origin=STRANGER)
    await ask(server, "/api/ticket", STRANGER)
    line = f"a page of origin {STRANGER!r} is refused; if it is yours, set --allow-origin"
    assert caplog.messages == [line, line]
