"""Reload plugins when their files change, while clients stay connected."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from rtdemo.errors import PluginError
from rtdemo.hub.hub import Hub
from rtdemo.plugin_system.discovery import Source

log = logging.getLogger(__name__)

DEBOUNCE_MS = 200
"""Milliseconds in which further changes are collected before a reload."""


class Reloader:
    """Reload changed plugin files, and replace their producers on every connection.

    Arguments:
        hub: the hub with the plugins and connections to update.
        discover: returns the sources that exist now.
    """

    def __init__(self, hub: Hub, discover: Callable[[], list[Source]]) -> None:
        self._hub = hub
        self._discover = discover
        self._loaded = {source.name: source for source in discover()}

    async def watch(self, folders: Iterable[Path]) -> None:
        """Watch folders, and reload what changes in them, until cancelled.

        Arguments:
            folders: those that do not exist are ignored.
        """
        # Not at the top: only a server with --reload watches files.
        from watchfiles import awatch

        existing = [folder for folder in folders if folder.is_dir()]
        watched = awatch(*existing, watch_filter=_is_plugin_file, debounce=DEBOUNCE_MS, recursive=False)
        async for changes in watched:
            self.apply({Path(path) for _, path in changes})

    def apply(self, changed: Iterable[Path]) -> None:
        """Reload plugins with changed files, load new ones and remove deleted ones.

        If a plugin fails to load, its previous version keeps running. The error is logged, and
        `GET /api/plugins` shows it.

        Arguments:
            changed: the files that changed.
        """
        paths = {str(path.resolve()) for path in changed}
        found = {source.name: source for source in self._discover()}
        for name in sorted(self._loaded.keys() | found.keys()):
            before, after = self._loaded.get(name), found.get(name)
            if after is None:
                self._remove(name)
            elif before is None or before.origin != after.origin or after.origin in paths:
                self._replace(after)
        self._loaded = found

    def _remove(self, name: str) -> None:
        if self._hub.plugins.unregister(name) is not None:
            self._hub.swap(name)
            log.info("plugin %r removed", name)

    def _replace(self, source: Source) -> None:
        try:
            self._hub.plugins.replace(source)
        except PluginError as error:
            is_loaded = any(plugin.name == source.name for plugin in self._hub.plugins.plugins)
            outcome = "its previous version keeps running" if is_loaded else "it is not loaded"
            log.error("%s; %s", error, outcome)  # noqa: TRY400 - it is one line
            if error.untouched:
                return
        else:
            log.info("plugin %r loaded again", source.name)
        self._hub.plugins.collect_shared(source.name)
        self._hub.swap(source.name)


def _is_plugin_file(_change: object, path: str) -> bool:
    """Return whether a changed file may be a plugin's: not the server's own log in the same folder."""
    return path.endswith(".py")
