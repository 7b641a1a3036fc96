"""What a run was made with: the machine, and the versions of everything that was measured."""

import contextlib
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from benchmarks.servers import NODE, PEERS_VENV, ROOT

MODULES = ("aiohttp", "aiohttp-sse", "uvloop")
PACKAGES = ("bun", "socket.io", "ws")
PEERS = ("picows", "sse-starlette", "starlette", "uvicorn", "websockets")
PROGRAMS = {"node": ["node", "--version"], "cc": ["cc", "-dumpfullversion"]}


def processor() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def first_line(command: list[str]) -> str:
    """Return the first line that a program prints; nothing if it is missing."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.partition("\n")[0].strip()
    return ""


def versions() -> dict[str, str]:
    """Return the version of each program and library that is installed."""
    found = {
        "python": platform.python_version(),
        "rtdemo": first_line(["git", "describe", "--always", "--dirty"]),
    }
    for module in MODULES:
        with contextlib.suppress(PackageNotFoundError):
            found[module] = version(module)
    folders = [str(folder) for folder in PEERS_VENV.glob("lib/python*/site-packages")]
    found |= {one.name: one.version for one in distributions(path=folders) if one.name in PEERS}
    for package in PACKAGES:
        with contextlib.suppress(OSError):
            text = (NODE / "node_modules" / package / "package.json").read_text()
            found[package] = json.loads(text)["version"]
    found |= {name: first_line(command) for name, command in PROGRAMS.items()}
    return {name: one for name, one in found.items() if one}


def environment() -> dict[str, object]:
    """Return the machine and the versions."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "versions": versions(),
    }
