"""Producers for some users: nobody else gets a message of theirs, or sees their names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import msgspec
import pytest
import websockets

from rtdemo import Message, Producer
from rtdemo.engine.interface import Draft
from rtdemo.errors import ProducerError
from rtdemo.hub.fanout import Fanout
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import SsePeer, WebSocketPeer, eventually
from tests.conftest import Start
from tests.redis_server import RedisServer
from tests.web.login_tokens import SECRET, bearer, token

PLUGIN = """
from rtdemo import producer

@producer(every=1, users=["ann"])
def own():
    return "for ann"

@producer(every=1, shared=True, users=["ann", "bob"])
def team():
    return "for ann and bob"

@producer(every=1, shared=True)
def all_():
    return "for all"
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "team.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
async def server(start: Start, plugin: Path) -> Server:
    return await start(files=(plugin,), secret=SECRET, without=("broadcast", "message", "status"))


@asynccontextmanager
async def connected(
    server: Server, transport: str, user: str, query: str = ""
) -> AsyncIterator[WebSocketPeer | SsePeer]:
    headers = bearer(token(user))
    if transport == "websocket":
        async with websockets.connect(
            f"{server.websocket_url}?{query}", additional_headers=headers
        ) as socket:
            yield WebSocketPeer(socket)
    else:
        async with (
            httpx.AsyncClient(base_url=server.web_url, headers=headers, timeout=60) as http,
            httpx_sse.aconnect_sse(http, "GET", f"/api/sse?{query}") as stream,
        ):
            yield SsePeer(http, stream)


async def until(peer: WebSocketPeer | SsePeer, producer: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the messages up to one of a producer, the `count`-th."""
    got: list[dict[str, Any]] = []
    while sum(message["producer"] == producer for message in got) < count:
        got.append(await peer.receive())
    return got


def names(messages: list[dict[str, Any]]) -> set[str]:
    return {message["producer"] for message in messages} - {"welcome"}


async def test_only_its_users_receive_a_producer(
    server: Server, clock: VirtualClock, transport: str
) -> None:
    """Private and shared ones; a client may not pick them either, nor see them in the refusal."""
    async with (
        connected(server, transport, "ann") as ann,
        connected(server, transport, "bob") as bob,
        connected(server, transport, "eve") as eve,
    ):
        await eventually(lambda: len(server.hub.connections) == 3)
        for _ in range(3):
            clock.advance(1)
        got = [names(await until(peer, "all_", 3)) for peer in (ann, bob, eve)]
        assert got == [{"own", "team", "all_"}, {"team", "all_"}, {"all_"}]
        if transport == "websocket":
            await eve.say('{"rtdemo": {"producers": ["team"]}}')
            text = (await until(eve, "rtdemo"))[-1]["message"]
            assert "there is no 'team'" in text
            assert "own" not in text
            assert text.count("team") == 1


async def test_names_are_shown_to_their_users_only(server: Server, clock: VirtualClock) -> None:
    """In /api/producers and in errors; the list does not show who else receives a producer."""
    clock.advance(1)
    shown: dict[str, set[str]] = {}
    for user in ("ann", "bob", "eve"):
        async with httpx.AsyncClient(base_url=server.web_url, headers=bearer(token(user))) as http:
            entries = (await http.get("/api/producers")).json()
            shown[user] = {entry["name"] for entry in entries} & {"own", "team", "all_"}
            assert not any("users" in entry for entry in entries)
            refused = await http.get("/api/sse?producers=x")
            assert refused.status_code == 400
            assert ("own" in refused.text) == (user == "ann")
            assert ("team" in refused.text) == (user != "eve")
    assert shown == {"ann": {"own", "team", "all_"}, "bob": {"team", "all_"}, "eve": {"all_"}}


async def test_history_is_for_its_users_only(
    server: Server, clock: VirtualClock, transport: str
) -> None:
    """A resume replays what the user may see, also with the name picked: names are not checked then."""
    first = server.hub.engine.log.last
    clock.advance(1)
    clock.advance(1)
    assert len(server.hub.engine.log) == 4
    for query in ("", "&producers=team,all_"):
        for user, expected in (("bob", {"team", "all_"}), ("eve", {"all_"})):
            resume = f"last_event_id={first}{query}"
            async with connected(server, transport, user, resume) as peer:
                assert names(await until(peer, "all_", 2)) == expected
    async with connected(server, transport, "eve", f"last_event_id={first}&producers=team") as peer:
        await peer.receive()
        await server.hub.publish([draft("end", "welcome")])
        (connection,) = server.hub.connections
        assert connection.sent == 1


def draft(text: str, producer: str) -> Draft:
    return Draft(Message(text), producer)


async def test_publication_under_a_restricted_name_is_restricted(server: Server) -> None:
    """Whoever publishes as a producer reaches only this producer's users."""
    async with (
        connected(server, "websocket", "bob") as bob,
        connected(server, "websocket", "eve") as eve,
    ):
        await eventually(lambda: len(server.hub.connections) == 2)
        await server.hub.publish([draft("secret", "team"), draft("end", "all_")])
        assert names(await until(bob, "all_")) == {"team", "all_"}
        assert names(await until(eve, "all_")) == {"all_"}


async def test_restriction_outlives_its_plugin(server: Server, clock: VirtualClock) -> None:
    """Entries of the log stay restricted after the plugin is gone, and the name stays hidden."""
    first = server.hub.engine.log.last
    clock.advance(1)
    server.plugins.unregister("team")
    async with connected(server, "sse", "eve", f"last_event_id={first}") as eve:
        assert names(await until(eve, "all_")) == {"all_"}
    async with httpx.AsyncClient(base_url=server.web_url, headers=bearer(token("eve"))) as http:
        assert "team" not in (await http.get("/api/producers")).text
    await server.hub.publish([draft("secret", "team")])
    newest = server.hub.engine.log.newest
    assert newest is not None
    assert newest.users == frozenset(("ann", "bob"))


async def test_new_restriction_reaches_its_users_and_loses_nothing(
    server: Server, clock: VirtualClock
) -> None:
    """Users that are connected already get the first entry for them, in order and once."""
    log = server.hub.engine.log
    async with (
        connected(server, "websocket", "zoe") as zoe,
        connected(server, "websocket", "eve") as eve,
    ):
        await eventually(lambda: len(server.hub.connections) == 2)
        for number in range(3):
            users = frozenset({"zoe", str(number)})
            restricted = msgspec.structs.replace(draft(f"zoe {number}", "z"), users=users)
            await server.hub.engine.publish([draft(f"all {number}", "all_"), restricted])
        await server.hub.publish([draft("end", "end")])
        got = [m["message"] for m in await until(zoe, "end")][1:]
        assert got == ["all 0", "zoe 0", "all 1", "zoe 1", "all 2", "zoe 2", "end"]
        assert [m["message"] for m in await until(eve, "end")][1:] == ["all 0", "all 1", "all 2", "end"]
    fanout = Fanout(log, False, lambda _name: False, lambda _remote, _size: 0.0, clock)
    assert fanout.restrictions.users_by_producer == {"z": frozenset({"zoe", "2"})}


async def test_users_with_the_same_rights_are_one_group(server: Server, clock: VirtualClock) -> None:
    """However many users there are, their messages are encoded and sorted out once."""
    clock.advance(1)
    audiences = set()
    for user in ("eve", "joe", "kim"):
        async with connected(server, "sse", user) as peer:
            await peer.receive()
            audiences |= {connection.audience for connection in server.hub.connections}
        await eventually(lambda: not server.hub.connections)
    assert len(audiences) == 1


async def test_without_a_login_nobody_is_a_user(start: Start, plugin: Path, clock: VirtualClock) -> None:
    """Where login is off, restricted producers reach nobody."""
    server = await start(files=(plugin,), without=("broadcast", "message", "status"))
    async with websockets.connect(server.websocket_url) as socket:
        peer = WebSocketPeer(socket)
        await peer.receive()
        clock.advance(1)
        assert names(await until(peer, "all_")) == {"all_"}


async def test_restriction_holds_on_a_server_without_the_plugin(
    start: Start, plugin: Path, redis_server: RedisServer, clock: VirtualClock
) -> None:
    """The log in Redis names the users, so that a rolling update shows nothing to others."""
    settings = {
        "engine": redis_server.url,
        "secret": SECRET,
        "without": ("broadcast", "message", "status"),
    }
    one = await start(files=(plugin,), **settings)
    other = await start(**settings)
    async with connected(other, "sse", "bob") as bob, connected(other, "sse", "eve") as eve:
        await eventually(lambda: len(other.hub.connections) == 2)
        await eventually(lambda: one.hub.shared.leading)
        clock.advance(1)
        await eventually(lambda: len(other.hub.engine.log) == 2)
        await asyncio.wait_for(one.hub.publish([draft("end", "end")]), 60)
        assert names(await until(bob, "end")) == {"team", "all_", "end"}
        assert names(await until(eve, "end")) == {"all_", "end"}
    late = await start(**settings)
    first = late.hub.engine.log.last._replace(offset=0)
    async with connected(late, "sse", "eve", f"last_event_id={first}") as eve:
        assert names(await until(eve, "end")) == {"all_", "end"}


@pytest.mark.parametrize("users", ["ann", [], [7], [""], 7, ["a\nb"]])
def test_bad_users_are_refused_at_declaration(users: Any) -> None:
    """With a line that names the producer."""
    with pytest.raises(ProducerError, match="producer 'x': users="):
        Producer("x", lambda: None, every=1, users=users)
