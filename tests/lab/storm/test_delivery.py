"""What counts as lost, repeated and reported, by positions in rtdemo's log."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from rtdemo.lab.storm.delivery import MAX_RANGES, Delivery, Messages
from rtdemo.protocol.message import Message, Position, encode


def welcome(offset: int, epoch: str = "a") -> bytes:
    return encode(Message("established", client="c", id=f"{epoch}-{offset}"))


def shared(*offsets: int, epoch: str = "a") -> list[bytes]:
    return [encode(Message("text", producer="news", id=f"{epoch}-{offset}")) for offset in offsets]


def notice(offset: int, epoch: str = "a") -> bytes:
    return encode(Message("lost", producer="resume", id=f"{epoch}-{offset}", lost=True))


def delivery(*payloads: bytes | Iterable[bytes]) -> Delivery:
    """Return what a client recorded of these payloads."""
    found = Delivery()
    for one in payloads:
        for payload in [one] if isinstance(one, bytes) else one:
            found.add(payload)
    return found


def lost(client: Delivery, *others: Delivery, published: Iterable[Position] = ()) -> int:
    return client.count_lost(Messages([client, *others], published))


WHOLE = delivery(welcome(0), shared(*range(1, 11)))


def test_client_that_resumes_lost_nothing() -> None:
    """Its second welcome repeats the position, and the messages go on."""
    client = delivery(welcome(0), shared(1, 2, 3), welcome(3), shared(*range(4, 11)))
    assert (lost(client, WHOLE), client.repeated, client.notices, client.unannounced) == (0, 0, 0, 0)


def test_gap_counts_if_another_client_got_the_message() -> None:
    client = delivery(welcome(0), shared(1, 2, 3), welcome(3), shared(6, 7, 10))
    assert lost(client, WHOLE) == 4
    assert lost(WHOLE, client) == 0


def test_gap_of_everyone_is_a_message_for_others() -> None:
    """Messages for some users take offsets, too."""
    client = delivery(welcome(0), shared(1, 2, 5))
    assert lost(client, delivery(welcome(0), shared(1, 2, 5))) == 0


def test_published_message_that_nobody_got_is_lost() -> None:
    client = delivery(welcome(0), shared(1, 2, 4))
    assert lost(client, published=[Position("a", 3), Position("a", 4)]) == 1


def test_welcome_further_on_hides_messages() -> None:
    """A browser would resume after it."""
    assert lost(delivery(welcome(0), shared(1), welcome(4), shared(*range(5, 11))), WHOLE) == 3


def test_end_of_the_log_that_does_not_arrive_is_lost() -> None:
    assert lost(delivery(welcome(0), shared(1, 2), welcome(2)), WHOLE) == 8


def test_messages_before_the_client_joined_do_not_count() -> None:
    assert lost(delivery(welcome(7), shared(8, 9, 10)), WHOLE) == 0


def test_messages_that_come_again_or_too_late_count_as_repeated() -> None:
    client = delivery(welcome(0), shared(1, 2, 3, 3, 2, 4))
    assert (client.repeated, lost(client, WHOLE)) == (2, 6)


def test_reported_loss_is_no_loss_without_notice() -> None:
    """Neither in the same log nor if another log follows."""
    client = delivery(welcome(0), shared(1, 2), welcome(2), notice(8), shared(9, 10))
    assert (lost(client, WHOLE), client.notices) == (0, 1)
    client = delivery(
        welcome(0), shared(1, 2), welcome(2), notice(0, epoch="b"), shared(1, 2, epoch="b")
    )
    assert (lost(client, WHOLE), client.notices, client.unannounced, client.repeated) == (0, 1, 0, 0)


@pytest.mark.parametrize("first", [welcome(2, epoch="b"), shared(2, epoch="b")[0]])
def test_other_log_without_a_notice_is_counted(first: bytes) -> None:
    """The rest of the old log is lost, and so is the beginning of the new one."""
    other = delivery(welcome(0, epoch="b"), shared(1, 2, 3, epoch="b"))
    client = delivery(welcome(0), shared(1, 2), first, shared(3, epoch="b"))
    got_second = b'"producer"' in first
    assert client.unannounced == 1
    assert lost(client, WHOLE, other) == 8 + (1 if got_second else 2)


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"id", b'"id"', b'{"id"', b'{"id":5}', b'{"id":null}', b'{"id":"7"}', b'{"id":"a-1-2"}'),
        *(
            b'{"id":"A-1"}',
            b'{"id":"a--1"}',
            b'{"id":"\xff"}',
            b'[{"id":"a-1"}]',
            b'{"id":"a-' + b"9" * 99,
        ),
    ],
)
def test_other_payloads_are_ignored(payload: bytes) -> None:
    """Of any server; their messages have no known order."""
    client = delivery(welcome(0), payload, shared(1), payload)
    assert (client.position, client.repeated, len(Messages([client]))) == (Position("a", 1), 0, 1)


@pytest.mark.parametrize("kind", ["gaps", "logs"])
def test_server_whose_positions_are_no_log_takes_no_memory(kind: str) -> None:
    """It could send another position in each message."""
    client = Delivery()
    for number in range(3 * MAX_RANGES):
        position = (2 * number, "a") if kind == "gaps" else (1, f"{number:x}")
        client.add(shared(position[0] + 1, epoch=position[1])[0])
    assert client.is_overrun
    assert len(list(client.received())) <= MAX_RANGES


def test_server_without_a_welcome_counts_from_its_first_message() -> None:
    client = delivery(shared(4, 5, 7))
    assert lost(client, WHOLE) == 4


@pytest.mark.parametrize("payload", [b'{"id": "\xff"}', b'{"id": ' + b"[" * 100_000])
def test_message_that_cannot_be_decoded_is_none(payload: bytes) -> None:
    """It is not UTF-8, or nested too deeply: the client goes on."""
    assert delivery(welcome(3), payload).position == Position("a", 3)
