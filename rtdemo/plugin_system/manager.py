"""Load plugins, replace them while the server runs, and list their producers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rtdemo.errors import PluginError, ProducerError
from rtdemo.plugin_system import options
from rtdemo.plugin_system.discovery import Source, load
from rtdemo.plugin_system.hooks import Hooks
from rtdemo.plugin_system.options import Option
from rtdemo.plugin_system.producer import Producer
from rtdemo.plugin_system.producer_registry import ProducerRegistry
from rtdemo.plugin_system.supervisor import Supervisor
from rtdemo.protocol.client import Client, Transport
from rtdemo.settings.settings import environment

log = logging.getLogger(__name__)

Supervised = tuple[Producer, Supervisor]
"""A producer, and the supervisor that runs it."""


@dataclass
class Plugin:
    """A loaded plugin.

    Arguments:
        name: the file's name without `.py`, or the entry point's name.
        origin: where it was found, such as a path.
        version: version of its distribution; empty for a file.
        module: the imported module.
        hooks: names of the hooks that it implements.
        options: the settings that it declares, by name.
        producers: the producers that its module declares.
        error: why the last reload failed, in one line; the plugin as loaded before still runs.
    """

    name: str
    origin: str
    version: str
    module: object
    hooks: list[str] = field(default_factory=list)
    options: dict[str, Option[object]] = field(default_factory=dict)
    producers: list[Supervised] = field(default_factory=list)
    error: str | None = None


class NotLoaded(NamedTuple):
    """A plugin that could not be loaded.

    Arguments:
        name: the plugin's name.
        origin: where it was found, such as a path.
        problem: what is wrong with it, in one line.
    """

    name: str
    origin: str
    problem: str


class PluginManager:
    """Load plugins, and list their producers.

    Arguments:
        time: returns seconds on a monotonic clock, for the producers' back-off.
        environ: environment variables with the plugins' settings; by default the environment and `.env`.

    Attributes:
        hooks: calls the hooks of the plugins.
        registry: the list of all producers, with their supervisors.
    """

    def __init__(self, time: Callable[[], float], environ: Mapping[str, str] | None = None) -> None:
        self.hooks = Hooks()
        self.registry = ProducerRegistry(time)
        self._environ = environment() if environ is None else environ
        self._plugins: dict[str, Plugin] = {}
        self._not_loaded: dict[str, NotLoaded] = {}
        self._from_hooks: list[Supervised] = []
        # Until a plugin comes or goes: the private producers that modules declare, whether any of them
        # is for some users only, and the users of each shared producer.
        self._private: dict[Transport, list[Supervised]] = {}
        self._has_restricted = False
        self._shared_users: dict[str, frozenset[str] | None] | None = None
        self._always: frozenset[str] | None = None

    @property
    def plugins(self) -> list[Plugin]:
        """The loaded plugins, in the order of loading."""
        return list(self._plugins.values())

    @property
    def not_loaded(self) -> list[NotLoaded]:
        """The plugins of which no version is loaded, in the order of their failures."""
        return list(self._not_loaded.values())

    def load(self, sources: Iterable[Source]) -> list[PluginError]:
        """Load and register plugins; return the errors of those that fail, which are skipped."""
        errors = []
        for source in sources:
            try:
                self.register(load(source), source.name, source.origin, source.version)
            except PluginError as error:
                self._note(error)
                errors.append(error)
        return errors

    def register(self, module: object, name: str, origin: str, version: str = "") -> None:
        """Register a plugin: its settings, its hooks, and the producers that its module declares.

        Arguments:
            module: the imported module, or another object with these as attributes.
            name: the plugin's name.
            origin: where it was found, such as a path.
            version: version of its distribution; empty for a file.

        Raises:
            PluginError: if a setting has no valid value, or a hook does not match its specification.
        """
        if not hasattr(module, "__dict__"):
            kind = type(module).__name__
            raise PluginError(
                name,
                origin,
                f"is of type {kind}; a plugin must be a module or an object with attributes",
            )
        plugin = Plugin(name, origin, version, module, options=options.declared(module))
        try:
            for option_name, option in plugin.options.items():
                option.read(name, option_name, self._environ)
            plugin.hooks = self.hooks.register(module, name)
        except (ValueError, ProducerError) as error:
            raise PluginError(name, origin, str(error)) from error
        self._plugins[name] = plugin
        self._forget_lists()
        for producer in (p for p in vars(module).values() if isinstance(p, Producer)):
            supervisor = self.registry.register(name, producer)
            if supervisor is not None:
                plugin.producers.append((producer, supervisor))
        if not plugin.producers and not plugin.hooks:
            log.warning("plugin %r (%s) has no producer and no hook", name, origin)

    def unregister(self, name: str) -> Plugin | None:
        """Remove a plugin and its producers, and return it. The hub stops their running producers."""
        self._not_loaded.pop(name, None)
        plugin = self._plugins.pop(name, None)
        self._forget_lists()
        if plugin is not None:
            self.hooks.unregister(name)
            self.registry.forget(name)
            self._from_hooks = [pair for pair in self._from_hooks if pair[1].plugin != name]
            self._forget_lists()
        return plugin

    def replace(self, source: Source) -> None:
        """Load a plugin in place of the loaded one of its name. If that fails, the old one stays.

        Raises:
            PluginError: if the new one cannot be loaded; `Plugin.error` of the old one keeps the text,
                without an old one `not_loaded`.
        """
        old = self._plugins.get(source.name)
        try:
            module = load(source)
            self.unregister(source.name)
            self.register(module, source.name, source.origin, source.version)
        except PluginError as error:
            error.untouched = old is None or source.name in self._plugins
            if old is None:
                self._note(error)
            else:
                if not error.untouched:
                    self.register(old.module, old.name, old.origin, old.version)
                self._plugins[source.name].error = error.problem
            raise

    def _note(self, error: PluginError) -> None:
        # Not the exception: its traceback keeps all that the plugin's module had made.
        self._not_loaded[error.plugin] = NotLoaded(error.plugin, error.origin, error.problem)

    def names(self, client: Client) -> list[str]:
        """Return the names of the producers that a client may select."""
        shared = [pair for pair in self.shared if pair[0].admits(client.user)]
        pairs = [*self.producers_for(client), *shared]
        return sorted({p.name for p, _ in pairs if client.transport in p.transports})

    @property
    def replying(self) -> list[str]:
        """Names of the plugins that reply to clients; their replies and broadcasts carry these names."""
        return [plugin.name for plugin in self.plugins if "receive" in plugin.hooks]

    def is_always(self, producer: str) -> bool:
        """Return whether a shared producer's messages go also to clients that did not select it."""
        if self._always is None:
            self._always = frozenset(p.name for p, _ in self.shared if p.always)
        return producer in self._always

    @property
    def shared_users(self) -> Mapping[str, frozenset[str] | None]:
        """By the name of each shared producer, the users that receive it; None for everyone."""
        if self._shared_users is None:
            self._shared_users = {p.name: p.admitted_users for p, _ in self.shared}
        return self._shared_users

    def _forget_lists(self) -> None:
        self._private.clear()
        self._shared_users = self._always = None

    def producers_for(self, client: Client) -> Sequence[Supervised]:
        """Return the private producers of a client, those with `always` first, such as the welcome.

        Those that are for other users are left out.
        """
        declared = self._private.get(client.transport)
        if declared is None:
            private = [pair for pair in self._declared() if not pair[0].shared]
            declared = self._private[client.transport] = _for_transport(private, client.transport)
            self._has_restricted = any(p.admitted_users is not None for p, _ in private)
        if not self._has_restricted and not self.hooks.implementations("producers"):
            return declared
        offered = self._with_hooks(client, declared)
        return [pair for pair in offered if pair[0].admits(client.user)]

    def _with_hooks(self, client: Client, declared: list[Supervised]) -> list[Supervised]:
        from_hooks: list[Supervised] = []
        names: set[str] = set()
        for plugin, producer in self.hooks.producers(client):
            supervisor = (
                None if producer.name in names else self.registry.find_or_register(plugin, producer)
            )
            if supervisor is not None:
                names.add(producer.name)
                from_hooks.append((producer, supervisor))
        return _for_transport(declared + from_hooks, client.transport) if from_hooks else declared

    @property
    def shared(self) -> list[Supervised]:
        """The shared producers: those that modules declare, then those of hooks."""
        return [pair for pair in self._declared() if pair[0].shared] + self._from_hooks

    def collect_shared(self, plugin: str | None = None) -> None:
        """Call the hook `shared_producers` and register what it returns.

        Arguments:
            plugin: register only the producers of this plugin, after a reload; None for all.
        """
        for name, producer in self.hooks.shared_producers():
            if plugin not in (None, name):
                continue
            supervisor = self.registry.register(name, producer) if producer.shared else None
            if supervisor is not None:
                self._from_hooks.append((producer, supervisor))
                self._shared_users = self._always = None

    def _declared(self) -> Iterable[Supervised]:
        return (pair for plugin in self._plugins.values() for pair in plugin.producers)


def _for_transport(pairs: Iterable[Supervised], transport: Transport) -> list[Supervised]:
    """Return the producers for a transport, those with `always` first."""
    matching = [pair for pair in pairs if transport in pair[0].transports]
    return sorted(matching, key=lambda pair: not pair[0].always)
