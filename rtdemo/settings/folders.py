"""Find the folders that ship beside the package or inside it."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def bundled(name: str) -> Path:
    """Return the folder `plugins` or `templates`.

    A wheel lays it inside the package, a checkout has it beside the package.
    """
    for base in (PACKAGE, PACKAGE.parent):
        if (base / name).is_dir():
            return base / name
    raise FileNotFoundError(f"no folder {name!r} in or beside {PACKAGE}; install rtdemo again")


def is_own_code(file: str) -> bool:
    """Return whether a source file is part of the package itself; bundled plugins are not."""
    path = Path(file)
    return path.is_relative_to(PACKAGE) and not path.is_relative_to(bundled("plugins"))
