"""The declaration of producers, and its errors."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from rtdemo import Client, Producer, producer
from rtdemo.errors import ProducerError

CLIENT = Client("sse")


def test_decorator_names_it_after_the_function() -> None:
    """A decorated function is a producer of the same name, and can still be called."""

    @producer(every=1.5)
    def dice() -> str:
        return "six"

    assert isinstance(dice, Producer)
    assert (dice.name, dice.every, dice.transports) == ("dice", 1.5, ("websocket", "sse"))
    assert dice() == "six"
    assert dice.run(CLIENT) == "six"


def test_bare_decorator_runs_once() -> None:
    """Without arguments, the producer has no period."""

    @producer
    def hello(client: Client) -> str:
        return client.transport

    assert hello.every is None
    assert hello.run(CLIENT) == "sse"


def test_default_arguments_are_not_asked_for() -> None:
    """An argument with a default is not passed, except `client`."""

    @producer
    def greet(client: Client | None = None, word: str = "hi") -> str:
        return f"{word} {client.transport if client else None}"

    assert greet.run(CLIENT) == "hi sse"


@pytest.mark.parametrize("every", [0, -1, 0.009, float("nan"), float("inf"), "2", True])
def test_period_must_be_a_number_of_seconds(every: Any) -> None:
    """The error names the producer and the shortest period."""
    with pytest.raises(ProducerError, match=r"'p'.*0\.01 or more"):
        Producer("p", lambda: "x", every=every)


@pytest.mark.parametrize("transports", [["smoke"], [], "sse"])
def test_transports_must_exist(transports: Any) -> None:
    """The error lists the allowed transports."""
    with pytest.raises(ProducerError, match="websocket, sse"):
        Producer("p", lambda: "x", transports=transports)


async def stream() -> AsyncIterator[str]:
    yield "x"


def plain() -> Iterator[str]:
    yield "x"


async def coroutine() -> str:
    return "x"


def for_client(client: Client) -> str:
    return client.remote


BAD_TRAITS: list[tuple[Any, dict[str, Any], str]] = [
    (plain, {"every": 1}, "plain generator; make it async"),
    (stream, {"every": 1}, "async generator, which takes no every"),
    (stream, {"thread": True}, "thread=True is only for functions that are not async"),
    (coroutine, {"thread": True}, "thread=True is only for functions that are not async"),
    (coroutine, {"shared": True}, "give it every=SECONDS"),
    (for_client, {"shared": True, "every": 1}, "may take no argument or seq"),
    (coroutine, {"timeout": 0}, "timeout=0 must be"),
    (
        coroutine,
        {"every": 1, "jitter": 1},
        "jitter=1 must be a number of seconds, 0 or more, and less than every",
    ),
    (coroutine, {"jitter": 0.5}, "less than every"),
    (coroutine, {"every": 1, "jitter": -1}, "jitter=-1"),
]


@pytest.mark.parametrize(("function", "traits", "words"), BAD_TRAITS)
def test_traits_that_do_not_go_together(function: Any, traits: dict[str, Any], words: str) -> None:
    """The error names the producer, and what is required."""
    with pytest.raises(ProducerError, match=re.escape(words)) as caught:
        Producer("p", function, **traits)
    assert "'p'" in str(caught.value)


def test_other_arguments_are_refused() -> None:
    """A producer takes no argument or `client`."""
    with pytest.raises(
        ProducerError, match=r"takes \(socket, room\); it may take no argument or client"
    ):

        @producer
        def bad(socket: object, room: object) -> str:
            return "x"


@pytest.mark.parametrize("name", ["", " ", "a,b"])
def test_name_must_fit_in_a_query(name: str) -> None:
    """`?producers=a,b` separates names by commas."""
    with pytest.raises(ProducerError, match="name"):
        Producer(name, lambda: "x")


def test_what_is_not_callable_is_refused() -> None:
    """The error names the given value."""
    with pytest.raises(ProducerError, match="42 is not a function"):
        Producer("p", 42)  # type: ignore[arg-type]  # the mistake under test


def test_client_hides_its_secret() -> None:
    """`str` shows eight digits of the id, `repr` none; `repr` hides the query too."""
    client = Client("websocket", "10.0.0.1", query={"ticket": "t0p"})
    assert len(client.id) == 32
    assert client.id not in repr(client)
    assert "t0p" not in repr(client)
    assert str(client) == f"websocket client {client.id[:8]}"
    assert client.label == "WebSocket"
