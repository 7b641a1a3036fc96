"""Call the hooks of plugins. A hook that fails does not affect the other plugins."""

from __future__ import annotations

import asyncio
import difflib
import inspect
import logging
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

import pluggy

from rtdemo.errors import Refused, one_line
from rtdemo.plugin_system import hookspecs
from rtdemo.plugin_system.checks import Check
from rtdemo.plugin_system.hookspecs import HttpRequest
from rtdemo.plugin_system.isolation import FAILURES_PER_TRACEBACK, raise_if_cancelled
from rtdemo.plugin_system.producer import Producer
from rtdemo.protocol.client import Client, is_user_name
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Broadcast

log = logging.getLogger(__name__)

T = TypeVar("T")
Receive = Callable[[Client, str], Any]
SendReply = Callable[[str, str | Broadcast], Awaitable[None] | None]

MAX_ITEMS = 2000
"""Producers or checks that one call of a hook may return: a generator may have no end."""
RECEIVE_TIMEOUT_S = 10.0
"""Seconds that an async `receive` hook has for its reply."""
AUTHENTICATE_TIMEOUT_S = 10.0
"""Seconds that an async `authenticate` hook has for its answer."""
_ASYNC_HOOKS = ("receive", "authenticate")
_LOGGED_CAUSES = 5
"""Errors of one chain whose frames are logged."""


class _WrongAnswerError(TypeError):
    """Report that a hook returned a value of a wrong type. The text has nothing of the request."""


class Hooks:
    """Register plugins with pluggy, and call the hooks that they implement.

    If a hook raises, the results of the other plugins still count; pluggy's own call would discard
    them. The log gets the first failure of a hook and every hundredth one, with the traceback.
    """

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._failures: Counter[tuple[str, str]] = Counter()
        # By hook, until a plugin comes or goes: pluggy's own lists take longer than most hooks.
        self._cached: dict[str, list[pluggy.HookImpl]] = {}
        self._cached_receivers: list[tuple[str, Receive]] | None = None

    def register(self, module: object, name: str) -> list[str]:
        """Register a plugin; return the names of the hooks that it implements.

        Arguments:
            module: the plugin's module, or any object with hooks as attributes.
            name: the plugin's name.

        Raises:
            ValueError: if the name is registered already, or a hook does not match its specification.
        """
        self._forget()
        try:
            self._pluggy.register(module, name)
            self._check(module)
        except (ValueError, pluggy.PluginValidationError) as error:
            self._pluggy.unregister(name=name)
            raise ValueError(" ".join(str(error).split())) from error
        return sorted(caller.name for caller in self._pluggy.get_hookcallers(module) or ())

    def unregister(self, name: str) -> None:
        """Remove a plugin."""
        self._forget()
        self._pluggy.unregister(name=name)

    def _forget(self) -> None:
        self._cached.clear()
        self._cached_receivers = None

    def implementations(self, hook: str) -> list[pluggy.HookImpl]:
        """Return the implementations of a hook, in the order in which they are called."""
        if hook not in self._cached:
            # pluggy's own list is in the reverse order.
            self._cached[hook] = list(reversed(getattr(self._pluggy.hook, hook).get_hookimpls()))
        return self._cached[hook]

    def _check(self, module: object) -> None:
        known = [name for name, caller in vars(self._pluggy.hook).items() if _is_specified(caller)]
        for caller in self._pluggy.get_hookcallers(module) or ():
            if not _is_specified(caller):
                near = difflib.get_close_matches(caller.name, known, 1, 0.0)
                raise ValueError(f"there is no hook {caller.name!r}; did you mean {near[0]!r}?")
            for implementation in caller.get_hookimpls():
                if implementation.hookwrapper or implementation.wrapper:
                    raise ValueError(f"hook {caller.name!r} must not be a wrapper")
                is_async = inspect.iscoroutinefunction(implementation.function)
                if is_async and caller.name not in _ASYNC_HOOKS:
                    names = " and ".join(_ASYNC_HOOKS)
                    raise ValueError(f"hook {caller.name!r} must not be async; only {names} may be")

    @property
    def authenticates(self) -> bool:
        """Whether a plugin implements `authenticate`."""
        return bool(self.implementations("authenticate"))

    async def authenticate(self, request: HttpRequest) -> str | None:
        """Return the first user that an `authenticate` hook names; None where none does.

        A hook that fails admits nobody, and no later hook is asked: it might have refused. Its
        traceback is logged without the error's text, which may repeat a secret of the request.

        Raises:
            Refused: as a hook raised it; 500 where a hook failed.
        """
        for implementation in self.implementations("authenticate"):
            arguments = [request] if implementation.argnames else []
            try:
                answer = implementation.function(*arguments)
                if inspect.isawaitable(answer):
                    async with asyncio.timeout(AUTHENTICATE_TIMEOUT_S):
                        answer = await answer
                if answer is not None and not is_user_name(answer):
                    kind = type(answer).__name__
                    sentence = f"returned {kind} that is not a user's name; return text or None"
                    raise _WrongAnswerError(sentence)
            except BaseException as error:  # SystemExit too: a plugin must not end the server
                raise_if_cancelled(error)
                if isinstance(error, Refused) and 400 <= error.status < 600:
                    raise
                self._authentication_failed(implementation.plugin_name, error)
                raise Refused(500, "login failed; see the server log") from None
            if answer is not None:
                return str(answer)
        return None

    def _authentication_failed(self, plugin: str, error: BaseException) -> None:
        if self._is_logged(plugin, "authenticate"):
            log.error("hook 'authenticate' of plugin %r failed: %s", plugin, _without_texts(error))

    def producers(self, client: Client) -> Iterator[tuple[str, Producer]]:
        """Yield the private producers of a connection, each with its plugin's name."""
        yield from self._collect("producers", Producer, client=client)

    def shared_producers(self) -> Iterator[tuple[str, Producer]]:
        """Yield the shared producers, each with its plugin's name."""
        yield from self._collect("shared_producers", Producer)

    def checks(self) -> Iterator[tuple[str, Check]]:
        """Yield the additional checks of `rtdemo doctor`, each with its plugin's name."""
        yield from self._collect("checks", Check)

    def connected(self, client: Client) -> None:
        """Call `connected` of every plugin."""
        if self.implementations("connected"):
            for _ in self._call("connected", client=client):
                pass

    def disconnected(self, client: Client, reason: Reason) -> None:
        """Call `disconnected` of every plugin."""
        if self.implementations("disconnected"):
            for _ in self._call("disconnected", client=client, reason=reason):
                pass

    def receive(
        self, client: Client, text: str, send_reply: SendReply
    ) -> Coroutine[Any, Any, None] | None:
        """Call `receive` of every plugin, and send each reply before the next call.

        Arguments:
            client: the client that sent the text.
            text: the text.
            send_reply: called with the plugin's name, and the text or the `Broadcast`. If it returns an
                awaitable, the reply is sent once this is done.

        Returns:
            A coroutine that does the rest, if a plugin or a reply needs to wait; else None.
        """
        receivers = self._receivers
        for number, (plugin, receive) in enumerate(receivers, 1):
            try:
                answer = receive(client, text)
                if answer is None:
                    continue
                if type(answer) is not str:
                    rest = self._answers(receivers[number:], client, text)
                    return self._receive(chain([(plugin, answer)], rest), send_reply)
                send_reply(plugin, answer)
            except BaseException as error:  # SystemExit too: a plugin must not end the server
                self._failed(plugin, "receive", error)
        return None

    @property
    def _receivers(self) -> list[tuple[str, Receive]]:
        """Each plugin with its `receive`, ready to call: each text comes along here."""
        if self._cached_receivers is None:
            self._cached_receivers = [
                (implementation.plugin_name, _by_position(implementation, ("client", "text")))
                for implementation in self.implementations("receive")
            ]
        return self._cached_receivers

    def _answers(
        self, receivers: Iterable[tuple[str, Receive]], client: Client, text: str
    ) -> Iterator[tuple[str, Any]]:
        for plugin, receive in receivers:
            yield plugin, self._guarded(plugin, "receive", partial(receive, client, text))

    async def _receive(self, answers: Iterable[tuple[str, Any]], send_reply: SendReply) -> None:
        for plugin, answer in answers:
            try:
                if inspect.isawaitable(answer):
                    async with asyncio.timeout(RECEIVE_TIMEOUT_S):
                        answer = await answer
                if isinstance(answer, (str, Broadcast)):
                    sent = send_reply(plugin, answer)
                    if sent is not None:
                        await sent
                elif answer is not None:
                    kind = type(answer).__name__
                    raise TypeError(f"returned {kind}; return str, Broadcast or None")
            except BaseException as error:
                raise_if_cancelled(error)
                self._failed(plugin, "receive", error)

    def _collect(self, hook: str, wanted: type[T], **arguments: Any) -> Iterator[tuple[str, T]]:
        for plugin, answer in self._call(hook, **arguments):
            for item in self._guarded(plugin, hook, partial(_items, answer or ())) or ():
                if isinstance(item, wanted):
                    yield plugin, item
                else:
                    kind, name = type(item).__name__, wanted.__name__
                    error = TypeError(f"returned a list with {kind}; return a list of {name}")
                    self._failed(plugin, hook, error)

    def _call(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        for implementation in self.implementations(hook):
            plugin, answer = implementation.plugin_name, None
            try:
                answer = implementation.function(*[arguments[name] for name in implementation.argnames])
            except BaseException as error:  # SystemExit too: a plugin must not end the server
                self._failed(plugin, hook, error)
            yield plugin, answer

    def _guarded(self, plugin: str, hook: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except BaseException as error:  # SystemExit too: a plugin must not end the server
            self._failed(plugin, hook, error)
            return None

    def _failed(self, plugin: str, hook: str, error: BaseException) -> None:
        if self._is_logged(plugin, hook):
            log.error("hook %r of plugin %r failed: %s", hook, plugin, one_line(error), exc_info=error)

    def _is_logged(self, plugin: str, hook: str) -> bool:
        """Count a failure of a hook; return whether it is one of those that are logged."""
        self._failures[plugin, hook] += 1
        return self._failures[plugin, hook] % FAILURES_PER_TRACEBACK == 1


def _by_position(implementation: pluggy.HookImpl, names: tuple[str, ...]) -> Callable[..., Any]:
    """Return a hook's function, called with all arguments by position; it may take only some."""
    function: Callable[..., Any] = implementation.function
    if tuple(implementation.argnames) == names:
        return function
    places = [names.index(name) for name in implementation.argnames]
    return lambda *given: function(*[given[place] for place in places])


def _items(answer: Iterable[Any]) -> list[Any]:
    items = list(islice(answer, MAX_ITEMS + 1))
    if len(items) > MAX_ITEMS:
        raise ValueError(f"returned over {MAX_ITEMS} items; return fewer")
    return items


def _without_texts(error: BaseException) -> str:
    """Return the traceback of an error and of its causes: frames and types, and no values.

    A password that a hook has decoded, or a header of its own, cannot be recognised in a text.
    """
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(parts) < _LOGGED_CAUSES:
        frames = "".join(traceback.format_tb(cause.__traceback__))
        text = cause if isinstance(cause, _WrongAnswerError) else "(its text may have a secret)"
        parts.append(f"{frames}{type(cause).__name__}: {text}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n" + "\nwhich was caused by:\n".join(parts)


def _is_specified(caller: object) -> bool:
    return isinstance(caller, pluggy.HookCaller) and caller.spec is not None
