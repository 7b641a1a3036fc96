"""Read the commands of console samples, and compare their output with what the program prints."""

from __future__ import annotations

import ast
import functools
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from tests.docs.markdown import DOCUMENTS, ROOT, Sample, blocks

OMITTED = "..."
"""A line of a sample where lines were left out."""
_VARIES = re.compile(r"\b[0-9a-f]{16,}\b|\d+(?:[.,]\d+)*")
"""Text that differs between two runs: ids, positions, times and other numbers."""


def samples() -> list[Sample]:
    """Return every command of every page's console blocks, with its output."""
    return [
        sample
        for document in DOCUMENTS
        for block in blocks(document, "console")
        for sample in block.samples
    ]


def steps(command: str) -> Iterator[str]:
    """Split a line into its commands: `a && b`, `a | b`, without a comment."""
    for step in re.split(r" && | \| ", re.sub(r" {2,}# .*", "", command)):
        yield step.strip()


def words(command: str) -> tuple[dict[str, str], list[str]]:
    """Split a command into the variables before it and its words."""
    # What `$(...)` prints is one word.
    parts = shlex.split(re.sub(r"\$\([^)]*\)", "printed", command))
    given = list(takewhile(re.compile(r"[A-Z_]+=").match, parts))
    return dict(part.split("=", 1) for part in given), parts[len(given) :]


def shape(line: str) -> str:
    """Return a line without what differs between two runs: numbers, ids and widths of columns."""
    return " ".join(_VARIES.sub("#", line).split())


def unexpected(shown: Sequence[str], printed: Sequence[str]) -> str:
    """Compare a sample's output with the program's.

    Arguments:
        shown: the sample's lines; `...` stands for any number of lines.
        printed: the program's lines, at least as many as the sample shows.

    Returns:
        The first line of the sample that the program did not print there; empty where all is well.
    """
    at, may_skip = 0, False
    for line in shown:
        if line == OMITTED:
            may_skip = True
            continue
        while may_skip and at < len(printed) and shape(printed[at]) != shape(line):
            at += 1
        if at == len(printed) or shape(printed[at]) != shape(line):
            return line
        at, may_skip = at + 1, False
    return ""


def texts(sources: Iterable[str]) -> set[str]:
    """Return every string in Python sources, and each part of an f-string, without docstrings."""
    found: set[str] = set()
    for source in sources:
        tree = ast.parse(source)
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
        found |= {str(node.value) for node in constants if id(node) not in docstrings}
    return found


@functools.cache
def program_texts() -> set[str]:
    """Return every string of rtdemo's source, and of the plugins that the pages show."""
    files = sorted((ROOT / "rtdemo").rglob("*.py"))
    shown = [block.text for document in DOCUMENTS for block in blocks(document, "python")]
    return texts([*(file.read_text(encoding="utf-8") for file in files), *shown])


def words_of(line: str) -> set[str]:
    """Return the words of a line: letters only, three or more."""
    return set(re.findall(r"[A-Za-z]{3,}", line))


def label_of(line: str) -> str:
    """Return the name of the check or figure at the start of a measurement's line; empty if none."""
    check = re.match(r"(?:ok|warn|fail) +(\S+(?: \S+)*)  ", line)
    figure = re.match(r"  (\S+(?: \S+)*) {2,}[\d\N{EN DASH}]", line)
    return check[1] if check else figure[1] if figure else ""
