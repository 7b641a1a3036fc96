"""The generated pages are what `make docs` writes."""

from __future__ import annotations

import pytest

from docs.generate import (
    PAGES_WITH_TESTS,
    conform_page,
    linked_page,
    metrics_page,
    security_page,
    settings_page,
)
from tests.docs.markdown import read, table

AGAIN = "run `make docs`"


def test_settings_page_is_up_to_date() -> None:
    """Every setting's flag, variable, default, range and help."""
    assert read("docs/settings.md") == settings_page(), AGAIN


def test_security_page_is_up_to_date() -> None:
    """Every setting about access, and every limit, with its default and its help."""
    text = read("docs/security.md")
    assert text == security_page(), AGAIN
    flags = {row.partition("`")[0] for row in text.split("\n| `--")}
    assert {"admin-token", "allow-origin", "production", "history-bytes", "heartbeat"} <= flags


async def test_metrics_page_is_up_to_date() -> None:
    """Every metric that a running server has, with its labels and its help."""
    assert read("docs/metrics.md") == await metrics_page(), AGAIN
    assert len(table(read("docs/metrics.md"))) > 20


def test_conform_page_is_up_to_date() -> None:
    """Every check with its level, its clause and its rule."""
    text = read("docs/conform.md")
    assert text == conform_page(), AGAIN
    assert text.count("\n| `") > 100


@pytest.mark.parametrize("page", PAGES_WITH_TESTS)
def test_links_to_tests_are_up_to_date(page: str) -> None:
    """Each leads to the file that has the test now."""
    assert read(f"docs/{page}") == linked_page(page), AGAIN
