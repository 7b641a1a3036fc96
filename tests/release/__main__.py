"""Build a release and try it as a stranger would: `make dist`.

The sdist, the wheel made from it, and the npm package of the client are left in dist/. The first two are
checked, and the wheel is installed into an environment of its own, started in an empty folder, and asked
for its health. A program in TypeScript is compiled with the npm package.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.release.contents import (
    ROOT,
    copy_repository,
    sdist_names,
    sdist_problems,
    size_problems,
    tracked,
    wheel_names,
    wheel_problems,
)
from tests.release.npm import check_types, declare, pack

DIST = ROOT / "dist"
TWINE = ROOT / ".venv" / "publish" / "bin" / "twine"
START_TIMEOUT_S = 30
_PIP = ("-m", "pip", "install", "-q", "--disable-pip-version-check")
_FREE = ("--host", "127.0.0.1", "--port", "0", "--single-site")


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program and return its output; end with its own error where it fails."""
    finished = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{finished.stdout}{finished.stderr}")
    return finished.stdout


def build(copy: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it, of a copy without what git ignores; return both."""
    shutil.rmtree(DIST, ignore_errors=True)
    copy_repository(copy)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST, copy)
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    return sdist, wheel


def check_contents(sdist: Path, wheel: Path) -> None:
    """Compare the files of both with the repository's, and their sizes with what they may have."""
    files = tracked()
    problems = wheel_problems(wheel_names(wheel), files) + sdist_problems(sdist_names(sdist), files)
    for archive in (wheel, sdist):
        problems += size_problems(archive.name, archive.stat().st_size)
    if problems:
        sys.exit("\n".join(problems))


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel with its locked dependencies; return the folder of the programs."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, *_PIP, "--require-hashes", "-r", ROOT / "requirements.txt")
    run(python, *_PIP, "--no-deps", "--no-index", wheel)
    run(python, "-m", "pip", "check")
    return python.parent


@contextmanager
def served(programs: Path, folder: Path) -> Iterator[str]:
    """Start `rtdemo serve` in a folder; yield its address."""
    settings = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "PATH")}
    command: list[str | Path] = [programs / "rtdemo", "serve", *_FREE]
    process = subprocess.Popen(command, cwd=folder, env=settings, stdout=subprocess.PIPE, text=True)
    try:
        yield address(process, START_TIMEOUT_S)
        process.terminate()
        code = process.wait(START_TIMEOUT_S)
    finally:
        process.kill()
    if code:
        sys.exit(f"rtdemo serve ended with {code}")


def address(process: subprocess.Popen[str], timeout_s: float) -> str:
    """Return the address in the first line of a server; without one in time, end both programs."""
    assert process.stdout is not None
    # The end of the server ends the wait for its line.
    timer = threading.Timer(timeout_s, process.kill)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    found = re.search(r"http://\S+", line)
    if found is None:
        process.kill()
        sys.exit(f"rtdemo serve printed no address within {timeout_s:g} s, but {line!r}")
    return found[0]


def ask(url: str) -> bytes:
    """Return the answer to GET; an error ends the program."""
    with urllib.request.urlopen(url, timeout=START_TIMEOUT_S) as answer:
        return bytes(answer.read())


def main() -> None:
    """Build, check, install and start."""
    with tempfile.TemporaryDirectory(prefix="rtdemo-dist-") as temporary:
        sdist, wheel = build(Path(temporary) / "copy")
        check_contents(sdist, wheel)
        run(TWINE, "check", "--strict", sdist, wheel)
        empty = Path(temporary) / "empty"
        empty.mkdir()
        programs = install(wheel, Path(temporary) / "venv")
        version = run(programs / "rtdemo", "--version", cwd=empty).strip()
        with served(programs, empty) as url:
            assert ask(f"{url}healthz") == b"ok\n"
            page = ask(url).decode()
            script = re.search(r"static/\w+/joined\.js", page)
            assert script is not None
            assert ask(f"{url}{script[0]}")
        package, program = Path(temporary) / "npm", Path(temporary) / "program"
        package.mkdir()
        program.mkdir()
        declare(package)
        client = pack(package, DIST)
        check_types(client, program)
    for archive in (sdist, wheel, client):
        print(f"{archive.relative_to(ROOT)}  {archive.stat().st_size / 1000:,.0f} KB")
    print(f"{version}: built, checked, installed and started")


if __name__ == "__main__":
    main()
