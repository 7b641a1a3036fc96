"""The changelog fits the version, and has a place for the next change."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from packaging.version import Version

import rtdemo
from tests.release.changelog import KINDS, releases

ROOT = Path(__file__).parents[2]
SECTIONS = releases((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def test_first_section_is_what_is_not_released() -> None:
    """A change always has a place for its line."""
    assert [section.version for section in SECTIONS].index("") == 0
    assert [section.version for section in SECTIONS].count("") == 1


def test_version_of_the_package_is_the_newest_release() -> None:
    """A release that changes one of the two fails here until the other follows."""
    assert SECTIONS[1].version == rtdemo.__version__


def test_releases_are_in_order() -> None:
    """The newest first, by version and by date; none is in the future."""
    released = SECTIONS[1:]
    versions = [Version(release.version) for release in released]
    dates = [date.fromisoformat(release.date) for release in released]
    assert versions == sorted(set(versions), reverse=True)
    assert dates == sorted(dates, reverse=True)
    assert dates[0] <= date.today()


def test_every_section_has_known_headings_with_lines() -> None:
    """Each heading is one of Keep a Changelog, and no section is empty."""
    for section in SECTIONS:
        assert set(section.kinds) <= set(KINDS)
        parts = re.split(r"^### .+$", section.text, flags=re.MULTILINE)[1:]
        assert [part for part in parts if "\n- " not in part] == []


def test_version_stands_in_one_place() -> None:
    """`rtdemo/__init__.py`; the build reads it there."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'version = { attr = "rtdemo.__version__" }' in project
    assert not re.search(r"^version = [\"']", project, re.MULTILINE)
    files = {path.relative_to(ROOT): path.read_text("utf-8") for path in (ROOT / "rtdemo").rglob("*.py")}
    setting = re.compile(r"^__version__ =", re.MULTILINE)
    assert [str(path) for path, text in files.items() if setting.search(text)] == ["rtdemo/__init__.py"]


@pytest.mark.parametrize("heading", ["0.2", "0.2.0", "0.2.0 - 29.11.2026", "Next"])
def test_other_heading_is_an_error(heading: str) -> None:
    """Else a release would be read as a part of the one before."""
    with pytest.raises(ValueError, match="is not '## X"):
        releases(f"# Changelog\n\n## {heading}\n\n### Added\n- x\n")
