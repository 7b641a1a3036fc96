"""docs/measuring.md: each claim has its test."""

from __future__ import annotations

import re

import pytest

from tests.markdown import DOCS

TEXT = (DOCS / "measuring.md").read_text(encoding="utf-8")
CLAIMS, _, LIST = TEXT.partition("## Tests\n")
TESTS = re.findall(r"^(\d+)\. `(tests/[\w/]+\.py)`: `(test_\w+)`$", LIST, re.MULTILINE)


@pytest.mark.parametrize(("number", "path", "name"), TESTS)
def test_the_test_of_a_claim_exists(number: str, path: str, name: str) -> None:
    """Under the name that the document gives."""
    source = (DOCS.parent / path).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE)


def test_every_number_is_named_and_listed_once() -> None:
    """In order, so that a reader finds it."""
    assert [number for number, _, _ in TESTS] == [str(n) for n in range(1, len(TESTS) + 1)]
    named = re.findall(r"\[(\d+)\]", CLAIMS)
    assert sorted(set(named), key=int) == [number for number, _, _ in TESTS]
