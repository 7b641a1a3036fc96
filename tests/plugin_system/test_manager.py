"""Finding, loading and calling plugins, and isolating them from each other."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from rtdemo import Client, Producer, hookimpl
from rtdemo.errors import PluginError
from rtdemo.plugin_system import hookspecs
from rtdemo.plugin_system.discovery import Source, discover
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.plugin_system.producer_registry import MAX_PRODUCERS
from rtdemo.protocol.close_reasons import Reason
from rtdemo.settings.folders import bundled
from rtdemo.testing import VirtualClock

BUILT_IN = {"broadcast", "chat", "echo", "message", "status", "welcome"}


@pytest.fixture
def manager(clock: VirtualClock) -> PluginManager:
    return PluginManager(clock.time)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without ./plugins."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, name: str, code: str) -> Path:
    path = folder / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(code))
    return path


def found(plugins_dir: str = "", *files: Path) -> dict[str, Source]:
    return {source.name: source for source in discover(plugins_dir, files)[0]}


def test_built_in_plugins_are_found_anywhere(elsewhere: Path) -> None:
    """They are part of the package, so they are found in any working directory."""
    assert set(found()) >= BUILT_IN


def test_plugins_folder_of_the_working_directory(elsewhere: Path) -> None:
    """./plugins is searched if it exists, except files with a name that begins with an underscore."""
    write(elsewhere / "plugins", "mine", "x = 1")
    write(elsewhere / "plugins", "_draft", "x = 1")
    assert set(found()) - BUILT_IN == {"mine"}


def test_later_replaces_earlier_by_name(elsewhere: Path) -> None:
    """A named file replaces one of the folder, which replaces a built-in one; a line reports each."""
    in_folder = write(elsewhere / "mine", "echo", "x = 1")
    named = write(elsewhere, "echo", "x = 2")
    sources, replaced = discover(str(in_folder.parent), [named])
    assert {s.name: s.origin for s in sources}["echo"] == str(named)
    assert [line for line in replaced if "'echo'" in line and "replaces" in line] == replaced
    assert len(replaced) == 2


def test_checkout_finds_its_own_plugins_once() -> None:
    """In the checkout, ./plugins is the built-in folder, and no replacement is reported."""
    assert discover("", [])[1] == []


def test_copy_of_a_built_in_plugin_replaces_nothing(elsewhere: Path) -> None:
    """A clone has the built-in plugins beside the installed ones; once one is changed, it replaces."""
    shutil.copytree(bundled("plugins"), elsewhere / "plugins")
    sources, replaced = discover("", [])
    assert {Path(source.origin).parent for source in sources} == {bundled("plugins")}
    assert replaced == []
    changed = elsewhere / "plugins" / "echo.py"
    changed.write_text(changed.read_text() + "\n")
    sources, replaced = discover("", [])
    assert {source.name: source.origin for source in sources}["echo"] == str(changed)
    assert len(replaced) == 1


def test_installed_distribution_is_found(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point of the group `rtdemo` is a plugin; its origin has the version."""
    write(
        elsewhere, "rtdemo_weather", "from rtdemo import producer\n@producer\ndef sky(): return 'blue'"
    )
    info = elsewhere / "rtdemo_weather-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rtdemo-weather\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[rtdemo]\nweather = rtdemo_weather\nbroken = rtdemo_absent\n"
    )
    monkeypatch.syspath_prepend(str(elsewhere))
    sources = found()
    assert sources["weather"].origin == "rtdemo-weather 1.2"
    manager = PluginManager(lambda: 0.0)
    (error,) = manager.load([sources["weather"], sources["broken"]])
    assert "plugin 'broken' (rtdemo-weather 1.2)" in str(error)
    assert manager.names(Client("sse")) == ["sky"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def broken(:\n", ["line 1", "SyntaxError"]),
        ("x = 1\nraise ValueError('no\\nway')", ["line 2 of bad.py", "ValueError: no way"]),
        ("import sys; sys.exit(3)", ["SystemExit"]),
        ("from rtdemo import producer\n@producer(every=-1)\ndef p(): ...", ["'p'", "every=-1"]),
        ("from rtdemo import producr", ["'producr'", "; did you mean 'producer'?"]),
        ("from rtdemo import telepathy", ["; the plugin may need a newer rtdemo than "]),
        (
            "from rtdemo import producer\n@producer(evry=1)\ndef p(): ...",
            ["line 2 of bad.py", "'evry'", "id you mean 'every'?"],
        ),
        ("from rtdemo import Producer\nProducer('p', print, qzx=1)", ["'qzx'"]),
        (
            "from rtdemo import hookimpl\n@hookimpl\ndef recieve(client, text): ...",
            ["'recieve'", "'receive'"],
        ),
        ("from rtdemo import hookimpl\n@hookimpl\ndef receive(client, txt): ...", ["receive", "txt"]),
        (
            "from rtdemo import hookimpl\n@hookimpl(wrapper=True)\ndef connected(client): yield",
            ["wrapper"],
        ),
    ],
)
def test_broken_plugin_is_one_line_and_the_others_load(
    manager: PluginManager, tmp_path: Path, code: str, words: list[str]
) -> None:
    """The line names the plugin, its file and the problem; none of its hooks stays registered."""
    bad = write(tmp_path, "bad", code)
    good = write(tmp_path, "good", "from rtdemo import producer\n@producer\ndef fine(): return 'x'")
    sources = found("", bad, good)
    (error,) = manager.load([sources["bad"], sources["good"]])
    line = str(error)
    assert "\n" not in line
    assert [word for word in ("'bad'", str(bad), *words) if word not in line] == []
    assert [plugin.name for plugin in manager.plugins] == ["good"]
    assert manager.hooks.implementations("receive") == []


def test_module_is_not_left_behind_after_an_error(manager: PluginManager, tmp_path: Path) -> None:
    """After a failed import, no half-initialised module stays in sys.modules."""
    manager.load([found("", write(tmp_path, "halfway", "raise OSError"))["halfway"]])
    assert "rtdemo_plugins.halfway" not in sys.modules


def test_second_producer_of_a_name_is_left_out_with_a_warning(
    manager: PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    """The first keeps the name; the warning names the producer and both plugins."""
    for name in ("one", "two"):
        manager.register(SimpleNamespace(p=Producer("same", lambda: "x")), name, "here")
    assert [supervisor.plugin for supervisor in manager.registry.supervisors] == ["one"]
    assert "'same'" in caplog.text
    assert "'one'" in caplog.text
    assert "'two'" in caplog.text


def test_one_name_may_differ_by_transport(manager: PluginManager) -> None:
    """A plugin may have two producers of one name, one per transport."""
    manager.register(
        SimpleNamespace(
            a=Producer("status", lambda: "ws", every=3, transports=["websocket"]),
            b=Producer("status", lambda: "sse", every=5, transports=["sse"]),
        ),
        "status",
        "here",
    )
    periods = {t: manager.producers_for(Client(t))[0][0].every for t in ("websocket", "sse")}
    assert periods == {"websocket": 3, "sse": 5}


def test_plugin_without_producer_and_hook_is_logged(
    manager: PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    """A forgotten decorator causes a warning."""
    manager.register(SimpleNamespace(cpu=lambda: "x"), "cpu", "cpu.py")
    assert "'cpu' (cpu.py) has no producer and no hook" in caplog.text


class Rooms:
    """A plugin that makes producers for each client, and records connects and disconnects."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self.events: list[tuple[str, object]] = []

    @hookimpl
    def producers(self, client: Client) -> list[Producer]:
        return [Producer(f"room {n}", lambda: client.remote, every=1) for n in range(self.count)]

    @hookimpl
    def connected(self, client: Client) -> None:
        self.events.append(("connected", client))

    @hookimpl
    def disconnected(self, client: Client, reason: Reason) -> None:
        self.events.append(("disconnected", reason))


def test_producer_of_a_hook_keeps_its_supervisor(manager: PluginManager) -> None:
    """The hook returns a new object at each connect; the runs are counted together."""
    manager.register(Rooms(), "rooms", "here")
    for remote in ("a", "b"):
        client = Client("sse", remote)
        ((producer, supervisor),) = manager.producers_for(client)
        supervisor.run(SimpleNamespace(producer=producer, client=client, backoff=None, emit=id))
    (supervisor,) = manager.registry.supervisors
    assert (supervisor.producer.name, supervisor.runs) == ("room 0", 2)


def test_number_of_producers_has_a_bound(
    manager: PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    """A hook that returns ever new names fills the list up to its bound; one line reports it."""
    manager.register(Rooms(MAX_PRODUCERS + 5), "rooms", "here")
    assert len(manager.producers_for(Client("sse"))) == MAX_PRODUCERS
    assert caplog.text.count("further ones are left out") == 1


class Endless:
    """A plugin whose generator of producers has no end."""

    @hookimpl
    def producers(self) -> Iterator[Producer]:
        while True:
            yield Producer("again", lambda: "x", every=1.0)


def test_producers_hook_without_an_end_is_a_failure(
    manager: PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not block the loop; the producers of other plugins count."""
    manager.register(Endless(), "endless", "here")
    manager.register(Rooms(), "rooms", "here")
    assert [p.name for p, _ in manager.producers_for(Client("sse"))] == ["room 0"]
    assert "returned over 2000 items; return fewer" in caplog.text


class Failing:
    """A plugin with hooks that all raise."""

    @hookimpl
    def producers(self) -> list[Producer]:
        raise RuntimeError("no producers")

    @hookimpl
    def receive(self) -> str:
        raise RuntimeError("no reply")

    @hookimpl
    def connected(self) -> None:
        raise RuntimeError("no connect")

    @hookimpl
    def disconnected(self) -> None:
        raise RuntimeError("no disconnect")


class WrongReply:
    """A plugin that replies with a number."""

    @hookimpl
    def receive(self) -> str:
        return 7  # type: ignore[return-value]  # the mistake under test


class AsyncReply:
    """A plugin that replies after a turn of the loop."""

    @hookimpl
    async def receive(self, text: str) -> str:
        await asyncio.sleep(0)
        return text.upper()


async def test_hook_that_raises_does_not_affect_other_plugins(
    manager: PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    """The first failure of each hook is logged with its traceback; the other plugins' results count."""
    rooms, client = Rooms(), Client("websocket")
    for name, plugin in (
        ("rooms", rooms),
        ("bad", Failing()),
        ("int", WrongReply()),
        ("up", AsyncReply()),
    ):
        manager.register(plugin, name, "here")
    replies: list[tuple[str, object]] = []

    async def send_reply(*arguments: object) -> None:
        replies.append(cast("tuple[str, object]", arguments))

    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            manager.hooks.connected(client)
            assert [p.name for p, _ in manager.producers_for(client)] == ["room 0"]
            rest = manager.hooks.receive(client, "hi", send_reply)
            assert rest is not None
            await rest
            manager.hooks.disconnected(client, Reason.CLIENT_LEFT)
    assert replies == [("up", "HI")] * 3
    assert rooms.events == [("connected", client), ("disconnected", Reason.CLIENT_LEFT)] * 3
    assert len(caplog.records) == 5
    assert all(record.exc_info for record in caplog.records)


def test_plugin_of_a_taken_name_is_refused(manager: PluginManager) -> None:
    """A second plugin cannot register under the same name."""
    manager.register(Rooms(), "rooms", "here")
    with pytest.raises(PluginError, match="rooms"):
        manager.register(Rooms(), "rooms", "there")


@pytest.mark.parametrize(
    "hook", ["producers", "shared_producers", "receive", "connected", "disconnected", "checks"]
)
def test_every_hook_is_specified_in_one_line(hook: str) -> None:
    """Each hook has a docstring of one line."""
    doc = getattr(hookspecs, hook).__doc__
    assert doc
    assert "\n" not in doc.strip()
