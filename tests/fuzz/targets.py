"""What is fuzzed: one function for each place where strangers' bytes are parsed.

Each takes a server and any bytes, and raises AssertionError where the answer breaks a promise. The
fuzzer mutates the bytes; the tests draw them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from rtdemo.hub import control
from rtdemo.protocol.message import MAX_MESSAGE_BYTES, parse_position
from tests.fuzz.fuzzed_server import FuzzedServer, statuses
from tests.raw_client import CLOSE, PONG, TEXT

Target = Callable[[FuzzedServer, bytes], None]

_STREAM = "GET /api/sse{query} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n"
_URL_BYTES = "!#$%&'()*+,-./:;=?@[]^_`{|}~<>\"\\"
"""Bytes that are sent in the query as they are; others are escaped: the request line stays one."""
_NOT_IN_A_FIELD = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Bytes that no header's value has (RFC 9110 section 5.5)."""
_EVENT = re.compile(rb"^data: (.*)$", re.MULTILINE)


def query(server: FuzzedServer, data: bytes) -> None:
    """Answer a stream with the welcome, or refuse the query with a line."""
    target = "?" + quote_from_bytes(data, safe=_URL_BYTES)
    answer = server.request(_STREAM.format(query=target, header="").encode())
    (status,) = statuses(answer)
    if status == 200:
        assert _events(answer)[0]["producer"] == "welcome"
    else:
        _check_refusal(answer, status)


def last_event_id(server: FuzzedServer, data: bytes) -> None:
    """Continue after a position of the log, and report a loss for any other."""
    log = server.server.hub.engine.log
    while log.last.offset < 3:
        server.publish("in the log")
    value = _NOT_IN_A_FIELD.sub(b"", data)
    request = _STREAM.format(query="", header="Last-Event-ID: \0\r\n").encode()
    answer = server.request(request.replace(b"\0", value))
    (status,) = statuses(answer)
    if status != 200:
        _check_refusal(answer, status)
        return
    events = _events(answer)
    assert events[0]["producer"] == "welcome"
    given = value.strip(b" \t").decode("utf-8", "surrogateescape")
    position = parse_position(given)
    if position is not None and position.epoch == log.last.epoch and position.offset <= log.last.offset:
        assert str(position) == given
        offsets = [int(str(event["id"]).partition("-")[2]) for event in events[1:]]
        assert offsets == list(range(position.offset + 1, log.last.offset + 1))
    elif given:
        assert [event["producer"] for event in events[1:]] == ["resume"]
        assert events[1]["lost"] is True


def publish(server: FuzzedServer, data: bytes) -> None:
    """Publish all messages of a body, or refuse it and publish none."""
    log = server.server.hub.engine.log
    before = log.last
    head = f"POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    answer = server.request(head.encode() + data)
    (status,) = statuses(answer)
    if status != 200:
        _check_refusal(answer, status)
        assert log.last == before
        return
    body = answer.partition(b"\r\n\r\n")[2]
    offsets = [parse_position(text) for text in json.loads(body)["positions"]]
    expected = [before._replace(offset=at) for at in range(before.offset + 1, log.last.offset + 1)]
    assert offsets == expected
    assert expected


def control_message(server: FuzzedServer, data: bytes) -> None:
    """Answer a text once, and close only for bad UTF-8 or a text that is too long."""
    *replies, last = server.converse(data)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or len(data) > MAX_MESSAGE_BYTES:
        expected = "close 1009" if len(data) > MAX_MESSAGE_BYTES else "close 1007"
        assert (last.opcode, str(last), replies) == (CLOSE, expected, [])
        return
    assert last.opcode == PONG
    (reply,) = (json.loads(one.payload) for one in replies if one.opcode == TEXT)
    if control.read(text) is None:
        assert (reply["producer"], reply["message"]) == ("echo", f"Echo: {text}")
    else:
        assert reply["producer"] == "rtdemo"
        assert isinstance(json.loads(reply["message"]), dict)


def head(server: FuzzedServer, data: bytes) -> None:
    """Answer any bytes in a request's place without an error of the server."""
    server.request(data)


def _events(answer: bytes) -> list[dict[str, object]]:
    return [json.loads(data) for data in _EVENT.findall(answer)]


def _check_refusal(answer: bytes, status: int) -> None:
    body = answer.partition(b"\r\n\r\n")[2]
    assert 400 <= status < 500, answer
    assert body.count(b"\n") == 1, answer
    assert len(body) < 1024, answer


@dataclass(frozen=True)
class Fuzzing:
    """A target, and what mutations begin with.

    Arguments:
        target: what gets the bytes.
        seeds: inputs that reach far.
        words: parts that a fuzzer puts together.
        max_bytes: longest input that is made.
    """

    target: Target
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]
    max_bytes: int = 4096


_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
_UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
_KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
_ROUTES = (
    *(b"/", b"/view", b"/ws", b"/api/sse", b"/api/messages", b"/api/publish", b"/api/producers"),
    *(b"/api/stats", b"/api/time", b"/healthz", b"/readyz", b"/metrics", b"/static/app.js"),
)
_HEADERS = (
    *(b"Accept", b"Authorization", b"Connection", b"Content-Encoding", b"Content-Length", b"Cookie"),
    *(b"Expect", b"Forwarded", b"Host", b"Idempotency-Key", b"Last-Event-ID", b"Origin", b"Range"),
    *(b"Sec-WebSocket-Key", b"Transfer-Encoding", b"Upgrade", b"Via", b"X-Forwarded-For"),
)

TARGETS: Mapping[str, Fuzzing] = {
    "query": Fuzzing(
        query,
        (
            b"producers=echo,publish&speed=2",
            b"last_event_id=0-1&producers=a,b",
            b"speed=%20nan&rewind=10m",
        ),
        (
            b"producers=",
            b"speed=",
            b"last_event_id=",
            b"&",
            b",",
            b"%",
            b"%00",
            b"nan",
            b"inf",
            b"1e309",
        ),
    ),
    "last_event_id": Fuzzing(
        last_event_id,
        (b"0123456789abcdef-1", b"f-0", b"f-999999999999999"),
        (b"-", b"0", b"ffffffffffffffffffffffffffffffff"),
        max_bytes=200,
    ),
    "publish": Fuzzing(
        publish,
        (b'{"message": "a"}', b'[{"message": "a", "producer": "p"}, {"message": "\\u0000"}]'),
        (b'"message"', b'"producer"', b'"resume"', b'"echo"', b"{", b"[", b"null", b"1e999", b"\\ud800"),
    ),
    "control": Fuzzing(
        control_message,
        (
            b'{"rtdemo": {"speed": 2}}',
            b'{"rtdemo": {"producers": ["echo"]}}',
            b'{"rtdemo": {"break": "cut"}}',
        ),
        (b'{"rtdemo":', b'"speed"', b'"producers"', b'"break"', b"null", b"true", b"1e999", b"[", b"}"),
    ),
    "head": Fuzzing(
        head,
        (
            _HEAD + b"\r\n",
            _HEAD.replace(b"/ ", b"/ws ") + _UPGRADE + _KEY + b"\r\n",
            _HEAD.replace(b"GET / ", b"POST /api/publish ")
            + b'Transfer-Encoding: chunked\r\n\r\n10\r\n{"message": "a"}\r\n0\r\n\r\n',
            _HEAD + b"\r\n" + _HEAD.replace(b"/ ", b"/healthz ") + b"Connection: close\r\n\r\n",
        ),
        (
            *(
                b"\r\n",
                b": ",
                b" HTTP/1.1",
                b" HTTP/1.0",
                b"%1b%0a",
                b"\xff",
                b"OPTIONS",
                b"HEAD",
                b"PUT",
            ),
            *_ROUTES,
            *_HEADERS,
        ),
        max_bytes=2048,
    ),
}
"""Each target by its name."""
