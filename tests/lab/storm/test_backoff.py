"""The waits of clients are those of the browsers and of rtdemo's page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtdemo.lab.storm.backoff import BACKOFFS, DEFAULTS, MAX_WAIT_S, parse

PAGE = Path(__file__).parents[3] / "rtdemo/web/static"


def waits(name: str, random: float = 0.0, retry_s: float | None = None) -> list[float]:
    """Return the waits before the first six attempts, of which all fail."""
    return [parse(name).wait_s(failures, retry_s, None, lambda: random) for failures in range(6)]


def constant(file: str, name: str) -> float:
    """Return a constant of the page's script."""
    found = re.search(rf"\b{name} = ([\d_]+)", (PAGE / file).read_text())
    assert found is not None
    return int(found[1]) / 1000


def test_page_waits_as_its_script_says() -> None:
    """The rule repeats the constants of backoff.js: half of each wait is random."""
    names = ("FIRST_RETRY_MS", "MAX_RETRY_MS")
    first, longest = (constant("client/backoff.js", name) for name in names)
    assert waits("page") == [min(first * 2**tries, longest) for tries in range(6)]
    assert waits("page", random=1.0) == [wait / 2 for wait in waits("page")]
    attempt_s = constant("connection/reconnecting.js", "ATTEMPT_TIMEOUT_MS")
    assert parse("page").attempt_timeout_s == attempt_s


@pytest.mark.parametrize(("name", "seconds", "least"), [("chromium", 3.0, 0.0), ("firefox", 5.0, 0.5)])
def test_event_source_waits_for_retry_or_its_default(name: str, seconds: float, least: float) -> None:
    """It never waits longer after a failure, and nothing is random."""
    assert waits(name, random=0.7) == [seconds] * 6
    assert waits(name, retry_s=1.5) == [1.5] * 6
    assert waits(name, retry_s=0.0) == [least] * 6
    assert parse(name).gives_up


def test_others_wait_as_long_as_the_server_asks() -> None:
    """`Retry-After` replaces the wait; an EventSource has given up then."""
    for name in ("page", "exponential", "fixed:3"):
        assert parse(name).wait_s(4, None, 2.0, lambda: 0.5) == 2.0
        assert not parse(name).gives_up


def test_growth_ends() -> None:
    """However many attempts fail."""
    assert parse("exponential").wait_s(10_000, None, None, lambda: 0.0) == 30.0
    assert waits("fixed:0.5", random=1.0) == [0.5] * 6


@pytest.mark.parametrize(
    "text", ["", "chrome", "fixed", "fixed:", "fixed:x", "fixed:0", "fixed:nan", "fixed:1e9"]
)
def test_other_rules_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse(text)


def test_no_server_can_ask_for_a_longer_wait_than_timers_have() -> None:
    assert waits("firefox", retry_s=1e17) == [MAX_WAIT_S] * 6
    assert parse("page").wait_s(0, None, 1e17, lambda: 0.0) == MAX_WAIT_S


def test_every_default_exists() -> None:
    assert set(DEFAULTS.values()) <= set(BACKOFFS)
