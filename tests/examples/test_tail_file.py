"""examples/tail_file.py: follow a file that grows, is rotated or truncated, and count its levels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.tail_file import CHUNK, LEVELS, Tail
from rtdemo.testing import VirtualClock
from tests.clients import eventually
from tests.conftest import Connect
from tests.examples.conftest import Serve


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file with one line."""
    path = tmp_path / "app.log"
    path.write_text("first\n")
    return path


@pytest.fixture
def tail(log: Path) -> Iterator[Tail]:
    """A `Tail` from the beginning that has read this line."""
    tail = Tail(log, from_beginning=True)
    assert everything(tail) == ["first"]
    yield tail
    tail.file.close()


def append(path: Path, data: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(data.encode() if isinstance(data, str) else data)


def everything(tail: Tail, calls: int = 4) -> list[str]:
    return [line for _ in range(calls) for line in tail.look()]


async def test_new_lines_reach_the_client(
    serve: Serve, connect: Connect, transport: str, log: Path
) -> None:
    """New lines only; after a rotation, the rest of the old file and then the new one."""
    server = await serve("tail_file", PATH=log, EVERY=0.001)
    peer = await connect(server, transport, "producers=tail_file")
    await eventually(lambda: log.resolve() in open_files())
    append(log, "second\n")
    assert (await peer.receive())["message"] == "second"
    old = log.rename(log.with_suffix(".1"))
    append(old, "last of the old\n")
    log.write_text("first of the new\n")
    messages = [(await peer.receive())["message"] for _ in range(2)]
    assert messages == ["last of the old", "first of the new"]


async def test_late_client_gets_the_lines_before(serve: Serve, connect: Connect, log: Path) -> None:
    """With BEGINNING=1 they begin at the file's beginning; the file is read once for all clients."""
    server = await serve("tail_file", PATH=log, EVERY=0.001, BEGINNING=1)
    append(log, "second\n")
    query = "producers=tail_file&rewind=1h"
    peers = [await connect(server, t, query) for t in ("websocket", "sse")]
    for peer in peers:
        assert [(await peer.receive())["message"] for _ in range(2)] == ["first", "second"]


async def test_lines_are_counted_by_level(
    serve: Serve, connect: Connect, clock: VirtualClock, log: Path
) -> None:
    """A dict with every level, since the report before."""
    server = await serve("tail_file", PATH=log, EVERY=0.001, BEGINNING=1)
    lines = await connect(server, "sse", "producers=tail_file&rewind=1h")
    reports = await connect(server, "websocket", "producers=tail_file_levels")
    append(log, "12:00 INFO started\n12:01 ERROR failed\n12:02 INFO retried\n")
    for _ in range(4):
        await lines.receive()
    expected = ({"DEBUG": 0, "INFO": 2, "WARNING": 0, "ERROR": 1}, dict.fromkeys(LEVELS, 0))
    for counts in expected:
        clock.advance(5)
        assert (await reports.receive())["value"] == counts


async def test_file_is_closed_when_the_server_stops(serve: Serve, log: Path) -> None:
    """The generator ends, and with it the file."""
    server = await serve("tail_file", PATH=log, EVERY=0.001)
    await eventually(lambda: log.resolve() in open_files())
    await server.stop()
    await eventually(lambda: log.resolve() not in open_files())


def open_files() -> set[Path]:
    return {link.resolve() for link in Path("/proc/self/fd").iterdir()}


def test_line_counts_once_its_line_break_is_written(tail: Tail, log: Path) -> None:
    """An unfinished line waits for its end, even if a character is cut in two."""
    append(log, "grü".encode()[:3])
    assert everything(tail) == []
    append(log, "grün\r\nnext".encode()[3:])
    assert everything(tail) == ["grün"]
    append(log, "\n\n")
    assert everything(tail) == ["next", ""]


def test_rotated_file_is_read_to_its_end(tail: Tail, log: Path) -> None:
    """The rest of the old file comes first, with its unfinished last line; then the new file."""
    old = log.rename(log.with_suffix(".1"))
    append(old, "second\n")
    assert everything(tail) == ["second"], "no new file yet: wait"
    append(old, "third\nunfinished")
    log.write_text("new\n")
    assert everything(tail) == ["third", "unfinished", "new"]
    log.rename(log.with_suffix(".2"))
    log.write_text("newer\n")
    assert everything(tail) == ["newer"]


def test_large_rotated_file_is_read_to_its_end(tail: Tail, log: Path) -> None:
    """The old file is read to its end even if that takes many calls."""
    append(log, "x\n" * CHUNK)
    log.rename(log.with_suffix(".1"))
    log.write_text("new\n")
    assert everything(tail) == ["x"] * CHUNK + ["new"]


def test_new_file_that_disappears_is_waited_for(
    tail: Tail, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file may be rotated too before it is opened."""
    log.rename(log.with_suffix(".1"))
    log.write_text("new\n")

    def vanish(_: Tail) -> bool:
        log.unlink(missing_ok=True)
        return True

    with monkeypatch.context() as patch:
        patch.setattr(Tail, "_is_replaced", vanish)
        assert everything(tail) == []
    log.write_text("newer\n")
    assert everything(tail) == ["newer"]


def test_truncated_file_is_read_anew(tail: Tail, log: Path) -> None:
    """After a truncation, as by `copytruncate`, reading begins anew; an unfinished line is dropped."""
    append(log, "half a li")
    assert everything(tail) == []
    log.write_text("new\n")
    assert everything(tail) == ["new"]


@pytest.mark.parametrize("from_beginning", [True, False])
def test_file_that_does_not_exist_yet(tmp_path: Path, from_beginning: bool) -> None:
    """A file that appears later is read from its beginning."""
    path = tmp_path / "later.log"
    tail = Tail(path, from_beginning)
    assert everything(tail) == []
    path.write_text("here\n")
    assert everything(tail) == ["here"]
    tail.file.close()


def test_large_file_is_read_in_pieces(tail: Tail, log: Path) -> None:
    """One call reads at most 64 KiB, and no line is lost between calls."""
    lines = [f"line {n}" for n in range(20_000)]
    append(log, "\n".join(lines) + "\n")
    parts = [tail.look() for _ in range(6)]
    assert [line for part in parts for line in part] == lines
    assert max(sum(len(line) + 1 for line in part) for part in parts) <= CHUNK + len(lines[-1])


def test_line_without_end_is_cut(tail: Tail, log: Path) -> None:
    """A line without end is cut at 64 KiB."""
    append(log, b"x" * (2 * CHUNK + 5) + b"\n\xff\n")
    assert [len(line) for line in everything(tail)] == [CHUNK, CHUNK, 5, 1]
    assert len(tail.rest) == 0
