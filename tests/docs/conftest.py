"""A folder with the files that the documentation shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.markdown import DOCUMENTS, blocks


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with every Python file that a page shows, as its reader has it."""
    monkeypatch.chdir(tmp_path)
    for document in DOCUMENTS:
        for block in blocks(document, "python"):
            if block.name:
                path = tmp_path / block.name
                path.parent.mkdir(exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
    return tmp_path
