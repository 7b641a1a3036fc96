"""Figures of a storm, from what its clients noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rtdemo.lab.storm.client import Client, Side
from rtdemo.lab.storm.delivery import Messages
from rtdemo.lab.storm.result import Figures, Storm, Times
from rtdemo.lab.storm.timeline import STEP_S, busiest_second, time_until
from rtdemo.protocol.client import Transport


@dataclass(frozen=True)
class Measured:
    """What a storm's clients noted.

    Arguments:
        sides: the clients of each transport.
        signal_at: when the signal was sent, on the clients' clock.
        ended_at: when measuring ended.
        known: shared messages that exist; None if the storm was cut short.
        has_ended: whether the server's process ended.
    """

    sides: Mapping[Transport, Side]
    signal_at: float
    ended_at: float
    known: Messages | None
    has_ended: bool


def add_figures(storm: Storm, found: Measured) -> None:
    """Add the figures to a storm.

    Arguments:
        storm: to add them to.
        found: what was measured.
    """
    storm.sides = {name: _figures([side], found) for name, side in found.sides.items()}
    storm.total = _figures(list(found.sides.values()), found)
    storm.step_seconds = STEP_S
    storm.has_ended = found.has_ended
    storm.messages = len(found.known) if found.known is not None else 0


def _figures(sides: Sequence[Side], found: Measured) -> Figures:
    clients = [client for side in sides for client in side.clients]
    cut = [client for client in clients if client.lost_at is not None]
    began = sides[0].timeline.began or found.signal_at
    steps, signal_step = (int((at - began) / STEP_S) for at in (found.ended_at, found.signal_at))
    connects = _sum(side.timeline.counts("connects", steps) for side in sides)
    attempts = _sum(side.timeline.counts("attempts", steps) for side in sides)
    figures = Figures(
        clients=len(clients),
        cut=len(cut),
        back=sum(client.back_at is not None for client in cut),
        gave_up=dict(Counter(client.gave_up.reason for client in clients if client.gave_up is not None)),
        back_after=_times([_since(client.back_at, found.signal_at) for client in cut]),
        outage=_times([_since(client.back_at, client.lost_at) for client in cut]),
        attempts=sum(attempts[signal_step:]),
        peak_connects_per_second=busiest_second(connects[signal_step:]),
        failures=dict(sum((side.failures for side in sides), Counter())),
        connected=_sum(side.timeline.connected(steps) for side in sides),
        connects=connects,
    )
    _add_delivery(figures, clients, found.known)
    return figures


def _add_delivery(figures: Figures, clients: Iterable[Client], known: Messages | None) -> None:
    """Add what was lost and repeated. Of a client that is not back it is unknown."""
    delivered = [client.delivery for client in clients if client.is_open]
    figures.notified = sum(one.notices > 0 for one in delivered)
    figures.unannounced = sum(one.unannounced > 0 for one in delivered)
    if not known or any(one.is_overrun for one in delivered):
        return
    lost = [one.count_lost(known) for one in delivered]
    figures.lost = sum(lost)
    figures.clients_with_losses = sum(count > 0 for count in lost)
    figures.repeated = sum(one.repeated for one in delivered)


def _times(times: Sequence[float | None]) -> Times:
    first = min((at for at in times if at is not None), default=None)
    shares = (time_until(times, percent) for percent in (50, 95, 99, 100))
    return Times(_rounded(first), *map(_rounded, shares))


def _since(at: float | None, earlier: float | None) -> float | None:
    return None if at is None or earlier is None else at - earlier


def _rounded(seconds: float | None) -> float | None:
    """Round to milliseconds, which is more than a storm repeats."""
    return None if seconds is None else round(seconds, 3)


def _sum(lists: Iterable[Sequence[int]]) -> list[int]:
    return [sum(step) for step in zip(*lists, strict=True)]
