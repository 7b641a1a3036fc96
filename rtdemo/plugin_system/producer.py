"""Producers, the named sources of messages, and the decorator that declares them."""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, TypedDict, Unpack, cast, overload

from rtdemo.errors import ProducerError
from rtdemo.protocol.client import TRANSPORTS, Client, Transport, is_user_name
from rtdemo.protocol.message import Message

Content = str | float | Mapping[Any, Any] | Sequence[Any] | Message | None
Function = Callable[..., Content | Awaitable[Content] | AsyncIterator[Content]]
_MAX_CHARS = {"title": 100, "unit": 20}
"""Characters of the texts that describe a producer."""
MIN_PERIOD_S = 0.01
"""Shortest period and shortest timeout of a producer, in seconds."""


@dataclass(frozen=True, eq=False)
class Producer:
    """A named source of messages: a function and when to run it.

    Arguments:
        name: the `producer` of its messages; unique on each transport, without a comma.
        function: a sync function, an async function or an async generator. It takes no argument or
            `client`; a shared one takes no argument or `seq`. It returns (or yields) text; a number, a
            bool, a dict or a list, which is sent as the message's `value` and as its text; a `Message`;
            or None to send nothing this time.
        every: seconds between two runs, 0.01 or more. Without it a function runs once, at connect. An
            async generator has no period; it runs from connect on.
        transports: `["websocket"]` or `["sse"]` for one transport; both by default.
        shared: run it once for the whole deployment, not once for each client. `seq` is then the number
            of the message that it makes; it continues when another server takes over.
        thread: run it in a thread, because it blocks.
        jitter: seconds, less than `every`: each run is delayed at random by up to this.
        timeout: seconds after which an async run, or a run in a thread, counts as failed.
        always: run it also for a client that selected other producers.
        users: names of the users that receive it, as login gives them; everyone by default. Other
            clients receive none of its messages, and do not see its name.
        title: what its values are, for people, such as `Boiler`; its name by default.
        unit: unit of its values, such as `°C`. It is part of a number's text.
        low, high: range in which its values usually are, for charts.

    Attributes:
        admitted_users: `users` as a set; None for everyone.
        is_stream: whether the function is an async generator.
        run: calls the function with the arguments that it takes. Its parameter is the client, for a
            shared producer its `MessageNumbers`, or None.

    Raises:
        ProducerError: if an argument is invalid, or does not fit the others.
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
    users: Iterable[str] | None = None
    title: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    admitted_users: frozenset[str] | None = field(init=False, repr=False)
    is_stream: bool = field(init=False, repr=False)
    run: Callable[[Client | MessageNumbers | None], Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or "," in self.name:
            raise ProducerError(
                f"producer name {self.name!r} must be a text, not empty, without a comma"
            )
        if not self.name.isprintable():
            raise ProducerError(f"producer name {self.name!r} must have only printable characters")
        if not callable(self.function):
            raise self._error(f"{self.function!r} is not a function")
        set_field = partial(object.__setattr__, self)
        set_field("is_stream", inspect.isasyncgenfunction(self.function))
        set_field("transports", self._checked_transports())
        set_field("admitted_users", self._checked_users())
        self._check_kind()
        self._check_times()
        self._check_description()
        set_field("run", self._bind())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function directly, as without the decorator."""
        return self.function(*args, **kwargs)

    def _error(self, problem: str) -> ProducerError:
        return ProducerError(f"producer {self.name!r}: {problem}")

    def _checked_transports(self) -> tuple[Transport, ...]:
        given = self.transports
        chosen: tuple[Transport, ...] = () if isinstance(given, str) else tuple(given)
        if not chosen or any(name not in TRANSPORTS for name in chosen):
            names = ", ".join(TRANSPORTS)
            raise self._error(f"transports={given!r} must be a list with one or both of: {names}")
        return chosen

    def _checked_users(self) -> frozenset[str] | None:
        given = self.users
        if given is None:
            return None
        names: list[object] = (
            [] if isinstance(given, str) or not isinstance(given, Iterable) else [*given]
        )
        if not names or not all(map(is_user_name, names)):
            raise self._error(f"users={given!r} must be a list with at least one user's name")
        return frozenset(map(str, names))

    def admits(self, user: str | None) -> bool:
        """Return whether a user receives the producer; None is a client without a login."""
        return self.admitted_users is None or user in self.admitted_users

    def _check_kind(self) -> None:
        if inspect.isgeneratorfunction(self.function):
            raise self._error("is a plain generator; make it async, or return one text per run")
        if self.is_stream and self.every is not None:
            raise self._error("is an async generator, which takes no every; sleep between two yields")
        if self.thread and (self.is_stream or inspect.iscoroutinefunction(self.function)):
            raise self._error("thread=True is only for functions that are not async")
        if self.shared and self.every is None and not self.is_stream:
            raise self._error("is shared, so it does not run at connect; give it every=SECONDS")

    def _check_times(self) -> None:
        if self.every is not None and not _is_at_least(MIN_PERIOD_S, self.every):
            raise self._error(
                f"every={self.every!r} must be a number of seconds, {MIN_PERIOD_S} or more"
            )
        if not _is_at_least(MIN_PERIOD_S, self.timeout):
            raise self._error(
                f"timeout={self.timeout!r} must be a number of seconds, {MIN_PERIOD_S} or more"
            )
        if not _is_at_least(0, self.jitter) or (self.jitter and self.jitter >= (self.every or 0)):
            raise self._error(
                f"jitter={self.jitter!r} must be a number of seconds, 0 or more, and less than every"
            )

    def _check_description(self) -> None:
        for field_name, longest in _MAX_CHARS.items():
            text = getattr(self, field_name)
            if not isinstance(text, str) or not text.isprintable() or len(text) > longest:
                raise self._error(
                    f"{field_name}={text!r} must be printable text of at most {longest} characters"
                )
        for bound in (self.low, self.high):
            if bound is not None and not _is_at_least(-math.inf, bound):
                raise self._error(f"low and high must be numbers; one is {bound!r}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise self._error(f"low={self.low!r} must be less than high={self.high!r}")

    def _bind(self) -> Callable[[Client | MessageNumbers | None], Any]:
        function = self.function
        try:
            parameters = inspect.signature(function).parameters.values()
        except ValueError as error:
            raise self._error("its arguments are unknown; wrap it in a function") from error
        required = [p for p in parameters if _is_required(p)]
        if not required:
            return lambda _client: function()
        if self.shared:
            if [p.name for p in required] == ["seq"]:
                return lambda numbers: function(
                    seq=numbers.next if isinstance(numbers, MessageNumbers) else 1
                )
            raise self._error("is shared, so it runs for no client; it may take no argument or seq")
        if [p.name for p in required] == ["client"]:
            is_first = (
                next(iter(parameters)) is required[0] and required[0].kind != required[0].KEYWORD_ONLY
            )
            return function if is_first else lambda client: function(client=client)
        names = ", ".join(p.name for p in required)
        raise self._error(f"takes ({names}); it may take no argument or client")


class Traits(TypedDict, total=False):
    """The keyword arguments of `@producer`: those of `Producer` without the function."""

    name: str
    every: float | None
    transports: Iterable[Transport]
    shared: bool
    thread: bool
    jitter: float
    timeout: float
    always: bool
    users: Iterable[str] | None
    title: str
    unit: str
    low: float | None
    high: float | None


@overload
def producer(function: Function, /) -> Producer: ...
@overload
def producer(**traits: Unpack[Traits]) -> Callable[[Function], Producer]: ...
def producer(
    function: Function | None = None, /, **traits: Unpack[Traits]
) -> Producer | Callable[[Function], Producer]:
    """Declare a function of a plugin's module a producer.

    Use it as `@producer` or with arguments, such as `@producer(every=2)`.

    Arguments:
        function: see `Producer`.
        traits: the other arguments of `Producer`. The default of `name` is the function's name.

    Raises:
        ProducerError: if an argument is invalid, or does not fit the others.
    """

    def declare(function: Function) -> Producer:
        rest = dict(traits)
        name = rest.pop("name", getattr(function, "__name__", repr(function)))
        return Producer(cast("str", name), function, **cast("Any", rest))

    return declare if function is None else declare(function)


class MessageNumbers:
    """The sequence numbers of one shared producer's messages.

    Arguments:
        next_seq: returns the expected `seq` of the next message, 1 or more.
    """

    __slots__ = ("_next_seq",)

    def __init__(self, next_seq: Callable[[], int]) -> None:
        self._next_seq = next_seq

    @property
    def next(self) -> int:
        """The expected `seq` of the next message."""
        return self._next_seq()


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return not variadic and (parameter.default is parameter.empty or parameter.name in ("client", "seq"))


def _is_at_least(minimum: float, number: object) -> bool:
    if not isinstance(number, int | float) or isinstance(number, bool):
        return False
    return math.isfinite(number) and number >= minimum
