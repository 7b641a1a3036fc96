"""What is imported before pytest collects hides no error from it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.quick_start import import_all

FILES = {
    "fails": "raise OSError",
    "marks": "import pytest\npytest.mark.unknown",
    "warns": "import warnings\nwarnings.warn('old', DeprecationWarning)",
    "works": "",
}


def test_only_files_without_an_error_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pytest imports the others again: their errors and warnings are in its report."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "quick_start_files"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    import_all(tmp_path, [folder / f"{name}.py" for name in FILES])
    names = [name for name in FILES if f"quick_start_files.{name}" in sys.modules]
    for name in ["quick_start_files", *(f"quick_start_files.{name}" for name in names)]:
        monkeypatch.delitem(sys.modules, name)
    assert names == ["works"]
