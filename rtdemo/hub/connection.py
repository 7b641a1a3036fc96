"""Send messages to one client without waiting: number, stamp, encode, write."""

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
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.protocol.message import Message, Position
from rtdemo.protocol.wire import WireFormat
from rtdemo.timing.schedule import Clock, Timer

OUTBOX_LIMIT_BYTES = 256 * 1024
"""Bytes that may wait for a client in its transport's buffer."""
OUTBOX_TIMEOUT_S = 10.0
"""Seconds for which the outbox may stay over its limit; then the connection ends as too slow."""
POSITION_UPDATE_ENTRIES = 1000
"""Consecutive log entries that a client did not pick, after which the server sends it its position."""


class Connection:
    """Send messages to one client until the connection ends. The first reason to end it counts.

    The transport's own buffer is the outbox. While it holds over 256 KiB, periodic messages are
    dropped and counted. If it stays over that for 10 s, the connection ends as too slow.

    Arguments:
        client: the peer.
        outbox: takes the finished bytes.
        wire_format: converts a message's JSON to these bytes.
        hang_up: called once with the reason when the server ends the connection.
        traffic: the counters of the client's transport.
        clock: times the outbox.
        connection_info: returns how the client reached the server, such as its HTTP version; None
            if the transport cannot report this.

    Attributes:
        client: the peer.
        connection_info: as given.
        offset: offset of the newest log entry that was sent, or skipped because it was not picked.
        opened_at: seconds on the clock.
        reason: why it ended; None while it is open.
        receiving: lock; held while the server handles a text from the client.
        replaying: whether messages that the client missed are still being sent.
        runners: the client's private producers.
        sent: number of messages written.
    """

    # fmt: off
    __slots__ = (
        "_audience",
        "_clock",
        "_epoch",
        "_hang_up",
        "_outbox",
        "_outbox_timer",
        "_reported_offset",
        "_selection",
        "_seq",
        "_traffic",
        "_wire_format",
        "client",
        "connection_info",
        "offset",
        "opened_at",
        "reason",
        "receiving",
        "replaying",
        "runners",
        "sent",
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
        connection_info: Callable[[], ConnectionInfo] | None = None,
    ) -> None:
        self.client = client
        self.connection_info = connection_info
        self.runners: list[ProducerRunner] = []
        self.reason: Reason | None = None
        self.sent = 0
        self.offset = self._reported_offset = 0
        self.replaying = False
        self.receiving = asyncio.Lock()
        self.opened_at = clock.time()
        self._outbox = outbox
        self._wire_format = wire_format
        self.selection = Selection()
        self._hang_up = hang_up
        self._traffic = traffic
        self._clock = clock
        self._epoch = ""
        self._seq: dict[str, int] = {}
        self._outbox_timer: Timer | None = None

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
    def outbox_bytes(self) -> int:
        """Number of bytes that wait in the outbox."""
        return self._outbox.get_write_buffer_size()

    @property
    def is_closing(self) -> bool:
        """Whether the transport takes no more bytes."""
        return self._outbox.is_closing()

    @property
    def is_full(self) -> bool:
        """Whether the outbox is over its limit."""
        return not self._outbox.is_closing() and (
            self._outbox.get_write_buffer_size() > OUTBOX_LIMIT_BYTES
        )

    @property
    def position(self) -> Position | None:
        """Position after which the client continues; None until it is set."""
        return Position(self._epoch, self.offset) if self._epoch else None

    @position.setter
    def position(self, position: Position) -> None:
        self._epoch, self.offset = position
        self._reported_offset = self.offset

    def send(self, producer: str, content: str | Message, periodic: bool = True) -> bool:
        """Write one message of a producer; return whether it was written.

        Arguments:
            producer: the producer's name. Its `seq` goes up even if the message is dropped, so that
                the client can see the gap.
            content: a text, or a `Message`, which keeps its other fields.
            periodic: whether the message may be dropped while the outbox is full. Replies are not
                dropped. Their number is bounded, because the server reads nothing more from a client
                with a full outbox.

        Raises:
            UnicodeEncodeError: the text has a lone surrogate.
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
        if self._outbox_timer is not None and self._check_outbox() and self._rejects(periodic):
            return False
        self._write(data)
        return True

    def forward(self, batch: Batch) -> None:
        """Write the log entries that follow `offset`, except those that the client did not pick.

        The connection of a client that reads too slowly is ended. The client can reconnect and resume.

        Arguments:
            batch: the entries that follow `offset`.
        """
        self.offset = batch.last
        data, messages = batch.part(self._audience)
        is_closing = self._outbox.is_closing  # a local name is faster to call; see SocketOutbox
        if self.reason is not None or is_closing():
            return
        if not messages:
            if batch.last - self._reported_offset >= POSITION_UPDATE_ENTRIES:
                self._send_position()
            return
        self._reported_offset = batch.last
        if self._outbox_timer is not None and self._check_outbox() and not self.replaying:
            self._traffic.too_slow += 1
            self.end(Reason.TOO_SLOW)
        else:
            self._write(data, messages)

    def report_loss(self, last: Position, text: str) -> None:
        """Report to the client that it lost messages, and continue after another position.

        Arguments:
            last: position of the log's newest entry.
            text: what was lost and how the stream continues.
        """
        self.position = last
        self._traffic.lost += 1
        self.send("resume", Message(text, id=str(last), lost=True), periodic=False)

    def throttle(self) -> Throttle:
        """Return the throttle in front of the outbox; the first call inserts it."""
        if not isinstance(self._outbox, Throttle):
            self._outbox = Throttle(self._outbox, self._clock, lambda: self.reason is not None)
        return self._outbox

    def end(self, reason: Reason) -> None:
        """End the connection from the server's side; only the first reason counts."""
        if self.reason is None:
            self.mark_ended(reason)
            self._hang_up(reason)

    def mark_ended(self, reason: Reason) -> None:
        """Record that the connection has ended, and stop its producers; only the first reason counts."""
        if self.reason is None:
            self.reason = reason
        for runner in self.runners:
            runner.stop()
        self.runners.clear()
        if self._outbox_timer is not None:
            self._outbox_timer.cancel()
            self._outbox_timer = None

    def _write(self, data: bytes, messages: int = 1) -> None:
        if self._outbox.write(data):
            self._check_outbox()
        self.sent += messages
        traffic = self._traffic
        traffic.messages += messages
        traffic.bytes += len(data)

    def _send_position(self) -> None:
        """Send the current position to a client that picked only quiet producers.

        Otherwise the log may drop the entry at the client's last position. When the client then
        reconnects, the server would report a loss, although the client missed nothing.
        """
        position = str(self.position)
        text = messages.encode({"position": position}).decode()
        if self.send("rtdemo", Message(text, id=position)):
            self._reported_offset = self.offset

    def _check_outbox(self) -> bool:
        """Return whether the outbox is over its limit; start or stop its timer accordingly.

        Each write that has to wait calls this. So if no timer runs, the outbox was within its limit
        after the last such write, and can only have shrunk since.
        """
        if self._outbox.get_write_buffer_size() <= OUTBOX_LIMIT_BYTES:
            if self._outbox_timer is not None:
                self._outbox_timer.cancel()
                self._outbox_timer = None
            return False
        if self._outbox_timer is None:
            timeout_at = self._clock.time() + OUTBOX_TIMEOUT_S
            self._outbox_timer = self._clock.call_at(timeout_at, self._end_if_still_full)
        return True

    def _rejects(self, periodic: bool) -> bool:
        """Return whether a full outbox rejects a message.

        Replies may exceed the limit, but not without bound: at four times the limit the connection
        ends as too slow.
        """
        if periodic:
            self._traffic.drops += 1
            return True
        if self.outbox_bytes <= OUTBOX_LIMIT_BYTES * 4:
            return False
        self._traffic.too_slow += 1
        self.end(Reason.TOO_SLOW)
        return True

    def _end_if_still_full(self) -> None:
        self._outbox_timer = None
        # A closing transport may keep its bytes forever, if the client does not read them.
        if self.is_full or self._outbox.is_closing():
            self._traffic.too_slow += 1
            self.end(Reason.TOO_SLOW)
