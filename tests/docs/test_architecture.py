"""docs/architecture.md names every Python file of rtdemo, and no file that does not exist."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.docs.markdown import ROOT, read, section

ARCHITECTURE = "docs/architecture.md"
PACKAGE = ROOT / "rtdemo"
FOLDERS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
WHOLE = ("lab/bench/", "lab/conform/", "lab/doctor/", "lab/storm/", "lab/token_stream/")
"""Folders that the page describes as a whole, with their main files."""


def python_files(folder: str) -> set[str]:
    """Return the files of a folder and its subfolders, as the page writes them."""
    base = PACKAGE / folder
    found = {path.relative_to(base).as_posix() for path in base.rglob("*.py")}
    return {name for name in found if not name.endswith("__init__.py")}


def named(folder: str) -> set[str]:
    """Return the file names in a folder's section."""
    return set(re.findall(r"`([\w/]+\.py)`", section(ARCHITECTURE, folder)))


@pytest.mark.parametrize("folder", FOLDERS)
def test_section_of_a_folder_names_its_files(folder: str) -> None:
    """All of them, except in subfolders that it describes as a whole."""
    files = python_files(folder)
    described = {name for name in files if f"{folder}/{name}".startswith(WHOLE)}
    assert files - described - named(folder) == set()
    known = files | {name.rpartition("/")[2] for name in described}
    assert named(folder) - known == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_section_of_a_folder_describes_each_file_once(folder: str) -> None:
    """A merge may leave two descriptions."""
    rows = Counter(re.findall(r"(?m)^\| (`[^|]+) \|", section(ARCHITECTURE, folder)))
    assert [name for name, count in rows.items() if count > 1] == []


@pytest.mark.parametrize("document", [ARCHITECTURE, "CONTRIBUTING.md"])
def test_paths_exist(document: str) -> None:
    """Each path with a folder, as seen from the repository or from the folder of the text."""
    paths = re.findall(r"`([a-z][\w.]*/[a-z\w./]*)`", read(document))
    seen_from = ("", "rtdemo", "rtdemo/engine", "rtdemo/lab", "rtdemo/web", "rtdemo/web/static", "tests")
    missing = [path for path in paths if not any((ROOT / base / path).exists() for base in seen_from)]
    assert len(paths) > 5
    made = ("build/", "dist/")
    assert [path for path in missing if "NAME" not in path and not path.startswith(made)] == []
