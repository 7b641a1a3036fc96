"""A slot keeps one worker running, also when workers die, hang or do not start."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rtdemo.server import sockets, worker_process
from rtdemo.server import workers as workers_module
from rtdemo.server.worker_process import WorkerLauncher
from rtdemo.server.workers import WorkerSlot
from rtdemo.timing import backoff
from tests.clients import eventually

WORKER = """
import json, os, socket, time

handover = json.loads(os.environ["RTDEMO_WORKER"])
while os.path.exists(handover["folder"] + "/hold"):
    time.sleep(0.01)
listening = socket.socket(socket.AF_UNIX)
listening.bind(f"{handover['folder']}/{os.getpid()}.sock")
listening.listen()
os.write(handover["ready"], b"1")
for _ in range(1000):
    asking, _ = listening.accept()
    asking.recv(1000)
    open(handover["folder"] + "/asked", "a").write(".")
    try:
        asking.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n")
    except OSError:
        pass  # on a busy machine the health check has timed out before this answer
    asking.close()
"""


FAILED_CHECKS = 20
"""Health checks without an answer, in all 2 s, after which a worker that hangs is killed."""


@pytest.fixture
async def slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerSlot]:
    """A supervised slot; its workers serve as soon as there is no file `hold`."""
    monkeypatch.setattr(workers_module, "STEADY_S", 0.0)
    monkeypatch.setattr(worker_process, "HEALTH_CHECK_INTERVAL_S", 0.1)
    # On a busy machine a healthy worker may not run for seconds.
    monkeypatch.setattr(worker_process, "MAX_FAILED_HEALTH_CHECKS", 1_000_000)
    parent_pipe = sockets.pipe()
    command = [sys.executable, "-c", WORKER]
    addresses = {"": ("127.0.0.1", 0)}
    folder = tmp_path / "workers"
    launcher = WorkerLauncher(command, addresses, addresses, folder, parent_pipe.read)
    slot = WorkerSlot(0, launcher)
    assert await slot.start() is None
    supervising = asyncio.ensure_future(slot.supervise())
    yield slot
    supervising.cancel()
    await asyncio.wait({supervising})
    await slot.stop()
    parent_pipe.close()


def children() -> set[int]:
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {int(pid) for pid in found if _is_worker(pid)}


def _is_worker(pid: str) -> bool:
    """Return whether a process is a worker: other tests of this process start browsers and more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and b"RTDEMO_WORKER=" in Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_worker_that_dies_while_it_is_replaced_has_one_successor(
    slot: WorkerSlot, tmp_path: Path
) -> None:
    (first,) = children()
    (tmp_path / "workers/hold").touch()
    replacing = asyncio.ensure_future(slot.replace())
    await eventually(lambda: len(children()) == 2)
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: first not in children())
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert len(children()) == 1
    (tmp_path / "workers/hold").unlink()
    assert await replacing
    (second,) = children()
    os.kill(second, signal.SIGKILL)
    await eventually(lambda: len(children()) == 1 and second not in children())


async def test_successor_that_does_not_serve_is_given_up(
    slot: WorkerSlot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is stopped, with one line in the log; the worker keeps running, and a later try may succeed."""
    monkeypatch.setattr(worker_process, "START_TIMEOUT_S", 0.1)
    before = children()
    (tmp_path / "workers/hold").touch()
    with caplog.at_level(logging.ERROR):
        assert not await slot.replace()
    assert [record.getMessage() for record in caplog.records] == [
        "worker 0 cannot start: a worker did not serve within 0.1 s and was stopped"
    ]
    assert children() == before
    monkeypatch.undo()
    (tmp_path / "workers/hold").unlink()
    assert await slot.replace()
    assert len(children()) == 1
    assert children() != before


async def test_signal_without_a_name_ends_one_worker_alone(
    slot: WorkerSlot, caplog: pytest.LogCaptureFixture
) -> None:
    """Real-time signals have no name."""
    (first,) = children()
    os.kill(first, signal.SIGRTMIN + 3)
    await eventually(lambda: len(children()) == 1 and first not in children())
    assert f"process {first}) was ended by signal {signal.SIGRTMIN + 3}" in caplog.text


async def test_supervision_survives_an_unexpected_error(
    slot: WorkerSlot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = children()
    monkeypatch.setattr(backoff, "FIRST_RETRY_S", 0.01)
    with monkeypatch.context() as patched:
        patched.setattr(WorkerLauncher, "clean_up", lambda launcher, process: 1 / 0)
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: "supervising worker 0 failed; retrying" in caplog.text)
    await eventually(lambda: len(children()) == 1 and first not in children())


async def test_successor_that_is_killed_while_it_starts_is_logged(
    slot: WorkerSlot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = children()
    (tmp_path / "workers/hold").touch()
    replacing = asyncio.ensure_future(slot.replace())
    await eventually(lambda: len(children()) == 2)
    (successor,) = children() - before
    os.kill(successor, signal.SIGKILL)
    assert not await replacing
    assert f"worker 0 (process {successor}) was ended by SIGKILL while it started" in caplog.text


async def test_worker_that_hangs_is_replaced(
    slot: WorkerSlot, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that answers keeps running; for one that hangs, the log has one line."""
    (first,) = children()
    asked = tmp_path / "workers/asked"
    monkeypatch.setattr(worker_process, "MAX_FAILED_HEALTH_CHECKS", 2 * FAILED_CHECKS)
    await eventually(lambda: asked.exists() and asked.stat().st_size > 2 * FAILED_CHECKS + 1)
    assert children() == {first}
    monkeypatch.setattr(worker_process, "MAX_FAILED_HEALTH_CHECKS", FAILED_CHECKS)
    os.kill(first, signal.SIGSTOP)
    await eventually(lambda: len(children()) == 1 and first not in children())
    lines = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert lines == [f"worker 0 (process {first}) did not answer for 2 s and was killed"]


async def test_deleted_folder_is_created_again(slot: WorkerSlot, tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    shutil.rmtree(folder)
    assert await slot.replace()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(list(folder.glob("*.sock"))) == 1


async def test_folder_of_another_user_is_not_used(
    slot: WorkerSlot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its owner could impersonate a worker."""
    shutil.rmtree(tmp_path / "workers")
    (tmp_path / "workers").symlink_to("/")
    assert not await slot.replace()
    assert "belongs to another user; restart" in caplog.text
