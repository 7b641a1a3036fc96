"""Publishing over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.conftest import Connect, Start

NEWS = {"message": "hello", "producer": "news"}


async def post(server: Server, body: Any = NEWS, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return await http.post("/api/publish", content=content, headers=named)


async def test_one_or_many_are_answered_with_positions(server: Server, connect: Connect) -> None:
    """The messages of a list follow each other in the log; clients that picked nothing get them."""
    peer = await connect(server, "sse")
    one = (await post(server)).json()["positions"]
    many = (await post(server, [{"message": str(n)} for n in range(3)])).json()["positions"]
    got = [await peer.receive() for _ in range(4)]
    assert [m["id"] for m in got] == one + many
    assert [m["producer"] for m in got] == ["news"] + ["publish"] * 3
    assert [m["seq"] for m in got] == [1, 1, 2, 3]


async def test_value_of_30_kb_is_published_whole(server: Server, connect: Connect) -> None:
    """Its text is made of its beginning, so that it does not count twice."""
    peer = await connect(server, "websocket")
    value = {f"reading {n}": n + 0.25 for n in range(1500)}
    assert (await post(server, {"value": value, "producer": "x"})).status_code == 200
    got = await peer.receive()
    assert got["value"] == value
    assert got["message"].startswith('{"reading 0":0.25,')
    assert got["message"].endswith("…")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "message"),
        (b"\xff", 400, "the body is not"),
        (b"[" * 5000, 400, "the body is not"),
        ({}, 400, "give a message or a value"),
        ({"message": 7}, 400, "Expected `str`"),
        ({"message": "x", "to": "all"}, 400, "unknown field `to`"),
        ({"message": "x", "producer": ""}, 400, "producer name"),
        ({"message": "x", "producer": "a,b"}, 400, "producer name"),
        ({"message": "x", "producer": "a\nb"}, 400, "producer name"),
        ({"message": "x", "producer": "a\u00a0b"}, 400, "producer name"),
        ({"message": "x", "producer": "x" * 101}, 400, "producer name"),
        ([], 400, "give 1 to 100"),
        ([{"message": "x"}] * 101, 400, "101 messages"),
        ({"message": "x", "producer": "message"}, 409, "private"),
        ({"message": "x", "producer": "resume"}, 409, "choose another"),
        ({"message": "x" * (1 << 20)}, 413, "over 64 KiB"),
    ],
)
async def test_bad_publication_is_refused(server: Server, body: Any, status: int, words: str) -> None:
    """The answer is one line with the error; nothing enters the log."""
    answer = await post(server, body)
    assert (answer.status_code, answer.text.count("\n")) == (status, 1)
    assert words in answer.text
    assert server.hub.engine.log.last.offset == 0


async def test_permission_to_publish(start: Start) -> None:
    """Without a token only this machine may publish, and no foreign page; with one, its holder may."""
    server = await start()
    assert (await post(server)).status_code == 200
    strange = await post(server, X_Forwarded_For="10.0.0.1")
    assert strange.status_code == 403
    assert "start the server with --publish-token, and send that token" in strange.text
    assert (await post(server, Origin="https://evil.example")).status_code == 403
    guarded = await start(publish_token="s3cret")
    missing, wrong = await post(guarded), await post(guarded, Authorization="Bearer no")
    assert (missing.status_code, wrong.status_code) == (401, 401)
    assert "send the publish token as Authorization: Bearer" in missing.text
    assert missing.headers["WWW-Authenticate"] == "Bearer"
    assert "this is not the publish token" in wrong.text
    assert wrong.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    right = await post(guarded, Authorization="Bearer s3cret", X_Forwarded_For="10.0.0.1")
    assert right.status_code == 200


async def test_idempotency_key_makes_a_retry_harmless(server: Server, connect: Connect) -> None:
    """A retry has the same positions, and no client gets it twice; other content is refused."""
    peer = await connect(server, "websocket")
    first = await post(server, Idempotency_Key="k")
    assert (await post(server, Idempotency_Key="k")).json() == first.json()
    other = await post(server, {"message": "other"}, Idempotency_Key="k")
    assert other.status_code == 422
    for key in ("k" * 201, "é", "a\tb"):
        assert (await post(server, Idempotency_Key=key)).status_code == 400
    assert (await post(server, Idempotency_Key="of 4711 ~")).status_code == 200
    await post(server, {"message": "next"})
    assert [(await peer.receive())["message"] for _ in range(3)] == ["hello", "hello", "next"]


async def test_names_can_be_picked_before_their_first_message(start: Start, connect: Connect) -> None:
    """Names of --publish-names, and names published under before, can be picked; others cannot."""
    server = await start(publish_names=("news",))
    peer = await connect(server, "sse", "producers=news")
    await post(server, {"message": "x", "producer": "sport"})
    await post(server)
    assert (await peer.receive())["message"] == "hello"
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        refused = await http.get("/api/sse?producers=weather")
        shown = {p["name"]: p for p in (await http.get("/api/producers")).json()}
    assert refused.status_code == 400
    assert "news" in refused.text
    assert "sport" in refused.text
    assert (shown["sport"]["shared"], shown["sport"]["runs"]) == (True, 1)
    assert (shown["news"]["state"], shown["sport"]["state"]) == ("published", "published")
    entry = server.hub.engine.log.latest_of("sport")
    assert entry is not None
    assert shown["sport"]["sentAt"] == entry.sent_at
    assert (shown["message"]["state"], shown["message"]["sentAt"]) == ("running", None)


async def test_name_that_has_no_message_yet_is_listed(start: Start) -> None:
    """A name of --publish-names has no time before its first message."""
    server = await start(publish_names=("news",))
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        (news,) = (p for p in (await http.get("/api/producers")).json() if p["name"] == "news")
    assert (news["state"], news["sentAt"], news["runs"]) == ("published", None, 0)


@pytest.mark.parametrize("path", ["/api/publish", "/api/producers/message/enable"])
@pytest.mark.parametrize(
    ("host", "allowed"),
    [("localhost", True), ("page.localhost", True), ("[::1]", True), ("evil.example", False)],
)
async def test_page_of_a_foreign_site_that_resolves_to_this_machine_is_refused(
    server: Server, path: str, host: str, allowed: bool
) -> None:
    """DNS rebinding: the browser sends from this machine, with an origin that equals the host."""
    port = server.web_url.rpartition(":")[2]
    headers = {"Host": f"{host}:{port}", "Origin": f"http://{host}:{port}"}
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post(path, json={"message": "x"}, headers=headers)
    assert (answer.status_code == 200) is allowed
    assert allowed or (answer.status_code, "--allow-host" in answer.text) == (421, True)


async def test_statistics_describe_the_log(server: Server, clock: VirtualClock) -> None:
    """They have its engine, position and size."""
    await post(server)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        log = (await http.get("/api/stats")).json()["log"]
    assert (log["engine"], log["state"], log["messages"]) == ("memory", "ready", 1)
    assert log["position"] == str(server.hub.engine.log.last)
