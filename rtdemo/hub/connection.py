"""Send messages to one client without waiting: number, stamp, encode, write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from rtdemo.hub.batch import NO_RIGHTS, Rights, audience
from rtdemo.hub.outbox import OUTBOX_LIMIT_BYTES, OUTBOX_TIMEOUT_S, Outbox, Throttle
from rtdemo.hub.selection import EVERYTHING, Selection
from rtdemo.hub.statistics import Traffic
from rtdemo.plugin_system.producer import Producer
from rtdemo.plugin_system.runner import ProducerRunner
from rtdemo.plugin_system.supervisor import Supervisor
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.protocol.message import Message, Position, encode
from rtdemo.protocol.wire import WireFormat
from rtdemo.timing.schedule import Clock, Schedule, Timer
from rtdemo.timing.token_bucket import TokenBucket

POSITION_UPDATE_ENTRIES = 1000
"""Consecutive log entries that a client did not pick, after which the server sends it its position."""


class Connection:
    """Send messages to one client until the connection ends. The first reason to end it counts.

    While the outbox holds over 256 KiB, periodic messages are dropped and counted. If it stays over
    that for 10 s, the connection ends as too slow.

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
        audience: the connections that get the same bytes as this one.
        client: the peer.
        connection_info: as given.
        newest_up_to: offset up to which the client has the newest message of each producer as it
            connects; None if it awaits none of these.
        offset: offset of the newest log entry that was sent, or passed over because it was not picked.
        opened_at: seconds on the clock.
        reason: why it ended; None while it is open.
        rates: what the client has sent lately; None before its first text.
        replaying: whether messages that the client missed are still being sent.
        reported_offset: the newest offset that the client knows.
        rights: which restricted entries of the log the client's user receives; the next `selection`
            that is set applies it.
        runners: the client's private producers.
        sent: number of messages written.
    """

    # fmt: off
    __slots__ = (
        "_clock",
        "_epoch",
        "_hang_up",
        "_numbers",
        "_outbox",
        "_outbox_timer",
        "_receiving",
        "_selection",
        "_traffic",
        "_wire_format",
        "audience",
        "client",
        "connection_info",
        "newest_up_to",
        "offset",
        "opened_at",
        "rates",
        "reason",
        "replaying",
        "reported_offset",
        "rights",
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
        self.runners: list[PrivateRunner] = []
        self.reason: Reason | None = None
        self.sent = 0
        self.offset = self.reported_offset = 0
        self.newest_up_to: int | None = None
        self.replaying = False
        self.rates: ConnectionRates | None = None
        self.opened_at = clock.time()
        self._receiving: asyncio.Lock | None = None
        self._outbox = outbox
        self._wire_format = wire_format
        self.rights: Rights = NO_RIGHTS
        self.selection = EVERYTHING
        self._hang_up = hang_up
        self._traffic = traffic
        self._clock = clock
        self._epoch = ""
        # Of names without a running producer. Most connections have none, and need no dictionary.
        self._numbers: dict[str, Numbers] | None = None
        self._outbox_timer: Timer | None = None

    @property
    def selection(self) -> Selection:
        """What the client asked for."""
        return self._selection

    @selection.setter
    def selection(self, selection: Selection) -> None:
        self._selection = selection
        self.audience = audience(
            self.client.transport,
            self._wire_format,
            selection.producers,
            self.rights,
        )

    @property
    def receiving(self) -> asyncio.Lock:
        """Lock to hold while the server handles a text from the client."""
        if self._receiving is None:
            self._receiving = asyncio.Lock()
        return self._receiving

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
        """Position of the entry at `offset`; None until it is set."""
        return Position(self._epoch, self.offset) if self._epoch else None

    @position.setter
    def position(self, position: Position) -> None:
        self._epoch, self.offset = position
        self.reported_offset = self.offset

    def send(self, producer: str, content: str | Message, periodic: bool = True) -> bool:
        """Write one message under a name; return whether it was written.

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
        source = None if self._numbers is None else self._numbers.get(producer)
        if source is None:
            for runner in self.runners:
                if runner.name == producer:
                    return self.send_of(runner, content, periodic)
            source = self._numbers_of(producer)
        return self.send_of(source, content, periodic)

    def send_of(
        self, source: PrivateRunner | Numbers, content: str | Message, periodic: bool = True
    ) -> bool:
        """Write the next message of one of the connection's producers; see `send`."""
        if self.reason is not None:
            return False
        seq = source.seq + 1
        # In place, and not `messages.now()`: this is the path of each private message.
        stamp = time.time_ns() // 1000 / 1000
        if type(content) is str:
            data = self._wire_format(encode(Message(content, stamp, source.name, seq)))
        else:
            data = self._data(content, stamp, source.name, seq)
        source.seq = seq
        if self._outbox_timer is not None and self._check_outbox() and self._rejects(periodic):
            return False
        if self._outbox.write(data):
            self._check_outbox()
        self.sent += 1
        traffic = self._traffic
        traffic.messages += 1
        traffic.bytes += len(data)
        return True

    def _data(self, content: str | Message, stamp: float, producer: str, seq: int) -> bytes:
        message = content if isinstance(content, Message) else Message(content)
        if message.client is not None and self.position is not None:
            message = message.logged(stamp, producer, seq, self.place(self.newest_up_to))
        else:
            message = message.sent(stamp, producer, seq)
        return self._wire_format(encode(message), message.id)

    def place(self, newest_up_to: int | None) -> str:
        """Return the position as the client sends it back to continue.

        Arguments:
            newest_up_to: offset up to which the client has the newest message of each producer; None
                if it awaits none.
        """
        part = "" if newest_up_to is None else f".{newest_up_to}"
        return f"{self.position}{part}"

    def forward(self, data: bytes, messages: int, last: int) -> None:
        """Write log entries that follow `offset`.

        The connection of a client that reads too slowly is ended. The client can reconnect and resume.

        Arguments:
            data: the entries that the client gets, as finished bytes.
            messages: number of these entries, 1 or more.
            last: offset up to which these are all.
        """
        self.offset = self.reported_offset = last
        if self.reason is not None:
            return
        if self._outbox_timer is not None and self._check_outbox() and not self.replaying:
            self._traffic.too_slow += 1
            self.end(Reason.TOO_SLOW)
            return
        if self._outbox.write(data):
            self._check_outbox()
        self.sent += messages
        traffic = self._traffic
        traffic.messages += messages
        traffic.bytes += len(data)

    def write_heartbeat(self, data: bytes) -> None:
        """Write a heartbeat, which is no message, unless the client still has bytes to read.

        Arguments:
            data: finished bytes.
        """
        if self.reason is None and self._outbox.get_write_buffer_size() == 0:
            self._outbox.write(data)

    def pass_over(self, last: int) -> None:
        """Note that no entry up to an offset is for the client, and send its position from time to time.

        Otherwise the log may drop the entry at the client's last position. When the client then
        reconnects, the server would report a loss, although the client missed nothing.

        Arguments:
            last: the offset.
        """
        self.offset = last
        if last - self.reported_offset < POSITION_UPDATE_ENTRIES or self.reason is not None:
            return
        if self._report_position():
            self.reported_offset = last

    def report_truncated(self) -> None:
        """Report that the log has nothing of the past that the client asked for, and once had more."""
        self._report_position(truncated=True)

    def _report_position(self, truncated: bool = False) -> bool:
        position = str(self.position)
        text = encode({"position": position}).decode()
        message = Message(text, id=position, truncated=truncated)
        return self.send("rtdemo", message, periodic=not truncated)

    def report_loss(self, last: Position, text: str) -> None:
        """Report to the client that it lost messages, and continue after another position.

        Arguments:
            last: position of the log's newest entry.
            text: what was lost and how the stream continues.
        """
        self.position = last
        self._traffic.lost += 1
        self.send("resume", Message(text, id=str(last), lost=True), periodic=False)

    def add_runner(self, runner: PrivateRunner) -> None:
        """Add one of the client's producers; its numbers go on where they ended."""
        if self._numbers is not None and runner.name in self._numbers:
            runner.seq = self._numbers.pop(runner.name).seq
        self.runners.append(runner)

    def remove_runner(self, runner: PrivateRunner) -> None:
        """Stop and remove one of the client's producers."""
        runner.stop()
        self.runners.remove(runner)
        self._numbers_of(runner.name).seq = runner.seq

    def _numbers_of(self, name: str) -> Numbers:
        if self._numbers is None:
            self._numbers = {}
        numbers = self._numbers.get(name)
        if numbers is None:
            numbers = self._numbers[name] = Numbers(name)
        return numbers

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

    def correct_loss(self, reason: Reason) -> None:
        """Replace the reason of a connection that was lost; it turned out later how."""
        if self.reason is Reason.CONNECTION_LOST:
            self.reason = reason

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


class Numbers:
    """The numbers of messages under a name that no running producer has, such as a plugin's replies.

    Arguments:
        name: the `producer` of the messages.

    Attributes:
        name: as given.
        seq: number of the newest message; 0 before the first.
    """

    __slots__ = ("name", "seq")

    def __init__(self, name: str) -> None:
        self.name = name
        self.seq = 0


class ConnectionRates:
    """What one client has sent lately; made on its first text.

    Arguments:
        texts: the bucket of its texts.

    Attributes:
        texts: as given.
        broadcasts: the bucket of its texts to everyone; None before the first.
    """

    __slots__ = ("broadcasts", "texts")

    def __init__(self, texts: TokenBucket) -> None:
        self.texts = texts
        self.broadcasts: TokenBucket | None = None


class PrivateRunner(ProducerRunner):
    """Run a private producer for one connection.

    Arguments:
        producer, supervisor, schedule: as `ProducerRunner` takes them.
        connection: gets the messages.

    Attributes:
        name: the producer's name.
        seq: number of the newest message; 0 before the first.
    """

    __slots__ = ("connection", "name", "seq")

    def __init__(
        self, producer: Producer, supervisor: Supervisor, connection: Connection, schedule: Schedule
    ) -> None:
        super().__init__(producer, supervisor, connection.client, schedule)
        self.connection = connection
        self.name = producer.name
        self.seq = 0

    def emit(self, content: str | Message) -> bool:
        """Send a text or a `Message` to the client; return whether it was written."""
        return self.connection.send_of(self, content)
