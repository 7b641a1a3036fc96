"""The wheel and the sdist are complete and work where they are installed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import httpx
import pytest

from tests.release.contents import (
    copy_repository,
    sdist_names,
    sdist_problems,
    tracked,
    wheel_names,
    wheel_problems,
)

pytestmark = pytest.mark.timeout(300)  # the first test waits for the builds
ROOT = Path(__file__).parent.parent
FREE = ("--host", "127.0.0.1", "--port", "0", "--websocket-host", "127.0.0.1", "--websocket-port", "0")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an sdist and a wheel, built from a clean copy of the checkout."""
    base = tmp_path_factory.mktemp("dist")
    copy = base / "copy"
    copy_repository(copy)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(base / "out"), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    return base / "out"


def unpacked(archive: Path, target: Path) -> Path:
    if archive.suffix == ".whl":
        zipfile.ZipFile(archive).extractall(target)
        return target
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    (inside,) = target.iterdir()
    return inside


@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
async def test_installed_elsewhere_it_lists_its_plugins_and_serves(
    dist: Path, tmp_path: Path, pattern: str
) -> None:
    """Started in another folder, both find their plugins, templates and static files."""
    (archive,) = dist.glob(pattern)
    path = unpacked(archive, tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "rtdemo", *FREE),
        cwd=elsewhere,
        env={k: v for k, v in os.environ.items() if k not in ("PORT", "HOST")}
        | {"PYTHONPATH": str(path)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        lines = [(await process.stdout.readline()).decode() for _ in range(4)]
        assert lines[3].split(maxsplit=2)[2].strip() == "broadcast, chat, echo, message, status, welcome"
        async with httpx.AsyncClient(base_url=lines[0].split()[-1]) as http:
            page = await http.get("/")
            assert "WebSocket" in page.text
            assert (await http.get("/static/app.js")).status_code == 200
    finally:
        process.terminate()
        assert await process.wait() == 0


def test_archives_have_the_files_of_the_repository(dist: Path) -> None:
    """The wheel those that run, the sdist all but a checkout's own; neither has anything else."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    files = tracked()
    assert len(files) > 300
    assert wheel_problems(wheel_names(wheel), files) == []
    assert sdist_problems(sdist_names(sdist), files) == []


def test_locks_hold_hashes_and_no_address() -> None:
    """Every requirement is pinned with a hash; no registry is named."""
    locks = list(ROOT.glob("requirements*.txt"))
    assert len(locks) > 3
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text
        pins = [line for line in text.splitlines() if "==" in line]
        assert pins
        assert all(line.endswith("\\") for line in pins)
        # A pin without its extra is none to pip, which then installs nothing once a newer one is out.
        if lock.name in ("requirements.txt", "requirements-dev.txt"):
            assert any("redis[hiredis]==" in line for line in pins)
    assert (ROOT / ".python-version").read_text().strip() == "3.11"


def test_folder_beside_a_program_does_not_hide_the_package(tmp_path: Path) -> None:
    """The clone has the package's name, and a program may be beside it."""
    (tmp_path / "rtdemo").mkdir()
    (tmp_path / "mine.py").write_text("import rtdemo\nprint(rtdemo.publish.__module__)\n")
    command = [sys.executable, str(tmp_path / "mine.py")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("rtdemo.publisher.publish\n", "")


def test_setup_cfg_lists_every_package() -> None:
    """A folder that is missing there would be missing from the wheel.

    setuptools cannot find them all: `plugins` and `templates` are packages of the wheel alone.
    """
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "rtdemo").rglob("__init__.py")}
    packages = {".".join(folder.parts) for folder in folders}
    assert set(config["options"]["packages"].split()) == packages | {
        "rtdemo.plugins",
        "rtdemo.templates",
    }
