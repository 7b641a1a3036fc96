"""Define what an engine does: number messages, keep them, hand them to every server, elect a leader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from rtdemo.engine.log import Entry, Log
from rtdemo.protocol import message as messages
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.protocol.message import MAX_MESSAGE_BYTES, Message, Position

KEY_SECONDS = 600.0
"""For so long an idempotency key is remembered."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Hold a message on its way into the log.

    Arguments:
        message: its text and further fields; stamped and numbered by the engine.
        producer: under whose name.
        transports: where it is sent.
    """

    message: Message
    producer: str
    transports: tuple[Transport, ...] = TRANSPORTS


def fingerprint(drafts: Sequence[Draft]) -> str:
    """Return what tells messages from others that come under the same idempotency key."""
    whole = sha256()
    for draft in drafts:
        whole.update(draft.producer.encode() + b"\0" + messages.encode(draft.message) + b"\0")
    return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Take what an engine has to tell; nothing here waits.

    Arguments:
        deliver: takes each entry once, in order, after it was appended to the log.
        checked: called each second with the end of the log, where this server's copy may lag behind.
        restarted: the log could not be followed and goes on elsewhere: what lies between is lost.
        lead: called with True when this server is to run the shared producers, and with False when
            it no longer is.
        presence: returns what the other servers may read of this one; by default nothing.
    """

    deliver: Callable[[Entry], object]
    checked: Callable[[Position], object]
    restarted: Callable[[], object]
    lead: Callable[[bool], object]
    presence: Callable[[], Mapping[str, object]] = dict


class Engine(Protocol):
    """Number shared messages, keep them, and hand them to every server of the deployment.

    Attributes:
        log: this server's copy of the newest messages, complete up to its `last`: history is read
            from it at once, whatever becomes of the engine.
        state: `ready`, or in a few words why nothing can be published.
        lags: whether other servers may have sent what this copy does not hold yet.
        name: `memory` or `redis`.
        server: this server's name among the others.
    """

    log: Log
    lags: bool
    name: str
    server: str

    @property
    def servers(self) -> Mapping[str, Mapping[str, Any]]:
        """What each server of the deployment told of itself, by name; empty where it is alone."""
        ...

    @property
    def state(self) -> str:
        """`ready`, or why nothing can be published."""
        ...

    async def load(self) -> None:
        """Connect, and copy the newest messages into `log`.

        Raises:
            EngineError: when the engine cannot be reached or used.
        """

    def follow(self, subscriber: Subscriber) -> None:
        """Report every new entry to the subscriber, from the end of the loaded log until `close`."""

    def publish(
        self, drafts: Sequence[Draft], key: str = "", leading: bool = False
    ) -> asyncio.Future[list[Position]]:
        """Put messages into the log, all or none, next to each other.

        Arguments:
            drafts: in the order in which they are to stand.
            key: an idempotency key: what came with it in the last ten minutes is not published
                again, and has the same positions.
            leading: publish only while this server leads.

        Returns:
            The positions, once they are in the log. It fails with `Unavailable`, `NotLeading` or
            `KeyReused`, never with anything else; an `Unavailable` may have come too late.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; give up leading, so that another server takes over at once."""


MAX_NAME = 100
"""Characters of the name under which something is published."""


def check(draft: Draft) -> None:
    """Refuse a message that the log cannot take.

    Raises:
        ValueError: when its JSON is over 64 KiB, it has a lone surrogate (UnicodeEncodeError), or its
            producer's name is none.
    """
    size = len(messages.encode(draft.message))
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"a shared message of {size} bytes; at most {MAX_MESSAGE_BYTES} are taken")
    name = draft.producer
    if not name.strip() or not name.isprintable() or "," in name or len(name) > MAX_NAME:
        raise ValueError(f"producer name {name[:MAX_NAME]!r} must be printable text without a comma")
