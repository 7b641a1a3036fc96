"""Read the changelog: its releases, and what they say."""

from __future__ import annotations

import re
from typing import NamedTuple

UNRELEASED = "Unreleased"
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_RELEASE = re.compile(r"(\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2})")
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
"""Headings of Keep a Changelog. After a colon, a heading may name a subject."""


class Release(NamedTuple):
    """A section of the changelog.

    Arguments:
        version: such as `0.1.0`; empty for what is not released.
        date: of the release, as YYYY-MM-DD; empty for what is not released.
        text: what follows the heading.
    """

    version: str
    date: str
    text: str

    @property
    def kinds(self) -> list[str]:
        """Its headings, without their subjects."""
        return [kind.partition(":")[0] for kind in re.findall(r"^### (.+)$", self.text, re.MULTILINE)]


def releases(text: str) -> list[Release]:
    """Return the sections of a changelog, the newest first.

    Raises:
        ValueError: a heading is neither `Unreleased` nor `X.Y.Z - YYYY-MM-DD`.
    """
    _, *parts = _HEADING.split(text)
    return [_release(heading, body) for heading, body in zip(parts[::2], parts[1::2], strict=True)]


def _release(heading: str, body: str) -> Release:
    if heading == UNRELEASED:
        return Release("", "", body)
    match = _RELEASE.fullmatch(heading)
    if match is None:
        raise ValueError(f"'## {heading}' is not '## X.Y.Z - YYYY-MM-DD'")
    return Release(match[1], match[2], body)
