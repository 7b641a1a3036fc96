"""Whatever happens to servers, Redis and connections: each shared message once, in order, or told."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtdemo.protocol.message import Position
from tests.cluster.ledger import Ledger
from tests.cluster.scenarios import (
    Reports,
    Step,
    chaos,
    kill_a_worker,
    paused_leader,
    replace_workers,
    workers,
)


def faults(reports: Reports) -> list[tuple[str, str]]:
    """Return what the ledgers hold against the servers; none of it may be."""
    wanted = ("repeated", "missing", "wrong", "unfinished")
    return [(name, what) for name, told in reports.items() for what in wanted if getattr(told, what)]


def test_ledger_sees_what_it_is_for() -> None:
    """Repeated, missing, out of order and foreign messages are counted, and a word of loss is."""
    ledger = Ledger()
    ledger.take({"client": "c", "id": "a-3"})
    for place in ("a-4", "a-4", "a-7", "a-6", "b-1"):
        ledger.take({"message": place, "id": place, "sentAt": 1.0})
    # a-4 again and a-6 after a-7; a-5 and a-6 before a-7, and the change of epoch.
    assert (ledger.repeated, ledger.missing, ledger.told) == (2, 2 + 1, 0)
    ledger.take({"message": "gone", "id": "c-9", "lost": True})
    ledger.take({"message": "c-10", "id": "c-10", "sentAt": 1.0})
    assert (ledger.missing, ledger.told, ledger.last) == (3, 1, Position("c", 10))
    ledger.take({"message": "gone", "id": "c-5", "lost": True})
    ledger.take({"message": "c-10", "id": "c-10", "sentAt": 1.0})
    # c-6 to c-9 are missing then, and c-10 has come before.
    assert (ledger.repeated, ledger.missing) == (3, 7)
    ledger.take({"client": "c", "id": "c-12"})
    assert ledger.missing == 8


async def test_nothing_is_missed_while_everything_breaks(tmp_path: Path) -> None:
    """A server is killed, Redis goes and comes back, connections are cut."""
    reports = await chaos(tmp_path, number=10, seconds=6.0, away=1.5)
    assert faults(reports) == []
    assert [report.told for report in reports.values()] == [0, 0]


async def test_everyone_is_told_when_redis_lost_its_data(tmp_path: Path) -> None:
    """Not one client goes on as if nothing were."""
    reports = await chaos(tmp_path, number=10, seconds=6.0, away=1.5, flush=True)
    assert faults(reports) == []
    assert [report.untold for report in reports.values()] == [0, 0]


async def test_leader_that_was_paused_publishes_nothing_twice(tmp_path: Path) -> None:
    """Another takes over meanwhile and counts on; `paused_leader` sees that no number is skipped."""
    reports, _gap = await paused_leader(tmp_path, number=10, seconds=5.0)
    assert faults(reports) == []


@pytest.mark.parametrize("step", [kill_a_worker, replace_workers])
async def test_clients_of_a_worker_that_goes_resume(tmp_path: Path, step: Step) -> None:
    """It is replaced, and no connection is refused meanwhile."""
    reports = await workers(tmp_path, step, number=20)
    assert faults(reports) == []
    assert [report.refused for report in reports.values()] == [0, 0]
    assert sum(report.connects for report in reports.values()) > 40
