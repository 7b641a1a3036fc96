"""Compression of WebSocket messages: off by default, the same bytes for everyone, and no bombs."""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from rtdemo.engine.interface import Draft
from rtdemo.hub.outbox import Outbox
from rtdemo.protocol.deflate import MIN_BYTES, deflated_frame
from rtdemo.protocol.message import Message
from rtdemo.protocol.wire import websocket_frame
from rtdemo.server.server import Server
from rtdemo.web import compression
from rtdemo.web.websocket import WebSocket
from tests.clients import eventually
from tests.conftest import UNLIMITED, Start
from tests.raw_client import CLOSE, CONTINUATION, GOODBYE, TEXT, RawClient, frame, request

HEADER = "Sec-WebSocket-Extensions"
OFFER = "permessage-deflate; client_max_window_bits"
"""What browsers offer."""
RSV1 = 0x40
ASCII = bytes(32 + byte % 95 if 32 + byte % 95 not in b'"\\' else 32 for byte in range(256))
"""Turns random bytes into text."""
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.fixture
async def compressing(start: Start) -> Server:
    """A server with `--compress`."""
    return await start(compress=True)


def deflated(payload: bytes, level: int = 9) -> bytes:
    """Return a payload as a client compresses it."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
        b"\x00\x00\xff\xff"
    )


async def opened(server: Server, offer: str = OFFER, first: bytes = b"") -> RawClient:
    """Return a client that has sent its handshake, and its first frames in the same segment."""
    client = await RawClient(server, "websocket").connect()
    handshake = request(server, "websocket").removesuffix(b"\r\n")
    await client.send(handshake + f"{HEADER}: {offer}\r\n\r\n".encode() + first)
    await client.read_until(b"\r\n\r\n")
    return client


def agreed(client: RawClient) -> str | None:
    """Return what the server has accepted."""
    for line in client.received.partition(b"\r\n\r\n")[0].decode().split("\r\n"):
        name, _, value = line.partition(": ")
        if name == HEADER:
            return value
    return None


def sent(data: bytes) -> list[tuple[bool, bytes]]:
    """Return the server's text frames after the head: whether each is compressed, and its text."""
    rest = data.partition(b"\r\n\r\n")[2]
    found = []
    while rest:
        start = {126: 4, 127: 10}.get(rest[1], 2)
        length = int.from_bytes(rest[2:start]) if start > 2 else rest[1]
        payload = rest[start : start + length]
        if rest[0] & 0x0F == TEXT:
            is_compressed = bool(rest[0] & RSV1)
            if is_compressed:
                payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
            found.append((is_compressed, payload))
        rest = rest[start + length :]
    return found


def close_code(data: bytes) -> int:
    """Return the code of the close frame, which is the last."""
    return int.from_bytes(data.rpartition(b"\x88")[2][1:3])


async def test_compression_is_off_by_default(server: Server) -> None:
    """An offer is not answered, and a compressed frame is a protocol error."""
    client = await opened(server, OFFER, frame(TEXT | RSV1, deflated(b"hello")))
    data = await client.read_to_end()
    assert agreed(client) is None
    assert close_code(data) == 1002
    client.leave()


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (OFFER, ANSWER),
        ("permessage-deflate", ANSWER),
        ("x-webkit-deflate-frame, permessage-deflate", ANSWER),
        ("permessage-deflate; server_max_window_bits=9", f"{ANSWER}; server_max_window_bits=9"),
        # zlib has no window of 8 bits: the second offer counts.
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", ANSWER),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits=99", None),
        ("permessage-deflate; unknown=1", None),
        ("permessage-bzip2", None),
    ],
)
async def test_offer_is_accepted_if_the_server_can_keep_it(
    compressing: Server, offer: str, answer: str | None
) -> None:
    client = await opened(compressing, offer)
    assert client.received.startswith(b"HTTP/1.1 101 ")
    assert agreed(client) == answer
    client.leave()


async def test_malformed_offer_is_400(compressing: Server) -> None:
    client = await opened(compressing, "permessage-deflate; =")
    assert client.received.startswith(b"HTTP/1.1 400 ")
    client.leave()


@pytest.mark.parametrize("bits", [None, 9, 15])
async def test_client_of_websockets_gets_its_echoes(compressing: Server, bits: int | None) -> None:
    """The client of `websockets` compresses and decompresses, in fragments too."""
    factory = ClientPerMessageDeflateFactory(server_max_window_bits=bits)
    async with websockets.connect(
        compressing.websocket_url, compression=None, extensions=[factory]
    ) as socket:
        client = json.loads(await socket.recv())["client"]
        for text in ("short", "long " * 1000, "ü" * 32768):
            await socket.send(text)
            assert json.loads(await socket.recv())["message"] == f"Echo: {text}"
        await socket.send(iter(("in ", "fragments " * 100)))
        assert json.loads(await socket.recv())["message"] == "Echo: in " + "fragments " * 100
        connection = compressing.hub.find(client)
        assert connection is not None
        assert connection.connection_info is not None
        assert connection.connection_info().compression == "permessage-deflate"


async def test_shared_message_is_compressed_once(
    compressing: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty clients get the same compressed bytes. One without compression gets the text."""
    made = []
    compressobj = zlib.compressobj

    def counted(*arguments: Any) -> object:
        made.append(arguments)
        return compressobj(*arguments)

    clients = [await opened(compressing) for _ in range(20)]
    plain = await opened(compressing, "none")
    stream = await RawClient(compressing, "sse").connect()
    await stream.send(request(compressing, "sse"))
    for client in (*clients, plain, stream):
        await client.read_until(b"established")
    monkeypatch.setattr("rtdemo.protocol.deflate.zlib.compressobj", counted)
    text = "shared " * 100 + "end"
    await compressing.hub.publish([Draft(Message(text), "news")])
    for client in (plain, stream):
        await client.read_until(b"end")
    for client in clients:
        while len(sent(client.received)) < 2:
            await client.read_more()
    assert len(made) == 1
    tails = {client.received.rpartition(b"}")[2] for client in clients}
    assert len(tails) == 1
    is_compressed, payload = sent(clients[0].received)[-1]
    assert is_compressed
    assert json.loads(payload)["message"] == text
    assert sent(plain.received)[-1] == (False, payload)
    for client in (*clients, plain, stream):
        client.leave()


def test_short_messages_are_not_compressed() -> None:
    for bits in (9, 12, 15):
        encode = deflated_frame(bits)
        short, long = b"x" * (MIN_BYTES - 1), b"x" * MIN_BYTES
        assert encode(short) == websocket_frame(short)
        assert encode(long)[0] == 0x80 | RSV1 | TEXT
        assert zlib.decompressobj(-bits).decompress(encode(long)[2:]) == long


def test_windows_that_may_share_bytes_share_them() -> None:
    """Audiences are compared by their wire format."""
    assert deflated_frame(12) is deflated_frame(15)
    assert deflated_frame(9) is not deflated_frame(12)


def fragments(*parts: bytes) -> bytes:
    """Return the frames of one compressed message."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    frames = b""
    for number, part in enumerate(parts):
        data = compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH)
        opcode, is_last = CONTINUATION if number else TEXT | RSV1, number == len(parts) - 1
        frames += frame(opcode, data.removesuffix(b"\x00\x00\xff\xff") if is_last else data, is_last)
    return frames


BOMBS = {
    "one frame": fragments(b"x" * 65537),
    "of 10 MB": fragments(b"x" * 10_000_000),
    "in halves": fragments(b"x" * 40_000, b"x" * 40_000),
    "one byte more, not compressed": frame(TEXT, b"x" * 65537),
    # What is left of the limit is 0, which means "no limit" to zlib.
    "after a fragment as large as the limit": fragments(b"x" * 65536, b"x" * 10_000_000),
}


LONG_TEXT = fragments(b"x" * 65536)
WAITING = """
import asyncio
from rtdemo import hookimpl

@hookimpl
async def receive(client, text):
    await asyncio.Event().wait()
"""


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_bomb_is_1009(compressing: Server, bomb: bytes) -> None:
    """The limit of 64 KiB holds for what a message decompresses to; nobody else is disconnected."""
    other = await opened(compressing)
    client = await opened(compressing, first=bomb)
    data = await client.read_to_end()
    assert close_code(data) == 1009
    client.leave()
    await eventually(lambda: len(compressing.hub) == 1)
    (connection,) = compressing.hub.connections
    await other.send(frame(TEXT | RSV1, deflated(b"x" * 65536)))
    while len(sent_whole(other.received)) < 2:
        await other.read_more()
    assert connection.reason is None
    other.leave()


async def test_flood_of_compressed_texts_delays_no_other_task(start: Start) -> None:
    """After two texts of 64 KiB, which came in 86 bytes each, other tasks have their turn."""
    server = await start(compress=True, **UNLIMITED)
    client, traffic = await opened(server), server.hub.traffic["websocket"]
    counts = [0]

    def other_task() -> None:
        counts.append(traffic.received)
        if traffic.received < 48:
            asyncio.get_running_loop().call_soon(other_task)

    other_task()
    await client.send(LONG_TEXT * 48)
    await eventually(lambda: counts[-1] == 48)
    assert max(after - before for before, after in pairwise(counts)) <= 2
    client.leave()


async def test_compressed_texts_that_wait_are_few(start: Start, tmp_path: Path) -> None:
    """While a plugin has one, the server unpacks two more, and keeps the others as they came."""
    (tmp_path / "waiting.py").write_text(WAITING)
    protocols: list[Outbox] = []

    def note(outbox: Outbox) -> Outbox:
        protocols.append(outbox)
        return outbox

    files = (tmp_path / "waiting.py",)
    server = await start(files=files, wrap_outbox=note, compress=True, **UNLIMITED)
    client = await opened(server)
    await client.send(LONG_TEXT * 48)
    (protocol,) = protocols
    assert isinstance(protocol, WebSocket)
    await eventually(lambda: len(protocol._unread) > 30 * len(LONG_TEXT))
    assert len(protocol._texts or ()) <= 2
    client.leave()


def sent_whole(data: bytes) -> list[tuple[bool, bytes]]:
    """Return `sent`, or nothing while a frame is cut off."""
    try:
        return sent(data)
    except (IndexError, zlib.error):
        return []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT | RSV1, b"\xff\xff\xff\xff"), 1002),
        (frame(TEXT | RSV1, deflated(b"\xff\xfe")), 1007),
        (frame(CLOSE | RSV1, GOODBYE), 1002),
        (frame(TEXT | 0x20, b"x"), 1002),
        (frame(TEXT | RSV1, deflated(b"a"), final=False) + frame(CONTINUATION | RSV1, b"b"), 1002),
    ],
    ids=["no deflate", "no UTF-8", "compressed close", "RSV2", "RSV1 in a later fragment"],
)
async def test_bad_compressed_frame_ends_its_connection(
    compressing: Server, data: bytes, code: int
) -> None:
    client = await opened(compressing, first=data)
    assert close_code(await client.read_to_end()) == code
    client.leave()


LARGEST = {
    # The last fragment decompresses to nothing, and nothing is left of the limit.
    "with an empty last fragment": fragments(*(b"x" * 256,) * 256, b""),
    # It is longer compressed than not.
    "that cannot shrink": frame(
        TEXT | RSV1, deflated(random.Random(1).randbytes(65536).translate(ASCII), 0)
    ),
    "not compressed": frame(TEXT, b"x" * 65536),
}


@pytest.mark.parametrize("largest", LARGEST.values(), ids=LARGEST)
async def test_message_of_64_kib_is_accepted(compressing: Server, largest: bytes) -> None:
    """A message of 64 KiB is accepted in whatever frames it comes."""
    client = await opened(compressing, first=largest)
    await client.send(frame(CLOSE, GOODBYE))
    data = await client.read_to_end()
    assert close_code(data) == 1000
    echo = json.loads(sent(data)[-1][1])
    assert len(echo["message"]) == len("Echo: ") + 65536
    client.leave()


def repeated(size: int, period: int) -> bytes:
    """Return text that begins anew after a period, so that a client compresses it well."""
    block = random.Random(1).randbytes(period).translate(ASCII)
    return (block * (size // period + 1))[:size]


@pytest.mark.parametrize("parts", [1, 2], ids=["whole", "in halves"])
async def test_small_frames_ask_for_few_long_echoes(compressing: Server, parts: int) -> None:
    """Each is 0.8 KB for an echo of 49 KB, which the server cannot compress in a window of 512 bytes.

    A hundred such texts were answered at once, and 20 a second.
    """
    text = repeated(65_000, 520)
    size = len(text) // parts
    bomb = fragments(*(text[at : at + size] for at in range(0, len(text), size)))
    assert len(bomb) < 1000
    client = await opened(compressing, "permessage-deflate; server_max_window_bits=9")
    for _ in range(5):
        await client.send(bomb)
        count = len(sent_whole(client.received))
        while len(sent_whole(client.received)) == count:
            await client.read_more()
    await client.send(bomb * 50)
    data = await client.read_to_end()
    assert close_code(data) == 1008
    assert len(data) < 12 * 65_000
    assert compressing.hub.refused == {"texts_per_connection": 1}
    client.leave()


@pytest.mark.parametrize(
    "text",
    [b"x" * compression.FREE_BYTES, repeated(20_000, 2_000), repeated(65_000, 6_000)],
    ids=["short", "of 20 kB", "of 64 KiB"],
)
async def test_usual_compressed_texts_count_as_one_each(compressing: Server, text: bytes) -> None:
    """As many at once as without compression."""
    factory = ClientPerMessageDeflateFactory()
    async with websockets.connect(
        compressing.websocket_url, compression=None, extensions=[factory]
    ) as socket:
        await socket.recv()
        for _ in range(100):
            await socket.send(text, text=True)
            await socket.recv()
        assert not compressing.hub.refused
        await socket.send("one more")
        await socket.recv()
        with pytest.raises(websockets.ConnectionClosedError, match="1008"):
            await socket.recv()
    assert compressing.hub.refused == {"texts_per_connection": 1}


def test_parser_keeps_no_window_between_messages() -> None:
    """Each client that compresses would cost 40 KiB."""
    extension = compression.Decompression()
    for _ in range(2):
        read = extension.decode(Frame(Opcode.TEXT, deflated(b"hello"), rsv1=True), max_size=100)
        assert read.data == b"hello"
    assert not hasattr(extension, "decoder")
    assert not hasattr(extension, "encoder")
