"""Hold the loaded plugins: load them, replace them while they run, list what they produce."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from rtdemo.errors import PluginError, ProducerError
from rtdemo.plugin_system import options
from rtdemo.plugin_system.discovery import Source, load
from rtdemo.plugin_system.hooks import Hooks
from rtdemo.plugin_system.options import Option
from rtdemo.plugin_system.producer import Producer
from rtdemo.plugin_system.registry import ProducerRegistry
from rtdemo.plugin_system.supervisor import Supervisor
from rtdemo.protocol.client import Client
from rtdemo.settings.settings import environment

log = logging.getLogger(__name__)

Supervised = tuple[Producer, Supervisor]


@dataclass
class Plugin:
    """Describe a loaded plugin.

    Arguments:
        name: a file's stem or an entry point's name.
        origin: where it came from.
        version: its distribution's; empty for a file.
        module: what was imported.
        hooks: the names of those that it implements.
        options: the settings that it declares.
        producers: those that its module declares.
        error: one line on a reload that failed, while what was loaded before goes on.
    """

    name: str
    origin: str
    version: str
    module: object
    hooks: list[str] = field(default_factory=list)
    options: dict[str, Option[object]] = field(default_factory=dict)
    producers: list[Supervised] = field(default_factory=list)
    error: str | None = None


class PluginManager:
    """Register plugins and list their producers.

    Arguments:
        time: seconds on a monotonic clock, for the producers' back-off.
        environ: where plugins' own settings are read from; by default as the server's are.

    Attributes:
        hooks: calls what the plugins implement.
        roster: every producer that is known, with its account.
    """

    def __init__(self, time: Callable[[], float], environ: Mapping[str, str] | None = None) -> None:
        self.hooks = Hooks()
        self.registry = ProducerRegistry(time)
        self._environ = environment() if environ is None else environ
        self._plugins: dict[str, Plugin] = {}
        self._from_hooks: list[Supervised] = []

    @property
    def plugins(self) -> list[Plugin]:
        """What is loaded, in the order in which it was."""
        return list(self._plugins.values())

    def load(self, sources: Iterable[Source]) -> list[PluginError]:
        """Load and register plugins; return the errors of those that were left out."""
        errors = []
        for source in sources:
            try:
                self.register(load(source), source.name, source.origin, source.version)
            except PluginError as error:
                errors.append(error)
        return errors

    def register(self, module: object, name: str, origin: str, version: str = "") -> None:
        """Register a plugin's hooks, settings and the producers that its module declares.

        Raises:
            PluginError: when a hook or a setting is not as specified.
        """
        if not hasattr(module, "__dict__"):
            kind = type(module).__name__
            raise PluginError(name, origin, f"is of type {kind}; a plugin is a module or an object")
        plugin = Plugin(name, origin, version, module, options=options.declared(module))
        try:
            for option_name, option in plugin.options.items():
                option.read(name, option_name, self._environ)
            plugin.hooks = self.hooks.register(module, name)
        except (ValueError, ProducerError) as error:
            raise PluginError(name, origin, str(error)) from error
        self._plugins[name] = plugin
        for producer in (p for p in vars(module).values() if isinstance(p, Producer)):
            account = self.registry.declare(name, producer)
            if account is not None:
                plugin.producers.append((producer, account))
        if not plugin.producers and not plugin.hooks:
            log.warning("plugin %r (%s) has no producer and no hook", name, origin)

    def unregister(self, name: str) -> Plugin | None:
        """Forget a plugin and its producers; their feeds are the hub's to stop."""
        plugin = self._plugins.pop(name, None)
        if plugin is not None:
            self.hooks.unregister(name)
            self.registry.forget(name)
            self._from_hooks = [pair for pair in self._from_hooks if pair[1].plugin != name]
        return plugin

    def replace(self, source: Source) -> None:
        """Load a plugin anew in place of the one of its name; where that fails, the old one stays.

        Raises:
            PluginError: what is wrong with the new one; `Plugin.error` keeps it.
        """
        old = self._plugins.get(source.name)
        try:
            module = load(source)
            self.unregister(source.name)
            self.register(module, source.name, source.origin, source.version)
        except PluginError as error:
            if old is not None:
                error.untouched = source.name in self._plugins
                if not error.untouched:
                    self.register(old.module, old.name, old.origin, old.version)
                self._plugins[source.name].error = error.problem
            raise

    def names(self, client: Client) -> list[str]:
        """Return the names of the producers that a client may pick."""
        pairs = self.producers_for(client) + self.shared
        return sorted({p.name for p, _ in pairs if client.transport in p.transports})

    @property
    def speakers(self) -> list[str]:
        """The plugins that answer clients: what they broadcast has their names."""
        return [plugin.name for plugin in self.plugins if "receive" in plugin.hooks]

    def is_always(self, producer: str) -> bool:
        """Tell whether a shared producer's messages go also to who did not pick it."""
        return any(p.always and p.name == producer for p, _ in self.shared)

    def producers_for(self, client: Client) -> list[Supervised]:
        """Return the private producers of a connection: first what always runs, as a welcome does."""
        found = [pair for pair in self._declared() if not pair[0].shared]
        names: set[str] = set()
        for plugin, producer in self.hooks.producers(client):
            account = None if producer.name in names else self.registry.meet(plugin, producer)
            if account is not None:
                names.add(producer.name)
                found.append((producer, account))
        here = [pair for pair in found if client.transport in pair[0].transports]
        return sorted(here, key=lambda pair: not pair[0].always)

    @property
    def shared(self) -> list[Supervised]:
        """The producers that run once for everyone, declared ones first."""
        return [pair for pair in self._declared() if pair[0].shared] + self._from_hooks

    def ask_shared(self, plugin: str | None = None) -> None:
        """Ask the hook `shared_producers`, of all plugins or of one that was loaded anew."""
        for name, producer in self.hooks.shared_producers():
            if plugin not in (None, name):
                continue
            account = self.registry.declare(name, producer) if producer.shared else None
            if account is not None:
                self._from_hooks.append((producer, account))

    def _declared(self) -> Iterable[Supervised]:
        return (pair for plugin in self._plugins.values() for pair in plugin.producers)
