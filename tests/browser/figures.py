"""Figures as the page shows them, read as numbers."""

from __future__ import annotations

import re

NUMBER = r"(-?[\d,]+(?:\.\d+)?)"


def number(shown: str) -> float:
    """Return the first number of a text."""
    match = re.search(NUMBER, shown)
    assert match is not None, f"no number in {shown!r}"
    return float(match[1].replace(",", ""))


def is_latency(shown: str) -> bool:
    """Return whether a text is a latency with its error, and one that can be.

    On a busy machine the error of the clock is several milliseconds, and a latency below it may come
    out negative. By more than its error none can.
    """
    match = re.fullmatch(rf"{NUMBER} ± {NUMBER} ms", shown)
    if match is None:
        return False
    value, error = map(number, match.groups())
    return value >= -error and error > 0
