"""Declare producers: named sources of messages."""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, TypedDict, Unpack, cast, overload

from rtdemo.errors import ProducerError
from rtdemo.protocol.client import TRANSPORTS, Client, Transport
from rtdemo.protocol.message import Message

Content = str | Mapping[str, Any] | Message | None
Function = Callable[..., Content | Awaitable[Content] | AsyncIterator[Content]]
MINIMUM_PERIOD = 0.01


class Series:
    """Number the messages of one shared producer.

    Arguments:
        following: gives the number of the message that its next run makes, 1 or more.
    """

    __slots__ = ("_following",)

    def __init__(self, following: Callable[[], int]) -> None:
        self._following = following

    @property
    def next(self) -> int:
        """The number of the message that its next run makes, as far as is known."""
        return self._following()


@dataclass(frozen=True, eq=False)
class Producer:
    """Name a function as a source of messages.

    Arguments:
        name: what its messages carry as `producer`; unique among producers of one transport.
        function: sync, async or an async generator; takes nothing, or `client`, or where it is shared
            `seq`; returns (or yields) text, a dict (sent as JSON text), a `Message`, or None for
            nothing this time.
        every: seconds between two runs, 0.01 or more; without it a function runs once, at connect.
            An async generator has none: it runs from connect on.
        transports: where it runs; both by default.
        shared: run it once for the whole deployment, not once for each client; `seq` is then the
            number of the message that it makes, which goes on whichever server runs it.
        thread: run it in a thread, because it blocks.
        jitter: seconds, less than `every`, by which each run is put off at random.
        timeout: seconds after which an async run, or one in a thread, counts as failed.
        always: run it also for a client that picked other producers.

    Raises:
        ProducerError: when one of these is not as said.
    """

    name: str
    function: Function
    _: KW_ONLY
    every: float | None = None
    transports: Iterable[Transport] = TRANSPORTS
    shared: bool = False
    thread: bool = False
    jitter: float = 0.0
    timeout: float = 10.0
    always: bool = False
    is_stream: bool = field(init=False, repr=False)
    run: Callable[[Client | Series | None], Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or "," in self.name:
            raise ProducerError(f"producer name {self.name!r} must be text without a comma")
        if not self.name.isprintable():
            raise ProducerError(f"producer name {self.name!r} must be printable")
        if not callable(self.function):
            raise self._error(f"{self.function!r} is not a function")
        set_field = partial(object.__setattr__, self)
        set_field("is_stream", inspect.isasyncgenfunction(self.function))
        set_field("transports", self._checked_transports())
        self._check_kind()
        self._check_times()
        set_field("run", self._bind())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as if it had not been declared a producer."""
        return self.function(*args, **kwargs)

    def _error(self, problem: str) -> ProducerError:
        return ProducerError(f"producer {self.name!r}: {problem}")

    def _checked_transports(self) -> tuple[Transport, ...]:
        given = self.transports
        names: tuple[Transport, ...] = () if isinstance(given, str) else tuple(given)
        if not names or any(name not in TRANSPORTS for name in names):
            raise self._error(f"transports={given!r} must be a list of {', '.join(TRANSPORTS)}")
        return names

    def _check_kind(self) -> None:
        if inspect.isgeneratorfunction(self.function):
            raise self._error("is a plain generator; make it async, or return one text a run")
        if self.is_stream and self.every is not None:
            raise self._error("is an async generator, which has no every; sleep between two yields")
        if self.thread and (self.is_stream or inspect.iscoroutinefunction(self.function)):
            raise self._error("thread=True is for functions that are not async")
        if self.shared and self.every is None and not self.is_stream:
            raise self._error("is shared, so nobody's connect runs it; give it every=SECONDS")

    def _check_times(self) -> None:
        if self.every is not None and not _at_least(MINIMUM_PERIOD, self.every):
            raise self._error(
                f"every={self.every!r} must be a number of seconds, {MINIMUM_PERIOD} or more"
            )
        if not _at_least(MINIMUM_PERIOD, self.timeout):
            raise self._error(f"timeout={self.timeout!r} must be a number of seconds, 0.01 or more")
        if not _at_least(0, self.jitter) or (self.jitter and self.jitter >= (self.every or 0)):
            raise self._error(f"jitter={self.jitter!r} must be 0 or more seconds and less than every")

    def _bind(self) -> Callable[[Client | Series | None], Any]:
        function = self.function
        try:
            parameters = inspect.signature(function).parameters.values()
        except ValueError as error:
            raise self._error("its arguments cannot be told; wrap it in a function") from error
        needed = [p for p in parameters if _is_needed(p)]
        if not needed:
            return lambda _client: function()
        if self.shared:
            if [p.name for p in needed] == ["seq"]:
                return lambda series: function(seq=series.next if isinstance(series, Series) else 1)
            raise self._error("is shared: it runs for nobody in particular; it takes nothing or seq")
        if [p.name for p in needed] == ["client"]:
            is_first = next(iter(parameters)) is needed[0] and needed[0].kind != needed[0].KEYWORD_ONLY
            return function if is_first else lambda client: function(client=client)
        names = ", ".join(p.name for p in needed)
        raise self._error(f"takes ({names}); it may take nothing or client")


def _is_needed(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return not variadic and (parameter.default is parameter.empty or parameter.name in ("client", "seq"))


def _at_least(least: float, number: object) -> bool:
    if not isinstance(number, int | float) or isinstance(number, bool):
        return False
    return math.isfinite(number) and number >= least


class Traits(TypedDict, total=False):
    """The keywords of `@producer`: those of `Producer`, and another name than the function's."""

    name: str
    every: float | None
    transports: Iterable[Transport]
    shared: bool
    thread: bool
    jitter: float
    timeout: float
    always: bool


@overload
def producer(function: Function, /) -> Producer: ...
@overload
def producer(**traits: Unpack[Traits]) -> Callable[[Function], Producer]: ...
def producer(
    function: Function | None = None, /, **traits: Unpack[Traits]
) -> Producer | Callable[[Function], Producer]:
    """Make a function in a plugin's module a producer, named after it.

    Arguments:
        traits: `name`, and what `Producer` takes: `every`, `transports`, `shared`, `thread`,
            `jitter`, `timeout`, `always`.

    Raises:
        ProducerError: when one of these is not as `Producer` says.
    """

    def declare(function: Function) -> Producer:
        rest = dict(traits)
        name = rest.pop("name", getattr(function, "__name__", repr(function)))
        return Producer(cast("str", name), function, **cast("Any", rest))

    return declare if function is None else declare(function)
