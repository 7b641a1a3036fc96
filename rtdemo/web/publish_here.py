"""Publish what plugins and threads of this process give to `rtdemo.publish`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from rtdemo.engine.interface import Draft, check_draft
from rtdemo.errors import Refused
from rtdemo.hub.hub import Hub
from rtdemo.web.publication import DECODE_ERRORS, Publication, draft, publish_until_taken

log = logging.getLogger(__name__)

_read = msgspec.json.Decoder(Publication).decode


class PublisherHere:
    """Put messages into the log of a hub; what it refuses is logged once, and counted by its caller.

    Arguments:
        hub: the hub.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._has_warned = self._is_away = False

    async def publish(self, payloads: Sequence[bytes]) -> int:
        """Publish messages, each by itself; return how many were refused.

        While the log is unavailable, it tries again: none is lost, and none enters the log twice.

        Arguments:
            payloads: the JSON of each message.
        """
        drafts = [one for payload in payloads if (one := self._draft(payload)) is not None]
        if drafts:
            await publish_until_taken(self._hub, drafts, self._failed)
            if self._is_away:
                self._is_away = False
                log.warning("publish: the log takes messages again")
        return len(payloads) - len(drafts)

    def _draft(self, payload: bytes) -> Draft | None:
        try:
            one = draft(self._hub, _read(payload))
            check_draft(one)
        except (*DECODE_ERRORS, ValueError, Refused) as error:
            if not self._has_warned:
                self._has_warned = True
                log.warning("publish: a message was refused: %s; further ones are only counted", error)
            return None
        return one

    def _failed(self, _tries: int) -> None:
        if not self._is_away:
            self._is_away = True
            log.warning("publish: the log is unavailable; what is published waits and is sent again")
