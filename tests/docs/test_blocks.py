"""Code blocks that no other test runs, and the language of every block."""

from __future__ import annotations

import ast
import json

import pytest

from tests.docs.markdown import DOCUMENTS, Block, blocks

BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
UNNAMED = [block for block in BLOCKS if block.language == "python" and not block.name]
LANGUAGES = {"console", "html", "json", "python", "text", "toml", "yaml"}


def place(block: Block) -> str:
    return block.place


def test_every_block_names_its_language() -> None:
    """One that a test reads, or `text` for what is neither code nor a command."""
    assert len(BLOCKS) > 60
    assert [block.place for block in BLOCKS if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("block", UNNAMED, ids=place)
def test_python_without_a_file_name_is_the_dice_of_the_tutorial(block: Block) -> None:
    """That file is run by the tests of the tutorial; blank lines may differ."""
    (dice,) = (b for b in blocks("docs/write-a-plugin.md", "python") if b.name == "dice.py")
    assert ast.dump(ast.parse(block.text)) == ast.dump(ast.parse(dice.text))


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], ids=place)
def test_json_is_valid(block: Block) -> None:
    """As a client would read it."""
    assert json.loads(block.text)
