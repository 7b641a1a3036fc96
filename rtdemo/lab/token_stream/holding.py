"""Whether tokens are held back on their way, and by which pattern: a buffer, a timer, a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rtdemo.lab.token_stream.analysis import Burst, Figures, is_even, median, percentile
from rtdemo.lab.token_stream.limits import known_buffer, known_clump

Shape = Literal["flows", "held-to-end", "held-at-start", "bunched"]
"""How tokens of one answer arrive."""
Cause = Literal["buffering", "no-delay", "timer", "compression"]
"""What holds tokens back."""

MIN_TOKENS = 10
"""Tokens of an answer that shows how tokens arrive."""
MIN_SPAN_S = 0.3
"""Seconds from the first token to the last of an answer that shows it."""
SLOWEST_S = 0.05
"""Seconds that a token waits, on average, from which people notice: the verdict is a failure."""

_AT_ONCE_SHARE = 0.1
"""Share of the time that the server takes, in which all tokens arrive if they were held to the end.
It is not zero: on a long line, a large answer takes several round trips."""
_LATE_SHARE = 0.5
"""Share of the time that the server takes, by which tokens held to the end are late at least."""
_LATE_S = 0.1
"""Seconds by which first tokens are late that were held back: people notice no less."""
_AT_ONCE_ALONE_SHARE = 0.1
"""The same share of the time before the first token, if nothing shows how the server sends."""
_MORE_PER_BURST = 1.5
"""How many times more tokens a burst has, if tokens are held back."""
_MORE_WAIT_S = 0.005
"""Seconds that they wait longer: with less, the network alone may be the cause."""
_BUNCHED_ALONE_TOKENS, _BUNCHED_ALONE_WAIT_S = 2.0, 0.02
"""Tokens of a burst and their wait which look held back, if nothing shows how the server sends."""
_FIRST_BURST_TOKENS, _MORE_IN_FIRST_BURST = 5, 3
"""Tokens of a first burst that was held back, and how many times more it has than others."""
_EVEN, _EVEN_GAPS = 0.25, 0.5
"""Largest spread of sizes, and of gaps, that are even."""
_MIN_GAPS = 3
"""Gaps that show a timer."""
_CUT_SHARE = 0.5
"""Share of bursts that end inside an event, if a buffer of bytes holds them."""
IRREGULAR = "tokens-bunched"
"""Code of tokens that are held back without a pattern."""
_MAY_BE_CHANCE = (IRREGULAR, "tokens-held-at-start")
_SMALLER_BURSTS = 0.25
"""Share of bursts that are smaller than one that shows the size of a buffer too."""
_CERTAIN_TOKEN_S = 0.000_25
"""Seconds for a token which no server needs: 4,000 tokens a second come from a store."""


@dataclass(frozen=True, slots=True)
class Reference:
    """How a server sends, as answers without a proxy show it.

    Arguments:
        span_s: seconds from the first token to the last.
        token_s: seconds for a token.
        gap_s: seconds between two bursts.
        first_token_s: seconds to the first token.
        burst_tokens: usual tokens of a burst.
        most_burst_tokens: the same, the most of all answers.
        wait_s: how long a token waits.
        first_burst_tokens: tokens of the first burst.
    """

    span_s: float
    token_s: float
    gap_s: float
    first_token_s: float
    burst_tokens: float
    most_burst_tokens: float
    wait_s: float
    first_burst_tokens: float

    @classmethod
    def of(cls, answers: Sequence[Figures]) -> Reference:
        """Return what answers show."""
        return cls(
            median(answer.span_s for answer in answers),
            median(answer.token_s for answer in answers),
            median(gap for answer in answers for gap in answer.gaps_s),
            median(answer.first_token_s or 0.0 for answer in answers),
            median(answer.usual_burst_tokens for answer in answers),
            max(answer.usual_burst_tokens for answer in answers),
            median(answer.wait_s for answer in answers),
            median(answer.first_burst_tokens for answer in answers),
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """Tokens that are held back on one way.

    Arguments:
        code: of the finding.
        cause: what holds them, as far as the pattern shows it.
        shape: how the tokens arrive.
        answers: number of answers in which they are held back.
        of_answers: number of all answers.
        first_token_s: seconds to the first token, of these answers.
        tokens: in a burst.
        burst_bytes: of a burst.
        gap_s: between two bursts; 0 if only the end of the answer released the second one.
        wait_s: how long a token waits, on average.
        buffer_bytes: size of the buffer that the bursts fill; 0 if none is known.
        is_cut: whether bursts end inside an event, as only a buffer of bytes does it.
    """

    code: str
    cause: Cause
    shape: Shape
    answers: int
    of_answers: int
    first_token_s: float
    tokens: float
    burst_bytes: float
    gap_s: float
    wait_s: float
    buffer_bytes: int
    is_cut: bool


def find_hold(answers: Sequence[Figures], reference: Reference | None) -> Hold | None:
    """Return how tokens are held back in some answers; None if they are not.

    Arguments:
        answers: of one way.
        reference: how the server sends; None if that is not known.
    """
    shapes = [_shape(answer, reference) for answer in answers]
    held = [answer for answer, shape in zip(answers, shapes, strict=True) if shape != "flows"]
    if not held:
        return None
    found = [shape for shape in shapes if shape != "flows"]
    shape = max(set(found), key=found.count)
    hold = _describe(held, shape, len(answers), reference)
    return None if _may_be_chance(hold, held, reference) else hold


def _may_be_chance(hold: Hold, held: Sequence[Figures], reference: Reference | None) -> bool:
    """Return whether a busy machine may be the cause: it shows no pattern, and not in most answers."""
    if hold.code not in _MAY_BE_CHANCE:
        return False
    most = reference.most_burst_tokens if reference else 0.0
    clear = [answer for answer in held if answer.usual_burst_tokens > most or hold.code != IRREGULAR]
    return len(clear) <= hold.of_answers / 2


def is_gone(hold: Hold, answer: Figures, reference: Reference | None) -> bool:
    """Return whether an answer that was asked for otherwise, such as without compression, lacks a hold.

    One answer with bursts that have no pattern may show a busy machine: it lacks any other hold.
    """
    found = find_hold([answer], reference)
    return found is None or (found.code in _MAY_BE_CHANCE and found.code != hold.code)


def find_server_hold(answers: Sequence[Figures]) -> Hold | None:
    """Return how a server itself holds tokens back, where that is certain; None where it is not.

    A server may send several tokens at once, and may be fast. Certain are a buffer of bytes, which cuts
    events, and tokens that come faster than any server makes them.
    """
    hold = find_hold(answers, None)
    if hold is None:
        return None
    is_stored = all(
        answer.tokens >= MIN_TOKENS and answer.token_s < _CERTAIN_TOKEN_S for answer in answers
    )
    return hold if is_stored or (hold.buffer_bytes and hold.is_cut) else None


def is_too_short(answers: Sequence[Figures]) -> bool:
    """Return whether answers are too short, or too fast, to show how tokens arrive."""
    return (
        median(answer.tokens for answer in answers) < MIN_TOKENS
        or median(answer.span_s for answer in answers) < MIN_SPAN_S
    )


def _shape(answer: Figures, reference: Reference | None) -> Shape:
    if answer.first_token_s is None or answer.tokens < MIN_TOKENS:
        return "flows"
    return _shape_alone(answer) if reference is None else _shape_beside(answer, reference)


def _shape_beside(answer: Figures, reference: Reference) -> Shape:
    """Return the shape of an answer beside how the server sends."""
    late_s = (answer.first_token_s or 0.0) - reference.first_token_s
    if answer.span_s <= _AT_ONCE_SHARE * reference.span_s and late_s >= _LATE_SHARE * reference.span_s:
        return "held-to-end"
    if (
        answer.usual_burst_tokens >= _MORE_PER_BURST * reference.burst_tokens
        and answer.wait_s >= reference.wait_s + _MORE_WAIT_S
    ):
        return "bunched"
    first = answer.first_burst_tokens
    is_more = first >= max(_FIRST_BURST_TOKENS, _MORE_IN_FIRST_BURST * reference.first_burst_tokens)
    is_late = late_s >= max(_LATE_S, _LATE_SHARE * (first - 1) * reference.token_s)
    return "held-at-start" if is_more and is_late else "flows"


def _shape_alone(answer: Figures) -> Shape:
    """Return the shape that an answer seems to have; the server may send so."""
    if answer.span_s <= _AT_ONCE_ALONE_SHARE * (answer.first_token_s or 0.0):
        return "held-to-end"
    is_bunched = (
        answer.usual_burst_tokens >= _BUNCHED_ALONE_TOKENS and answer.wait_s >= _BUNCHED_ALONE_WAIT_S
    )
    return "bunched" if is_bunched else "flows"


def _describe(
    held: Sequence[Figures], shape: Shape, of_answers: int, reference: Reference | None
) -> Hold:
    """Return how tokens are held back in answers, and what does it."""
    bursts = [burst for answer in held for burst in _full_bursts(answer)]
    # The end of the answer releases the last burst early.
    gaps = [gap for answer in held for gap in answer.gaps_s[:-1]]
    server_gap_s = reference.gap_s if reference else 0.0
    event_bytes = median(answer.token_bytes for answer in held)
    is_cut = sum(not burst.is_whole for burst in bursts) >= _CUT_SHARE * len(bursts) > 0
    # On a busy machine, two full buffers may arrive as one burst: then smaller ones show the size.
    for share in (0.5, *((_SMALLER_BURSTS,) if is_cut else ())):
        wire_bytes = percentile((burst.wire_bytes for burst in bursts), share)
        body_bytes = percentile((burst.body_bytes for burst in bursts), share)
        buffer_bytes = known_buffer(wire_bytes, body_bytes, event_bytes)
        if buffer_bytes:
            break
    if shape == "bunched":
        shape = _bunched_or_at_start(held, bool(buffer_bytes and is_cut))
    code, cause = _code(shape, bursts, gaps, server_gap_s, buffer_bytes if is_cut else -buffer_bytes)
    return Hold(
        code,
        cause,
        shape,
        len(held),
        of_answers,
        median(answer.first_token_s or 0.0 for answer in held),
        median(burst.tokens for burst in bursts),
        wire_bytes,
        median(gaps),
        median(answer.wait_s for answer in held),
        buffer_bytes if code.startswith("tokens-buffered-") else 0,
        is_cut,
    )


def _full_bursts(answer: Figures) -> Sequence[Burst]:
    """Return the bursts that show what a buffer holds: not the last one, which the end flushes.

    The first one may hold the head of the answer too, and counts only where there is no other.
    """
    bursts = [burst for burst in answer.bursts if burst.tokens]
    return bursts[1:-1] or bursts[:-1] or bursts


def _bunched_or_at_start(held: Sequence[Figures], fills_buffer: bool) -> Shape:
    """Return whether mainly the first burst was held back."""
    later = [b.tokens for answer in held for b in answer.bursts[1:] if b.tokens]
    first = median(answer.first_burst_tokens for answer in held)
    is_at_start = first >= max(_FIRST_BURST_TOKENS, _MORE_IN_FIRST_BURST * median(later))
    return "held-at-start" if is_at_start and not fills_buffer else "bunched"


def _code(
    shape: Shape, bursts: Sequence[Burst], gaps: Sequence[float], server_gap_s: float, buffer_bytes: int
) -> tuple[str, Cause]:
    """Return the code and the cause of a pattern.

    Arguments:
        shape: how the tokens arrive.
        bursts: full ones.
        gaps: between bursts.
        server_gap_s: between bursts as the server sends them.
        buffer_bytes: size of the buffer that the bursts fill; negative if they end between events, so
            that a timer may do the same.
    """
    if shape != "bunched":
        return f"tokens-{shape}", "buffering"
    clump = known_clump(median(gaps), server_gap_s) if len(gaps) >= _MIN_GAPS else 0
    if buffer_bytes > 0 or (buffer_bytes and not clump):
        return f"tokens-buffered-{abs(buffer_bytes)}", "buffering"
    if clump and is_even(gaps, _EVEN_GAPS):
        return f"tokens-clumped-{clump}ms", "no-delay"
    if is_even([burst.wire_bytes for burst in bursts], _EVEN) and any(not b.is_whole for b in bursts):
        return "tokens-buffered", "buffering"
    if len(gaps) >= _MIN_GAPS and is_even(gaps, _EVEN):
        return "tokens-clumped", "timer"
    return IRREGULAR, "buffering"
