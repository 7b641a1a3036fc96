"""What each proxy of the matrix describes: its program, its configuration, and how it is started."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.matrix.certificates import Authority
from tests.matrix.setup import Hop
from tests.system_packages import Program, find

PYPI_FOLDER = Path(__file__).parents[3] / ".venv" / "matrix"
"""Programs that come from PyPI; `make matrix` installs them there."""


@dataclass(frozen=True)
class Place:
    """Where a proxy runs.

    Arguments:
        port: to listen on.
        upstreams: ports of the next hop.
        folder: existing and empty, for its files.
        authority: certificates.
    """

    port: int
    upstreams: tuple[int, ...]
    folder: Path
    authority: Authority


@dataclass(frozen=True)
class Launch:
    """How to start a proxy: its command, its files by name, and environment variables."""

    command: tuple[str, ...]
    files: Mapping[str, str]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Proxy:
    """One proxy program.

    Arguments:
        name: as `rtdemo doctor` names it.
        program: its file and package.
        render: returns how to start it for a hop.
        right: directives with which everything works; the first part of docs/proxies.md.
        version: arguments that print its version.
        pypi: pattern of its file below PYPI_FOLDER, where it comes from PyPI.
    """

    name: str
    program: Program
    render: Callable[[Hop, Place, str], Launch]
    right: tuple[str, ...]
    version: tuple[str, ...] = ("-v",)
    pypi: str = ""

    @property
    def path(self) -> str | None:
        """File of the program; None where it is missing."""
        if self.pypi:
            return next(map(str, PYPI_FOLDER.glob(self.pypi)), None)
        return find(self.program)

    @functools.cache  # noqa: B019 - there are few, and they live as long as the program
    def installed_version(self) -> str:
        """Return the version of the installed program; empty where it is missing."""
        if self.path is None:
            return ""
        ran = subprocess.run(
            [self.path, *self.version], capture_output=True, text=True, check=False, env=_environ()
        )
        found = re.search(r"\d+\.\d+(\.\d+)?", ran.stdout + ran.stderr)
        return found[0] if found else "?"


def _environ() -> dict[str, str]:
    return {**os.environ, "HOME": os.environ.get("HOME", "/tmp")}


def indented(lines: tuple[str, ...], by: int) -> str:
    """Return lines indented by blanks, each with an end of line."""
    return "".join(f"{' ' * by}{line}\n" for line in lines)
