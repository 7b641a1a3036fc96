"""Whatever fails, each shared message arrives once and in order, or the server reports a loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtdemo.protocol.message import Position
from tests.cluster.recording_client import DeliveryRecord
from tests.cluster.scenarios import (
    Reports,
    Step,
    chaos,
    kill_a_worker,
    paused_leader,
    replace_workers,
    rewind,
    workers,
)

pytestmark = pytest.mark.uncovered


def faults(reports: Reports) -> list[tuple[str, str]]:
    """Return the faults in the reports, as transport and kind."""
    kinds = ("duplicates", "missing", "wrong", "unfinished")
    return [(name, kind) for name, report in reports.items() for kind in kinds if getattr(report, kind)]


def test_record_counts_every_fault() -> None:
    """Repeated, missing and out-of-order messages, changes of epoch and loss notices are counted."""
    record = DeliveryRecord()
    record.add({"client": "c", "id": "a-3"})
    for place in ("a-4", "a-4", "a-7", "a-6", "b-1"):
        record.add({"message": place, "id": place, "sentAt": 1.0})
    # Duplicates: a-4 again, a-6 after a-7. Missing: a-5 and a-6 before a-7, and the change of epoch.
    assert (record.duplicates, record.missing, record.loss_notices) == (2, 2 + 1, 0)
    record.add({"message": "gone", "id": "c-9", "lost": True})
    record.add({"message": "c-10", "id": "c-10", "sentAt": 1.0})
    assert (record.missing, record.loss_notices, record.position) == (3, 1, Position("c", 10))
    record.add({"message": "gone", "id": "c-5", "lost": True})
    record.add({"message": "c-10", "id": "c-10", "sentAt": 1.0})
    # c-6 to c-9 are missing now, and c-10 is a duplicate.
    assert (record.duplicates, record.missing) == (3, 7)
    record.add({"client": "c", "id": "c-12"})
    assert record.missing == 8


async def test_clients_that_join_late_have_the_whole_past(tmp_path: Path) -> None:
    """On both servers of a deployment, while values are published: no gap, and nothing twice."""
    reports, _ = await rewind(tmp_path, number=20, seconds=1.5)
    assert faults(reports) == []
    assert all(report.connections == report.clients == 20 for report in reports.values())


async def test_nothing_is_missed_while_everything_breaks(tmp_path: Path) -> None:
    """A server and Redis are killed and restarted, and connections are cut."""
    reports = await chaos(tmp_path, number=10, seconds=6.0, away=1.5)
    assert faults(reports) == []
    assert [report.loss_notices for report in reports.values()] == [0, 0]


async def test_every_client_gets_a_loss_notice_when_redis_lost_its_data(tmp_path: Path) -> None:
    """No client resumes silently."""
    reports = await chaos(tmp_path, number=10, seconds=6.0, away=1.5, flush=True)
    assert faults(reports) == []
    assert [report.without_loss_notice for report in reports.values()] == [0, 0]


async def test_leader_that_was_paused_publishes_nothing_twice(tmp_path: Path) -> None:
    """Another server leads meanwhile and continues the count; `paused_leader` finds skipped numbers."""
    reports, _gap = await paused_leader(tmp_path, number=10, seconds=5.0)
    assert faults(reports) == []


@pytest.mark.parametrize("step", [kill_a_worker, replace_workers])
async def test_clients_of_a_worker_that_ends_resume(tmp_path: Path, step: Step) -> None:
    """The worker is replaced, and no attempt to connect fails meanwhile."""
    reports = await workers(tmp_path, step, number=20)
    assert faults(reports) == []
    assert [report.failed_attempts for report in reports.values()] == [0, 0]
    assert sum(report.connections for report in reports.values()) > 40
