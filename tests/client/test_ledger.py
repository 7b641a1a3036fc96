"""The ledger, and the waits of a client."""

from __future__ import annotations

from rtdemo.client.ledger import MAX_MISSING, MAX_PRODUCERS, Ledger
from rtdemo.client.message import parse
from rtdemo.protocol.message import Message, encode


def entered(ledger: Ledger, *given: tuple[str, int, str | None]) -> Ledger:
    """Enter messages: producer, number, position."""
    for producer, seq, position in given:
        ledger.enter(parse(encode(Message("x", 0.0, producer, seq, id=position)).decode()))
    return ledger


def counts(ledger: Ledger) -> tuple[int, int, int, int]:
    return ledger.received, ledger.missing, ledger.repeated, ledger.late


def test_private_numbers_start_with_each_connection() -> None:
    """From 1: what is missing before the first that arrives is missing."""
    ledger = entered(Ledger(), ("status", 2, None), ("status", 3, None))
    assert counts(ledger) == (2, 1, 0, 0)
    ledger.opened()
    assert counts(entered(ledger, ("status", 1, None))) == (3, 1, 0, 0)


def test_shared_numbers_continue_across_connections() -> None:
    """The first one may have any number: the producer began earlier."""
    ledger = entered(Ledger(), ("news", 7, "a1-70"))
    ledger.opened()
    assert counts(entered(ledger, ("news", 9, "a1-90"), ("news", 9, "a1-90"))) == (3, 1, 1, 0)
    assert counts(entered(ledger, ("news", 8, "a1-80"))) == (4, 0, 1, 1)


def test_a_new_log_begins_anew() -> None:
    """Whether or not the server reports that the old one is lost."""
    ledger = entered(Ledger(), ("news", 7, "a1-7"), ("news", 1, "b2-1"))
    assert counts(ledger) == (2, 0, 0, 0)
    ledger.enter(
        parse('{"message":"lost","sentAt":0,"producer":"resume","seq":1,"id":"b2-9","lost":true}')
    )
    assert counts(entered(ledger, ("news", 30, "b2-30"))) == (3, 0, 0, 0)
    assert ledger.lost == 1


def test_private_replies_count_apart_from_shared_messages() -> None:
    """The chat plugin numbers what it sends to everyone, and what it replies to one client."""
    ledger = entered(Ledger(), ("chat", 1, "a1-1"), ("chat", 1, None), ("chat", 2, "a1-2"))
    assert counts(ledger) == (3, 0, 0, 0)
    ledger.opened()
    assert counts(entered(ledger, ("chat", 1, None), ("chat", 2, "a1-2"))) == (5, 0, 1, 0)


def test_memory_is_bounded() -> None:
    """Beyond the bounds, messages are not checked, and gaps stay missing."""
    ledger = Ledger()
    entered(ledger, *((f"p{number}", 1, None) for number in range(MAX_PRODUCERS + 5)))
    assert (ledger.unchecked, len(ledger._last)) == (5, MAX_PRODUCERS)
    entered(ledger, ("p0", 10 * MAX_MISSING, None))
    assert len(ledger._gaps) == MAX_MISSING
    assert ledger.missing == 10 * MAX_MISSING - 2


def test_what_is_no_message_is_counted() -> None:
    """Its text is kept."""
    ledger = Ledger()
    for text in ("no JSON", "[]", '{"message": 1}', '{"message": "x", "seq": "y"}'):
        message = parse(text)
        assert (message.text, message.message, message.is_readable) == (text, text, False)
        ledger.enter(message)
    assert (ledger.unreadable, ledger.received) == (4, 4)
