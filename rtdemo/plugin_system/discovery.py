"""Find plugins: bundled ones, installed distributions, a folder, files named by hand."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from packaging.requirements import Requirement

from rtdemo import __version__
from rtdemo.errors import PluginError, RtdemoError, one_line
from rtdemo.settings.folders import bundled, is_own_code

ENTRY_POINT_GROUP = "rtdemo"


@dataclass(frozen=True)
class Source:
    """Say where a plugin lies and how to load it.

    Arguments:
        name: the file's stem or the entry point's name.
        origin: what a person is told of the place.
        load: imports it; may raise anything.
        version: its distribution's; empty for a file.
    """

    name: str
    origin: str
    load: Callable[[], object]
    version: str = ""


def discover(plugins_dir: str, files: Iterable[Path]) -> tuple[list[Source], list[str]]:
    """Return the plugins to load in the order of discovery; a later one replaces one of its name.

    Arguments:
        plugins_dir: a folder of plugin files; empty means ./plugins where it exists.
        files: plugin files, the strongest.

    Returns:
        The sources, and a line for each replacement.
    """
    found: dict[str, Source] = {}
    replaced = []
    for source in _all(plugins_dir, files):
        earlier = found.get(source.name)
        if earlier is not None and earlier.origin != source.origin:
            replaced.append(f"plugin {source.name!r}: {source.origin} replaces {earlier.origin}")
        found[source.name] = source
    return list(found.values()), replaced


def plugin_folders(plugins_dir: str, files: Iterable[Path]) -> set[Path]:
    """Return the folders in which plugin files may change."""
    folder = Path(plugins_dir or "plugins")
    return {bundled("plugins"), folder.resolve(), *(path.resolve().parent for path in files)}


def load(source: Source) -> object:
    """Import a plugin.

    Raises:
        PluginError: for whatever its import raises, with the place in the plugin's own code.
    """
    try:
        return source.load()
    except (Exception, SystemExit) as error:
        raise PluginError(source.name, source.origin, _one_line(error)) from error


def _all(plugins_dir: str, files: Iterable[Path]) -> Iterator[Source]:
    yield from _folder(bundled("plugins"))
    yield from map(_entry_point, sorted(entry_points(group=ENTRY_POINT_GROUP)))
    if plugins_dir or Path("plugins").is_dir():
        yield from _folder(Path(plugins_dir or "plugins"))
    yield from map(_file, files)


def _folder(folder: Path) -> Iterator[Source]:
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_"):
            yield _file(path)


def _file(path: Path) -> Source:
    path = path.resolve()
    return Source(path.stem, str(path), partial(_import_file, path))


def _entry_point(point: EntryPoint) -> Source:
    distribution = point.dist
    if distribution is None:
        return Source(point.name, point.value, point.load)
    version = distribution.version
    origin = f"{distribution.name} {version}"
    return Source(point.name, origin, partial(_load_entry_point, point, distribution), version)


def _load_entry_point(point: EntryPoint, distribution: Distribution) -> object:
    for text in distribution.requires or ():
        requirement = Requirement(text)
        if requirement.name == "rtdemo" and not requirement.specifier.contains(__version__):
            raise ImportError(f"needs rtdemo{requirement.specifier}; this is {__version__}")
    return point.load()


def _import_file(path: Path) -> ModuleType:
    # Not a child of the package `rtdemo.plugins`: that exists in a wheel only.
    name = f"rtdemo_plugins.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("a plugin file ends in .py")
    if isinstance(spec.loader, SourceFileLoader):
        spec.loader = _Uncached(name, str(path))
    module = importlib.util.module_from_spec(spec)
    # dataclasses and pickle look a module up by its name while it is imported.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


class _Uncached(SourceFileLoader):
    """Load a file without the bytecode cache.

    The cache compares the second of a file's last change, and its size. Of two changes within one second
    that leave the size as it is, a reload would run the first.
    """

    def path_stats(self, path: str) -> NoReturn:
        """Withhold the file's time of change, so that the loader neither reads nor writes bytecode."""
        raise OSError(f"no bytecode is kept for {path}")


def _one_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    # The plugin's own line, not the decorator's; a dataclass's __init__ is in "<string>".
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not is_own_code(frame.filename)
    ]
    where = f"line {frames[-1].lineno} of {Path(frames[-1].filename).name}: " if frames else ""
    hint = ""
    if isinstance(error, ImportError) and error.name == "rtdemo":
        hint = f"; does it need a newer rtdemo than {__version__}?"
    return where + one_line(error) + hint


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
