"""Publish what plugins and threads of this process give to `rtdemo.publish`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from rtdemo.engine.interface import check_draft
from rtdemo.errors import Refused, one_line
from rtdemo.hub.hub import Hub
from rtdemo.protocol.message import Position
from rtdemo.web.publication import DECODE_ERRORS, Publication, draft

log = logging.getLogger(__name__)

_read = msgspec.json.Decoder(Publication).decode


class PublisherHere:
    """Put messages into the log of a hub; what it refuses is logged once, and counted by its caller.

    Arguments:
        hub: the hub.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._has_warned = False

    def publish(self, payloads: Sequence[bytes]) -> int:
        """Publish messages, each by itself; return how many were refused.

        Arguments:
            payloads: the JSON of each message.
        """
        drafts = []
        for payload in payloads:
            try:
                one = draft(self._hub, _read(payload))
                check_draft(one)
                drafts.append(one)
            except (*DECODE_ERRORS, ValueError, Refused) as error:
                self._warn(str(error))
        if drafts:
            self._hub.publish(drafts).add_done_callback(self._done)
        return len(payloads) - len(drafts)

    def _done(self, answer: asyncio.Future[list[Position]]) -> None:
        error = None if answer.cancelled() else answer.exception()
        if error is not None:
            self._warn(one_line(error))

    def _warn(self, why: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning("rtdemo.publish: a message was refused: %s; further ones are not logged", why)
