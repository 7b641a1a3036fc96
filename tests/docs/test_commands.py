"""Every command on every page exists, and its output is what the program prints."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import click
import httpx
import pytest

from rtdemo.cli import main as cli
from tests.conftest import Start
from tests.docs.commands import (
    OMITTED,
    label_of,
    program_texts,
    samples,
    steps,
    unexpected,
    words,
    words_of,
)
from tests.docs.markdown import DOCUMENTS, ROOT, Sample, blocks

SAMPLES = samples()
COMMANDS = sorted({step for sample in SAMPLES for step in steps(sample.command)})
REQUESTS = [command for command in COMMANDS if command.startswith("curl ")]
SHOWN = [sample for sample in SAMPLES if any(line.strip() for line in sample.output)]
MEASURED = [s for s in SHOWN if re.match(r"rtdemo (doctor|bench|conform|storm)\b", s.command)]
"""Their figures and findings depend on the machine and take minutes: only their wording is checked."""
RUN = [sample for sample in SHOWN if sample not in MEASURED]
OTHER_PROGRAMS = {
    *(
        ".",
        "awk",
        "cd",
        "cp",
        "cut",
        "docker",
        "git",
        "heroku",
        "kubectl",
        "node",
        "npm",
        "pip",
        "pytest",
        "python3",
    ),
    *("systemctl", "tail", "twine", "vmstat", "while", "/opt/rtdemo/bin/pip"),
}
"""Programs of others and words of the shell that the pages use."""
MORE = 10
"""Lines that are read beyond those of a sample, for its `...`, before it counts as wrong."""
DIGEST = re.compile(r"\b[0-9a-f]{12}\b")
"""In the addresses of the page's files; it changes with them."""
NAMES = {"localhost", "http", "Upgrade", "Required", "app", "static"}
"""Words of addresses, and of HTTP's own sentences."""


def place(sample: Sample) -> str:
    return f"{sample.place} {sample.command}"


def test_there_are_samples_of_each_kind() -> None:
    """Otherwise the tests below would test nothing."""
    assert len(COMMANDS) > 40
    assert len(REQUESTS) > 8
    assert len(RUN) > 8
    assert len(MEASURED) > 1


@pytest.mark.usefixtures("folder")
def test_commands_exist() -> None:
    """The command line is accepted by rtdemo, a target by make."""
    for command in COMMANDS:
        if command not in REQUESTS:
            check(*words(command.removeprefix("sudo "))[1])


@pytest.mark.parametrize("command", REQUESTS)
async def test_request_is_accepted(command: str, folder: Path, start: Start) -> None:
    """The server's answer to what curl would send is 200."""
    await ask(words(command)[1][1:], folder, start)


def check(program: str, *arguments: str) -> None:
    match program:
        case "rtdemo" | ".venv/bin/rtdemo":
            parse(list(arguments))
        case "make":
            targets = [argument for argument in arguments if "=" not in argument]
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert [target for target in targets if f"\n{target}:" not in makefile] == []
        case "python" | ".venv/bin/python":
            if arguments[0] == "-m":
                assert arguments[1] == "build" or importlib.util.find_spec(arguments[1])
            else:
                assert Path(arguments[0]).exists() or (ROOT / arguments[0]).exists()
        case _:
            assert program in OTHER_PROGRAMS


def parse(arguments: list[str]) -> None:
    """Parse a command line as rtdemo does, without running it."""
    files = [Path(argument) for argument in arguments if argument.endswith(".py")]
    assert [file for file in files if not (file.exists() or (ROOT / file).exists())] == []
    command: click.Command = cli.rtdemo
    context = command.make_context("rtdemo", list(arguments))
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, found.make_context(name, rest, parent=context)
    # `rtdemo plugins nwe` would be taken for a plugin file of that name.
    named = context.params.get("files", ())
    assert [file for file in named if file.suffix != ".py"] == []


async def standard_input() -> AsyncIterator[bytes]:
    yield b'{"value": 1.5}\n'


def request(arguments: list[str], url: str) -> httpx.Request:
    """Return the request that curl would send, to the server at `url`."""
    method, headers, address = "GET", {}, ""
    body: str | AsyncIterator[bytes] = ""
    rest = iter(arguments)
    for argument in rest:
        if argument == "-X":
            method = next(rest)
        elif argument == "-H":
            given = next(rest)
            # With @ it is the name of a file of the reader's.
            if not given.startswith("@"):
                name, _, value = given.partition(": ")
                headers[name] = value
        elif argument == "-d":
            method, body = "POST", next(rest)
        elif argument == "-T":
            # It reads standard input, and sends that in chunks, without a content type.
            assert next(rest) == "-"
            method, body = "PUT", standard_input()
        elif argument not in ("-N", "-f"):
            address = argument.removeprefix("http://")
    return httpx.Request(
        method, address.replace("localhost:3000", url, 1), headers=headers, content=body
    )


async def ask(arguments: list[str], folder: Path, start: Start) -> None:
    """Send what curl would send, to a server with the tutorial's plugins."""
    authorization = re.search(r"Bearer (\S+)", " ".join(arguments))
    token = authorization[1] if authorization else ""
    files = (folder / "dice.py", folder / "greeter.py")
    server = await start(files, without=(), admin_token=token, publish_token=token)
    async with httpx.AsyncClient() as http:
        answer = await http.send(request(arguments, server.web_url), stream=True)
        assert answer.status_code == 200
        await answer.aclose()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of one server for all samples, with the plugins that they use."""
    folder = tmp_path_factory.mktemp("plugins")
    names = ("dice.py", "greeter.py")
    for block in (block for document in DOCUMENTS for block in blocks(document, "python")):
        if block.name in names:
            (folder / block.name).write_text(block.text, encoding="utf-8")
    with printed_by(["serve", *names], folder) as lines:
        yield next(lines).split("//")[1].rstrip("/")


@contextmanager
def printed_by(arguments: list[str], folder: Path) -> Iterator[Iterator[str]]:
    """Run rtdemo on free ports of 127.0.0.1; give its lines as they come, and end it."""
    sites = {"HOST": "127.0.0.1", "PORT": "0", "WEBSOCKET_HOST": "127.0.0.1", "WEBSOCKET_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "rtdemo", *arguments],
        cwd=folder,
        env=os.environ | sites | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield (line.rstrip("\n").replace("127.0.0.1", "localhost") for line in process.stdout)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def printed(sample: Sample, address: str, folder: Path) -> Iterator[Iterator[str]]:
    """Run the command of a sample, against the server at `address`; give its lines as they come."""
    _, (program, *arguments) = words(sample.command)
    if program == "curl":
        asked = request(arguments, f"http://{address}")
        with httpx.Client() as http, contextlib.closing(http.send(asked, stream=True)) as answer:
            yield answer.iter_lines()
        return
    arguments = [argument.replace("localhost:3000", address) for argument in arguments]
    if program == "make":
        arguments = ["serve"]
    elif arguments[0] == "publish" and "--to" not in arguments:
        arguments += ["--to", f"http://{address}"]
    with printed_by(arguments, folder) as lines:
        yield lines


@pytest.mark.parametrize("sample", RUN, ids=place)
def test_output_is_what_the_program_prints(sample: Sample, address: str, folder: Path) -> None:
    """Line by line, except for numbers and ids; where a page has `...`, lines may be left out."""
    lines: list[str] = []
    shown = [line for line in sample.output if line.strip()]
    with printed(sample, address, folder) as output:
        for line in islice(filter(str.strip, output), len(shown) + MORE):
            lines.append(line)
            if not unexpected(shown, lines):
                break
    assert not unexpected(shown, lines), "\n".join(["printed:", *lines])


@pytest.mark.parametrize("sample", MEASURED, ids=place)
def test_words_of_a_measurement_are_the_programs(sample: Sample) -> None:
    """Each check and figure has that name, and each word is in a text of the program."""
    texts = program_texts()
    known = set().union(*map(words_of, texts)) | NAMES
    shown = [DIGEST.sub("", line) for line in sample.output if line != OMITTED]
    labels = {label for line in shown if (label := label_of(line))}
    assert labels - texts == set()
    assert set().union(*map(words_of, shown)) - known == set()


def test_a_changed_output_is_found() -> None:
    """The comparison ignores numbers and lines left out, and nothing else."""
    printed = ["ok    page   200", "", "ok    clock  0.1 ms", "2 ok in 7 s"]
    assert unexpected(["ok page 404", OMITTED, "3 ok in 80 s"], printed) == ""
    assert unexpected(["ok page 404", "3 ok in 80 s"], printed) == "3 ok in 80 s"
    assert unexpected(["ok page 404", OMITTED, "3 bad in 80 s"], printed) == "3 bad in 80 s"
    assert unexpected(["fail page 404"], printed) == "fail page 404"
    assert label_of("warn  SSE idle cut  no cut") == "SSE idle cut"
    assert label_of("  rate kept      100.0  %") == "rate kept"
