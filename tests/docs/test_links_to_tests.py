"""docs/measuring.md and docs/reliability.md: each claim links to its test, and that test exists."""

from __future__ import annotations

import re

import pytest

from docs.generate import PAGES_WITH_TESTS, find_tests
from tests.docs.markdown import DOCS, ROOT, definitions

TESTS = {
    (page, name): target.removeprefix("../").partition("#")[::2]
    for page in PAGES_WITH_TESTS
    for name, target in definitions(f"docs/{page}").items()
    if target.startswith("../tests/")
}
"""By the page and the link's name: the test's file and its function."""


@pytest.mark.parametrize(("page", "least"), [("measuring.md", 35), ("reliability.md", 25)])
def test_there_are_claims_with_tests(page: str, least: int) -> None:
    """Otherwise the test below would test nothing."""
    assert sum(of == page for of, _ in TESTS) > least


@pytest.mark.parametrize(
    ("page", "path", "function"), [(of, *target) for (of, _), target in TESTS.items()]
)
def test_linked_test_exists(page: str, path: str, function: str) -> None:
    """The link `[test][name]` leads to a file that defines the function after the #."""
    moved = ", ".join(find_tests(function)) or "nowhere"
    hint = f"{function} is in {moved}; `make docs` mends the link where the test has only moved"
    assert (DOCS.parent / path).is_file(), hint
    source = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {function}\(", source, re.MULTILINE), hint
