"""docs/measuring.md and docs/reliability.md: each claim links to its test, and that test exists."""

from __future__ import annotations

import re

import pytest

from docs.generate import PAGES_WITH_TESTS, find_tests
from tests.docs.markdown import ROOT, definitions

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


def test_linked_tests_exist() -> None:
    """The link `[test][name]` leads to a file that defines the function after the #."""
    for path, function in TESTS.values():
        source = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).is_file() else ""
        if not re.search(rf"^(async )?def {function}\(", source, re.MULTILINE):
            moved = ", ".join(find_tests(function)) or "nowhere"
            pytest.fail(f"{function} is in {moved}; `make docs` mends the link where it has only moved")
