"""DNS rebinding: a site on loopback answers only to names of this machine, over every transport."""

from __future__ import annotations

from typing import Any

import pytest

from rtdemo.errors import SettingError
from rtdemo.server.server import Server
from rtdemo.settings.settings import load
from tests.conftest import Start
from tests.faults.test_attacks import raw_request
from tests.faults.test_faults import UPGRADE

OWN = (
    "localhost",
    "LOCALHOST.",
    "page.localhost",
    "127.0.0.1",
    "127.8.8.8",
    "[::1]",
    "[::ffff:127.0.0.1]",
)
FOREIGN = (
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "xlocalhost",
    "0.0.0.0",
    "2130706433",
    "127.1",
    "10.0.0.1",
    "[::]",
    "",
)
MALFORMED = (
    "evil@localhost",
    "localhost/evil.example",
    "localhost#evil.example",
    "localhost:x",
    "[localhost",
    "a b",
    "example.org; script-src *",
)
ROUTES = (
    ("web", "GET / ", ""),
    ("web", "GET /api/sse ", ""),
    ("web", "GET /api/stats ", ""),
    ("web", "GET /static/app.js ", ""),
    ("web", "POST /api/publish ", 'Content-Length: 15\r\n\r\n{"message":"x"}'),
    ("web", "GET /ws ", UPGRADE),
    ("websocket", "GET / ", UPGRADE),
    ("websocket", "GET /healthz ", UPGRADE),
)


async def status(server: Server, site: str, request_line: str, head: str, rest: str) -> tuple[int, str]:
    """Return the status and the text of the answer to a request with this head."""
    url = server.web_url if site == "web" else server.websocket_url
    port = int(url.rstrip("/").rpartition(":")[2])
    answer = await raw_request(port, f"{request_line}HTTP/1.1\r\n{head}{rest}\r\n")
    return int(answer.split(" ", 2)[1]), answer


@pytest.mark.parametrize("host", FOREIGN)
async def test_foreign_host_is_421_on_every_route(server: Server, host: str) -> None:
    """One line that names the setting; no stream, socket or file is served."""
    for site, line, rest in ROUTES:
        code, answer = await status(server, site, line, f"Host: {host}\r\n", rest)
        assert code == 421, (line, answer)
        assert answer.endswith("add it with --allow-host\n"), answer


@pytest.mark.parametrize("host", MALFORMED)
async def test_host_of_another_form_is_400_on_every_route(server: Server, host: str) -> None:
    """RFC 9112 section 3.2."""
    for site, line, rest in ROUTES:
        code, answer = await status(server, site, line, f"Host: {host}\r\n", rest)
        assert code == 400, (line, answer)
        assert answer.endswith("send one, such as localhost:3000\n"), answer


@pytest.mark.parametrize("host", OWN)
async def test_name_of_this_machine_is_served(server: Server, host: str) -> None:
    """Any port and any case of the name will do."""
    for head in (f"Host: {host}\r\n", f"Host: {host}:8080\r\n"):
        assert (await status(server, "web", "GET /api/stats ", head, ""))[0] == 200
        assert (await status(server, "websocket", "GET / ", head, UPGRADE))[0] == 101


async def test_health_answers_to_any_name(server: Server) -> None:
    """A load balancer asks by an address of its own; the answer shows nothing."""
    for path in ("/healthz", "/readyz"):
        assert (await status(server, "web", f"GET {path} ", "Host: pod-1.internal\r\n", ""))[0] == 200


@pytest.mark.parametrize(
    ("settings", "host", "code"),
    [
        ({}, "demo.example.org", 200),
        ({"allow_host": ("demo.example.org",)}, "demo.example.org:8080", 200),
        ({"allow_host": ("demo.example.org",)}, "Demo.Example.Org.", 200),
        ({"allow_host": ("demo.example.org",)}, "localhost", 200),
        ({"allow_host": ("demo.example.org",)}, "evil.example", 421),
        ({"allow_host": ("demo.example.org",)}, "x.demo.example.org", 421),
        ({"allow_host": ("demo.example.org",)}, "", 421),
        ({"allow_host": ("demo.example.org",)}, "evil@demo.example.org", 400),
        ({"allow_host": ("2001:db8::1",)}, "[2001:db8::1]:80", 200),
        ({"allow_host": ("demo.example.org",), "host": "127.0.0.1"}, "demo.example.org", 200),
        ({"host": "127.0.0.1"}, "demo.example.org", 421),
    ],
)
async def test_host_must_be_an_allowed_name(
    start: Start, settings: dict[str, Any], host: str, code: int
) -> None:
    """Where --allow-host is given, it applies on every address; else only loopback has a rule."""
    server = await start(**{"host": "", "websocket_host": "", **settings})
    assert (await status(server, "web", "GET /api/stats ", f"Host: {host}\r\n", ""))[0] == code


@pytest.mark.parametrize("head", ["", "Host: localhost\r\nHost: evil.example\r\n"])
async def test_request_needs_one_host(server: Server, head: str) -> None:
    """None or several are 400 (RFC 9112 section 3.2), whatever they are."""
    assert (await status(server, "web", "GET / ", head, ""))[0] == 400


async def test_http_1_0_needs_no_host(server: Server) -> None:
    """HAProxy's health checks have none unless told; browsers always send one."""
    port = int(server.web_url.rpartition(":")[2])
    assert " 200 " in (await raw_request(port, "GET /api/time HTTP/1.0\r\n\r\n")).partition("\r\n")[0]


@pytest.mark.parametrize(
    "name", ["https://demo.example.org", "demo.example.org:80", "*.example.org", "a b"]
)
def test_allowed_host_is_a_name(name: str) -> None:
    """A URL, a port or a wildcard would never match; the line says what to give."""
    with pytest.raises(SettingError, match=r"--allow-host.*names without scheme and port"):
        load({"allow_host": name}, {})


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    "url", ["http://evil.example/", "http://evil.example", "http://u:p@localhost/", "ws://localhost:1/"]
)
async def test_target_of_another_host_is_421(server: Server, url: str, version: str) -> None:
    """A target that is a whole URL counts more than Host (RFC 9112 section 3.2.2): both must agree."""
    head = f"GET {url} HTTP/{version}\r\nHost: localhost\r\n"
    for site in (server.web_url, server.websocket_url):
        port = int(site.rstrip("/").rpartition(":")[2])
        assert " 421 " in (await raw_request(port, f"{head}{UPGRADE}\r\n"))[:14]


async def test_target_with_the_same_host_is_served(server: Server) -> None:
    """Proxies send this form (RFC 9112 section 3.2.2)."""
    for url, host in (
        ("http://localhost/api/time", "LOCALHOST"),
        ("http://[::1]:80/api/time", "[::1]:80"),
    ):
        code, answer = await status(server, "web", f"GET {url} ", f"Host: {host}\r\n", "")
        assert code == 200, answer
