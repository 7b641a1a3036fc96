"""`rtdemo publish`: what it sends, what it prints, and how it fails."""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
import re
import sys
from pathlib import Path
from threading import Timer
from unittest import mock

import pytest

from rtdemo.cli.input_lines import MAX_KINDS
from rtdemo.cli.publish import MAX_TRYING_S, TRY_TIMEOUT_S
from rtdemo.errors import NOT_RUNNING, PublishError
from rtdemo.publisher.sender import MAX_RETRY_S, Sender
from rtdemo.server.server import Server
from tests.command import Ended, run_in_process
from tests.conftest import Connect, Start
from tests.free_port import free_port
from tests.raw_server import raw_server

NAMED = f"{NOT_RUNNING}, and RTDEMO_URL names another"
NEVER = "http://127.0.0.1:9"
"""Nothing listens on the port of the discard service."""
GIVE_TOKEN = "give it with --token or RTDEMO_PUBLISH_TOKEN"
BODY_END = b"]"
"""End of a request. Where a server closes with a part unread, the kernel may reset the connection."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make no pauses between tries; no try is slow."""
    monkeypatch.setattr("rtdemo.publisher.sender.MAX_RETRY_S", 0)
    monkeypatch.setattr("rtdemo.publisher.sender.MAX_SILENCE_S", math.inf)


async def publish(*arguments: str, stdin: bytes = b"") -> Ended:
    """Run the command in a thread, since the server runs in this one."""
    with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))):
        return await asyncio.to_thread(run_in_process, "publish", *arguments)


async def test_a_text_or_the_lines_of_a_pipe(server: Server, connect: Connect) -> None:
    """The command prints each position, in order; it skips empty lines."""
    peer = await connect(server, "websocket")
    one = await publish("hello", "--to", server.web_url, "--producer", "news")
    piped = await publish("-", "--to", server.web_url, stdin="uno\n\ndue ü\r\n\xff".encode("latin-1"))
    got = [await peer.receive() for _ in range(4)]
    assert [m["message"] for m in got] == ["hello", "uno", "due \ufffd", "\ufffd"]
    assert [m["id"] for m in got] == (one.out + piped.out).split()
    assert (one.code, piped.code, one.err, piped.err) == (0, 0, "", "")


async def test_pipe_without_a_line_is_reported(server: Server) -> None:
    """It may be that of a program that keeps its lines back; it is no failure."""
    done = await publish("-", "--to", server.web_url, stdin=b"")
    assert (done.code, done.out) == (0, "")
    assert done.err == "rtdemo: standard input had no line; nothing was published\n"


async def test_quiet_prints_nothing(server: Server, connect: Connect) -> None:
    """A pipe that runs for days fills no terminal; problems are still reported."""
    peer = await connect(server, "sse")
    for flag in ("-q", "--quiet"):
        done = await publish("-", flag, "--value", "--to", server.web_url, stdin=b"1\nrubbish\n2\n")
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert [(await peer.receive())["value"] for _ in range(2)] == [1, 2]


async def test_columns_in_a_pipe_are_reported_once_and_then_counted(server: Server) -> None:
    """`vmstat 1` has such a line each second: the first says what to do, and the others are a number."""
    stdin = b"1\n" + b"19 0 0\n" * 112 + b"2\n"
    done = await publish("-", "--value", "--to", server.web_url, stdin=stdin)
    assert (done.code, len(done.out.split())) == (1, 2)
    assert done.err.splitlines() == [
        "rtdemo: line 2 is not JSON (such as 0.12): 19 0 0; it is left out; "
        "give one number or JSON a line: pick a column with awk -W interactive 'NR > 3 { print $15; "
        "fflush() }' (another awk than mawk: without -W interactive), "
        'or write {"a": 1, "b": 2}; without --value a line is a text',
        "rtdemo: 10 more such lines; the last is line 12",
        "rtdemo: 100 more such lines; the last is line 102",
        "rtdemo: 111 more such lines; the last is line 113",
    ]


async def test_kinds_of_bad_lines_that_are_reported_are_bounded(server: Server) -> None:
    """A server may have other words for each line; from some kinds on they are counted, too."""
    stdin = b"".join(b'{"x%d": 1}\n' % number for number in range(MAX_KINDS + 3))
    done = await publish("-", "--json", "--to", server.web_url, stdin=stdin)
    reports = done.err.splitlines()
    assert (done.code, len(reports)) == (1, MAX_KINDS + 1)
    assert reports[-1] == f"rtdemo: 3 more such lines; the last is line {MAX_KINDS + 3}"


@pytest.mark.parametrize(("flags", "is_reported"), [((), True), (("--quiet",), False)])
async def test_silence_of_a_pipe_is_reported_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], is_reported: bool
) -> None:
    """A program before it may keep its lines back, which looks like a server that takes none."""
    timers: list[Timer] = []
    cancelled: list[Timer] = []

    class Now(Timer):
        """A timer whose time is over at once."""

        def start(self) -> None:
            timers.append(self)
            self.function(*self.args)

        def cancel(self) -> None:
            cancelled.append(self)

    monkeypatch.setattr("rtdemo.cli.input_lines.Timer", Now)
    reading, writing = os.pipe()
    os.write(writing, b"a\nb\n")
    os.close(writing)
    with os.fdopen(reading) as pipe, mock.patch.object(sys, "stdin", pipe):
        command = ("publish", "-", "--to", server.web_url, *flags)
        done = await asyncio.to_thread(run_in_process, *command)
    reports = done.err.splitlines()
    assert (done.code, len(reports), len(timers)) == (0, is_reported, is_reported)
    assert all("no line has arrived yet; if a program in the pipe holds lines" in one for one in reports)
    assert [timer.interval for timer in timers] == [10.0] * is_reported
    # By each line, and at the end.
    assert len(cancelled) == 3


async def test_interrupt_names_the_first_line_that_was_not_published(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may be away for long, while the input is over."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rtdemo.publisher.sender.Sender.send", interrupted)
    done = await publish("-", "--to", server.web_url, stdin=b"a\nb\n")
    line = "rtdemo: line 1 may not have been accepted; no line after it was published"
    assert (done.code, done.out, done.err.splitlines()) == (130, "", [line, ""])


async def test_file_is_no_pipe_that_may_be_silent(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its lines are there; a terminal has a user who sees that nothing was typed."""
    monkeypatch.setattr("rtdemo.cli.input_lines.Timer.start", pytest.fail)
    (tmp_path / "lines").write_text("a\n", encoding="utf-8")
    with (tmp_path / "lines").open(encoding="utf-8") as file, mock.patch.object(sys, "stdin", file):
        done = await asyncio.to_thread(run_in_process, "publish", "-", "--to", server.web_url)
    assert (done.code, done.err) == (0, "")


async def test_value_that_is_sent_as_a_text_is_reported_once(server: Server, connect: Connect) -> None:
    """No chart shows it; `--quiet` is for those who mean it."""
    peer = await connect(server, "sse")
    hint = "rtdemo: the number is sent as a text, which no chart shows; --value sends numbers\n"
    json_hint = "rtdemo: the JSON is sent as a text, which no chart shows; --value sends values\n"
    for arguments, stdin, err in (
        (("0.12",), b"", hint),
        (("-3",), b"", hint),
        (("-",), b"1\n2\n", hint),
        (("-",), b"load 1\n2\n", ""),
        (("-", "-q"), b"3\n", ""),
        (("-",), b'{"used": 3}\n{"used": 4}\n', json_hint),
        (("[1, 2]",), b"", json_hint),
        (("true",), b"", json_hint),
        (('"text"',), b"", ""),
        (('{"name": "caf\udce9"}',), b"", json_hint),
        (("[info] 1",), b"", ""),
        (("4", "--value"), b"", ""),
        (("4 of 5",), b"", ""),
    ):
        done = await publish(*arguments, "--to", server.web_url, stdin=stdin)
        assert (done.code, done.err) == (0, err), arguments
    assert (await peer.receive())["message"] == "0.12"


async def test_values(server: Server, connect: Connect) -> None:
    """A value, or whole messages as JSON; a line that is neither is named and left out."""
    peer = await connect(server, "sse")
    one = await publish("0.12", "--value", "--producer", "loss", "--to", server.web_url)
    lines = b'{"producer": "a", "value": [1]}\nrubbish\n[]\n{"message": "b", "value": null}\n'
    piped = await publish("-", "--json", "--to", server.web_url, stdin=lines)
    got = [await peer.receive() for _ in range(3)]
    assert [(m["producer"], m["message"], m["value"]) for m in got] == [
        ("loss", "0.12", 0.12),
        ("a", "[1]", [1]),
        ("publish", "b", None),
    ]
    assert (one.code, piped.code) == (0, 1)
    assert [line.partition(" is ")[0] for line in piped.err.splitlines()] == [
        "rtdemo: line 2",
        "rtdemo: line 3",
    ]
    assert piped.err.endswith('line 3 is no JSON object, such as {"value": 0.12}; it is left out\n')


@pytest.mark.parametrize(
    ("arguments", "producer", "value"),
    [
        (("--value", "-0.5"), "publish", -0.5),
        (("--value", "-2e3", "--producer", "loss"), "loss", -2000),
        (("--producer", "-1", "-3", "--value"), "-1", -3),
        (("--value", "--", "-4"), "publish", -4),
    ],
)
async def test_negative_number_is_no_flag(
    server: Server, connect: Connect, arguments: tuple[str, ...], producer: str, value: float
) -> None:
    """Wherever it stands; after a flag that takes a value it is that value."""
    peer = await connect(server, "sse")
    assert (await publish("--to", server.web_url, *arguments)).code == 0
    got = await peer.receive()
    assert (got["producer"], got["value"]) == (producer, value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rubbish", "TEXT is not JSON (such as 0.12): rubbish"),
        ("[" * 100_000, "TEXT is nested too deeply"),
        (r'"\ud800"', "TEXT is no Unicode text"),
        ("NaN", "TEXT has a NaN or an infinity, which JSON does not have; give null for a gap"),
        ("[1, -Infinity]", "TEXT has a NaN or an infinity"),
        ("1e999", "TEXT has a NaN or an infinity"),
        ("nan", "TEXT has a NaN or an infinity"),
        ("-Inf", "TEXT has a NaN or an infinity"),
        ("\N{LATIN SMALL LETTER DOTLESS I}nf", "TEXT is not JSON (such as 0.12)"),
    ],
)
async def test_value_that_is_no_json_is_wrong_usage(server: Server, text: str, words: str) -> None:
    """One line, exit code 2, and nothing is published."""
    done = await publish("--value", "--to", server.web_url, "--", text)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert words in done.err
    assert server.hub.engine.log.last.offset == 0


@pytest.mark.parametrize(
    "arguments",
    [("hi", "there"), ("loss", "0.12"), ("5", "-3"), ("{value:", "1}"), ("http://localhost:7", "5")],
)
async def test_text_without_quotes_is_wrong_usage(server: Server, arguments: tuple[str, ...]) -> None:
    """One line that says what to do, and nothing is published."""
    done = await publish(*arguments, "--to", server.web_url)
    fix = "put it in single quotes, and give a producer by --producer"
    if arguments[0].startswith("http"):
        fix = "give the server's URL by --to"
    assert (done.code, done.out, done.err) == (2, "", f"rtdemo: TEXT is one argument; {fix}\n")
    assert server.hub.engine.log.last.offset == 0


async def test_missing_text_names_the_pipe(server: Server) -> None:
    """`echo 3 | rtdemo publish --value` lacks it."""
    done = await publish("--value", "--to", server.web_url)
    wanted = "rtdemo: give a TEXT, or - for each line of standard input\n"
    assert (done.code, done.out, done.err) == (2, "", wanted)


@pytest.mark.parametrize("text", ['{"value": 1}', "-"])
async def test_text_has_one_form(server: Server, text: str) -> None:
    """Two flags are wrong usage, in either order; the last one had won silently."""
    for flags in (("--value", "--json"), ("--json", "--value")):
        done = await publish(text, *flags, "--to", server.web_url, stdin=b"1\n")
        assert (done.code, done.out) == (2, "")
        assert done.err == "rtdemo: give --value or --json, not both\n"
    assert server.hub.engine.log.last.offset == 0


async def test_line_that_is_not_good_is_named_by_its_number(server: Server, connect: Connect) -> None:
    """Empty lines count, as in an editor. A line that is too long costs no other one."""
    peer = await connect(server, "websocket")
    done = await publish("-", "-q", "--to", server.web_url, stdin=b"a\n\n" + b"x" * 70_000 + b"\nb\n")
    assert [(await peer.receive())["message"] for _ in range(2)] == ["a", "b"]
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "rtdemo: line 3 is too long: a message of 70035 bytes, of at most 65536; it is left out\n"
    )


async def test_line_that_the_server_refuses_costs_no_other(server: Server, connect: Connect) -> None:
    """It is named with the server's reason, as a line that is not JSON; the exit code is 1."""
    peer = await connect(server, "sse")
    lines = b'{"value": 1}\n{"vaule": 2}\n{"producer": "a,b", "value": 3}\n'
    lines += b'{"producer": "message", "value": 4}\nrubbish\n{"value": 5}\n'
    done = await publish("-", "--json", "--to", server.web_url, stdin=lines)
    assert [(await peer.receive())["value"] for _ in range(2)] == [1, 5]
    assert (done.code, len(done.out.split())) == (1, 2)
    reports = done.err.splitlines()
    words = ("answered 400: ", "answered 400: producer name", "answered 409: producer: ", "not JSON")
    for number, (report, reason) in enumerate(zip(reports, words, strict=True), 2):
        assert report.startswith(f"rtdemo: line {number}")
        assert reason in report
        assert report.endswith("; it is left out")
    assert "unknown field `vaule`" in reports[0]


async def test_name_that_no_line_can_have_ends_a_pipe(server: Server) -> None:
    """A name of private messages is the server's to refuse; one with a comma is wrong usage."""
    for name, code, words in (
        ("message", 1, "'message' is the name of private messages; choose another; line 1 was not"),
        ("a,b", 2, "--producer: producer name 'a,b' must be printable text without a comma"),
    ):
        done = await publish("-", "--producer", name, "--to", server.web_url, stdin=b"one\ntwo\n")
        assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
        assert words in done.err


async def test_nan_in_a_pipe_is_a_gap_that_is_reported(server: Server, connect: Connect) -> None:
    """The other values of a message are worth having, so it is published; the exit code is 1."""
    peer = await connect(server, "sse")
    lines = b'1\n{"loss": NaN, "step": 2}\nnan\n -inf\n3\n'
    done = await publish("-", "--value", "--to", server.web_url, stdin=lines)
    got = [(await peer.receive())["value"] for _ in range(5)]
    assert got == [1, {"loss": None, "step": 2}, None, None, 3]
    assert (done.code, len(done.out.split())) == (1, 5)
    assert done.err == (
        "rtdemo: line 2 has a NaN or an infinity, which JSON does not have; "
        "it is published with null instead\n"
        "rtdemo: 2 more such lines; the last is line 4\n"
    )


async def answer_no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with something other than HTTP."""
    await reader.readuntil(BODY_END)
    writer.write(b"SSH-2.0-other\r\n")


async def answer_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as another web server does for a path that it does not have."""
    await reader.readuntil(BODY_END)
    body = b"<!DOCTYPE html>\n<title>Not Found</title>"
    writer.write(b"HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\n\r\n" + body)


async def test_failure_is_one_line_with_its_reason(start: Start) -> None:
    """Exit code 1 for a refusal, or for something other than rtdemo. What is certain is said."""
    server = await start(publish_token="s3cret")
    url, refused = server.web_url, "; the message was not accepted\n"
    async with raw_server(answer_no_http) as ssh, raw_server(answer_page) as page:
        for arguments, words in (
            (("--to", url), f"as Authorization: Bearer; {GIVE_TOKEN}{refused}"),
            (("--to", url, "--token", "wrong"), f"--publish-token; {GIVE_TOKEN}{refused}"),
            (("--to", f"{url}/nowhere"), "answered 404: there is nothing at /nowhere/api/publish; "),
            (("--to", f"{url}/ü"), "answered 404: there is nothing at /"),
            (("--to", f"{url}/view"), f"; for an rtdemo server, give {url}/{refused}"),
            (("--to", f"{url}/api/publish"), f"; for an rtdemo server, give {url}/{refused}"),
            (
                ("--to", f"http://127.0.0.1:{page}"),
                f"answered 404 with a web page: no rtdemo server answers at this path{refused}",
            ),
            (("--to", f"http://127.0.0.1:{ssh}"), "does not work over HTTP: BadStatusLine: SSH-2.0"),
            (("--to", f"https{url[4:]}"), f" number; if it does not use TLS, give {url}{refused}"),
            (("--to", f"http://127.0.0.1:{ssh}"), "; the message may not have been accepted\n"),
            (("--to", url, "--token", "s3cret\nx"), "takes no token with a line break"),
        ):
            done = await publish("x", *arguments)
            assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
            assert words in done.err
            assert "s3cret" not in done.err
    assert (await publish("x", "--to", url, "--token", " s3cret\n")).code == 0


async def test_server_that_cannot_be_reached_is_reported_before_the_last_try() -> None:
    """The five tries take seconds, in which the user would wonder."""
    done = await publish("x", "--to", NEVER)
    assert (done.code, done.out) == (1, "")
    reason = f"rtdemo: {NEVER} cannot be reached: connection refused; {NAMED}"
    assert done.err.splitlines() == [
        f"{reason}; the message is tried up to 5 times",
        f"{reason}; the message was not accepted",
    ]


@pytest.mark.parametrize(
    ("failures", "longest_silence_s", "is_reported"),
    [(1, math.inf, False), (2, math.inf, True), (1, 0, True)],
)
async def test_problem_that_passes_at_once_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, failures: int, longest_silence_s: float, is_reported: bool
) -> None:
    """From the second failed try on it is, and before where a try takes long; its end is, too."""
    monkeypatch.setattr("rtdemo.publisher.sender.MAX_SILENCE_S", longest_silence_s)
    coming = iter([b"503 X\r\n\r\nbusy"] * failures + [b'200 X\r\n\r\n{"positions": ["a-1"]}'])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(BODY_END)
        writer.write(b"HTTP/1.0 " + next(coming))

    async with raw_server(answer) as port:
        done = await publish("x", "--to", f"http://127.0.0.1:{port}")
    lines = ["answered 503: busy; the message is tried up to 5 times", "takes messages again"]
    assert (done.code, done.out) == (0, "a-1\n")
    assert done.err.splitlines() == [
        f"rtdemo: http://127.0.0.1:{port} {line}" for line in lines if is_reported
    ]


@pytest.mark.parametrize(("pause", "requests"), [("0.3", 2), ("60", 1)])
async def test_pause_that_a_server_asks_for_counts_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, pause: str, requests: int
) -> None:
    """It is reported at once if it is long, and one beyond the time for all tries ends them."""
    monkeypatch.setattr("rtdemo.publisher.sender.MAX_SILENCE_S", 0.3)
    answers = [f"429 X\r\nRetry-After: {pause}\r\n\r\nlater", '200 X\r\n\r\n{"positions": ["a-1"]}']
    count = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        await reader.readuntil(BODY_END)
        writer.write(f"HTTP/1.0 {answers[count]}".encode())
        count += 1

    async with raw_server(answer) as port:
        done = await publish("x", "--to", f"http://127.0.0.1:{port}")
    server = f"rtdemo: http://127.0.0.1:{port}"
    lines = {
        2: ["answered 429: later; the message is tried up to 5 times", "takes messages again"],
        1: ["answered 429: later; the message was not accepted"],
    }
    assert done.err.splitlines() == [f"{server} {line}" for line in lines[requests]]
    assert (done.code, count) == (2 - requests, requests)


@pytest.mark.parametrize(("tries", "trying_s", "is_tried_again"), [(2, math.inf, True), (5, 0.0, False)])
async def test_server_that_never_answers(
    monkeypatch: pytest.MonkeyPatch, tries: int, trying_s: float, is_tried_again: bool
) -> None:
    """The first time limit is reported, and a late try is the last, whatever its number."""
    monkeypatch.setattr("rtdemo.publisher.sender.MAX_SILENCE_S", 0)
    monkeypatch.setattr("rtdemo.cli.publish.TRY_TIMEOUT_S", 0.2)
    monkeypatch.setattr("rtdemo.cli.publish.MAX_TRIES", tries)
    monkeypatch.setattr("rtdemo.cli.publish.MAX_TRYING_S", trying_s)

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(never) as port:
        done = await publish("x", "--to", f"http://127.0.0.1:{port}")
    assert done.code == 1
    problem = f"rtdemo: http://127.0.0.1:{port} does not answer within 0.2 s"
    first = [f"{problem}; the message is tried up to {tries} times"] if is_tried_again else []
    assert done.err.splitlines() == [*first, f"{problem}; the message may not have been accepted"]


def test_a_single_message_takes_20_s_at_most() -> None:
    """The last try may begin just within the limit, after the longest pause."""
    assert MAX_TRYING_S + MAX_RETRY_S + TRY_TIMEOUT_S < 20


@pytest.mark.parametrize("proxy", ["http://me:s3cret@host:99999", "//[::1", "http://a..b:3128"])
async def test_proxy_whose_address_is_wrong(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, without the proxy: its address may have a password."""
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    done = await publish("x", "--to", "http://example.invalid")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "rtdemo: http://example.invalid cannot be reached: the environment names a proxy whose address "
        "is not valid; the message was not accepted\n"
    )


@pytest.mark.parametrize("address", ["http://localhost:abc", "http://[::1", "http://a b", "ws://host"])
async def test_bad_address_is_wrong_usage(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line and exit code 2; where it came from a variable, the line names that."""
    done = await publish("x", "--to", address)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"rtdemo: {address!r} ")
    monkeypatch.setenv("RTDEMO_URL", address)
    done = await publish("x")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"rtdemo: RTDEMO_URL: {address!r} ")


async def test_token_goes_to_no_other_server() -> None:
    """A redirect is reported, not followed: its target would get the token."""
    asked: list[bytes] = []
    statuses = [301, 302, 303, 307, 308]

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(BODY_END))
        location = f"Location: http://localhost:{port}/elsewhere"
        writer.write(f"HTTP/1.0 {statuses[-len(asked)]} X\r\n{location}\r\n\r\n".encode())

    async with raw_server(redirect) as port:
        for _ in statuses:
            done = await publish("x", "--to", f"http://127.0.0.1:{port}", "--token", "s3cret")
            assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
            assert f"redirects to http://localhost:{port}/elsewhere; give" in done.err
            assert "the message was not accepted" in done.err
    assert len(asked) == 5
    assert all(head.startswith(b"POST /api/publish ") for head in asked)


async def test_this_machine_is_reached_without_a_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment is not used, since its localhost is another machine."""
    monkeypatch.setenv("http_proxy", NEVER)
    monkeypatch.delenv("no_proxy", raising=False)
    port = server.web_url.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1"):
        done = await publish("x", "--to", f"http://{host}:{port}")
        assert (done.code, done.err) == (0, "")


async def test_pipe_waits_for_a_server_that_is_unavailable() -> None:
    """A line is tried under one key until it is taken; each new problem is said; a wrong token ends it.

    Its line is named: from there on, nothing was published.
    """
    answers = iter([503, 503, 0, 502, 503, 503, 200, 200, 401])
    asked: list[tuple[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        key, length = (re.findall(rf"{name}: (\S+)", head)[0] for name in ("key", "content-length"))
        (message,) = json.loads(await reader.readexactly(int(length)))
        asked.append((message["message"], key))
        if status := next(answers):
            body = b'{"positions": ["a-1"]}' if status == 200 else b"busy\n"
            writer.write(f"HTTP/1.0 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    async with raw_server(answer) as port:
        url = f"http://127.0.0.1:{port}"
        done = await publish("-", "--to", url, stdin=b"one\ntwo\n\nthree\nfour\n")
    assert (done.code, done.out.split()) == (1, ["a-1", "a-1"])
    assert [text for text, _ in asked] == ["one"] * 7 + ["two", "three"]
    assert len({key for _, key in asked}) == 3
    waits = "; what is published waits and is sent again"
    assert done.err.splitlines() == [
        f"rtdemo: {url} answered 503: busy{waits}",
        f"rtdemo: {url} cut the connection{waits}",
        f"rtdemo: {url} answered 502: busy{waits}",
        f"rtdemo: {url} takes messages again",
        f"rtdemo: {url} answered 401: busy; {GIVE_TOKEN}; line 4 was not accepted; rtdemo publish ends",
    ]


async def test_connection_that_the_server_has_closed_brings_nothing() -> None:
    """A message after the server's end was not accepted: none of it was sent over the old one."""
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(BODY_END)
        writer.write(b'HTTP/1.1 200 X\r\nContent-Length: 21\r\n\r\n{"positions":["a-1"]}')
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with raw_server(answer) as port:
        sender = Sender(f"http://127.0.0.1:{port}", "", gives_up=lambda *_: True)
        assert await asyncio.to_thread(sender.send, [b"[1]"]) == ["a-1"]
        await closed.wait()
    (refused,) = await asyncio.to_thread(sender.send, [b"[2]"])
    assert isinstance(refused, PublishError)
    assert (refused.problem.partition(";")[0], refused.fix) == (
        "cannot be reached: connection refused",
        "the message was not accepted",
    )


async def test_message_that_an_earlier_try_may_have_brought() -> None:
    """After a cut in the middle, and then a closed port, nobody knows; the line says so."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        listening.close()
        writer.close()

    # Nobody else gets it between the two tries.
    port = free_port()
    listening = await asyncio.start_server(cut, "127.0.0.1", port)
    done = await publish("x", "--to", f"http://127.0.0.1:{port}")
    assert done.code == 1
    assert done.err.endswith(f"connection refused; {NAMED}; the message may not have been accepted\n")


@pytest.mark.parametrize("answers", [[b"", b"400"], [b"200", b"400"], [b"503", b"401"]])
async def test_refusal_after_a_try_that_may_have_been_accepted(answers: list[bytes]) -> None:
    """The server may have been started anew, without the key and with other settings."""
    coming = iter(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(BODY_END)
        if status := next(coming):
            # Of its 20 bytes, only the answer of the last try has all.
            body = b"busy" * 5 if status == answers[-1] else b'{"posi'
            writer.write(b"HTTP/1.1 %s X\r\nContent-Length: 20\r\n\r\n%s" % (status, body))

    async with raw_server(answer) as port:
        done = await publish("x", "--to", f"http://127.0.0.1:{port}")
    assert next(coming, None) is None
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.endswith("; the message may not have been accepted\n")
