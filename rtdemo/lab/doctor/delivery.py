"""Record when the messages of a probe arrive, and judge what held them back.

Each message is followed by silence. So one that is held until more bytes come, or until the stream
ends, shows it: it arrives when the next one is sent, or at the end.
"""

from __future__ import annotations

import asyncio
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from rtdemo.lab.content_coding import Decoder
from rtdemo.lab.doctor.answers import check_stream
from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.errors import NETWORK_ERRORS, StreamError, decode_json, describe, time_of
from rtdemo.lab.doctor.exchange import EVENT_STREAM, MAX_BODY_BYTES, Answer, request
from rtdemo.lab.doctor.websocket_client import ClosedError, open_socket
from rtdemo.lab.server_clock import now

HELD_BACK_MS = 100.0
"""Milliseconds of delay from which a message counts as held back: the least delay of no-delay faults
is 40 ms with a delayed acknowledgement, and a busy machine is late by less than this."""
CLUMP_MS = 30.0
"""The same for a delay that all small messages have alike, which no busy machine causes."""
SAME_TIME_MS = 150.0
"""Milliseconds between two instants that have one cause, such as a release by the next message."""
INITIAL_WINDOW_BYTES = 14_600
"""Bytes that TCP sends in the first round trip (RFC 6928)."""
SLOW_BYTES_PER_S = 128 * 1024
"""Rate below which a line is reported as slow: the largest message takes half a second."""
SMALL_BYTES = 2000
"""Bytes of a message that one segment or two can carry."""

NO_END = "did not end"
"""Error of a recording that had no end although its server has ended it."""
Kind = Literal[
    "ok", "until next", "until end", "until size", "clumped", "late", "slow", "cut", "incomplete"
]


class Arrival(NamedTuple):
    """When one message arrived; all times in ms.

    Arguments:
        size: bytes of its JSON.
        sent: when it was sent, by the server's clock.
        first: when its first byte arrived, by the local clock.
        last: when its last byte arrived.
        gap: longest time between two of its pieces.
    """

    size: int
    sent: float
    first: float
    last: float
    gap: float = 0.0


@dataclass
class Recording:
    """What arrived of one probe.

    Arguments:
        sizes: bytes of each message that was asked for.
        silence: milliseconds between two messages.

    Attributes:
        asked_at: when the request was sent, in ms of `server_clock.now()`.
        opened_at: when its answer began; None if it did not.
        answer: to the request.
        hello: the request as the server received it; empty until that arrived.
        arrivals: of the messages, the hello first.
        chunks: when bytes arrived, and how many: first those as sent, then as decoded.
        ended_at: when the stream ended; None if it did not.
        error: how it ended before its time.
        client: id of the client, from the welcome.
        welcomed: when the welcome was sent, by the server's clock, and arrived, by the local one.
    """

    sizes: Sequence[int]
    silence: float
    asked_at: float = field(default_factory=now)
    opened_at: float | None = None
    answer: Answer | None = None
    hello: dict[str, Any] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    chunks: list[tuple[float, int]] = field(default_factory=list)
    ended_at: float | None = None
    error: str = ""
    client: str = ""
    welcomed: tuple[float, float] = (0.0, 0.0)

    @property
    def coding(self) -> str:
        """The content coding of the answer; empty for none."""
        return self.answer.header("Content-Encoding").strip().lower() if self.answer else ""

    @property
    def is_complete(self) -> bool:
        """Whether every message arrived."""
        return len(self.arrivals) == len(self.sizes) + 1

    def take(self, text: str, first: float, last: float, gap: float) -> None:
        """Take a message of the stream; see `Arrival`."""
        message = decode_json(text)
        if not isinstance(message, dict):
            return
        if isinstance(message.get("client"), str):
            self.client = message["client"]
        sent = time_of(message.get("sentAt"))
        if sent is None:
            return
        if self.client and not self.welcomed[1]:
            self.welcomed = sent, last
        if message.get("producer") != "probe":
            return
        if not self.arrivals:
            hello = decode_json(str(message.get("message")))
            self.hello = hello if isinstance(hello, dict) else {}
        self.arrivals.append(Arrival(len(text.encode()), sent, first, last, gap))


class EventSplitter:
    """Split the decoded bytes of an event stream into events, with the times of their bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._first: float | None = None
        self._previous = self._gap = 0.0

    def feed(self, data: bytes, at: float) -> list[tuple[str, float, float, float]]:
        """Return each event that ends in these bytes: its data, first and last byte, longest gap."""
        if self._first is None and data:
            self._first, self._gap = at, 0.0
        elif data:
            self._gap = max(self._gap, at - self._previous)
        self._previous = at
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        found = []
        for block in blocks:
            lines = [line[6:] for line in block.split(b"\n") if line.startswith(b"data: ")]
            if lines:
                text = b"\n".join(lines).decode(errors="replace")
                found.append((text, at if self._first is None else self._first, at, self._gap))
            self._first, self._gap = at, 0.0
        if not self._rest:
            self._first = None
        return found


async def record_stream(
    context: Context, version: str, sizes: Sequence[int], silence_s: int, codings: str
) -> Recording:
    """Return the recording of an event stream.

    Raises:
        AnswerError: if the answer is no event stream.
        NotTestedError: the server limits probes.
        StreamError: if nothing answered in time.
    """
    recording = Recording(sizes, silence_s * 1000.0)
    url = context.probe("sse", ",".join(map(str, sizes)), silence_s)
    total = silence_s * (len(sizes) + 1) + 2 * context.patience
    headers = EVENT_STREAM | {"Accept-Encoding": codings}
    splitter = EventSplitter()
    try:
        async with asyncio.timeout(total), request(context, url, headers, version=version) as answer:
            recording.opened_at, recording.answer = answer.at, answer
            if answer.status != 200 or answer.media_type != "text/event-stream":
                check_stream(context, answer, await answer.text())
            decoder = Decoder(answer.header("Content-Encoding"), MAX_BODY_BYTES)
            async for chunk in answer.chunks():
                recording.chunks.append((chunk.at, len(chunk.data)))
                for event in splitter.feed(decoder.feed(chunk.data), chunk.at):
                    recording.take(*event)
    except TimeoutError:
        if recording.opened_at is None:
            raise StreamError(f"did not begin in {total:.0f} s") from None
        recording.error = NO_END
    except NETWORK_ERRORS as error:
        if recording.opened_at is None:
            raise
        recording.error = describe(error)
    recording.ended_at = now()
    return recording


async def record_socket(
    context: Context, version: str, sizes: Sequence[int], silence_s: int
) -> Recording:
    """Return the recording of a WebSocket.

    Raises:
        RefusedError: if the handshake is answered in another way.
        StreamError: if nothing answered in time.
    """
    recording = Recording(sizes, silence_s * 1000.0)
    url = context.probe("websocket", ",".join(map(str, sizes)), silence_s)
    total = silence_s * (len(sizes) + 1) + 2 * context.patience
    try:
        async with asyncio.timeout(total), open_socket(context, url, version=version) as socket:
            recording.opened_at = now()
            recording.answer = socket.answer
            while True:
                text = await socket.receive()
                recording.take(text.text, text.first, text.last, text.gap)
    except TimeoutError:
        if recording.opened_at is None:
            raise StreamError(f"did not open in {total:.0f} s") from None
        recording.error = NO_END
    except ClosedError as error:
        recording.error = "" if error.code == 1001 else str(error)
    except NETWORK_ERRORS as error:
        if recording.opened_at is None:
            raise
        recording.error = describe(error)
    recording.ended_at = now()
    return recording


class Judgement(NamedTuple):
    """What held the messages of one probe back.

    Arguments:
        kind: of the fault.
        delay: the largest delay beyond that of the fastest message, in ms; if the kind is "clumped", the
            median delay of the late small messages.
        held: sizes of the messages that were held back.
        rate: bytes a second of a line that is slow; 0 if unknown.
        waiting: most bytes that waited at the end of a silence.
    """

    kind: Kind
    delay: float
    held: tuple[int, ...] = ()
    rate: float = 0.0
    waiting: int = 0


def judge(recording: Recording, fastest: float, round_trip: float) -> Judgement:
    """Return what held the messages back.

    Arguments:
        recording: with at least one message.
        fastest: the least arrival minus sending of any message on any path, in ms: both clocks' offset
            is in it, so no error of a clock can hide a delay.
        round_trip: shortest time from a request to its answer, in ms.
    """
    arrivals = recording.arrivals
    delays = [each.last - each.sent - fastest for each in arrivals]
    allowed = [_allowed(each.size, round_trip) for each in arrivals]
    late = [i for i, delay in enumerate(delays) if delay > allowed[i]]
    worst = max(delays)
    if not late:
        return _checked(Judgement("ok", worst), recording, delays, round_trip)
    if worst > recording.silence / 2:
        # Beside a message that waits for seconds, one that is a little late is noise.
        late = [i for i in late if delays[i] > recording.silence / 4]
    held = tuple(arrivals[i].size for i in late)
    if not recording.is_complete and recording.error:
        return Judgement(_end(recording), worst, held)
    if rate := _slow_rate(arrivals, late, delays, recording.silence):
        return Judgement("slow", worst, held, rate)
    waiting = _waiting(recording, arrivals, fastest)
    releases = _releases(recording, fastest)
    if len(late) > 1 and all(arrivals[i].last > releases[-1] - SAME_TIME_MS for i in late):
        return Judgement("until end", worst, held, 0.0, waiting)
    # Late by less than half a silence: a busy machine, not a further message, released it.
    after_next = {i: arrivals[i].last - releases[i] for i in late}
    by_next = [i for i in late if -SAME_TIME_MS < after_next[i] < recording.silence / 2]
    if len(by_next) == len(late):
        return Judgement("until next", worst, held, 0.0, waiting)
    if worst < recording.silence * 0.9 or not by_next:
        own = _judge_own_delays(arrivals, {i: delays[i] for i in late})
        return _checked(own, recording, delays, round_trip)
    return Judgement("until size", worst, held, 0.0, waiting)


def _judge_own_delays(arrivals: Sequence[Arrival], late: Mapping[int, float]) -> Judgement:
    """Return what held the late messages back, if neither a later message nor the end released them.

    Arguments:
        arrivals: of all messages.
        late: delays of those that were late, in ms, by their numbers.
    """
    worst, held = max(late.values()), tuple(arrivals[i].size for i in late)
    small = [i for i, each in enumerate(arrivals) if each.size < SMALL_BYTES and i > 0]
    if 2 * sum(i in late for i in small) > len(small):
        return Judgement("clumped", statistics.median(late[i] for i in small if i in late), held)
    # Only large ones, which take their time: the line is slow, or was busy with another message.
    is_size = all(arrivals[i].size >= SMALL_BYTES for i in late)
    rate = min(arrivals[i].size / late[i] * 1000 for i in late) if is_size else 0.0
    return Judgement("slow" if 0.0 < rate < SLOW_BYTES_PER_S else "late", worst, held, rate)


def _checked(
    judgement: Judgement, recording: Recording, delays: Sequence[float], round_trip: float
) -> Judgement:
    """Return a judgement, or what it leaves out: messages that are missing, or a delay that all have.

    If even the least delay of the small messages is too long, each is late. Their median is the delay: a
    machine that pauses makes one of them later still.
    """
    if judgement.kind not in ("ok", "late", "clumped"):
        return judgement
    if not recording.is_complete:
        return judgement._replace(kind=_end(recording))
    small = [d for each, d in zip(recording.arrivals, delays, strict=True) if each.size < SMALL_BYTES]
    # The first message comes with the head of the answer, so others decide.
    if judgement.kind == "clumped" or len(small) < 3 or min(small[1:]) <= CLUMP_MS + round_trip / 8:
        return judgement
    held = tuple(each.size for each in recording.arrivals[1:])
    return Judgement("clumped", statistics.median(small[1:]), held)


def _releases(recording: Recording, fastest: float) -> list[float]:
    """Return when each message would be released by the next one, and the last one by the end.

    A server sends on a grid. If it is busy and sends the last message late, the end comes less than a
    silence after it.
    """
    sent = [each.sent + fastest for each in recording.arrivals]
    end = sent[-1] + recording.silence
    return [*sent[1:], end if recording.ended_at is None else min(end, recording.ended_at)]


def _end(recording: Recording) -> Kind:
    if recording.error == NO_END:
        return "until end"
    return "cut" if recording.error else "incomplete"


def _allowed(size: int, round_trip: float) -> float:
    """Return the delay that a message may have beyond the fastest, in ms.

    TCP sends a large message over several round trips, after a silence beginning with the initial
    window again (RFC 5681 section 4.1).
    """
    rounds = math.ceil(math.log2(1 + size / INITIAL_WINDOW_BYTES)) if size > INITIAL_WINDOW_BYTES else 0
    return HELD_BACK_MS + round_trip * (rounds + 0.5)


def _slow_rate(
    arrivals: Sequence[Arrival], late: Sequence[int], delays: Sequence[float], silence: float
) -> float:
    """Return the bytes a second of a line that is slow; 0 if something else holds messages back.

    On a slow line the delay grows with the size, and the bytes of a message come one after another.
    """
    # A small message behind a large one that is late waits for its turn.
    small = [
        delay
        for i, delay in enumerate(delays)
        if arrivals[i].size < SMALL_BYTES
        and not (i > 0 and i - 1 in late and arrivals[i - 1].size >= SMALL_BYTES)
    ]
    large = [arrivals[i] for i in late if arrivals[i].size >= SMALL_BYTES]
    if not large or max(small, default=0.0) > silence * 0.5:
        return 0.0
    for each in large:
        took = each.last - each.first
        if took <= 0.0 or took < 0.6 * (each.last - each.sent - (arrivals[0].last - arrivals[0].sent)):
            return 0.0  # it came late, and then at once
        if each.gap > 0.7 * took:
            return 0.0  # one part came early, and the rest late
    return min(each.size / (each.last - each.first) * 1000 for each in large)


def _waiting(recording: Recording, arrivals: Sequence[Arrival], fastest: float) -> int:
    """Return the most bytes of whole messages that waited when the silence after the last one ended."""
    most = 0
    for number, arrival in enumerate(arrivals):
        end = arrival.sent + fastest + recording.silence - SAME_TIME_MS
        waits = sum(each.size for each in arrivals[: number + 1] if each.first > end)
        most = max(most, waits)
    return most


def is_continuous(recording: Recording) -> bool:
    """Return whether bytes arrived in each window after a message; for codings that are not decoded.

    The times at which the messages were sent follow from the beginning of the answer.
    """
    if recording.opened_at is None:
        return False
    for number in range(1, len(recording.sizes) + 1):
        due = recording.opened_at + number * recording.silence
        if not any(due - 300 <= at <= due + recording.silence * 0.5 for at, _ in recording.chunks):
            return False
    return True
