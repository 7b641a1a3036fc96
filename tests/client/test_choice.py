"""Which transport a client uses after each end of a connection."""

from __future__ import annotations

from rtdemo.client.choice import TransportChoice
from rtdemo.errors import LoginError, NoStreamError, RefusedError, ServerError, UnreachableError

URL = "http://here.test"
NO_UPGRADE = RefusedError(URL, "answered 426", "", status=426)
BROKEN = ServerError(URL, "ended the stream", "", retryable=True)
AWAY = UnreachableError(URL, "cannot be reached", "", retryable=True)
FULL = RefusedError(URL, "answered 503", "", retryable=True, retry_after=2.0, status=503)
LOGIN = LoginError(URL, "answered 401", "", status=401)


def choice() -> TransportChoice:
    return TransportChoice(["websocket", "sse"])


def test_one_transport_is_never_changed() -> None:
    """The user has chosen it."""
    only = TransportChoice(["websocket"])
    assert not only.ended(NO_UPGRADE, had_messages=False)
    assert (only.current, only.reason) == ("websocket", "")


def test_other_transport_is_tried_at_once() -> None:
    """With the reason."""
    both = choice()
    assert both.ended(NO_UPGRADE, had_messages=False)
    assert (both.current, both.reason) == ("sse", "the WebSocket answered 426")


def test_what_both_have_in_common_changes_nothing() -> None:
    """The other transport would end in the same way, or the server asks to wait."""
    for error in (AWAY, FULL, LOGIN):
        both = choice()
        assert not both.ended(error, had_messages=False)
        assert both.current == "websocket"


def test_outage_is_no_reason_against_a_transport_that_worked() -> None:
    """Over it, the next connection is tried first again."""
    both = choice()
    both.worked()
    assert not both.ended(BROKEN, had_messages=True)
    assert both.ended(NO_UPGRADE, had_messages=False)
    both.worked()
    assert not both.ended(BROKEN, had_messages=True)
    assert (both.current, both.reason) == ("websocket", "")


def test_other_transport_is_kept_where_the_first_never_worked() -> None:
    """A proxy that forwards no upgrade does so each time."""
    both = choice()
    both.ended(NO_UPGRADE, had_messages=False)
    both.worked()
    assert not both.ended(BROKEN, had_messages=True)
    assert both.current == "sse"
    assert not both.ended(AWAY, had_messages=False)
    assert both.current == "sse"
    assert both.reason


def test_a_transport_that_never_worked_is_told_from_one_that_did() -> None:
    """A refusal over it says little: a proxy may forward only the other one."""
    both = choice()
    assert not both.only_other_worked
    both.worked()
    assert not both.only_other_worked
    both.ended(BROKEN, had_messages=True)
    both.ended(NO_UPGRADE, had_messages=False)
    assert (both.current, both.only_other_worked) == ("sse", True)


def test_both_are_tried_before_a_pause() -> None:
    """Then the first one again."""
    both = choice()
    assert both.ended(NoStreamError(URL, "does not respond", ""), had_messages=False)
    assert not both.ended(BROKEN, had_messages=False)
    assert (both.current, both.reason) == ("websocket", "")
