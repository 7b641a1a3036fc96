"""Swap plugins while clients stay connected, as their files change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import awatch

from rtdemo.errors import PluginError
from rtdemo.hub.hub import Hub
from rtdemo.plugin_system.discovery import Source

log = logging.getLogger(__name__)

DEBOUNCE_MS = 200


class Reloader:
    """Load changed plugin files anew and put their producers to work on every connection.

    Arguments:
        hub: whose plugins and connections these are.
        discover: gives the sources that there are now.
    """

    def __init__(self, hub: Hub, discover: Callable[[], list[Source]]) -> None:
        self._hub = hub
        self._discover = discover
        self._known = {source.name: source for source in discover()}

    async def watch(self, folders: Iterable[Path]) -> None:
        """Watch folders until cancelled."""
        existing = [folder for folder in folders if folder.is_dir()]
        async for changes in awatch(*existing, debounce=DEBOUNCE_MS, recursive=False):
            self.apply({Path(path) for _, path in changes})

    def apply(self, changed: Iterable[Path]) -> None:
        """Reload the plugins whose files changed, came or went.

        One that fails to load leaves what it was at work; the error is logged, and shown by
        `GET /api/plugins`.
        """
        paths = {str(path.resolve()) for path in changed}
        now = {source.name: source for source in self._discover()}
        for name in sorted(self._known.keys() | now.keys()):
            before, after = self._known.get(name), now.get(name)
            if after is None:
                self._remove(name)
            elif before is None or before.origin != after.origin or after.origin in paths:
                self._replace(after)
        self._known = now

    def _remove(self, name: str) -> None:
        self._hub.plugins.unregister(name)
        self._hub.swap(name)
        log.info("plugin %r is gone", name)

    def _replace(self, source: Source) -> None:
        try:
            self._hub.plugins.replace(source)
        except PluginError as error:
            log.error("%s; what was loaded before goes on", error)  # noqa: TRY400 - it is one line
            if error.untouched:
                return
        else:
            log.info("plugin %r is loaded anew", source.name)
        self._hub.plugins.collect_shared(source.name)
        self._hub.swap(source.name)
