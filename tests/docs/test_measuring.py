"""docs/measuring.md: each claim links to its test, and that test exists."""

from __future__ import annotations

import re

import pytest

from docs.generate import find_tests
from tests.docs.markdown import DOCS, ROOT, definitions

TESTS = {
    name: target.removeprefix("../").partition("#")[::2]
    for name, target in definitions("docs/measuring.md").items()
    if target.startswith("../tests/")
}
"""By the link's name: the test's file and its function."""


def test_there_are_claims_with_tests() -> None:
    """Otherwise the test below would test nothing."""
    assert len(TESTS) > 35


@pytest.mark.parametrize(("name", "path", "function"), [(n, *target) for n, target in TESTS.items()])
def test_linked_test_exists(name: str, path: str, function: str) -> None:
    """The link `[test][name]` leads to a file that defines the function after the #."""
    moved = ", ".join(find_tests(function)) or "nowhere"
    hint = f"{function} is in {moved}; `make docs` mends the link where the test has only moved"
    assert (DOCS.parent / path).is_file(), hint
    source = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {function}\(", source, re.MULTILINE), hint
