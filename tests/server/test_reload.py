"""Reload: a changed plugin is replaced, and no connection is closed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rtdemo.server.reload import Reloader
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import eventually
from tests.conftest import Connect, Start

CODE = "from rtdemo import producer\n@producer(every=1{traits})\ndef dice():\n    return {text!r}\n"


@pytest.fixture
def dice(tmp_path: Path) -> Path:
    path = tmp_path / "dice.py"
    path.write_text(CODE.format(traits="", text="first"))
    return path


@pytest.fixture
async def served(start: Start, dice: Path) -> Server:
    return await start(files=(dice,), without=("message", "status", "broadcast"))


@pytest.fixture
def reloader(served: Server) -> Reloader:
    return Reloader(served.hub, served.discover)


async def plugin(server: Server, name: str) -> dict[str, Any] | None:
    """Return what the API tells of a plugin; None if it is not listed."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        plugins: list[dict[str, Any]] = (await http.get("/api/plugins")).json()
    return next((each for each in plugins if each["name"] == name), None)


async def plugin_error(server: Server) -> str | None:
    dice = await plugin(server, "dice")
    assert dice is not None
    assert dice["loaded"] is True
    error: str | None = dice["error"]
    return error


async def test_changed_file_is_live_on_open_connections(
    served: Server, reloader: Reloader, connect: Connect, clock: VirtualClock, transport: str, dice: Path
) -> None:
    """The old producers stop and the new ones start; producers that run at connect do not repeat."""
    peer = await connect(served, transport)
    clock.advance(1)
    assert (await peer.receive())["message"] == "first"
    dice.write_text(CODE.format(traits="", text="second"))
    reloader.apply([dice])
    clock.advance(1)
    message = await peer.receive()
    assert (message["message"], message["seq"]) == ("second", 2)
    assert served.hub.schedule.ticks == 1


async def test_change_within_a_second_is_live_where_bytecode_is_kept(
    served: Server,
    reloader: Reloader,
    connect: Connect,
    clock: VirtualClock,
    dice: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of the same size and second of change is compiled again, and no bytecode is written."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    peer = await connect(served, "websocket")
    for text in ("one", "two"):
        dice.write_text(CODE.format(traits="", text=text))
        os.utime(dice, (1_000_000_000, 1_000_000_000))
        reloader.apply([dice])
        clock.advance(1)
        assert (await peer.receive())["message"] == text
    assert not (dice.parent / "__pycache__").exists()


@pytest.mark.parametrize(
    "broken",
    [
        "def broken(:\n",
        "from rtdemo import hookimpl, producer\n@hookimpl\ndef recieve(text): ...\n",
        "raise SystemExit\n",
    ],
)
async def test_error_keeps_the_old_one_running_and_is_shown(
    served: Server, reloader: Reloader, connect: Connect, clock: VirtualClock, dice: Path, broken: str
) -> None:
    """The error is in the log and in /api/plugins until the file is repaired."""
    peer = await connect(served, "sse")
    dice.write_text(broken)
    reloader.apply([dice])
    assert await plugin_error(served)
    clock.advance(1)
    assert (await peer.receive())["message"] == "first"
    dice.write_text(CODE.format(traits="", text="repaired"))
    reloader.apply([dice])
    assert await plugin_error(served) is None
    clock.advance(1)
    assert (await peer.receive())["message"] == "repaired"


async def test_plugin_that_was_never_loaded_is_shown(
    start: Start, dice: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From the start, and after a reload, until it is mended or gone. There is no earlier version."""
    dice.write_text("def broken(:\n")
    served = await start(files=(dice,))
    reloader = Reloader(served.hub, served.discover)
    for name, file in (("dice", dice), ("late", tmp_path / "late.py")):
        if name == "late":
            file.write_text("1 / 0\n")
            served.files.append(file)
            reloader.apply([file])
            assert "ZeroDivisionError: division by zero; it is not loaded" in caplog.text
        listed = await plugin(served, name)
        assert listed is not None
        assert (listed["loaded"], listed["origin"]) == (False, str(file))
        assert listed["error"].startswith("line 1")
    dice.write_text(CODE.format(traits="", text="mended"))
    reloader.apply([dice])
    assert await plugin_error(served) is None
    served.files.remove(tmp_path / "late.py")
    reloader.apply([tmp_path / "late.py"])
    assert await plugin(served, "late") is None


async def test_plugin_that_comes_and_goes(
    served: Server, reloader: Reloader, connect: Connect, clock: VirtualClock, dice: Path
) -> None:
    """The producers of a deleted file stop; they run again when it is back, also shared ones."""
    peer = await connect(served, "websocket")
    dice.unlink()
    served.files.clear()
    reloader.apply([dice])
    assert served.hub.schedule.ticks == 0
    dice.write_text(CODE.format(traits=", shared=True", text="shared"))
    served.files.append(dice)
    reloader.apply([dice])
    clock.advance(1)
    assert (await peer.receive())["message"] == "shared"
    dice.write_text(CODE.format(traits=", shared=True", text="again"))
    reloader.apply([dice])
    clock.advance(1)
    assert (await peer.receive())["message"] == "again"
    assert served.hub.schedule.ticks == 1


@pytest.mark.uncovered
async def test_ten_reloads_with_500_connections_leak_nothing(
    served: Server, reloader: Reloader, clock: VirtualClock, connect: Connect, dice: Path
) -> None:
    """No connection is closed, and no tick or task remains."""
    peers = [await connect(served, "websocket") for _ in range(500)]
    tasks = len(asyncio.all_tasks())
    for edit in range(10):
        dice.write_text(CODE.format(traits="", text=f"edit {edit}"))
        reloader.apply([dice])
    clock.advance(1)
    for peer in peers:
        assert (await peer.receive())["message"] == "edit 9"
    assert len(served.hub) == 500
    assert served.hub.schedule.ticks == 500
    assert len(asyncio.all_tasks()) <= tasks


async def test_reload_flag_watches_the_files(
    start: Start, connect: Connect, clock: VirtualClock, dice: Path
) -> None:
    """With --reload, a saved file is loaded again."""
    server = await start(files=(dice,), reload=True)
    supervisors = server.plugins.registry.find("dice")

    def is_reloaded() -> bool:
        # The watch begins a moment after the start: an earlier save has no effect.
        dice.write_text(CODE.format(traits="", text="reloaded"))
        return server.plugins.registry.find("dice") != supervisors

    await eventually(is_reloaded)
    peer = await connect(server, "sse", "producers=dice")
    clock.advance(1)
    assert (await peer.receive())["message"] == "reloaded"


async def test_log_in_a_watched_folder_is_no_change(
    start: Start, dice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose log is in the folder would look at all its plugins after each line."""
    applied: list[set[str]] = []

    def apply(_reloader: Reloader, changed: Iterable[Path]) -> None:
        applied.append({path.name for path in changed})

    monkeypatch.setattr(Reloader, "apply", apply)
    await start(files=(dice,), reload=True)

    def is_noticed() -> bool:
        dice.with_name("server.log").write_text("a line")
        dice.write_text(CODE.format(traits="", text="reloaded"))
        return bool(applied)

    await eventually(is_noticed)
    assert applied[0] == {dice.name}


async def test_enabling_a_producer(
    start: Start, dice: Path, clock: VirtualClock, connect: Connect
) -> None:
    """Local users may enable a producer; clients of a proxy and foreign pages may not."""
    dice.write_text("from rtdemo import producer\n@producer(every=1)\ndef dice(): raise OSError\n")
    server = await start(files=(dice,))
    await connect(server, "sse")
    clock.advance(3600)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        path = "/api/producers/dice/enable"
        forwarded = await http.post(path, headers={"X-Forwarded-For": "10.0.0.1"})
        foreign = await http.post(path, headers={"Origin": "https://evil.example"})
        absent = await http.post("/api/producers/nix/enable")
        assert server.plugins.registry.find("dice")[0].state == "disabled"
        allowed = await http.post(path)
    assert [forwarded.status_code, foreign.status_code, absent.status_code] == [403, 403, 404]
    assert (allowed.status_code, allowed.json()[0]["state"]) == (200, "running")


async def test_admin_token(start: Start) -> None:
    """If an admin token is set, local users need it too."""
    server = await start(admin_token="s3cret")
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        path = "/api/producers/message/enable"
        without = await http.post(path)
        wrong = await http.post(path, headers={"Authorization": "Bearer wrong"})
        right = await http.post(path, headers={"Authorization": "Bearer s3cret"})
    assert [without.status_code, wrong.status_code, right.status_code] == [401, 401, 200]
    assert without.headers["WWW-Authenticate"] == "Bearer"
