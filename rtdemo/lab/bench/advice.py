"""Advise which flags give a run enough data for a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, sqrt

from msgspec.structs import replace

from rtdemo.lab.bench.bootstrap import small_sample_factor
from rtdemo.lab.bench.comparison import MIN_ROUNDS, Difference
from rtdemo.lab.bench.result import RunSettings

MAX_ROUNDS = 50
"""Largest number of rounds that bench accepts."""
MAX_UNASKED_S = 300.0
"""About as long bench goes on by itself until a comparison is decided."""
MAX_ADVISED_SECONDS = 60
"""Longer rounds are not advised; more connections are."""
MAX_CONNECTIONS = 20_000
"""Largest number of connections that bench accepts."""
MAX_SPEED: float = 20
"""Largest speed that bench and servers accept."""
RESERVE = 1.1
"""Factor by which to exceed what is needed, because rates vary."""
MIN_FORECAST_S = 10
"""A run with fewer seconds of measuring gets no forecast: its verdict comes soon."""
_FEWEST = 0.1
"""Fewer messages count as so many."""
_STEP_S = 5
"""Advised seconds are multiples of this."""
_MIN_PERIOD_MS = 10.0
"""No producer runs more often, whatever the speed."""
_FLAGS = {"rounds": "--rounds", "connections": "-n", "seconds": "--seconds", "speed": "--speed"}


def flags_for_messages(settings: RunSettings, messages: float, needed: int) -> str:
    """Return flags that give enough messages.

    Arguments:
        settings: of the run.
        messages: number that the run had of the transport with fewer, or expected.
        needed: number that is enough.
    """
    return _flags(settings, _enough(settings, messages, needed))


def faster_flags(settings: RunSettings, messages: float, needed: int, periods: Iterable[float]) -> str:
    """Return flags that give enough messages in shorter rounds, at a higher speed; empty if none do.

    Arguments:
        settings: of the run.
        messages: number that the run had of the transport with fewer, or expected.
        needed: number that is enough.
        periods: milliseconds of each measured producer, in this run; empty if their rates are fixed.
    """
    shortest = min(periods, default=0.0)
    fastest = min(MAX_SPEED, settings.speed * shortest / _MIN_PERIOD_MS)
    rounds = max(1.0, MIN_ROUNDS / settings.rounds)
    wanted = settings.speed * RESERVE * needed / (rounds * max(messages, _FEWEST))
    speed = float(min(ceil(wanted), int(fastest)))
    if speed <= settings.speed:
        return ""
    faster = replace(settings, speed=speed)
    enough = _enough(faster, messages * speed / settings.speed, needed)
    if enough.seconds >= _enough(settings, messages, needed).seconds:
        return ""
    return _flags(settings, enough)


def _enough(settings: RunSettings, messages: float, needed: int) -> RunSettings:
    """Return settings that give enough messages: more rounds, longer ones, and then more connections."""
    rounds = max(settings.rounds, MIN_ROUNDS)
    factor = RESERVE * needed / max(messages, _FEWEST) * settings.rounds / rounds
    if factor <= 1:
        return replace(settings, rounds=rounds)
    seconds: float = _STEP_S * ceil(settings.seconds * factor / _STEP_S)
    connections = settings.connections
    longest = max(MAX_ADVISED_SECONDS, ceil(settings.seconds))
    if seconds > longest:
        more = ceil(connections * factor * settings.seconds / longest)
        seconds, connections = longest, min(MAX_CONNECTIONS, more)
    return replace(settings, rounds=rounds, seconds=seconds, connections=connections)


def _flags(given: RunSettings, wanted: RunSettings) -> str:
    """Return the flags of the settings that are larger than those given."""
    values = {flag: (getattr(given, name), getattr(wanted, name)) for name, flag in _FLAGS.items()}
    return " ".join(f"{flag} {new:g}" for flag, (old, new) in values.items() if new > old)


def with_faster(flags: str, faster: str) -> str:
    """Return flags as the end of a sentence, with those that give enough in shorter rounds."""
    either = f"{flags}, or sooner with {faster}" if faster else flags
    return f": {either}" if flags else ""


def forecast(
    settings: RunSettings, messages: float, most: float, needed: int, periods: Iterable[float]
) -> str:
    """Return that a run will have too little data, with flags for enough; empty if it may have enough.

    Arguments:
        settings: of the run.
        messages: number of the transport with fewer that is expected in all rounds.
        most: largest number that is possible.
        needed: number that is enough.
        periods: milliseconds of each measured producer, in this run.
    """
    if settings.seconds * settings.rounds * len(settings.transports) < MIN_FORECAST_S:
        return ""
    if most < needed:
        lack = f"about {messages:,.0f} messages; about {needed:,} are needed"
    elif settings.rounds < MIN_ROUNDS and len(settings.transports) > 1:
        lack = f"rounds of each: {settings.rounds}; at least {MIN_ROUNDS} are needed"
    else:
        return ""
    flags = flags_for_messages(settings, messages, needed)
    faster = faster_flags(settings, messages, needed, periods)
    return f"this run will have too little data: {lack}{with_faster(flags, faster)}"


def max_rounds(round_s: float, transports: int) -> int:
    """Return up to how many rounds of each transport bench goes on by itself.

    Arguments:
        round_s: seconds that a round takes in all.
        transports: number that are measured.
    """
    return max(MIN_ROUNDS, min(MAX_ROUNDS, int(MAX_UNASKED_S / (round_s * transports))))


def rounds_for(differences: Iterable[Difference], rounds: int) -> int | None:
    """Return the number of rounds that would probably decide these differences; None if none would.

    The width of an interval falls with the square root of the number of rounds, and with the factor for
    few rounds.

    Arguments:
        differences: that are undecided.
        rounds: of each side, so far.
    """
    found = [_rounds_for(one, rounds) for one in differences]
    known = [one for one in found if one is not None]
    return max(known) if known and len(known) == len(found) else None


def _rounds_for(one: Difference, rounds: int) -> int | None:
    middle = abs(one.high + one.low) / 2
    half = (one.high - one.low) / 2
    # Narrow enough to lie within what counts as equal, or beyond what counts as a difference.
    wanted = max(one.equal - middle, middle - one.least) / RESERVE
    if wanted <= 0:
        return None
    now = small_sample_factor((rounds, rounds)) / sqrt(rounds)
    for more in range(rounds + 1, MAX_ROUNDS + 1):
        if half * small_sample_factor((more, more)) / sqrt(more) <= wanted * now:
            return more
    return None
