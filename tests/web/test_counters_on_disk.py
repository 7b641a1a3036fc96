"""Counter files: the counters of running and exited workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rtdemo.hub import statistics
from rtdemo.hub.statistics import Statistics
from rtdemo.publisher.waiting import PublishCounts
from rtdemo.server.server import Server
from rtdemo.timing.histogram import Histogram
from rtdemo.web import other_workers
from rtdemo.web.other_workers import CounterFiles


@pytest.fixture
async def counted(server: Server) -> Statistics:
    """Statistics of a server that has written one message."""
    server.hub.traffic["sse"].messages = 1
    return server.hub.statistics(5.0, Histogram(), PublishCounts(accepted=3, waiting=2))


def of_worker(counted: Statistics, worker: int, **changes: Any) -> Statistics:
    return msgspec.structs.replace(
        statistics.read(msgspec.json.encode(counted)), worker=worker, **changes
    )


def test_exited_workers_are_added_up(tmp_path: Path, counted: Statistics) -> None:
    """Their counters are added up, what they had open is not, and their files are removed."""
    counter_files = CounterFiles(tmp_path)
    for worker in (1, 2, 3):
        counter_files.write(of_worker(counted, worker, connections={"websocket": 0, "sse": 4}))
    counter_files.add_exited(1)
    counter_files.add_exited(2)
    counter_files.add_exited(7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.json", "gone.json"]
    found = counter_files.read()
    assert sorted(found) == [0, 3]
    assert found[0].traffic["sse"].messages == 2
    assert found[0].published_here == PublishCounts(accepted=6)
    assert found[0].connections == {"websocket": 0, "sse": 0}
    assert found[3].connections["sse"] == 4


def test_no_worker_is_counted_twice(tmp_path: Path, counted: Statistics) -> None:
    """While the parent adds an exited worker, the worker's own file does not count."""
    counter_files = CounterFiles(tmp_path)
    counter_files.write(of_worker(counted, 1))
    counter_files.add_exited(1)
    counter_files.write(of_worker(counted, 1))
    assert sorted(counter_files.read()) == [0]


def test_files_of_another_version_are_ignored(tmp_path: Path, counted: Statistics) -> None:
    """A reload by SIGHUP may start another version; counting restarts then."""
    counter_files = CounterFiles(tmp_path)
    for name in ("1.json", "gone.json"):
        (tmp_path / name).write_text('{"total": {}}')
    assert counter_files.read() == {}
    counter_files.write(of_worker(counted, 2))
    counter_files.add_exited(2)
    assert counter_files.read()[0].traffic["sse"].messages == 1


def test_names_that_a_plugin_invents_are_bounded(
    tmp_path: Path, counted: Statistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum over exited workers has at most `MAX_PRODUCERS` producers."""
    monkeypatch.setattr(other_workers, "MAX_PRODUCERS", 5)
    counter_files = CounterFiles(tmp_path)
    for worker in (1, 2, 3):
        own = of_worker(counted, worker)
        for producer in own.producers:
            producer.name += str(worker)
        counter_files.write(own)
        counter_files.add_exited(worker)
    assert len(counter_files.read()[0].producers) == 5


def test_missing_folder_raises_nothing(tmp_path: Path, counted: Statistics) -> None:
    """The parent has died, and its folder was removed; the worker runs on."""
    counter_files = CounterFiles(tmp_path / "gone")
    counter_files.write(counted)
    assert counter_files.read() == {}
