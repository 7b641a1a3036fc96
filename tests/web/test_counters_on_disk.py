"""What workers have counted, on file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rtdemo.hub import statistics
from rtdemo.hub.statistics import Statistics
from rtdemo.server.server import Server
from rtdemo.timing.histogram import Histogram
from rtdemo.web import other_workers
from rtdemo.web.other_workers import CounterFiles


@pytest.fixture
async def counted(server: Server) -> Statistics:
    """What a server counts that has written one message a worker, so to say."""
    server.hub.traffic["sse"].messages = 1
    return server.hub.statistics(5.0, Histogram())


def of(counted: Statistics, worker: int, **changes: Any) -> Statistics:
    return msgspec.structs.replace(
        statistics.read(msgspec.json.encode(counted)), worker=worker, **changes
    )


def test_the_gone_are_one(tmp_path: Path, counted: Statistics) -> None:
    """Their counts are added up, whatever is open is not, and their files are no more."""
    noted = CounterFiles(tmp_path)
    for worker in (1, 2, 3):
        noted.write(of(counted, worker, connections={"websocket": 0, "sse": 4}))
    noted.add_exited(1)
    noted.add_exited(2)
    noted.add_exited(7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.json", "gone.json"]
    found = noted.read()
    assert sorted(found) == [0, 3]
    assert found[0].traffic["sse"].messages == 2
    assert found[0].connections == {"websocket": 0, "sse": 0}
    assert found[3].connections["sse"] == 4


def test_none_is_counted_twice(tmp_path: Path, counted: Statistics) -> None:
    """Between the two steps in which the parent adds one, its file does not count."""
    noted = CounterFiles(tmp_path)
    noted.write(of(counted, 1))
    noted.add_exited(1)
    noted.write(of(counted, 1))
    assert sorted(noted.read()) == [0]


def test_files_of_another_version_are_none(tmp_path: Path, counted: Statistics) -> None:
    """SIGHUP may bring a new one; counting goes on from there."""
    noted = CounterFiles(tmp_path)
    for name in ("1.json", "gone.json"):
        (tmp_path / name).write_text('{"total": {}}')
    assert noted.read() == {}
    noted.write(of(counted, 2))
    noted.add_exited(2)
    assert noted.read()[0].traffic["sse"].messages == 1


def test_names_that_a_plugin_invents_are_bounded(
    tmp_path: Path, counted: Statistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_workers, "MAX_PRODUCERS", 5)
    noted = CounterFiles(tmp_path)
    for worker in (1, 2, 3):
        own = of(counted, worker)
        for producer in own.producers:
            producer.name += str(worker)
        noted.write(own)
        noted.add_exited(worker)
    assert len(noted.read()[0].producers) == 5


def test_folder_that_is_gone_stops_nobody(tmp_path: Path, counted: Statistics) -> None:
    """Its parent has died; what it would have added up is nobody's any more."""
    noted = CounterFiles(tmp_path / "gone")
    noted.write(counted)
    assert noted.read() == {}
