"""Limits per client address and for all clients, over HTTP: 429 or 503, Retry-After, and a counter."""

from __future__ import annotations

import asyncio
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import eventually
from tests.conftest import Start
from tests.raw_client import RawClient, request
from tests.web.login_tokens import SECRET, bearer, token

BEHIND_PROXY: dict[str, Any] = {"trusted_proxies": ("1",), "publish_token": "secret"}
"""The client's address is what the test writes into X-Forwarded-For."""
STRANGER, OTHER = "198.51.100.7", "203.0.113.9"


async def connect(server: Server, transport: str, address: str = STRANGER) -> tuple[RawClient, int, str]:
    """Connect from an address; return the client, the status and the head with the first bytes."""
    client = await RawClient(server, transport).connect()
    head, _, _ = request(server, transport).rpartition(b"\r\n")
    await client.send(head + f"X-Forwarded-For: {address}\r\n\r\n".encode())
    await client.read_until(b"\r\n\r\n")
    if b"established" not in client.received and client.received.split()[1] in (b"200", b"101"):
        await client.read_until(b"established")
    return client, int(client.received.split()[1]), client.received.decode(errors="replace")


async def refused(server: Server, transport: str, address: str = STRANGER) -> tuple[int, str, str]:
    """Try to connect; return the status, Retry-After and the line of the refusal."""
    client, status, _ = await connect(server, transport, address)
    answer = (await client.read_to_end()).decode()  # the server closes what it refuses
    client.leave()
    head, _, body = answer.partition("\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    return status, headers.get("Retry-After", ""), body.strip()


async def test_connections_in_all(start: Start, transport: str) -> None:
    """Just under the limit connects; one more gets 503; and again after one has left."""
    server = await start(max_connections=2)
    clients = [await connect(server, transport) for _ in range(2)]
    assert [status for _, status, _ in clients] == [{"sse": 200, "websocket": 101}[transport]] * 2
    sentence = "the server has 2 connections (limit --max-connections); try again in 5 s"
    assert await refused(server, transport) == (503, "5", sentence)
    assert server.hub.refused == {"max_connections": 1}
    clients[0][0].leave()
    await eventually(lambda: len(server.hub) == 1)
    client, status, _ = await connect(server, transport)
    assert status in (200, 101)
    for each in (client, clients[1][0]):
        each.leave()


async def test_connections_whose_login_takes_time(start: Start, tmp_path: Path, transport: str) -> None:
    """Those that connect while others log in do not exceed the limit together."""
    plugin = tmp_path / "slow.py"
    plugin.write_text(SLOW_HOOK)
    server = await start(files=(plugin,), max_connections=2)
    clients = [await RawClient(server, transport).connect() for _ in range(6)]
    for client in clients:
        await client.send(request(server, transport))
    for client in clients:
        await client.read_until(b"\r\n\r\n")
    statuses = sorted(int(client.received.split()[1]) for client in clients)
    assert statuses == [{"sse": 200, "websocket": 101}[transport]] * 2 + [503] * 4
    assert server.hub.refused == {"max_connections": 4}
    for client in clients:
        client.leave()


SLOW_HOOK = """
import asyncio
from rtdemo import hookimpl

waiting = asyncio.Barrier(6)

@hookimpl
async def authenticate(request):
    await waiting.wait()
    return "ann"
"""


async def test_connections_per_address(start: Start, transport: str) -> None:
    """The limit holds for one address; another one connects, and the first again after one has left."""
    server = await start(**BEHIND_PROXY, max_connections_per_address=2)
    clients = [(await connect(server, transport))[0] for _ in range(2)]
    sentence = "your address has 2 connections (limit --max-connections-per-address); try again in 5 s"
    assert await refused(server, transport) == (429, "5", sentence)
    assert server.hub.refused == {"max_connections_per_address": 1}
    clients.append((await connect(server, transport, OTHER))[0])
    clients.pop(0).leave()
    await eventually(lambda: len(server.hub) == 2)
    clients.append((await connect(server, transport))[0])
    assert len(server.hub) == 3
    for client in clients:
        client.leave()
    await eventually(lambda: len(server.hub) == 0)
    assert not server.hub.limits.addresses, "nothing is kept about an address without connections"


async def test_client_that_contradicts_its_proxy_is_not_exempt(start: Start, transport: str) -> None:
    """With a `Forwarded` of its own it has its proxy's address, which is loopback here: no exemption."""
    server = await start(**BEHIND_PROXY, max_connections_per_address=2)
    clients = [
        (await connect(server, transport, f"198.51.100.{number}\r\nForwarded: for=192.0.2.1"))[0]
        for number in range(2)
    ]
    forged = "198.51.100.9\r\nForwarded: for=192.0.2.1"
    assert (await refused(server, transport, forged))[0] == 429
    clients.append((await connect(server, transport, "198.51.100.9"))[0])
    for client in clients:
        client.leave()


async def test_connects_per_address(start: Start, clock: VirtualClock, transport: str) -> None:
    """A burst is accepted; one more is refused until a token is back; others are not affected."""
    server = await start(**BEHIND_PROXY, connects_per_address=0.2)
    for _ in range(5):
        client, status, _ = await connect(server, transport)
        assert status in (200, 101)
        client.leave()
    sentence = (
        "over 0.2 connects from your address a second (limit --connects-per-address); try again in 5 s"
    )
    assert await refused(server, transport) == (429, "5", sentence)
    assert server.hub.refused == {"connects_per_address": 1}
    client, status, _ = await connect(server, transport, OTHER)
    assert status in (200, 101)
    client.leave()
    clock.advance(5)
    client, status, _ = await connect(server, transport)
    assert status in (200, 101)
    client.leave()


async def test_this_machine_is_not_exempt_where_proxies_are_declared(
    start: Start, transport: str
) -> None:
    """A client that contradicts its proxy has the proxy's address, which may be loopback."""
    server = await start(trusted_proxies=("203.0.113.1",), connects_per_address=0.2)
    for _ in range(5):
        client, status, _ = await connect(server, transport)
        assert status in (200, 101)
        client.leave()
    assert (await refused(server, transport))[0] == 429


async def test_this_machine_is_exempt_from_limits_per_address(start: Start, transport: str) -> None:
    """Tests, benchmarks and a proxy that is not declared connect from loopback."""
    server = await start(max_connections_per_address=1, connects_per_address=0.1)
    clients = [await connect(server, transport) for _ in range(5)]
    assert {status for _, status, _ in clients} <= {200, 101}
    assert not server.hub.refused
    for client, _, _ in clients:
        client.leave()


async def test_zero_switches_a_limit_off(start: Start) -> None:
    """Every limit at 0, and clients do what they like."""
    off = dict.fromkeys(
        (
            "max_connections",
            "max_connections_per_address",
            "connects_per_address",
            "texts_per_connection",
            "control_frames_per_connection",
            "broadcast_bytes",
            "broadcasts_per_connection",
            "publications_per_address",
            "replay_bytes_per_address",
            "failed_tokens_per_address",
        ),
        0,
    )
    server = await start(**BEHIND_PROXY, **off)
    clients = [(await connect(server, "sse"))[0] for _ in range(5)]
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        for token in ("wrong",) * 20 + ("secret",):
            answer = await publish(http, STRANGER, token)
    assert answer.status_code == 200
    assert not server.hub.refused
    for client in clients:
        client.leave()


async def publish(http: httpx.AsyncClient, address: str, token: str, count: int = 1) -> httpx.Response:
    headers = {"X-Forwarded-For": address, "Authorization": f"Bearer {token}"}
    return await http.post("/api/publish", json=[{"message": "m"}] * count, headers=headers)


async def test_publications_per_address(start: Start, clock: VirtualClock) -> None:
    """Holders of the token publish 100 times as many as strangers; then 429 until tokens are back."""
    server = await start(**BEHIND_PROXY, publications_per_address=0.2)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        assert (await publish(http, STRANGER, "secret", 100)).status_code == 200
        assert (await publish(http, STRANGER, "secret", 100)).status_code == 200
        answer = await publish(http, STRANGER, "secret", 10)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert answer.text == (
            "over 20 publications from your address a second (limit --publications-per-address); "
            "try again in 1 s\n"
        )
        assert server.hub.refused == {"publications_per_address": 1}
        assert len(server.hub.engine.log) == 200
        assert (await publish(http, OTHER, "secret")).status_code == 200
        clock.advance(0.5)
        assert (await publish(http, STRANGER, "secret", 10)).status_code == 200


async def test_failed_tokens_per_address(start: Start, clock: VirtualClock) -> None:
    """After too many wrong tokens not even the right one is accepted from this address for a while."""
    server = await start(**BEHIND_PROXY, failed_tokens_per_address=3)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        codes = [(await publish(http, STRANGER, "wrong")).status_code for _ in range(4)]
        assert codes == [401, 401, 401, 429]
        answer = await publish(http, STRANGER, "secret")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
        assert answer.text == (
            "your address sent too many wrong tokens (limit --failed-tokens-per-address); "
            "try again in 20 s\n"
        )
        assert server.hub.refused == {"failed_tokens_per_address": 2}
        assert (await publish(http, OTHER, "secret")).status_code == 200
        clock.advance(20)
        assert (await publish(http, STRANGER, "secret")).status_code == 200


ADMIN = {"admin_token": "observer", "failed_tokens_per_address": 3}


GUESSES = [
    *product(({"secret": SECRET},), ("/", "/metrics", "/api/plugins", "/api/stats", "/api/producers")),
    *product(({"require_login": True},), ("/", "/metrics", "/api/plugins", "/api/stats")),
    # Without login too: an administrator reads producers for users that nobody can log in as.
    *product(({},), ("/", "/view", "/metrics", "/api/plugins", "/api/stats", "/api/producers")),
]


@pytest.mark.parametrize(("login", "path"), GUESSES)
async def test_guesses_of_the_admin_token_are_limited(start: Start, path: str, login: Any) -> None:
    """Wherever it counts. Over the limit the right one has the same answer as a wrong one."""
    server = await start(**BEHIND_PROXY, **ADMIN, **login)
    forwarded = {"X-Forwarded-For": STRANGER}
    async with httpx.AsyncClient(base_url=server.web_url, headers=forwarded) as http:
        for number in range(3):
            answer = await http.get(path, headers=bearer(f"guess {number}"))
            assert answer.status_code in (200, 401, 403)
        for given in ("guess", "observer", token()):
            assert (await http.get(path, headers=bearer(given))).status_code == 429
        other = {**bearer("observer"), "X-Forwarded-For": OTHER}
        assert (await http.get(path, headers=other)).status_code == 200


async def test_ticket_hides_no_guess_of_the_admin_token(start: Start) -> None:
    """A request that logs in by it counts a wrong token as any other does."""
    server = await start(**BEHIND_PROXY, **ADMIN, secret=SECRET)
    forwarded = {"X-Forwarded-For": STRANGER}
    async with httpx.AsyncClient(base_url=server.web_url, headers=forwarded) as http:
        tickets = [(await http.post("/api/ticket", headers=bearer(token()))).json() for _ in range(4)]
        answers = [
            await http.get("/api/producers", params=each, headers=bearer("x")) for each in tickets
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


async def test_login_token_is_no_wrong_admin_token(start: Start) -> None:
    """`rtdemo bench` and `doctor` send it with all that they ask for, and lock no address out."""
    server = await start(**BEHIND_PROXY, **ADMIN, secret=SECRET)
    headers = {**bearer(token()), "X-Forwarded-For": STRANGER}
    async with httpx.AsyncClient(base_url=server.web_url, headers=headers) as http:
        for path in ("/", "/metrics", "/api/plugins", "/api/producers", "/api/stats") * 5:
            refused = path in ("/metrics", "/api/plugins")
            assert (await http.get(path)).status_code == (401 if refused else 200)


async def test_bearer_tokens_that_a_plugin_refuses_are_limited(start: Start, tmp_path: Path) -> None:
    """Also where it raises `Refused`; requests without a bearer token are its own to count."""
    plugin = tmp_path / "own.py"
    plugin.write_text(HOOK)
    server = await start(files=(plugin,), **BEHIND_PROXY, failed_tokens_per_address=2)
    forwarded = {"X-Forwarded-For": STRANGER}
    async with httpx.AsyncClient(base_url=server.web_url, headers=forwarded) as http:
        for _ in range(5):
            assert (await http.get("/api/stats")).status_code == 401
        for given, status in (("wrong", 401), ("blocked", 403), ("wrong", 429), ("right", 429)):
            assert (await http.get("/api/stats", headers=bearer(given))).status_code == status


HOOK = """
from rtdemo import Refused, hookimpl

@hookimpl
def authenticate(request):
    given = request.headers.get("Authorization", "")
    if given == "Bearer blocked":
        raise Refused(403, "this token is blocked")
    return "ann" if given == "Bearer right" else None
"""


async def test_guesses_beside_each_other_are_limited(start: Start, tmp_path: Path) -> None:
    """A plugin that waits hides no guess: the right one has the answer of those over the limit."""
    plugin = tmp_path / "own.py"
    plugin.write_text(WAITING_HOOK)
    server = await start(files=(plugin,), **BEHIND_PROXY, failed_tokens_per_address=2)
    forwarded = {"X-Forwarded-For": STRANGER}
    async with httpx.AsyncClient(base_url=server.web_url, headers=forwarded, timeout=60) as http:

        async def guess(given: str) -> int:
            return (await http.get("/api/stats", headers=bearer(given))).status_code

        async with asyncio.TaskGroup() as tasks:
            wrong = [tasks.create_task(guess("wrong")) for _ in range(8)]
            right = tasks.create_task(guess("right"))
        assert right.result() == 429
        assert sorted(task.result() for task in wrong) == [401, 401, *[429] * 6]


# Nine requests wait for each other. The right one is answered last.
WAITING_HOOK = """
import asyncio
from rtdemo import hookimpl

asked = []
all_asked = asyncio.Event()

@hookimpl
async def authenticate(request):
    asked.append(request)
    if len(asked) == 9:
        all_asked.set()
    await all_asked.wait()
    if request.headers["Authorization"] != "Bearer right":
        return None
    for _ in range(100):
        await asyncio.sleep(0)
    return "ann"
"""


ADMIN_PATHS = ("/", "/view", "/metrics", "/api/plugins", "/api/stats", "/api/producers")


@pytest.mark.parametrize("path", ADMIN_PATHS)
async def test_guesses_of_the_admin_token_beside_each_other_are_limited(
    start: Start, tmp_path: Path, path: str
) -> None:
    """The right one does not wait for a plugin: it is refused while as many as allowed wait for it."""
    plugin = tmp_path / "own.py"
    plugin.write_text(HOOK_THAT_ENDS_LATE)
    server = await start(files=(plugin,), **BEHIND_PROXY, **ADMIN)
    forwarded = {"X-Forwarded-For": STRANGER}
    async with httpx.AsyncClient(base_url=server.web_url, headers=forwarded, timeout=60) as http:

        async def guess(given: str) -> int:
            return (await http.get(path, headers=bearer(given))).status_code

        async with asyncio.TaskGroup() as tasks:
            wrong = [tasks.create_task(guess(f"guess {number}")) for number in range(8)]
            await eventually(lambda: server.hub.refused["failed_tokens_per_address"] == 5)
            assert await guess("observer") == 429
            # A request without a token: the plugin ends all that wait for it.
            await http.get("/api/stats")
        assert sorted(task.result() for task in wrong)[3:] == [429] * 5
        assert await guess("observer") == 429


HOOK_THAT_ENDS_LATE = """
import asyncio
from rtdemo import hookimpl

has_ended = asyncio.Event()

@hookimpl
async def authenticate(request):
    if "Authorization" not in request.headers:
        has_ended.set()
    await has_ended.wait()
    return None
"""


@pytest.mark.parametrize("path", ADMIN_PATHS)
async def test_cookie_hides_no_guess_of_the_admin_token(start: Start, tmp_path: Path, path: str) -> None:
    """It logs the user in, whatever token is beside it."""
    plugin = tmp_path / "own.py"
    plugin.write_text(HOOK_FOR_COOKIES)
    server = await start(files=(plugin,), **BEHIND_PROXY, **ADMIN)
    headers = {"X-Forwarded-For": STRANGER, "Cookie": "user=ann"}
    async with httpx.AsyncClient(base_url=server.web_url, headers=headers) as http:
        for number in range(3):
            assert (await http.get(path, headers=bearer(f"guess {number}"))).status_code != 429
        for given in ("guess", "observer"):
            assert (await http.get(path, headers=bearer(given))).status_code == 429
        assert (await http.get("/api/stats")).status_code == 200


async def test_token_that_a_proxy_adds_locks_nobody_out(start: Start, tmp_path: Path) -> None:
    """The plugin knows its user by something else, and the same token is no second guess."""
    plugin = tmp_path / "own.py"
    plugin.write_text(HOOK_FOR_COOKIES)
    server = await start(files=(plugin,), **BEHIND_PROXY, **ADMIN)
    headers = {**bearer("the proxy's"), "X-Forwarded-For": STRANGER, "Cookie": "user=ann"}
    async with httpx.AsyncClient(base_url=server.web_url, headers=headers) as http:
        for path in ADMIN_PATHS * 3:
            assert (await http.get(path)).status_code in (200, 401)
        assert (await http.post("/api/ticket")).status_code == 200
    assert not server.hub.refused


@pytest.mark.parametrize("cookies", [{}, {"user": "guest"}])
async def test_token_that_a_plugin_takes_is_no_wrong_admin_token(
    start: Start, tmp_path: Path, cookies: dict[str, str]
) -> None:
    """Also if the client is another user, or none, without it."""
    plugin = tmp_path / "own.py"
    plugin.write_text(HOOK_FOR_COOKIES)
    server = await start(files=(plugin,), **BEHIND_PROXY, **ADMIN)
    headers = {**bearer("right"), "X-Forwarded-For": STRANGER}
    async with httpx.AsyncClient(base_url=server.web_url, headers=headers, cookies=cookies) as http:
        for path in ADMIN_PATHS * 3:
            assert (await http.get(path)).status_code in (200, 401)
    assert not server.hub.refused


HOOK_FOR_COOKIES = """
from rtdemo import hookimpl

@hookimpl
def authenticate(request):
    if request.headers.get("Authorization") == "Bearer right":
        return "bob"
    return request.cookies.get("user")
"""


async def test_request_without_a_token_is_no_failed_token(start: Start) -> None:
    """A monitor that scrapes without a token locks nobody out."""
    server = await start(**BEHIND_PROXY, failed_tokens_per_address=1)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        for _ in range(5):
            answer = await http.post("/api/publish", headers={"X-Forwarded-For": STRANGER})
            assert answer.status_code == 401
        assert (await publish(http, STRANGER, "secret")).status_code == 200


async def test_texts_posted_by_one_client(start: Start, clock: VirtualClock) -> None:
    """A burst is accepted; one more gets 429 until a token is back. The stream goes on."""
    server = await start(texts_per_connection=1.0)
    client = await RawClient(server, "sse").connect()
    await client.send(request(server, "sse"))
    await client.read_until(b'"client":"')
    await client.read_until(b"}")
    url = f"/api/messages?client={server.hub.connections[0].client.id}"
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        codes = [(await http.post(url, content=b"x")).status_code for _ in range(5)]
        assert codes == [202] * 5
        answer = await http.post(url, content=b"x")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert answer.text == (
            "over 1 texts a second (limit --texts-per-connection); try again in 1 s\n"
        )
        assert server.hub.refused == {"texts_per_connection": 1}
        clock.advance(1)
        assert (await http.post(url, content=b"last")).status_code == 202
    await client.read_until(b"Echo: last")
    client.leave()


async def test_limit_is_in_the_metrics(start: Start) -> None:
    """Each limit has a counter with its name."""
    server = await start(max_connections=1)
    client, _, _ = await connect(server, "sse")
    await asyncio.gather(*(refused(server, "sse") for _ in range(3)))
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        metrics = (await http.get("/metrics")).text
    assert 'rtdemo_refused_total{limit="max_connections"} 3.0' in metrics
    client.leave()
