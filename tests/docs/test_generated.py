"""The generated pages are what `make docs` writes."""

from __future__ import annotations

from docs.generate import measuring_page, metrics_page, settings_page
from tests.docs.markdown import read, table

AGAIN = "run `make docs`"


def test_settings_page_is_up_to_date() -> None:
    """Every setting's flag, variable, default, range and help."""
    assert read("docs/settings.md") == settings_page(), AGAIN


async def test_metrics_page_is_up_to_date() -> None:
    """Every metric that a running server has, with its labels and its help."""
    assert read("docs/metrics.md") == await metrics_page(), AGAIN
    assert len(table(read("docs/metrics.md"))) > 20


def test_links_to_tests_are_up_to_date() -> None:
    """Each leads to the file that has the test now."""
    assert read("docs/measuring.md") == measuring_page(), AGAIN
