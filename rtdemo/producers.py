"""Declare producers: named sources of messages."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, overload

from rtdemo.client import TRANSPORTS, Client, Transport
from rtdemo.errors import ProducerError
from rtdemo.message import Message

Content = str | Message | None
Function = Callable[..., Content | Awaitable[Content]]
MINIMUM_PERIOD = 0.01


@dataclass(frozen=True, eq=False)
class Producer:
    """Name a function as a source of messages.

    Arguments:
        name: what its messages carry as `producer`; unique among producers of one transport.
        function: sync or async, takes nothing or `client`; returns text, a `Message`, or None
            for nothing this time.
        every: seconds between two runs, 0.01 or more; None runs it once, at connect.
        transports: where it runs; both by default.
        always: run it also for a client that picked other producers.

    Raises:
        ProducerError: when one of these is not as said.
    """

    name: str
    function: Function
    _: KW_ONLY
    every: float | None = None
    transports: Iterable[Transport] = TRANSPORTS
    always: bool = False
    run: Callable[[Client], Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "transports", self._checked_transports())
        object.__setattr__(self, "run", self._bind())
        if not isinstance(self.name, str) or not self.name.strip() or "," in self.name:
            raise ProducerError(f"producer name {self.name!r} must be text without a comma")
        if self.every is not None and not _is_period(self.every):
            raise ProducerError(
                f"producer {self.name!r}: every={self.every!r} must be a number of seconds,"
                f" {MINIMUM_PERIOD} or more"
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as if it had not been declared a producer."""
        return self.function(*args, **kwargs)

    def _checked_transports(self) -> tuple[Transport, ...]:
        given = self.transports
        names: tuple[Transport, ...] = () if isinstance(given, str) else tuple(given)
        if not names or any(name not in TRANSPORTS for name in names):
            raise ProducerError(
                f"producer {self.name!r}: transports={given!r} must be a list of {', '.join(TRANSPORTS)}"
            )
        return names

    def _bind(self) -> Callable[[Client], Any]:
        function = self.function
        if not callable(function):
            raise ProducerError(f"producer {self.name!r}: {function!r} is not a function")
        needed = [p for p in inspect.signature(function).parameters.values() if _is_needed(p)]
        if [p.name for p in needed] == ["client"]:
            return function
        if not needed:
            return lambda _client: function()
        names = ", ".join(p.name for p in needed)
        raise ProducerError(f"producer {self.name!r} takes ({names}); it may take nothing or client")


def _is_needed(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return not variadic and (parameter.default is parameter.empty or parameter.name == "client")


def _is_period(every: object) -> bool:
    if not isinstance(every, int | float) or isinstance(every, bool):
        return False
    return math.isfinite(every) and every >= MINIMUM_PERIOD


Decorator = Callable[[Function], "Producer"]


@overload
def producer(function: Function, /) -> Producer: ...
@overload
def producer(
    *,
    every: float | None = None,
    transports: Iterable[Transport] = TRANSPORTS,
    name: str | None = None,
    always: bool = False,
) -> Decorator: ...
def producer(
    function: Function | None = None,
    /,
    *,
    every: float | None = None,
    transports: Iterable[Transport] = TRANSPORTS,
    name: str | None = None,
    always: bool = False,
) -> Producer | Decorator:
    """Make a function in a plugin's module a producer, named after it.

    Arguments:
        every: seconds between two runs; without it the function runs once, at connect.
        transports: where it runs, of `"websocket"` and `"sse"`.
        name: another name than the function's.
        always: run it also for a client that picked other producers.

    Raises:
        ProducerError: when one of these is not as said.
    """

    def declare(function: Function) -> Producer:
        own_name = name if name is not None else getattr(function, "__name__", repr(function))
        return Producer(own_name, function, every=every, transports=transports, always=always)

    return declare if function is None else declare(function)
