"""What each command imports. The rest would only make it start later."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO

import httpx
import pytest

from rtdemo.cli.main import COMMANDS

FREE = ("--host", "127.0.0.1", "--port", "0", "--websocket-host", "127.0.0.1", "--websocket-port", "0")
ROOT = Path(__file__).parents[2]
NETWORK = {
    *("aiohttp", "redis", "uvloop", "rtdemo.web", "rtdemo.server", "rtdemo.lab", "rtdemo.testing"),
    "rtdemo.client",
}
UNUSED_BY_SERVER = {
    *("redis", "rtdemo.engine.redis", "rtdemo.lab", "rtdemo.testing", "rtdemo.client", "rich"),
    # Only for login.
    *("jwt", "cryptography", "rtdemo.web.tokens"),
    # Only for a client that asks for the documents.
    *("rtdemo.web.specification.openapi", "rtdemo.web.specification.asyncapi"),
    # Only for --reload, several workers, installed plugins.
    *("watchfiles", "rtdemo.server.workers", "packaging"),
}


def started(*arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start `python -m rtdemo` with a line on standard error for each import."""
    return subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "rtdemo", *arguments],
        cwd=cwd or ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def imported(errors: str) -> set[str]:
    """Return the modules that a process has imported."""
    return set(re.findall(r"^import time:.*\| +(\S+)$", errors, re.MULTILINE))


def first_line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@pytest.mark.parametrize("line", ["--help", "--version", "serve --help", "plugins list"])
def test_command_without_network_imports_no_network_library(line: str) -> None:
    """Nor the server, nor the clients that measure one."""
    process = started(*line.split())
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "rtdemo.cli.main" in imported(errors)
    assert imported(errors) & NETWORK == set()


def test_help_imports_no_command() -> None:
    """It has their names and one line about each, from one table."""
    output, errors = started("--help").communicate(timeout=60)
    assert imported(errors) & {f"rtdemo.cli.{name}" for name in COMMANDS} == set()
    for name, summary in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", output, re.MULTILINE)


def test_server_imports_only_what_it_uses(tmp_path: Path) -> None:
    """With the memory engine and one process, after it has answered a request."""
    process = started("serve", *FREE, cwd=tmp_path)
    try:
        page = first_line(process.stdout).split()[-1]
        assert httpx.get(f"{page}healthz").status_code == 200
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert {"aiohttp", "rtdemo.server.server"} <= imported(errors)
    assert imported(errors) & UNUSED_BY_SERVER == set()
