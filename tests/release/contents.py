"""The rule for the files of a wheel and an sdist: what must be there, and that nothing else is."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS_IN_WHEEL = {
    "rtdemo/": "rtdemo/",
    "plugins/": "rtdemo/plugins/",
    "templates/": "rtdemo/templates/",
}
"""Folders of the repository that the wheel has, and where it has them."""
METADATA = re.compile(r"rtdemo-[^/]+\.dist-info/(METADATA|RECORD|WHEEL|[a-z_]+\.txt|licenses/LICENSE)")
NOT_IN_SDIST = re.compile(r"\.ci/|\.github/|\.gitignore$")
"""What only a checkout needs."""
MADE_BY_BUILD = re.compile(r"PKG-INFO$|setup\.cfg$|rtdemo\.egg-info/")
"""What setuptools adds to an sdist."""

MAX_KB = {".whl": 1_000, ".gz": 2_500}
"""Thousands of bytes that a wheel and an sdist may have. docs/cost.md has what the wheel has."""


def tracked() -> set[str]:
    """Return the files of the repository: those that git has, and new ones that it does not ignore."""
    # In a container, the checkout may belong to another user than the one that builds.
    git = ["git", "-c", f"safe.directory={ROOT}"]
    command = [*git, "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


def copy_repository(folder: Path) -> None:
    """Copy the files of the repository: a build takes what it finds, and finds no leftovers there."""
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


def wheel_problems(names: Iterable[str], files: Iterable[str]) -> list[str]:
    """Compare a wheel with the repository.

    Arguments:
        names: files of the wheel.
        files: files of the repository.

    Returns:
        One line for each file that is missing or should not be there.
    """
    wanted = {
        there + name.removeprefix(here)
        for name in files
        for here, there in FOLDERS_IN_WHEEL.items()
        if name.startswith(here)
    }
    found = {name for name in names if not METADATA.fullmatch(name)}
    return _differences("wheel", found, wanted)


def sdist_problems(names: Iterable[str], files: Iterable[str]) -> list[str]:
    """Compare an sdist with the repository.

    Arguments:
        names: files of the sdist, without its folder.
        files: files of the repository.

    Returns:
        One line for each file that is missing or should not be there.
    """
    wanted = {name for name in files if not NOT_IN_SDIST.match(name)}
    found = {name for name in names if name in wanted or not MADE_BY_BUILD.match(name)}
    return _differences("sdist", found, wanted)


def size_problems(name: str, size: int) -> list[str]:
    """Return one line where an archive is too large.

    Arguments:
        name: of the archive.
        size: in bytes.
    """
    limit = MAX_KB[Path(name).suffix]
    return [f"{name}: {size / 1000:,.0f} KB, more than {limit:,} KB"] if size > limit * 1000 else []


def _differences(archive: str, found: set[str], wanted: set[str]) -> list[str]:
    missing = [f"{archive}: {name} is missing" for name in sorted(wanted - found)]
    return missing + [f"{archive}: {name} should not be there" for name in sorted(found - wanted)]


def wheel_names(archive: Path) -> list[str]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(archive) as wheel:
        return [name for name in wheel.namelist() if not name.endswith("/")]


def sdist_names(archive: Path) -> list[str]:
    """Return the files of an sdist, without its folder."""
    with tarfile.open(archive) as tar:
        return [member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()]
