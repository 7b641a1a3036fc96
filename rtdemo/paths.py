"""Find the folders that ship beside the package or inside it."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """Return the folder `plugins`, `templates` or `static`.

    A wheel lays it inside the package, a checkout has it beside the package.
    """
    for base in (PACKAGE, PACKAGE.parent):
        if (base / name).is_dir():
            return base / name
    raise FileNotFoundError(f"no folder {name!r} in or beside {PACKAGE}; install rtdemo again")
