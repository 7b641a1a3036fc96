"""Login: who may connect and read, tickets, expiry, and the hook that decides instead."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import signal
import sys
import time
from itertools import product
from pathlib import Path

import aiohttp
import httpx
import pytest
import websockets

from rtdemo.client.request_headers import middlewares
from rtdemo.client.stream import connect as connect_client
from rtdemo.engine.memory import MemoryEngine
from rtdemo.engine.redis.engine import RedisEngine
from rtdemo.errors import LoginError, Unavailable
from rtdemo.hub import expiry
from rtdemo.plugin_system import hooks
from rtdemo.protocol import address as addresses
from rtdemo.protocol.client import Transport
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.web.identity import Identity
from rtdemo.web.tickets import FolderValues, Tickets
from rtdemo.web.tokens import LEEWAY_S
from tests.clients import Ended, eventually
from tests.cluster.process import rtdemo
from tests.conftest import Connect, Start
from tests.redis_server import RedisServer
from tests.web.login_tokens import SECRET, bearer, token

READING = ["/api/sse", "/api/stats", "/api/producers"]
SCANNED = [
    *("/api/sse", "/api/stats", "/api/producers", "/", "/api/time", "/readyz", "/metrics"),
    *("/api/plugins", "/nothing", "/api/probe/request", "/api/probe/connection", "/ws"),
]
OPEN = ["/", "/static/app.js", "/api/time", "/healthz", "/readyz"]


@pytest.fixture
async def server(start: Start) -> Server:
    """A server that needs a login."""
    return await start(secret=SECRET)


async def ask(server: Server, method: str, path: str, **headers: str) -> httpx.Response:
    """Return the answer, of a stream only its head."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        httpx.AsyncClient(base_url=server.web_url) as http,
        http.stream(method, path, headers=named) as answer,
    ):
        if answer.headers.get("content-type", "") != "text/event-stream":
            await answer.aread()
        return answer


async def ticket(server: Server, given: str | None = None, **headers: str) -> str:
    answer = await ask(server, "POST", "/api/ticket", **bearer(given or token()), **headers)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["ticket"]
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.json()["ticket"])


async def websocket_refusal(url: str, **headers: str) -> int:
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with websockets.connect(url, additional_headers=headers):
            pass
    return caught.value.response.status_code


async def test_without_its_settings_nothing_changes(start: Start, connect: Connect) -> None:
    """Nobody has a name; a token is not looked at, and there are no tickets."""
    server = await start()
    peer = await connect(server, "sse")
    found = server.hub.find(peer.welcome["client"])
    assert found is not None
    assert found.client.user is None
    assert (await ask(server, "GET", "/api/stats", **bearer("x"))).status_code == 200
    assert (await ask(server, "POST", "/api/ticket")).status_code == 404


@pytest.mark.parametrize("path", READING)
async def test_what_reads_data_needs_a_token(server: Server, path: str) -> None:
    """Without one, or with a wrong one, the answer is 401 with the challenge of RFC 6750."""
    bare = await ask(server, "GET", path)
    assert (bare.status_code, bare.headers["WWW-Authenticate"]) == (401, "Bearer")
    wrong = await ask(server, "GET", path, **bearer(token(key="x" * 64)))
    assert wrong.status_code == 401
    assert wrong.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert (await ask(server, "GET", path, **bearer(token()))).status_code == 200


@pytest.mark.parametrize("path", OPEN)
async def test_what_has_no_data_needs_none(server: Server, path: str) -> None:
    """The page itself can ask for a token, and whoever checks the server needs none."""
    assert (await ask(server, "GET", path)).status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer", "bEaReR "])
async def test_scheme_in_any_case(server: Server, scheme: str) -> None:
    """RFC 9110 section 11.1: the name of a scheme has no case."""
    answer = await ask(server, "GET", "/api/stats", Authorization=f"{scheme} {token()}")
    assert answer.status_code == 200


@pytest.mark.parametrize("given", ["", "Bearer", "Basic YW5uOng=", "Token x", "Bearer a b"])
async def test_other_authorization_is_none(server: Server, given: str) -> None:
    """It is refused with one line."""
    answer = await ask(server, "GET", "/api/stats", Authorization=given)
    assert answer.status_code == 401
    assert answer.text.count("\n") == 1


async def test_both_websocket_addresses_need_a_token(server: Server) -> None:
    """The WebSocket site at every path, and /ws; by header, or by a ticket."""
    socket_url = f"{server.web_url.replace('http', 'ws')}/ws"
    for url in (server.websocket_url, f"{server.websocket_url}any/path", socket_url):
        assert await websocket_refusal(url) == 401
        assert await websocket_refusal(url, **bearer("x.y.z")) == 401
        async with websockets.connect(url, additional_headers=bearer(token("bob"))) as socket:
            await socket.recv()
            (connection,) = server.hub.connections
            assert connection.client.user == "bob"
        async with websockets.connect(f"{url}?ticket={await ticket(server)}") as socket:
            await socket.recv()
        await eventually(lambda: not server.hub.connections)


async def test_ticket_opens_one_connection(server: Server, connect: Connect, transport: str) -> None:
    """It is not in the client's query, and a second use is refused, also at the same time."""
    given = await ticket(server, token("ann"))
    peer = await connect(server, transport, f"ticket={given}&speed=2")
    connection = server.hub.find(peer.welcome["client"])
    assert connection is not None
    assert connection.client.user == "ann"
    assert dict(connection.client.query) == {"speed": "2"}
    again = await ask(server, "GET", f"/api/sse?ticket={given}")
    assert again.status_code == 401
    assert given not in again.text
    other = await ticket(server)
    answers = await asyncio.gather(*(ask(server, "GET", f"/api/sse?ticket={other}") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


async def test_head_uses_up_no_ticket(server: Server) -> None:
    """It opens no stream: what looks at a link before a browser opens it must not cost the link."""
    given = await ticket(server)
    assert (await ask(server, "HEAD", f"/api/sse?ticket={given}")).status_code == 401
    assert (await ask(server, "HEAD", f"/api/sse?ticket={given}", **bearer(token()))).status_code == 200
    assert (await ask(server, "GET", f"/api/sse?ticket={given}")).status_code == 200


@pytest.mark.parametrize("given", ["", "x", "x" * 5000, "%ED%B2%80", "%00", "é", "../../etc/passwd"])
async def test_text_that_is_no_ticket_is_refused(server: Server, given: str) -> None:
    """With 401, whatever it is; a token is no ticket, either."""
    assert (await ask(server, "GET", f"/api/sse?ticket={given}")).status_code == 401
    assert (await ask(server, "GET", f"/api/sse?ticket={token()}")).status_code == 401


async def test_ticket_needs_a_token_and_an_own_origin(server: Server) -> None:
    """A foreign page cannot get one, with or without a token; a ticket gets no further ticket."""
    assert (await ask(server, "POST", "/api/ticket")).status_code == 401
    foreign = await ask(server, "POST", "/api/ticket", Origin="https://evil.example", **bearer(token()))
    assert foreign.status_code == 403
    own = await ticket(server, Origin=server.web_url)
    assert (await ask(server, "POST", f"/api/ticket?ticket={own}")).status_code == 401
    assert (await ask(server, "GET", f"/api/stats?ticket={own}")).status_code == 401
    assert (await ask(server, "GET", "/api/ticket", **bearer(token()))).status_code == 405


async def test_ticket_reads_the_producers_of_its_user_once(start: Start, tmp_path: Path) -> None:
    """A page that has no token shows titles and units, too. HEAD costs the page no ticket."""
    path = tmp_path / "own.py"
    path.write_text(FOR_ANN)
    server = await start(files=(path,), secret=SECRET)
    for user, titles in (("ann", ["Payroll"]), ("bob", [])):
        url = f"/api/producers?ticket={await ticket(server, token(user))}"
        assert (await ask(server, "HEAD", url)).status_code == 401
        answer = await ask(server, "GET", url)
        assert answer.status_code == 200
        assert [each["title"] for each in answer.json() if each["name"] == "payroll"] == titles
        assert (await ask(server, "GET", url)).status_code == 401
        assert (await ask(server, "GET", f"/api/sse?{url.partition('?')[2]}")).status_code == 401


FOR_ANN = """
from rtdemo import producer

@producer(every=1, shared=True, users=["ann"], title="Payroll", unit="€")
def payroll():
    return 3
"""


async def test_flood_of_tickets_is_refused(server: Server, clock: VirtualClock) -> None:
    """A user gets 100 at once; then 429 with Retry-After, and a count. Another user gets one."""
    async with httpx.AsyncClient(base_url=server.web_url, headers=bearer(token("ann"))) as http:
        answers = [await http.post("/api/ticket") for _ in range(130)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 30
    assert refused[0].headers["Retry-After"] == "1"
    assert server.hub.refused["tickets"] == 30
    await ticket(server, token("bob"))
    clock.advance(0.2)
    await ticket(server, token("ann"))


async def test_ticket_expires() -> None:
    """After 30 s it is worth nothing, and its memory is free."""
    now = 1e12
    tickets = Tickets(MemoryEngine(now=lambda: now).one_time_values)
    given = await tickets.issue(Identity("ann", 5.0))
    late = await tickets.issue(Identity("ann", None))
    now += 29_999
    assert await tickets.take(given) == Identity("ann", 5.0)
    now += 1
    assert await tickets.take(late) is None


async def test_ticket_works_on_any_worker_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of one parent without Redis share a folder; what nobody takes is removed."""
    one, other = Tickets(FolderValues(tmp_path)), Tickets(FolderValues(tmp_path))
    given = await one.issue(Identity("ann", 5.0))
    assert given not in "".join(path.name + path.read_text() for path in tmp_path.iterdir())
    assert await other.take(given) == Identity("ann", 5.0)
    assert await one.take(given) is None
    given = await one.issue(Identity("ann"))
    now = time.time() + 31
    monkeypatch.setattr(time, "time", lambda: now)
    assert await other.take(given) is None
    await one.issue(Identity("ann"))
    now += 31
    await other.issue(Identity("bob"))
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(Unavailable):
        await Tickets(FolderValues(tmp_path / "gone")).issue(Identity("ann"))


async def test_ticket_works_on_any_server_and_once(start: Start, redis_server: RedisServer) -> None:
    """Servers with one Redis share the tickets, by their hash; without Redis the answer is 503."""
    one, other = [await start(engine=redis_server.url, secret=SECRET) for _ in range(2)]
    given = await ticket(one)
    async with redis_server.client() as redis:
        keys = await redis.keys("*:once:*")
        assert len(keys) == 1
        assert given not in keys[0]
        assert 0 < await redis.pttl(keys[0]) <= 30_000
    assert (await ask(other, "GET", f"/api/sse?ticket={given}")).status_code == 200
    for server in (one, other):
        assert (await ask(server, "GET", f"/api/sse?ticket={given}")).status_code == 401
    given = await ticket(one)
    await redis_server.stop()
    for answer in (
        await ask(other, "GET", f"/api/sse?ticket={given}"),
        await ask(one, "POST", "/api/ticket", **bearer(token())),
    ):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert isinstance(one.hub.engine, RedisEngine)


async def test_connection_ends_when_its_token_expires(
    start: Start, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """WebSocket: 1008 "token expired". SSE: the event `expired`, then the end of the stream."""
    server = await start(secret=SECRET, publish_names=("news",))
    short = await connect(
        server, transport, f"producers=news&ticket={await ticket(server, token(seconds=600))}"
    )
    long = await connect(
        server, transport, f"producers=news&ticket={await ticket(server, token(seconds=3600))}"
    )
    # Seconds that have passed since the token was made are part of its time.
    clock.advance(540 + LEEWAY_S)
    assert len(server.hub.connections) == 2
    clock.advance(62)
    if transport == "websocket":
        with pytest.raises(Ended) as ended:
            while True:
                await short.receive()
        assert ended.value.code == 1008
        assert short.socket.close_reason == "token expired"  # type: ignore[attr-defined]  # WebSocket's
    else:
        events = [event async for event in short._events]  # type: ignore[attr-defined]  # SSE's
        assert (events[-1].event, events[-1].data) == ("expired", "token expired")
    await eventually(lambda: len(server.hub.connections) == 1)
    assert server.hub.find(long.welcome["client"]) is not None


async def test_expiry_costs_one_tick(
    start: Start, connect: Connect, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many connections that expire together end in turns; those that left are forgotten at once."""
    monkeypatch.setattr(expiry, "ENDS_PER_TURN", 2)
    server = await start(secret=SECRET, publish_names=("news",))
    before = server.hub.schedule.ticks
    peers = [
        await connect(server, "websocket", f"producers=news&ticket={await ticket(server)}")
        for _ in range(5)
    ]
    assert server.hub.schedule.ticks == before + 1
    await peers[0].leave()
    await eventually(lambda: len(server.hub.connections) == 4)
    clock.advance(3700)
    clock.advance(0)
    await eventually(lambda: not server.hub.connections)
    assert server.hub.schedule.ticks == before


async def test_connections_without_a_login_cost_no_tick(start: Start, connect: Connect) -> None:
    """Where login is off, nothing is checked."""
    server = await start()
    before = server.hub.schedule.ticks
    await connect(server, "websocket", "producers=message")
    assert server.hub.schedule.ticks == before + 1


async def test_text_by_post_needs_the_stream_s_own_user(server: Server, connect: Connect) -> None:
    """A token alone, or the id alone, lets nobody speak for a client."""
    peer = await connect(server, "sse", f"ticket={await ticket(server, token('ann'))}")
    path = f"/api/messages?client={peer.welcome['client']}"
    assert (await ask(server, "POST", path)).status_code == 401
    assert (await ask(server, "POST", path, **bearer(token("bob")))).status_code == 404
    assert (await ask(server, "POST", path, **bearer(token("ann")))).status_code == 202


async def test_admin_token_reads_the_api(start: Start) -> None:
    """A monitor with the admin token needs no login, but opens no connection with it."""
    server = await start(secret=SECRET, admin_token="observer")
    assert (await ask(server, "GET", "/api/stats", **bearer("observer"))).status_code == 200
    assert (await ask(server, "GET", "/api/producers", **bearer("observer"))).status_code == 200
    assert (await ask(server, "GET", "/api/sse", **bearer("observer"))).status_code == 401


PLUGIN = """
import asyncio
from base64 import b64decode
from rtdemo import Refused, hookimpl

USERS = {}

@hookimpl
def authenticate(request):
    name = request.headers.get("X-Name")
    if name == "banned":
        raise Refused(403, "you may not")
    if name == "broken":
        raise ValueError("cannot read " + request.headers["Authorization"] + request.query["key"])
    if name == "decoded":
        user, password = b64decode(request.headers["Authorization"].split()[1]).decode().split(":")
        try:
            return USERS[password]
        except KeyError as error:
            raise LookupError(f"no user {user}") from error
    if name == "exit":
        raise SystemExit(1)
    if name == "odd":
        return True
    if name == "odd status":
        raise Refused(200, "welcome")
    return name
"""


@pytest.fixture(params=["", "async "], ids=["sync", "async"])
def plugin(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(PLUGIN.replace("def ", f"{request.param}def "))
    return path


async def test_plugin_decides_instead(start: Start, plugin: Path) -> None:
    """Its answer is the user; tokens do not count, and nobody without a name is admitted."""
    server = await start(files=(plugin,), secret=SECRET)
    assert (await ask(server, "GET", "/api/sse", X_Name="ann")).status_code == 200
    assert (await ask(server, "GET", "/api/sse")).status_code == 401
    assert (await ask(server, "GET", "/api/sse", **bearer(token()))).status_code == 401
    banned = await ask(server, "GET", "/api/sse", X_Name="banned")
    assert (banned.status_code, banned.text) == (403, "you may not\n")
    given = (await ask(server, "POST", "/api/ticket", X_Name="ann")).json()["ticket"]
    async with websockets.connect(f"{server.websocket_url}?ticket={given}") as socket:
        await socket.recv()
        assert "ann" in [connection.client.user for connection in server.hub.connections]


@pytest.mark.parametrize("name", ["broken", "exit", "odd", "odd status", "x" * 201])
async def test_plugin_that_fails_admits_nobody(
    start: Start, plugin: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The answer is 500, and the log has the plugin's error without the secrets of the request."""
    server = await start(files=(plugin,))
    secret = token("carol")
    answer = await ask(server, "GET", "/api/sse?key=hunter22", X_Name=name, **bearer(secret))
    assert answer.status_code == 500
    assert secret not in answer.text
    assert not server.hub.connections
    assert "'authenticate' of plugin 'own' failed" in caplog.text
    assert secret not in caplog.text
    assert "hunter22" not in caplog.text


@pytest.mark.parametrize("name", ["broken", "decoded", "odd"])
async def test_log_shows_where_a_plugin_failed_and_no_value(
    start: Start, plugin: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Frames and types, of causes too: what a hook decodes cannot be recognised as a secret."""
    server = await start(files=(plugin,))
    basic = f"Basic {base64.b64encode(b'carol:hunter22').decode()}"
    await ask(server, "GET", "/api/sse?key=pin42", X_Name=name, Authorization=basic)
    shown = {"broken": "ValueError", "decoded": "which was caused by", "odd": "returned bool that"}
    assert shown[name] in caplog.text
    assert name == "odd" or f"{plugin}" in caplog.text
    for secret in ("hunter22", "carol", basic.split()[1], "pin42"):
        assert secret not in caplog.text


async def test_plugin_that_hangs_admits_nobody_and_delays_nobody(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its request is answered by 500 after a time; others are answered meanwhile."""
    path = tmp_path / "own.py"
    path.write_text(HANGING)
    server = await start(files=(path,))
    monkeypatch.setattr(hooks, "AUTHENTICATE_TIMEOUT_S", 3600.0)
    waiting = asyncio.ensure_future(ask(server, "GET", "/api/sse", X_Name="hang"))
    await eventually(lambda: vars(server.plugins.plugins[-1].module)["asked"] == ["hang"])
    assert (await ask(server, "GET", "/api/sse", X_Name="ann")).status_code == 200
    waiting.cancel()
    monkeypatch.setattr(hooks, "AUTHENTICATE_TIMEOUT_S", 0.0)
    assert (await ask(server, "GET", "/api/sse", X_Name="hang")).status_code == 500
    assert "TimeoutError" in caplog.text
    assert not [c for c in server.hub.connections if c.client.user == "hang"]


async def test_server_that_stops_answers_those_that_wait_for_a_plugin(
    start: Start, tmp_path: Path
) -> None:
    """With 503 and Retry-After over either transport, and not by a reset."""
    path = tmp_path / "own.py"
    path.write_text(HANGING)
    server = await start(files=(path,))
    waiting = [
        asyncio.ensure_future(ask(server, "GET", url, X_Name="hang", **headers))
        for url, headers in (("/api/sse", {}), ("/ws", HANDSHAKE))
    ]
    await eventually(lambda: vars(server.plugins.plugins[-1].module)["asked"] == ["hang"] * 2)
    await server.stop()
    for answer in await asyncio.gather(*waiting):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert answer.text == "the server is shutting down; try again\n"


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
HANGING = """
import asyncio
from rtdemo import hookimpl

asked = []

@hookimpl
async def authenticate(request):
    name = request.headers["X-Name"]
    asked.append(name)
    if name == "hang":
        await asyncio.Event().wait()
    return name
"""


async def test_login_stays_on_without_its_plugin(start: Start, plugin: Path) -> None:
    """A plugin that is removed, or was never loaded, opens the server to nobody."""
    server = await start(files=(plugin,))
    assert (await ask(server, "GET", "/api/sse")).status_code == 401
    server.plugins.unregister("own")
    assert (await ask(server, "GET", "/api/sse")).status_code == 403
    required = await start(require_login=True)
    refused = await ask(required, "GET", "/api/sse")
    assert (refused.status_code, "--secret" in refused.text) == (403, True)


async def test_plugins_and_the_api_see_no_ticket(
    server: Server, connect: Connect, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in what they know of a client or of its connection; nor does the hub log it."""
    caplog.set_level(logging.DEBUG, "rtdemo")
    given = await ticket(server)
    peer = await connect(server, transport, f"ticket={given}&x=1")
    connection = server.hub.find(peer.welcome["client"])
    assert connection is not None
    assert connection.connection_info is not None
    client = connection.client
    seen = [client, repr(client), dict(client.query), connection.connection_info(), caplog.text]
    assert given not in "".join(map(str, seen))


async def test_no_output_has_a_token_or_a_ticket(tmp_path: Path) -> None:
    """Not the server's log at its lowest level, an answer, the API or the probes."""
    server = rtdemo(tmp_path, "server", "--log-level", "debug", "--lab")
    server.environ |= {"RTDEMO_SECRET": SECRET, "PYTHONASYNCIODEBUG": "1"}
    await server.start()
    valid, foreign, stale = token("ann"), token("ann", key="y" * 64), token("ann", seconds=-60)
    texts: list[str] = []
    tickets: list[str] = []
    try:
        async with httpx.AsyncClient(base_url=server.url) as http:
            for path, given in product(SCANNED, (valid, foreign, stale)):
                answer = await http.post("/api/ticket", headers=bearer(valid))
                tickets.append(answer.json()["ticket"])
                one = tickets[-1]
                for query in (f"?ticket={one}", f"?producers=none&ticket={one}", f"?token={given}"):
                    async with http.stream("GET", path + query, headers=bearer(given)) as answer:
                        texts.append(str(answer.headers))
                        if answer.headers.get("Content-Type") != "text/event-stream":
                            texts.append((await answer.aread()).decode())
        host, port = "127.0.0.1", server.port
        for broken in (
            f"GET /api/sse?ticket={one} HTTP/9.9\r\n\r\n",
            f"GET /api/sse HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {valid}\x00\r\n\r\n",
            f"GET /api/sse HTTP/1.1\r\nAuthorization : Bearer {valid}\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(broken.encode())
            await reader.read()
            writer.close()
    finally:
        assert await server.stop() == 0
    whole = "\n".join([server.log.read_text(), *texts])
    assert "bad request" in whole
    for secret in (valid, foreign, stale, SECRET, *tickets):
        assert secret not in whole
        assert secret.rpartition(".")[2] not in whole


@pytest.mark.timeout(300)  # it starts four programs, one of them with workers
@pytest.mark.parametrize("how", ["flag", "variable"])
async def test_commands_log_in(server: Server, how: str) -> None:
    """`rtdemo tail` and `bench` send the token; without one they say how to give it."""
    given = token("ann")
    environ = {**os.environ, "RTDEMO_TOKEN": given if how == "variable" else ""}
    flags = ["--token", given] if how == "flag" else []
    for command in (
        ["tail", server.web_url, "--producers", "message"],
        [
            "bench",
            server.web_url,
            "-n",
            "2",
            "--seconds",
            "1",
            "--rounds",
            "1",
            "--producers",
            "message",
        ],
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rtdemo", *command, *flags),
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await eventually(lambda: server.hub.connections)
        assert {connection.client.user for connection in server.hub.connections} == {"ann"}
        process.send_signal(signal.SIGINT)
        out, errors = await process.communicate()
        assert given not in (out + errors).decode()
        await eventually(lambda: not server.hub.connections)
    for command in (["tail", server.web_url], ["bench", server.web_url, "-n", "2", "--seconds", "1"]):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rtdemo", *command),
            env={**environ, "RTDEMO_TOKEN": ""},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        assert b"401: log in" in errors
        assert b"; give the login token with --token, RTDEMO_TOKEN or token=" in errors


async def test_token_is_sent_to_its_server_only(server: Server, start: Start) -> None:
    """Not after a redirect to another server, nor to the same host at another port."""
    other = await start()
    given = token("ann")
    address = addresses.parse(server.web_url, {"Authorization": f"Bearer {given}"})
    async with aiohttp.ClientSession(middlewares=middlewares(address)) as http:
        for url, expected in ((server.web_url, True), (other.web_url, False)):
            async with http.get(f"{url}/api/probe/request") as answer:
                assert ("Authorization" in (await answer.json())["headers"]) is expected
    assert given not in repr(address)


async def test_tail_ends_when_its_token_expires(
    start: Start, clock: VirtualClock, transport: Transport
) -> None:
    """It does not try again with a token that is refused, and says what to do."""
    server = await start(secret=SECRET, publish_names=("news",))
    stream = connect_client(
        server.web_url,
        transport=transport,
        producers="news",
        headers=bearer(token(seconds=60)),
        with_reports=True,
    )
    with pytest.raises(LoginError, match="give a new login token with --token"):
        async with stream:
            async for _ in stream:
                clock.advance(70)
                clock.advance(0)
