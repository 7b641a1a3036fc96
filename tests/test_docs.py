"""What the documentation of plugins shows works: each block of code runs, each command exists."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import httpx
import pytest

from rtdemo.cli import main
from rtdemo.testing import LiveServer, Peer, serve
from tests.clients import eventually
from tests.conftest import Start
from tests.markdown import DOCS, Block, blocks

ROOT = DOCS.parent
PYTHON = blocks("plugins.md", "python")
TESTS = [block for block in PYTHON if block.name.startswith("test_")]
WRONG = [block for block in PYTHON if block.says.startswith("plugin ")]
PLUGINS = [block for block in PYTHON if block not in TESTS and block not in WRONG]
COMMANDS = [
    command
    for document in ("plugins.md", "examples.md")
    for block in blocks(document, "console")
    for line in block.commands
    for command in line.split(" && ")
]
TEXTS = ("shout hello", "is anybody there?", "bravo")
"""Texts of a client that make each `receive` in the documentation answer."""


def place(block: Block) -> str:
    return block.name or block.place


def words(command: str) -> tuple[dict[str, str], list[str]]:
    """Split a command into the variables before it and its words."""
    parts = shlex.split(command)
    given = [part for part in parts if re.match(r"[A-Z_]+=", part)]
    return dict(part.split("=", 1) for part in given), parts[len(given) :]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every file of the tutorial, as its reader has it."""
    monkeypatch.chdir(tmp_path)
    for block in PYTHON:
        (tmp_path / block.name).write_text(block.text, encoding="utf-8")
    return tmp_path


def test_every_block_of_python_says_which_file_it_is() -> None:
    """And no two say the same, so that each is tested."""
    names = [block.name for block in PYTHON]
    assert [block.place for block in PYTHON if not block.name] == []
    assert len(set(names)) == len(names) > 15


@pytest.mark.parametrize("block", PLUGINS, ids=place)
async def test_plugin_in_the_documentation_works(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It loads, each of its producers is heard over each transport, its hooks answer, and none fails."""
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
                await heard(live, Path(block.name).stem, peer)
            await live.leave_all()
            await eventually(lambda: len(live.server.hub) == 0)
            accounts = live.server.plugins.registry.accounts
    assert [record.getMessage() for record in caplog.records] == []
    assert [account.last_error for account in accounts if account.last_error] == []


async def heard(live: LiveServer, name: str, peer: Peer) -> None:
    """Wait until each producer of a plugin was heard, and its answer where it gives one."""
    plugins = live.server.plugins
    expected = {a.producer.name for a in plugins.registry.accounts if a.plugin == name}
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
async def test_mistake_in_the_documentation_is_told_in_its_words(
    block: Block, folder: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, as it stands under the mistake, and the built-in producers are there."""
    path = folder / block.name
    server = await start(files=(path,))
    told = [record.getMessage().replace(str(path), path.name) for record in caplog.records]
    assert [line for line in told if line.removesuffix("; it is left out") == block.says]
    assert len(told) == 1
    assert server.plugins.registry.find("status")


@pytest.mark.parametrize("block", TESTS, ids=place)
def test_test_in_the_documentation_passes(block: Block, folder: Path) -> None:
    """It runs beside the plugins that it tests, as its reader would run it."""
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


@pytest.mark.parametrize("command", COMMANDS)
async def test_command_in_the_documentation_exists(command: str, folder: Path, start: Start) -> None:
    """The command line is one, the server answers what curl asks, and files were shown before."""
    _, (program, *arguments) = words(command)
    match program:
        case "rtdemo":
            parse(arguments)
        case "curl":
            await ask(arguments, folder, start)
        case _:
            assert program in ("cd", "pip", "pytest", "python", "twine")


def parse(arguments: list[str]) -> None:
    """Take a command line as rtdemo does, without running it."""
    files = [Path(argument) for argument in arguments if argument.endswith(".py")]
    assert [file for file in files if not (file.exists() or (ROOT / file).exists())] == []
    command: click.Command = main.rtdemo
    context = command.make_context("rtdemo", list(arguments))
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, found.make_context(name, rest, parent=context)
    # `rtdemo plugins nwe` would be taken for a plugin file of that name.
    named = context.params.get("files", ())
    assert [file for file in named if file.suffix != ".py"] == []


async def ask(arguments: list[str], folder: Path, start: Start) -> None:
    """Send what curl would send to a server with the tutorial's plugins."""
    method, headers, address = "GET", {}, ""
    rest = iter(arguments)
    for argument in rest:
        if argument == "-X":
            method = next(rest)
        elif argument == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif argument != "-N":
            address = argument
    token = headers.get("Authorization", "").removeprefix("Bearer ")
    server = await start(files=(folder / "dice.py", folder / "greeter.py"), admin_token=token)
    url = address.replace("localhost:3000", server.web_url, 1)
    async with httpx.AsyncClient() as http, http.stream(method, url, headers=headers) as answer:
        assert answer.status_code == 200


def test_entry_point_in_the_documentation_is_one() -> None:
    """TOML that Python reads, with the group that rtdemo looks in."""
    (block,) = blocks("plugins.md", "toml")
    points = tomllib.loads(block.text)["project"]["entry-points"]
    assert points == {"rtdemo": {"weather": "rtdemo_weather"}}
