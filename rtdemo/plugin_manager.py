"""Hold the loaded plugins and call their hooks, each call guarded from the others."""

from __future__ import annotations

import asyncio
import difflib
import inspect
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pluggy

from rtdemo import hookspecs
from rtdemo.client import Client
from rtdemo.discovery import Source, load
from rtdemo.errors import PluginError
from rtdemo.producers import Producer
from rtdemo.reasons import Reason
from rtdemo.roster import Roster
from rtdemo.supervisor import TRACEBACK_EVERY, Supervisor

log = logging.getLogger(__name__)

RECEIVE_TIMEOUT = 10.0

Supervised = tuple[Producer, Supervisor]


@dataclass(frozen=True)
class Plugin:
    """Name a loaded plugin and the place that it came from."""

    name: str
    origin: str


class PluginManager:
    """Register plugins, list their producers and call their hooks.

    A hook that raises is logged with its traceback the first time and then every hundredth, and
    the other plugins' answers still count.

    Arguments:
        time: seconds on a monotonic clock, for the producers' back-off.

    Attributes:
        plugins: what was loaded.
        roster: every producer that is known.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self.roster = Roster(time)
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._declared: list[Supervised] = []
        self._failures: Counter[tuple[str, str]] = Counter()
        self.plugins: list[Plugin] = []

    def load(self, sources: Iterable[Source]) -> list[PluginError]:
        """Load and register plugins; return the errors of those that were left out."""
        errors = []
        for source in sources:
            try:
                self.register(load(source), source.name, source.origin)
            except PluginError as error:
                errors.append(error)
        return errors

    def register(self, module: object, name: str, origin: str) -> None:
        """Register a plugin's hooks and the producers that its module declares.

        Raises:
            PluginError: when a hook's name or arguments are not as specified.
        """
        try:
            self._pluggy.register(module, name)
            self._check_hooks(module)
        except (ValueError, pluggy.PluginValidationError) as error:
            self._pluggy.unregister(name=name)
            sentence = " ".join(str(error).split())
            raise PluginError(name, origin, sentence) from error
        self.plugins.append(Plugin(name, origin))
        declared = [value for value in vars(module).values() if isinstance(value, Producer)]
        for producer in declared:
            account = self.roster.declare(name, producer)
            if account is not None:
                self._declared.append((producer, account))
        if not declared and not self._pluggy.get_hookcallers(module):
            log.warning("plugin %r (%s) has no producer and no hook", name, origin)

    def _check_hooks(self, module: object) -> None:
        known = [name for name, caller in vars(self._pluggy.hook).items() if _is_specified(caller)]
        for caller in self._pluggy.get_hookcallers(module) or ():
            if not _is_specified(caller):
                near = difflib.get_close_matches(caller.name, known, 1, 0.0)
                raise ValueError(f"there is no hook {caller.name!r}; did you mean {near[0]!r}?")
            for implementation in caller.get_hookimpls():
                if implementation.hookwrapper or implementation.wrapper:
                    raise ValueError(f"hook {caller.name!r} may not be a wrapper")

    def producers_for(self, client: Client) -> list[Supervised]:
        """Return the private producers of a connection, declared ones first."""
        found = list(self._declared)
        for plugin, answer in self._call("producers", client=client):
            for producer in self._guarded(plugin, "producers", partial(list, answer or ())) or ():
                account = self.roster.meet(plugin, producer)
                if account is not None:
                    found.append((producer, account))
        return [pair for pair in found if client.transport in pair[0].transports]

    def connected(self, client: Client) -> None:
        """Tell every plugin that a client is connected."""
        for _ in self._call("connected", client=client):
            pass

    def disconnected(self, client: Client, reason: Reason) -> None:
        """Tell every plugin that a client is gone."""
        for _ in self._call("disconnected", client=client, reason=reason):
            pass

    async def receive(self, client: Client, text: str, reply: Callable[[str, str], object]) -> None:
        """Ask every plugin for its reply to a client's text, and pass each on as it comes.

        Arguments:
            reply: takes the plugin's name and the text.
        """
        for plugin, answer in self._call("receive", client=client, text=text):
            try:
                if inspect.isawaitable(answer):
                    async with asyncio.timeout(RECEIVE_TIMEOUT):
                        answer = await answer
                if isinstance(answer, str):
                    reply(plugin, answer)
                elif answer is not None:
                    raise TypeError(f"returned {type(answer).__name__}; a reply is str or None")
            except Exception as error:
                self._tell(plugin, "receive", error)

    def _call(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        # Not `hook(...)`: there one plugin's exception costs all the others' answers.
        # pluggy calls the last one of its list first.
        for implementation in reversed(getattr(self._pluggy.hook, hook).get_hookimpls()):
            given = [arguments[name] for name in implementation.argnames]
            call = partial(implementation.function, *given)
            answer = self._guarded(implementation.plugin_name, hook, call)
            yield implementation.plugin_name, answer

    def _guarded(self, plugin: str, hook: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            self._tell(plugin, hook, error)
            return None

    def _tell(self, plugin: str, hook: str, error: Exception) -> None:
        self._failures[plugin, hook] += 1
        if self._failures[plugin, hook] % TRACEBACK_EVERY == 1:
            sentence = f"{type(error).__name__}: {error}"
            log.error("hook %r of plugin %r failed: %s", hook, plugin, sentence, exc_info=error)


def _is_specified(caller: object) -> bool:
    return isinstance(caller, pluggy.HookCaller) and caller.spec is not None
