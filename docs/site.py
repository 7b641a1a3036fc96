"""Collect the pages of the documentation, and build a site of them: `make site`.

The pages link to files all over the repository, as GitHub shows them. So the site's source is a copy of
the repository with nothing but the pages and what they link to, and every link stays as it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "build" / "docs"
ZENSICAL = ROOT / ".venv" / "publish" / "bin" / "zensical"
_LINK = re.compile(
    r"\]\(([^)\s#]+)[^)]*\)"  # [text](target)
    r"|^\[[^\]]+\]: ([^\s#]+)"  # [name]: target
    r'|(?:src|srcset)="([^"]+)"',
    re.MULTILINE,
)


def pages() -> list[Path]:
    """Return every page that people read."""
    return sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("[a-z]*/README.md")})


def linked_files(page: Path) -> Iterator[Path]:
    """Yield the files of the repository that a page links to, other than pages."""
    for match in _LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / next(filter(None, match.groups()))).resolve()
        if target.is_file() and target.suffix != ".md":
            yield target


def collect(folder: Path) -> None:
    """Copy the pages, and the files that they link to, into an empty folder."""
    found = pages()
    for file in {*found, *(linked for page in found for linked in linked_files(page))}:
        copy = folder / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)


def main() -> int:
    """Build the site; a dead link or anything else that is reported fails. Return its exit code."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    collect(SOURCE)
    command: list[str | Path] = [ZENSICAL, "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 - no text of a user


if __name__ == "__main__":
    sys.exit(main())
