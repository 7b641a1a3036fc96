"""Find plugins: built-in ones, installed distributions, a folder, and named files."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import rtdemo
from rtdemo import __version__
from rtdemo.errors import PluginError, RtdemoError, one_line
from rtdemo.plugin_system import long_import
from rtdemo.plugin_system.producer import Traits
from rtdemo.settings.folders import bundled, is_own_code

ENTRY_POINT_GROUP = "rtdemo"
"""The entry-point group of plugins in installed distributions."""


class NoPluginError(RtdemoError):
    """The argument of a command is not a plugin."""

    exit_code = 2


@dataclass(frozen=True)
class Source:
    """Where a plugin is, and how to load it.

    Arguments:
        name: the plugin's name: the file's name without `.py`, or the entry point's name.
        origin: where it was found, for messages: a path, or a distribution and its version.
        load: imports the plugin and returns its module; it may raise anything.
        version: version of its distribution; empty for a file.
    """

    name: str
    origin: str
    load: Callable[[], object]
    version: str = ""


def discover(plugins_dir: str, files: Iterable[Path]) -> tuple[list[Source], list[str]]:
    """Find the plugins to load; a later one replaces an earlier one of the same name.

    The order is: built-in plugins, installed distributions, the folder, the files. A file of the folder
    with the content of the one that it would replace is left out: a clone has the built-in plugins
    beside the installed ones.

    Arguments:
        plugins_dir: folder of plugin files; empty for ./plugins if it exists.
        files: plugin files.

    Returns:
        The sources in this order, and one line for the log about each replacement.
    """
    files = list(files)
    named = {str(path.resolve()) for path in files}
    found: dict[str, Source] = {}
    replaced = []
    for source in _sources(plugins_dir, files):
        earlier = found.get(source.name)
        if earlier is not None and earlier.origin != source.origin:
            if source.origin not in named and _is_same_file(earlier.origin, source.origin):
                continue
            replaced.append(f"plugin {source.name!r}: {source.origin} replaces {earlier.origin}")
        found[source.name] = source
    return list(found.values()), replaced


def find(named: str) -> Source:
    """Find the one plugin that a command is about.

    Arguments:
        named: path of a plugin file or of a folder with a pyproject.toml, or the name of a plugin
            that `rtdemo serve` finds.

    Raises:
        NoPluginError: if there is no such plugin.
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
    names = ", ".join(sorted(sources))
    raise NoPluginError(f"there is no file, folder or plugin {named[:200]!r}; the plugins are {names}")


def plugin_folders(plugins_dir: str, files: Iterable[Path]) -> set[Path]:
    """Return the folders to watch for changes of plugin files; arguments as for `discover`."""
    folder = Path(plugins_dir or "plugins")
    return {bundled("plugins"), folder.resolve(), *(path.resolve().parent for path in files)}


def load(source: Source) -> object:
    """Import a plugin and return its module.

    Raises:
        PluginError: if the import raises anything; it names the line of the plugin's code.
    """
    try:
        with long_import.reported(source.name, source.origin):
            return source.load()
    except (Exception, SystemExit) as error:
        raise PluginError(source.name, source.origin, _problem(error)) from error


def _is_same_file(origin: str, other: str) -> bool:
    try:
        return Path(origin).read_bytes() == Path(other).read_bytes()
    except OSError:
        return False  # not a file, or loading it says what is wrong


def _sources(plugins_dir: str, files: Iterable[Path]) -> Iterator[Source]:
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
    # Not at the top: only installed plugins have requirements, and most servers have none of these.
    from packaging.requirements import Requirement

    for text in distribution.requires or ():
        requirement = Requirement(text)
        if requirement.name == "rtdemo" and not requirement.specifier.contains(__version__):
            raise ImportError(f"it needs rtdemo{requirement.specifier}, but this is {__version__}")
    return point.load()


def _import_file(path: Path) -> ModuleType:
    # Not a submodule of `rtdemo.plugins`: that package exists only in a wheel.
    name = f"rtdemo_plugins.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("the name of a plugin file must end in .py")
    if isinstance(spec.loader, SourceFileLoader):
        spec.loader = _Uncached(name, str(path))
    module = importlib.util.module_from_spec(spec)
    # dataclasses and pickle look up a module by its name while it is being imported.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


class _Uncached(SourceFileLoader):
    """Load a file without the bytecode cache.

    The cache compares a file's size and the time of its last change, in whole seconds. After two changes
    within one second that keep the size, a reload would run the code of the first.
    """

    def path_stats(self, path: str) -> NoReturn:
        """Refuse the file's time of change, so that the loader neither reads nor writes bytecode."""
        raise OSError(f"no bytecode is kept for {path}")


def described(error: BaseException) -> str:
    """Return an error in one line, with its place in the plugin's code."""
    # Name the plugin's own line, not one of the decorator. A dataclass's __init__ is in "<string>".
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not is_own_code(frame.filename)
    ]
    where = f"line {frames[-1].lineno} of {Path(frames[-1].filename).name}: " if frames else ""
    return where + one_line(error)


def _problem(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    return described(error) + _hint(error)


def _hint(error: BaseException) -> str:
    """Return which name of rtdemo may be meant, or that a newer one is needed; empty if unknown."""
    if isinstance(error, ImportError) and error.name == "rtdemo":
        known, otherwise = rtdemo.__all__, f"; the plugin may need a newer rtdemo than {__version__}"
    elif isinstance(error, TypeError) and str(error).startswith("Producer.__init__() "):
        known, otherwise = [*Traits.__annotations__], ""
    else:
        return ""
    # From Python 3.13 on, the text of a TypeError has a hint of its own.
    wrong = re.search(r"(?:import name|keyword argument) '(\w+)'(?!\. Did)", str(error))
    close = get_close_matches(wrong[1], known, 1) if wrong else []
    return f"; did you mean {close[0]!r}?" if close else otherwise


def _package(folder: Path) -> Source:
    points = _entry_points(folder / "pyproject.toml")
    if len(points) != 1:
        raise NoPluginError(
            f"{folder} must have a pyproject.toml with exactly one line in "
            f"[project.entry-points.rtdemo]; it has {len(points) or 'none'}"
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
    # Import from this folder, with or without `src`, not from an installed copy of the package.
    root = str(folder / "src" if (folder / "src").is_dir() else folder)
    sys.path.insert(0, root)
    try:
        return point.load()
    finally:
        sys.path.remove(root)
