"""Find one plugin that a person names: a file, a package's folder, or an installed plugin."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

from rtdemo.discovery import ENTRY_POINT_GROUP, Source, discover
from rtdemo.errors import RtdemoError


class NoPluginError(RtdemoError):
    """Report that what was named is no plugin."""

    exit_code = 2


def find(named: str) -> Source:
    """Return the source of a plugin.

    Arguments:
        named: a file's path, a folder with a pyproject.toml, or the name of a plugin that serve finds.

    Raises:
        NoPluginError: when there is none.
    """
    path = Path(named)
    if path.is_file():
        origin = str(path.resolve())
        return next(source for source in discover("", [path])[0] if source.origin == origin)
    if path.is_dir():
        return _package(path.resolve())
    sources = {source.name: source for source in discover("", [])[0]}
    if named in sources:
        return sources[named]
    there_are = ", ".join(sorted(sources))
    raise NoPluginError(f"there is no plugin, file or folder {named[:200]!r}; plugins: {there_are}")


def _package(folder: Path) -> Source:
    points = _entry_points(folder / "pyproject.toml")
    if len(points) != 1:
        raise NoPluginError(
            f"{folder} needs a pyproject.toml with one line in [project.entry-points.rtdemo]; "
            f"it has {len(points) or 'none'}"
        )
    ((name, value),) = points.items()
    point = EntryPoint(name, str(value), ENTRY_POINT_GROUP)
    return Source(name, str(folder), partial(_load, point, folder))


def _entry_points(file: Path) -> Mapping[str, object]:
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NoPluginError(f"{file} cannot be read: {error}") from error
    points = project.get("entry-points", {}).get(ENTRY_POINT_GROUP, {})
    return points if isinstance(points, dict) else {}


def _load(point: EntryPoint, folder: Path) -> object:
    # The folder itself, not what may be installed of it: in the src layout or flat.
    root = str(folder / "src" if (folder / "src").is_dir() else folder)
    sys.path.insert(0, root)
    try:
        return point.load()
    finally:
        sys.path.remove(root)
