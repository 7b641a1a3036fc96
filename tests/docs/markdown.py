"""Read the documentation: its code blocks, console samples, tables and links."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in {*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("[a-z]*/README.md")}
)
"""Every page that people read, by its path in the repository."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_DEFINITION = re.compile(r"^\[([^\]]+)\]: (\S+)$", re.MULTILINE)


@dataclass
class Block:
    """A fenced block.

    Arguments:
        language: the word after the opening fence.
        text: the block's lines.
        place: document and line, for test names and failures.
        output: the block of plain text that follows at once, if any: what rtdemo logs for this code.
    """

    language: str
    text: str
    place: str
    output: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The file name in the block's first line, such as `# dice.py`."""
        match = re.match(r"# (\S+\.py)\n", self.text)
        return match[1] if match else ""

    @property
    def samples(self) -> list[Sample]:
        """The commands of a console block, each with its output."""
        found: list[Sample] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append(Sample(line[2:], [], self.place))
            else:
                found[-1].output.append(line)
        return found

    @property
    def commands(self) -> list[str]:
        """The commands of a console block, without comments."""
        return [sample.command for sample in self.samples]


@dataclass
class Sample:
    """A command of a console block.

    Arguments:
        command: the line after `$ `.
        output: the lines that follow it; `...` is where lines were left out.
        place: document and line of the block.
    """

    command: str
    output: list[str]
    place: str


def read(document: str) -> str:
    """Return the text of a document, given by its path in the repository."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str = "") -> list[Block]:
    """Return the blocks of a document, of one language or of all."""
    text = read(document)
    found: list[Block] = []
    end = 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        block = Block(match[1], match[2], f"{document}:{line}")
        if block.language == "text" and found and not text[end : match.start()].strip():
            found[-1].output = block.text.strip()
        found.append(block)
        end = match.end()
    return [block for block in found if language in ("", block.language)]


def section(document: str, heading: str) -> str:
    """Return the text under a heading, up to the next heading."""
    parts = _HEADING.split(without_blocks(read(document)))
    return parts[parts.index(heading) + 1]


def table(text: str) -> dict[str, list[str]]:
    """Return a table's rows by the code in their first cell, each with its further cells."""
    rows = {}
    for line in text.splitlines():
        match = re.match(r"\| `([^`]+)`.*?\|(.*)\|$", line)
        if match:
            rows[match[1]] = [cell.strip() for cell in match[2].split(" | ")]
    return rows


def links(document: str) -> list[str]:
    """Return the targets of a document's links and images, except those on other hosts."""
    text = without_blocks(read(document))
    inline = re.findall(r"\]\(([^)\s]+)\)", text)
    html = re.findall(r'(?:src|srcset|href)="([^"\s]+)"', text)
    found = [*inline, *html, *definitions(document).values()]
    return [target for target in found if "://" not in target]


def definitions(document: str) -> dict[str, str]:
    """Return the link definitions of a document: `[name]: target` on a line of its own."""
    return dict(_DEFINITION.findall(without_blocks(read(document))))


def anchors(document: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = (
        re.sub(r"[^\w\- ]", "", h.lower()) for h in _HEADING.findall(without_blocks(read(document)))
    )
    return {heading.replace(" ", "-") for heading in headings}


def without_blocks(text: str) -> str:
    """Remove the code blocks: there, # begins a comment and not a heading."""
    return _FENCE.sub("", text)
