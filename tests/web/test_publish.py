"""Publishing over HTTP and from the command line."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.conftest import Connect, Start
from tests.raw_server import raw_server

NEWS = {"message": "hello", "producer": "news"}


async def post(server: Server, body: Any = NEWS, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
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
    assert (await post(server, Idempotency_Key="k" * 201)).status_code == 400
    await post(server, {"message": "next"})
    assert [(await peer.receive())["message"] for _ in range(2)] == ["hello", "next"]


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


async def run(*arguments: str, stdin: bytes = b"") -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtdemo", "publish", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    return process.returncode, out.decode(), err.decode()


async def test_command_publishes_a_text_or_the_lines_of_a_pipe(server: Server, connect: Connect) -> None:
    """The command prints each position, in order; it skips empty lines."""
    peer = await connect(server, "websocket")
    code, out, _ = await run("hello", "--to", server.web_url, "--producer", "news")
    assert code == 0
    _, piped, _ = await run("-", "--to", server.web_url, stdin="uno\n\ndue ü\r\n".encode())
    got = [await peer.receive() for _ in range(3)]
    assert [m["message"] for m in got] == ["hello", "uno", "due ü"]
    assert [m["id"] for m in got] == (out + piped).split()


async def test_command_publishes_values(server: Server, connect: Connect) -> None:
    """A value, or whole messages as JSON; a line that is neither is named and left out."""
    peer = await connect(server, "sse")
    one = await run("0.12", "--value", "--producer", "loss", "--to", server.web_url)
    lines = b'{"producer": "a", "value": [1]}\nrubbish\n[]\n{"message": "b", "value": NaN}\n'
    code, _, errors = await run("-", "--json", "--to", server.web_url, stdin=lines)
    got = [await peer.receive() for _ in range(3)]
    assert [(m["producer"], m["message"], m["value"]) for m in got] == [
        ("loss", "0.12", 0.12),
        ("a", "[1]", [1]),
        ("publish", "b", None),
    ]
    assert (one[0], code) == (0, 1)
    assert [line.partition(" is ")[0] for line in errors.splitlines()] == [
        "rtdemo: line 2",
        "rtdemo: line 3",
        "rtdemo: a NaN or an infinity under 'publish'",
    ]
    code, _, errors = await run("rubbish", "--value", "--to", server.web_url)
    assert code == 2
    assert "TEXT is not JSON" in errors


async def answer_no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with something other than HTTP."""
    await reader.read(65536)
    writer.write(b"SSH-2.0-other\r\n")


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


async def test_command_reports_why_it_failed(start: Start) -> None:
    """One line and exit code 1: a refusal, a bad address, or something other than HTTP."""
    server = await start(publish_token="s3cret")
    async with raw_server(answer_no_http) as other:
        for address, words in (
            (
                server.web_url,
                "send the publish token as Authorization: Bearer; the message was not accepted\n",
            ),
            (f"{server.web_url}/nowhere", "; the message was not accepted\n"),
            ("localhost:3000", "is not the URL of a server"),
            ("http://localhost:abc", "is not the URL of a server"),
            ("http://[::1", "is not the URL of a server"),
            ("http://a b", "does not work over HTTP"),
            (f"http://127.0.0.1:{other}", "the message may not have been accepted"),
        ):
            code, out, err = await run("x", "--to", address)
            assert (code, out, err.count("\n")) == (1, "", 1)
            assert words in err
    assert (await run("x", "--to", server.web_url, "--token", "s3cret"))[0] == 0


async def test_command_sends_its_token_to_no_other_server() -> None:
    """A redirect is reported, not followed: urllib would send the token along."""
    asked: list[bytes] = []
    statuses = [301, 302, 303, 307, 308]

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        location = f"Location: http://localhost:{port}/elsewhere"
        writer.write(f"HTTP/1.0 {statuses[-len(asked)]} X\r\n{location}\r\n\r\n".encode())

    async with raw_server(redirect) as port:
        for _ in statuses:
            code, out, err = await run("x", "--to", f"http://127.0.0.1:{port}", "--token", "s3cret")
            assert (code, out, err.count("\n")) == (1, "", 1)
            assert f"redirects to http://localhost:{port}/elsewhere; give" in err
            assert "the message was not accepted" in err
    assert len(asked) == 5
    assert all(head.startswith(b"POST /api/publish ") for head in asked)


async def test_command_reaches_this_machine_without_a_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment is not used, since its localhost is another machine."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    port = server.web_url.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1"):
        code, _, err = await run("x", "--to", f"http://{host}:{port}")
        assert (code, err) == (0, "")


async def test_pipe_waits_for_a_server_that_is_unavailable() -> None:
    """Each line is retried under one key until it is taken; one line reports that; a refusal ends it."""
    answers = iter([503, 503, 0, 502, 503, 503, 200, 200, 400])
    asked: list[tuple[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        key, length = (re.findall(rf"{name}: (\S+)", head)[0] for name in ("key", "content-length"))
        asked.append((json.loads(await reader.readexactly(int(length)))["message"], key))
        if status := next(answers):
            body = b'{"positions": ["a-1"]}'
            writer.write(f"HTTP/1.0 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    hurried = "from rtdemo.cli import main, publish; publish.MAX_PAUSE_S = 0; main.main()"
    async with raw_server(answer) as port:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", hurried, "publish", "-", "--to", f"http://127.0.0.1:{port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(b"one\ntwo\nthree\nfour\n")
    assert process.returncode == 1
    assert out.split() == [b"a-1", b"a-1"]
    assert [text for text, _ in asked] == ["one"] * 7 + ["two", "three"]
    assert len({key for _, key in asked}) == 3
    reported = err.decode().splitlines()
    assert len(reported) == 2
    assert "503" in reported[0]
    assert "trying again" in reported[0]
    assert "400" in reported[1]


async def test_statistics_describe_the_log(server: Server, clock: VirtualClock) -> None:
    """They have its engine, position and size."""
    await post(server)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        log = (await http.get("/api/stats")).json()["log"]
    assert (log["engine"], log["state"], log["messages"]) == ("memory", "ready", 1)
    assert log["position"] == str(server.hub.engine.log.last)
