"""The section `webhook` of docs/examples.md: a job's result on a card, by curl."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE

import pytest

from tests.conftest import Connect, Start
from tests.docs.markdown import blocks

PAGE = "docs/examples.md"
(COMMAND,) = (c for block in blocks(PAGE, "console") for c in block.commands if c.startswith("curl "))


async def run(command: str, token: str) -> tuple[int | None, str]:
    """Run a command line of the page as a shell does; return its exit code and its output."""
    environ = {**os.environ, "RTDEMO_PUBLISH_TOKEN": token}
    shell = await asyncio.create_subprocess_shell(command, stdout=PIPE, stderr=DEVNULL, env=environ)
    output, _ = await shell.communicate()
    return shell.returncode, output.decode()


async def test_command_of_the_page_publishes_a_result(start: Start, connect: Connect) -> None:
    """The value for the card, and the text for people."""
    server = await start(publish_token="s3cret")
    peer = await connect(server, "sse")
    command = COMMAND.replace("http://localhost:3000", server.web_url)
    code, output = await run(command, "s3cret")
    message = await peer.receive()
    assert (code, output) == (0, f'{{"positions":["{message["id"]}"]}}')
    assert message["producer"] == "build"
    assert message["value"] == {"passed": 812, "failed": 2}
    assert message["message"] == "main: 2 of 814 tests failed"


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_wrong_token_fails_the_job(start: Start, token: str) -> None:
    """The exit code is not 0, and nothing is published."""
    server = await start(publish_token="s3cret")
    code, _ = await run(COMMAND.replace("http://localhost:3000", server.web_url), token)
    assert code == 22
    assert server.hub.engine.log.last.offset == 0
