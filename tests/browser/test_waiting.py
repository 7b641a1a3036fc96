"""How tests wait for a condition in a page."""

from __future__ import annotations

import re
from pathlib import Path

EXPRESSION = re.compile(r"""wait_for_function\(\s*f?"+(?!["(]).*""")


def test_every_condition_is_a_function() -> None:
    """Playwright evaluates a plain expression again for each frame, which the page's policy blocks.

    The first time it may, so that such a test passes unless the condition is true a moment later.
    """
    files = Path(__file__).parents[1].rglob("*.py")
    assert [found for file in files for found in EXPRESSION.findall(file.read_text("utf-8"))] == []
