"""docs/write-a-plugin.md and docs/plugin-reference.md: each code block works as the page shows it."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rtdemo.testing import LiveServer, Peer, serve
from tests.clients import eventually
from tests.conftest import Start
from tests.docs.commands import words
from tests.docs.markdown import ROOT, Block, blocks

TUTORIAL = "docs/write-a-plugin.md"
REFERENCE = "docs/plugin-reference.md"
PYTHON = [block for document in (TUTORIAL, REFERENCE) for block in blocks(document, "python")]
TESTS = [block for block in PYTHON if block.name.startswith("test_")]
WRONG = [block for block in PYTHON if block.output.startswith("plugin ")]
PLUGINS = [block for block in PYTHON if block not in TESTS and block not in WRONG]
COMMANDS = [
    command
    for document in (TUTORIAL, REFERENCE)
    for block in blocks(document, "console")
    for command in block.commands
]
TEXTS = ("shout hello", "is anybody there?", "bravo")
"""Texts of a client that make each `receive` in the documentation answer."""


def place(block: Block) -> str:
    return block.name or block.place


def test_every_block_of_python_names_its_file() -> None:
    """No two blocks have the same name, so that each is tested."""
    names = [block.name for block in PYTHON]
    assert [block.place for block in PYTHON if not block.name] == []
    assert len(set(names)) == len(names) > 15


@pytest.mark.parametrize("block", PLUGINS, ids=place)
async def test_plugin_in_the_documentation_works(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It loads, each producer arrives over each transport, its hooks reply, and none fails."""
    # A busy machine may keep any step waiting for over 0.1 s, which is reported as a blocked loop.
    monkeypatch.setattr("rtdemo.plugin_system.supervisor.MAX_STEP_S", 60.0)
    for variables, command in map(words, COMMANDS):
        if block.name in command:
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING, "rtdemo"):
        async with serve(folder / block.name) as live:
            peers = [await live.connect("websocket"), await live.connect("sse")]
            for text in TEXTS:
                for peer in peers:
                    await peer.say(text)
            await live.advance(60)
            for peer in peers:
                await wait_for_producers(live, Path(block.name).stem, peer)
            await live.leave_all()
            await eventually(lambda: len(live.server.hub) == 0)
            supervisors = live.server.plugins.registry.supervisors
    assert [record.getMessage() for record in caplog.records] == []
    assert [s.last_error for s in supervisors if s.last_error] == []


async def wait_for_producers(live: LiveServer, name: str, peer: Peer) -> None:
    """Wait until a message of each producer of a plugin came, and its reply where it gives one."""
    plugins = live.server.plugins
    expected = {a.producer.name for a in plugins.registry.supervisors if a.plugin == name}
    (plugin,) = (plugin for plugin in plugins.plugins if plugin.name == name)
    if "receive" in plugin.hooks:
        expected.add(name)
    assert expected or plugin.hooks
    seen: set[str] = set()

    def has_all() -> bool:
        seen.update(message.producer for message in peer.take())
        return expected <= seen

    await eventually(has_all)


@pytest.mark.parametrize("block", WRONG, ids=place)
async def test_mistake_in_the_documentation_logs_the_line_below_it(
    block: Block, folder: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, the one in the block below, and the built-in producers are there."""
    path = folder / block.name
    server = await start(files=(path,))
    logged = [record.getMessage().replace(str(path), path.name) for record in caplog.records]
    ending = "; the server starts without this plugin"
    assert [line.removesuffix(ending) for line in logged] == [block.output]
    assert server.plugins.registry.find("status")


@pytest.mark.parametrize("block", TESTS, ids=place)
def test_test_in_the_documentation_passes(block: Block, folder: Path) -> None:
    """It runs in the folder of the plugins that it tests, as a reader would run it."""
    # The fixture as from an installed rtdemo, whether or not this one is installed.
    flags = ("-q", "-p", "no:cacheprovider", "-p", "no:rtdemo", "-p", "rtdemo.testing.pytest_plugin")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *flags, block.name],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"\d+ passed", ran.stdout)


def test_entry_point_in_the_documentation_is_valid() -> None:
    """It is TOML, with the group in which rtdemo searches."""
    (block,) = blocks(TUTORIAL, "toml")
    points = tomllib.loads(block.text)["project"]["entry-points"]
    assert points == {"rtdemo": {"weather": "rtdemo_weather"}}


@pytest.mark.parametrize("document", ["README.md", "docs/quick-start.md", TUTORIAL])
async def test_first_producer_of_a_page_has_the_way_to_count(document: str, folder: Path) -> None:
    """Below its function, which runs for each connection, is what lets a counter run once for all."""
    text = (ROOT / document).read_text()
    below = text[text.index("def dice():") :]
    found = re.search(r"`(@producer\(.*shared=True\))`", below)
    assert found is not None
    lines = ("from itertools import count", "from rtdemo import producer", "numbers = count(1)")
    code = "\n".join((*lines, found[1], "def counter():", "    return next(numbers)", ""))
    (folder / "counter.py").write_text(code)
    async with serve(folder / "counter.py") as live:
        peers = [await live.connect("websocket"), await live.connect("sse")]
        await live.advance(60)
        texts = [await texts_of_counter(peer) for peer in peers]
    assert texts == [["1", "2", "3"]] * 2


async def texts_of_counter(peer: Peer) -> list[str]:
    """Return the texts of the first three messages of the counter."""
    texts: list[str] = []
    while len(texts) < 3:
        message = await peer.receive()
        texts += [message.message] if message.producer == "counter" else []
    return texts
