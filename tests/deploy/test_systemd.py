"""The units of systemd: valid, confined, and their command serves on the socket that systemd passes."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import aiohttp
import pytest

from tests.deploy.files import ROOT, served_flags, served_variables
from tests.free_port import free_port
from tests.system_packages import SYSTEMD, require

DEPLOY = ROOT / "deploy"
INSTALLED = "/opt/rtdemo/bin/rtdemo"
"""The program in the unit, which docs/deploy.md installs there."""
MAX_EXPOSURE = 15
"""Exposure that `systemd-analyze security` may find, of 100. The unit of nginx in Debian has 95."""


def command() -> list[str]:
    """Return the words of the unit's command."""
    (line,) = re.findall(r"(?m)^ExecStart=(.*)$", (DEPLOY / "rtdemo.service").read_text())
    return shlex.split(line)


def service() -> RawConfigParser:
    unit = RawConfigParser(strict=False)
    unit.read(DEPLOY / "rtdemo.service")
    return unit


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units in a folder, with a program that exists."""
    for name in ("rtdemo.service", "rtdemo.socket"):
        text = (DEPLOY / name).read_text()
        (tmp_path / name).write_text(text.replace(INSTALLED, sys.executable))
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [require(SYSTEMD), *arguments]
    return subprocess.run(command, check=False, text=True, capture_output=True)


def test_units_are_valid(units: Path) -> None:
    """They are read without a warning."""
    found = analyze("verify", "--man=no", *map(str, units.glob("rtdemo.*")))
    assert [line for line in found.stderr.splitlines() if "rtdemo." in line] == []
    assert found.returncode == 0


def test_misspelt_directive_is_found(units: Path) -> None:
    """The check above can fail."""
    unit = units / "rtdemo.service"
    unit.write_text(unit.read_text().replace("NoNewPrivileges=", "NoNewPrivilege="))
    assert "Unknown key" in analyze("verify", "--man=no", str(unit)).stderr


def test_service_is_confined(units: Path) -> None:
    """By systemd's own measure."""
    unit = str(units / "rtdemo.service")
    found = analyze("security", "--offline=yes", f"--threshold={MAX_EXPOSURE}", unit)
    assert found.returncode == 0, found.stdout


def test_service_gives_the_server_time_to_drain() -> None:
    """SIGKILL comes after the drain and 5 s in which the process ends; only a parent gets SIGTERM."""
    unit = service()
    drain_s = int(served_variables()["RTDEMO_DRAIN_SECONDS"].strip("Default: ."))
    assert int(unit["Service"]["TimeoutStopSec"]) >= drain_s + 5
    assert unit["Service"]["KillMode"] == "mixed"


def test_settings_are_for_root_alone() -> None:
    """A `.env` in its folder would be read by the server too, as another user than root."""
    unit = service()["Service"]
    assert unit["EnvironmentFile"] == "-/etc/rtdemo/environment"
    assert unit["WorkingDirectory"] == "-/etc/rtdemo"
    text = (ROOT / "docs/deploy.md").read_text()
    assert "/etc/rtdemo/environment" in text
    assert "/etc/rtdemo/.env" not in text


def test_service_is_started_again_however_often_it_ends() -> None:
    """By default systemd gives up after five starts within 10 s."""
    unit = service()
    assert unit["Service"]["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_command_has_flags_of_the_program() -> None:
    """And starts it as the Procfile does."""
    program, *words = command()
    assert (program, words[:3]) == (INSTALLED, ["serve", "--single-site", "--production"])
    assert {word for word in words if word.startswith("--")} <= served_flags()


async def test_command_serves_on_the_socket_that_systemd_passes(tmp_path: Path) -> None:
    """Started by systemd's own program at the first connection, and ended by SIGTERM with 0."""
    port = free_port()
    activator = str(Path(require(SYSTEMD)).with_name("systemd-socket-activate"))
    process = await asyncio.create_subprocess_exec(
        activator,
        f"--listen=127.0.0.1:{port}",
        *(sys.executable, "-m", "rtdemo", *command()[1:]),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "RTDEMO_DRAIN_SECONDS": "0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert b"Listening" in await process.stderr.readline()
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                assert answer.status == 200
            async with http.ws_connect(f"http://127.0.0.1:{port}/ws") as socket:
                assert "established" in await socket.receive_str()
                process.terminate()
                while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
                assert socket.close_code == 1001
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
