"""Read the documentation: its blocks of code, tables and links."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass
class Block:
    """A fenced block.

    Arguments:
        language: what stands behind its fence.
        text: what stands in it.
        place: file and line, for people.
        says: the block of plain text that follows at once, if any: what the code makes rtdemo say.
    """

    language: str
    text: str
    place: str
    says: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The file that the block is, by its first line: `# dice.py`."""
        match = re.match(r"# (\S+\.py)\n", self.text)
        return match[1] if match else ""

    @property
    def commands(self) -> list[str]:
        """What is typed, of a block of commands."""
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]


def blocks(document: str, language: str) -> list[Block]:
    """Return the blocks of a language in a document."""
    text = (DOCS / document).read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        block = Block(match[1], match[2], f"{document}:{line}")
        if block.language == "text" and found and not text[end : match.start()].strip():
            found[-1].says = block.text.strip()
        found.append(block)
        end = match.end()
    return [block for block in found if block.language == language]


def section(document: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one."""
    text = (DOCS / document).read_text(encoding="utf-8")
    parts = _HEADING.split(_without_blocks(text))
    return parts[parts.index(heading) + 1]


def table(text: str) -> dict[str, list[str]]:
    """Return a table's rows by the code in their first cell, each with the further cells."""
    rows = {}
    for line in text.splitlines():
        match = re.match(r"\| `([^`]+)`.*?\|(.*)\|$", line)
        if match:
            rows[match[1]] = [cell.strip() for cell in match[2].split(" | ")]
    return rows


def links(document: str) -> list[str]:
    """Return where a document's links lead, those to other hosts left out."""
    text = _without_blocks((DOCS / document).read_text(encoding="utf-8"))
    return [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]


def anchors(document: str) -> set[str]:
    """Return the names under which a document's headings can be linked to, as GitHub makes them."""
    text = _without_blocks((DOCS / document).read_text(encoding="utf-8"))
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in headings}


def _without_blocks(text: str) -> str:
    """Leave out the code: there, # begins a comment and no heading."""
    return _FENCE.sub("", text)
