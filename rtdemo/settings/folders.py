"""Find the folders that ship with rtdemo: plugins and templates."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package `rtdemo`."""


def bundled(name: str) -> Path:
    """Return the path of the folder `plugins` or `templates`.

    A wheel has it inside the package, a checkout beside the package.

    Raises:
        FileNotFoundError: if the installation is incomplete.
    """
    for base in (PACKAGE, PACKAGE.parent):
        if (base / name).is_dir():
            return base / name
    raise FileNotFoundError(f"no folder {name!r} in or beside {PACKAGE}; reinstall rtdemo")


def is_own_code(file: str) -> bool:
    """Return whether a source file belongs to the package itself. Bundled plugins do not."""
    path = Path(file)
    return path.is_relative_to(PACKAGE) and not path.is_relative_to(bundled("plugins"))
