"""List the files that a build may copy: a folder less what its .dockerignore leaves out.

Reference: https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath


class BuildContext:
    """Hold the files of a build context, as paths relative to its folder.

    Arguments:
        folder: with the Dockerfile and, where there is one, the .dockerignore.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignore = folder / ".dockerignore"
        self._rules = _rules(ignore.read_text()) if ignore.is_file() else []
        self.files = sorted(self._walk(PurePosixPath()))

    def under(self, source: str) -> list[PurePosixPath]:
        """Return the files of a COPY's source, which is a file or a folder.

        Raises:
            FileNotFoundError: where the context has none, as the build itself reports.
        """
        wanted = PurePosixPath(source)
        found = [file for file in self.files if file == wanted or wanted in file.parents]
        if not found:
            raise FileNotFoundError(f"{source} is not in the build context: see .dockerignore")
        return found

    def ignores(self, path: PurePosixPath) -> bool:
        """Return whether .dockerignore leaves a path out: the last rule that matches it decides."""
        ignored = False
        for rule, keeps in self._rules:
            # The last parent is the context's folder itself, which no rule is about.
            if any(rule.fullmatch(str(part)) for part in (path, *path.parents[:-1])):
                ignored = not keeps
        return ignored

    def _walk(self, folder: PurePosixPath) -> list[PurePosixPath]:
        found: list[PurePosixPath] = []
        with os.scandir(self.folder / folder) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                path = folder / entry.name
                if not entry.is_dir(follow_symlinks=False):
                    found += [] if self.ignores(path) else [path]
                elif not self.ignores(path) or self._keeps_below(path):
                    found += self._walk(path)
        return found

    def _keeps_below(self, folder: PurePosixPath) -> bool:
        # Without this test the walk would go through .git and .venv.
        beginnings = (re.escape(f"{folder}/"), "(?:")
        return any(keeps and rule.pattern.startswith(beginnings) for rule, keeps in self._rules)


def _rules(text: str) -> list[tuple[re.Pattern[str], bool]]:
    lines = (line.strip() for line in text.splitlines())
    return [
        (re.compile(_expression(line.removeprefix("!").strip("/"))), line.startswith("!"))
        for line in lines
        if line and not line.startswith("#")
    ]


def _expression(pattern: str) -> str:
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return "".join(words.get(part) or re.escape(part) for part in parts)
