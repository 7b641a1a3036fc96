"""Call plugins' hooks, each call guarded from the others."""

from __future__ import annotations

import asyncio
import difflib
import inspect
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import pluggy

from rtdemo.errors import one_line
from rtdemo.plugin_system import hookspecs
from rtdemo.plugin_system.checks import Check
from rtdemo.plugin_system.isolation import raise_if_stopped
from rtdemo.plugin_system.producer import Producer
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Broadcast

log = logging.getLogger(__name__)

T = TypeVar("T")
Reply = Callable[[str, str | Broadcast], Awaitable[None]]

RECEIVE_TIMEOUT = 10.0
TRACEBACK_EVERY = 100


class Hooks:
    """Register plugins with pluggy and call what they implement.

    A hook that raises is logged with its traceback the first time and then every hundredth, and
    the other plugins' answers still count: in pluggy's own call, one error costs them all.
    """

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._failures: Counter[tuple[str, str]] = Counter()

    def register(self, module: object, name: str) -> list[str]:
        """Register a plugin; return the names of the hooks that it implements.

        Raises:
            ValueError: when a hook's name or arguments are not as specified.
        """
        try:
            self._pluggy.register(module, name)
            self._check(module)
        except (ValueError, pluggy.PluginValidationError) as error:
            self._pluggy.unregister(name=name)
            raise ValueError(" ".join(str(error).split())) from error
        return sorted(caller.name for caller in self._pluggy.get_hookcallers(module) or ())

    def unregister(self, name: str) -> None:
        """Forget a plugin."""
        self._pluggy.unregister(name=name)

    def _check(self, module: object) -> None:
        known = [name for name, caller in vars(self._pluggy.hook).items() if _is_specified(caller)]
        for caller in self._pluggy.get_hookcallers(module) or ():
            if not _is_specified(caller):
                near = difflib.get_close_matches(caller.name, known, 1, 0.0)
                raise ValueError(f"there is no hook {caller.name!r}; did you mean {near[0]!r}?")
            for implementation in caller.get_hookimpls():
                if implementation.hookwrapper or implementation.wrapper:
                    raise ValueError(f"hook {caller.name!r} may not be a wrapper")
                is_async = inspect.iscoroutinefunction(implementation.function)
                if is_async and caller.name != "receive":
                    raise ValueError(f"hook {caller.name!r} may not be async; only receive may")

    def producers(self, client: Client) -> Iterator[tuple[str, Producer]]:
        """Ask for a connection's private producers; give each with its plugin's name."""
        yield from self._listed("producers", Producer, client=client)

    def shared_producers(self) -> Iterator[tuple[str, Producer]]:
        """Ask for the producers that run once for everyone."""
        yield from self._listed("shared_producers", Producer)

    def checks(self) -> Iterator[tuple[str, Check]]:
        """Ask for the checks that are added to those of `rtdemo doctor`."""
        yield from self._listed("checks", Check)

    def connected(self, client: Client) -> None:
        """Tell every plugin that a client is connected."""
        for _ in self._call("connected", client=client):
            pass

    def disconnected(self, client: Client, reason: Reason) -> None:
        """Tell every plugin that a client is gone."""
        for _ in self._call("disconnected", client=client, reason=reason):
            pass

    async def receive(self, client: Client, text: str, reply: Reply) -> None:
        """Ask every plugin for its reply to a client's text, and pass each on as it comes.

        Arguments:
            reply: takes the plugin's name, and the text or the `Broadcast`.
        """
        for plugin, answer in self._call("receive", client=client, text=text):
            try:
                if inspect.isawaitable(answer):
                    async with asyncio.timeout(RECEIVE_TIMEOUT):
                        answer = await answer
                if isinstance(answer, (str, Broadcast)):
                    await reply(plugin, answer)
                elif answer is not None:
                    kind = type(answer).__name__
                    raise TypeError(f"returned {kind}; a reply is str, Broadcast or None")
            except BaseException as error:
                raise_if_stopped(error)
                self._tell(plugin, "receive", error)

    def _listed(self, hook: str, wanted: type[T], **arguments: Any) -> Iterator[tuple[str, T]]:
        for plugin, answer in self._call(hook, **arguments):
            for given in self._guarded(plugin, hook, partial(list, answer or ())) or ():
                if isinstance(given, wanted):
                    yield plugin, given
                else:
                    kind, name = type(given).__name__, wanted.__name__
                    self._tell(plugin, hook, TypeError(f"gave {kind}; it gives {name} objects"))

    def _call(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        # pluggy calls the last one of its list first.
        for implementation in reversed(getattr(self._pluggy.hook, hook).get_hookimpls()):
            given = [arguments[name] for name in implementation.argnames]
            call = partial(implementation.function, *given)
            answer = self._guarded(implementation.plugin_name, hook, call)
            yield implementation.plugin_name, answer

    def _guarded(self, plugin: str, hook: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except BaseException as error:  # SystemExit too: one plugin does not end the server
            self._tell(plugin, hook, error)
            return None

    def _tell(self, plugin: str, hook: str, error: BaseException) -> None:
        self._failures[plugin, hook] += 1
        if self._failures[plugin, hook] % TRACEBACK_EVERY == 1:
            log.error("hook %r of plugin %r failed: %s", hook, plugin, one_line(error), exc_info=error)


def _is_specified(caller: object) -> bool:
    return isinstance(caller, pluggy.HookCaller) and caller.spec is not None
