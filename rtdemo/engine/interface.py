"""The interface of an engine: it numbers and keeps messages, delivers them and elects a leader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from rtdemo.engine.log import Entry, Log
from rtdemo.engine.one_time_values import OneTimeValues
from rtdemo.protocol import values
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.protocol.message import Message, Position

IDEMPOTENCY_KEY_S = 600.0
"""Seconds for which an engine remembers an idempotency key."""
MAX_NAME_LENGTH = 100
"""Characters of the name that a message is published under."""


class Engine(Protocol):
    """Numbers shared messages, keeps them, and delivers them to every server of the deployment.

    Attributes:
        log: this server's copy of the newest messages, without gaps up to `log.last`. History is
            read from this copy, even if the engine cannot be reached.
        may_lag: whether other servers may already have sent messages that this copy does not have.
        name: `memory` or `redis`.
        server: this server's name in the deployment; empty if it is the only one.
        one_time_values: values that any server of the deployment takes once, such as login tickets.
    """

    log: Log
    may_lag: bool
    name: str
    server: str
    one_time_values: OneTimeValues

    @property
    def servers(self) -> Mapping[str, Mapping[str, Any]]:
        """The presence that each server reported, by the server's name; empty for a single server."""
        ...

    @property
    def state(self) -> str:
        """`ready`, or a short text that describes why nothing can be published."""
        ...

    async def load(self) -> None:
        """Connect, and copy the newest messages into `log`.

        Raises:
            EngineError: if the engine cannot be reached or used.
        """

    def follow(self, subscriber: Subscriber) -> None:
        """Report every new entry to a subscriber, from the end of the loaded log until `close`."""

    def publish(
        self, drafts: Sequence[Draft], key: str = "", leading: bool = False
    ) -> asyncio.Future[list[Position]]:
        """Append messages to the log: all or none, and without others in between.

        Arguments:
            drafts: the messages, in order.
            key: an idempotency key, or nothing. If the same messages were published with this key
                in the last ten minutes, they are not published again.
            leading: publish only if this server is the leader.

        Returns:
            A future of the messages' positions, done once they are in the log. It fails only with
            `Unavailable`, `NotLeading` or `KeyReused`. After `Unavailable` the messages may be in
            the log, if the engine did not confirm them in time.
        """
        ...

    async def close(self) -> None:
        """Release all resources. Stop leading, so that another server takes over at once."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Functions that an engine calls to report to its server. They must not block.

    Arguments:
        deliver: called with new entries, each once and in order, after they were appended to the log.
            It still holds them.
        end_checked: called about once a second with the end of the engine's log. This server's copy
            may end earlier.
        restarted: called after the log could not be followed and continued at another position.
            The messages in between are lost to this server.
        lead: called with True when this server must run the shared producers, and with False when
            it must stop them.
        presence: returns what this server reports about itself to the others.
    """

    deliver: Callable[[Sequence[Entry]], object]
    end_checked: Callable[[Position], object]
    restarted: Callable[[], object]
    lead: Callable[[bool], object]
    presence: Callable[[], Mapping[str, object]] = dict


class Draft(msgspec.Struct, frozen=True):
    """A message to publish.

    Arguments:
        message: its text and further fields. The engine adds the time, the number and the position.
        producer: the name to publish under.
        transports: the transports on which the message is sent.
        users: names of the users that may receive it; None for everyone.
    """

    message: Message
    producer: str
    transports: tuple[Transport, ...] = TRANSPORTS
    users: frozenset[str] | None = None


def check_draft(draft: Draft) -> None:
    """Check that the log can take a message.

    Raises:
        ValueError: if its JSON is over `MAX_MESSAGE_BYTES`, or its producer's name is not allowed.
        UnicodeEncodeError: if its text has a lone surrogate.
    """
    values.check_size(draft.message)
    check_name(draft.producer)


def check_name(name: str) -> None:
    """Check that messages can have this producer name.

    Raises:
        ValueError: if it is not allowed.
    """
    if not name.strip() or not name.isprintable() or "," in name or len(name) > MAX_NAME_LENGTH:
        raise ValueError(
            f"producer name {name[:MAX_NAME_LENGTH]!r} must be printable text without a comma,"
            f" of at most {MAX_NAME_LENGTH} characters"
        )


def fingerprint(drafts: Sequence[Draft]) -> str:
    """Return a hash of messages, which shows whether an idempotency key comes with the same ones."""
    content = msgspec.json.encode([(draft.producer, draft.message) for draft in drafts])
    return sha256(content).hexdigest()
