"""docs/token-streams.md has each code of a finding."""

from __future__ import annotations

import re

from rtdemo.lab.token_stream.answers import STATUSES
from tests.docs.markdown import ROOT, section

PACKAGE = ROOT / "rtdemo" / "lab" / "token_stream"


def codes_of_sources() -> set[str]:
    """Return the codes of all problems, findings, statuses and patterns."""
    found = {meaning[0] for meaning in STATUSES.values()}
    for file in PACKAGE.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        found |= set(re.findall(r'\b(?:Problem|Finding)\(\s*"([a-z0-9-]+)"', text))
        found |= set(re.findall(r'"(tokens-[a-z-]+[a-z])"', text))
    return found


def test_each_code_is_documented() -> None:
    documented = set(re.findall(r"`([a-z0-9-]+)`", section("docs/token-streams.md", "What it finds")))
    codes = codes_of_sources()
    assert len(codes) > 20
    assert codes - documented == set()
