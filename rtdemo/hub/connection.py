"""Send to one client: number, stamp, encode, write, without ever waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rtdemo.hub.batch import Batch, audience
from rtdemo.hub.outbox import Outbox, Throttle
from rtdemo.hub.selection import Selection
from rtdemo.hub.statistics import Traffic
from rtdemo.plugin_system.runner import ProducerRunner
from rtdemo.protocol import message as messages
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Message, Position
from rtdemo.protocol.wire import WireFormat
from rtdemo.timing.schedule import Clock, Timer

OUTBOX_LIMIT = 256 * 1024
"""Bytes that may wait for a client in its transport's buffer."""
PASSED_OVER = 1000
"""Entries of the log that a client did not pick, after which it is told where it stands."""
PATIENCE = 10.0
"""Seconds for which the outbox may stay over its limit."""


class Connection:
    """Send messages to one client and end once, for one reason.

    The transport's own buffer is the outbox. While it holds over 256 KiB, periodic messages are
    dropped and counted; over it for 10 s the connection ends as too slow.

    Arguments:
        client: who is at the other end.
        outbox: where finished bytes go.
        wire_format: makes them from a message's JSON.
        hang_up: called once with the reason when the server ends the connection.
        traffic: the counters of its transport.
        clock: for the patience with a full outbox.

    Attributes:
        reason: why it ended; None while it is open.
        feeds: the producers at work for it.
        offset: of the newest entry of the log that it was sent, or passed over as not picked.
        replaying: whether it is still being sent what it missed.
        route: tells what it comes through, where its transport knows.
        sent: messages written.
        speaking: held while a text of the client is received.
    """

    # fmt: off
    __slots__ = (
        "_audience",
        "_clock",
        "_epoch",
        "_hang_up",
        "_outbox",
        "_selection",
        "_seq",
        "_stall",
        "_told",
        "_traffic",
        "_wire_format",
        "client",
        "offset",
        "opened_at",
        "reason",
        "replaying",
        "route",
        "runners",
        "sent",
        "speaking",
    )
    # fmt: on

    def __init__(
        self,
        client: Client,
        outbox: Outbox,
        wire_format: WireFormat,
        hang_up: Callable[[Reason], object],
        traffic: Traffic,
        clock: Clock,
    ) -> None:
        self.client = client
        self.runners: list[ProducerRunner] = []
        self.reason: Reason | None = None
        self.sent = 0
        self.offset = self._told = 0
        self.replaying = False
        self.route: Callable[[], object] | None = None
        self.speaking = asyncio.Lock()
        self.opened_at = clock.time()
        self._outbox = outbox
        self._wire_format = wire_format
        self.selection = Selection()
        self._hang_up = hang_up
        self._traffic = traffic
        self._clock = clock
        self._epoch = ""
        self._seq: dict[str, int] = {}
        self._stall: Timer | None = None

    @property
    def selection(self) -> Selection:
        """What the client asked for."""
        return self._selection

    @selection.setter
    def selection(self, selection: Selection) -> None:
        self._selection = selection
        self._audience = audience(
            self.client.transport,
            self._wire_format,  # type: ignore[arg-type]  # a function, so hashable
            selection.producers,
        )

    @property
    def is_full(self) -> bool:
        """Whether the outbox is over its limit."""
        return not self._outbox.is_closing() and (self._outbox.get_write_buffer_size() > OUTBOX_LIMIT)

    def send(self, producer: str, content: str | Message, periodic: bool = True) -> bool:
        """Write one message of a producer; return whether it was written.

        Arguments:
            producer: whose message it is; its `seq` goes up even where the message is dropped, so
                that the client can see the gap.
            content: a text, or a `Message` whose other fields are kept.
            periodic: it may be dropped while the outbox is full. A reply may not: the transport
                reads nothing more from a client whose outbox is full, which bounds it.

        Raises:
            UnicodeEncodeError: when the text has a lone surrogate.
        """
        if self.reason is not None or self._outbox.is_closing():
            return False
        seq = self._seq.get(producer, 0) + 1
        stamp = messages.now()
        if isinstance(content, str):
            data = self._wire_format(messages.encode(Message(content, stamp, producer, seq)))
        else:
            message = content.sent(stamp, producer, seq)
            if message.client is not None and self.position is not None:
                message = message.placed(str(self.position))
            data = self._wire_format(messages.encode(message), message.id)
        self._seq[producer] = seq
        if self._stall is not None and self._is_over() and self._is_too_much(periodic):
            return False
        self._write(data)
        return True

    @property
    def position(self) -> Position | None:
        """The place in the log behind which it goes on; None while it has none."""
        return Position(self._epoch, self.offset) if self._epoch else None

    def stand(self, position: Position) -> None:
        """Go on behind a place in the log."""
        self._epoch, self.offset = position
        self._told = self.offset

    def lose(self, last: Position, sentence: str) -> None:
        """Tell the client that messages are lost to it, and go on behind the log's last."""
        self.stand(last)
        self._traffic.lost += 1
        self.send("resume", Message(sentence, id=str(last), lost=True), periodic=False)

    def forward(self, batch: Batch) -> None:
        """Write what the log has behind `offset`; a client too slow for it may come back and resume.

        Arguments:
            news: the next entries: in order and nothing twice, or they are not for this call. Those
                that the client did not ask for are passed over.
        """
        self.offset = batch.last
        data, messages = batch.part(self._audience)
        is_closing = self._outbox.is_closing  # faster than by attribute, as in SocketOutbox
        if self.reason is not None or is_closing():
            return
        if not messages:
            if batch.last - self._told >= PASSED_OVER:
                self._tell_position()
            return
        self._told = batch.last
        if self._stall is not None and self._is_over() and not self.replaying:
            self._traffic.too_slow += 1
            self.end(Reason.TOO_SLOW)
        else:
            self._write(data, messages)

    def _tell_position(self) -> None:
        """Tell a client that picked what is quiet how far the log went on meanwhile.

        It would come back with a position that is long gone, and be told of a loss that is none.
        """
        position = str(self.position)
        text = messages.encode({"position": position}).decode()
        if self.send("rtdemo", Message(text, id=position)):
            self._told = self.offset

    def _write(self, data: bytes, messages: int = 1) -> None:
        if self._outbox.write(data):
            self._is_over()
        self.sent += messages
        traffic = self._traffic
        traffic.messages += messages
        traffic.bytes += len(data)

    def throttle(self) -> Throttle:
        """Return what holds its bytes back on purpose; it stands before the outbox from now on."""
        if not isinstance(self._outbox, Throttle):
            self._outbox = Throttle(self._outbox, self._clock, lambda: self.reason is not None)
        return self._outbox

    def end(self, reason: Reason) -> None:
        """End the connection from the server's side; only the first reason counts."""
        if self.reason is None:
            self.closed(reason)
            self._hang_up(reason)

    def closed(self, reason: Reason) -> None:
        """Note that the connection ended; only the first reason counts."""
        if self.reason is None:
            self.reason = reason
        for runner in self.runners:
            runner.stop()
        self.runners.clear()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _is_over(self) -> bool:
        """Compare the outbox with its limit, and begin or end the patience with it.

        Each write asks: without a patience the outbox was within its limit then, and has only
        become emptier since.
        """
        if self._outbox.get_write_buffer_size() <= OUTBOX_LIMIT:
            if self._stall is not None:
                self._stall.cancel()
                self._stall = None
            return False
        if self._stall is None:
            self._stall = self._clock.call_at(self._clock.time() + PATIENCE, self._out_of_patience)
        return True

    def _is_too_much(self, periodic: bool) -> bool:
        """Count what a full outbox does not take; replies without end are as bad as not reading."""
        if periodic:
            self._traffic.drops += 1
            return True
        if self._outbox.get_write_buffer_size() <= OUTBOX_LIMIT * 4:
            return False
        self._traffic.too_slow += 1
        self.end(Reason.TOO_SLOW)
        return True

    def _out_of_patience(self) -> None:
        self._stall = None
        # One that is closing and still full will not get any further by itself.
        if self.is_full or self._outbox.is_closing():
            self._traffic.too_slow += 1
            self.end(Reason.TOO_SLOW)
