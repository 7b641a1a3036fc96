"""README.md and docs/publish.md: the programs that publish do what the pages say."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtdemo.server.server import Server
from tests.conftest import Connect
from tests.docs.markdown import blocks
from tests.publisher.programs import running

SHOWN = {block.name for page in ("README.md", "docs/publish.md") for block in blocks(page, "python")} - {
    ""
}
VALUES: dict[str, list[object]] = {
    "loss.py": [1.0, 1 / 2, 1 / 3],
    "train.py": [0.12, {"temperature": 21.5, "humidity": 40}, "epoch 3 has begun"],
    "ride.py": [{"speed": 3.5, "altitude": 120}, {"speed": 4}],
    "service.py": [0.12],
}
"""By the file's name: the first values that arrive; a text has none, and stands for itself."""


def test_every_program_is_tested() -> None:
    """The test below has its values."""
    assert set(VALUES) == SHOWN


@pytest.mark.parametrize("name", VALUES)
async def test_program_of_the_page(name: str, folder: Path, server: Server, connect: Connect) -> None:
    """What it publishes arrives, in order."""
    (folder / "ride.csv").write_text("date,speed,altitude\n2026-01-01,3.5,120\n2026-01-02,4,\n")
    peer = await connect(server, "sse")
    async with running(server.web_url, name):
        got = [await peer.receive() for _ in VALUES[name]]
    assert [message.get("value", message["message"]) for message in got] == VALUES[name]
