"""Drawn bytes for each fuzz target; `make fuzz` mutates them for longer, guided by coverage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdemo.hub.control import KEY
from tests.fuzz.fuzzed_server import FuzzedServer
from tests.fuzz.targets import TARGETS

EXAMPLES = 200
"""Inputs drawn for each target; an input takes about 2 ms."""

_names = st.sampled_from(["echo", "publish", "message", "", "x" * 200]) | st.text(max_size=20)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=8,
)


def _as_json(content: st.SearchStrategy[object]) -> st.SearchStrategy[bytes]:
    """Draw contents as JSON, some cut off or with a byte changed."""
    whole = content.map(
        lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )
    return whole | st.tuples(whole, st.integers(0, 40)).map(lambda drawn: drawn[0][: drawn[1]])


def _of_words(target: str) -> st.SearchStrategy[bytes]:
    """Draw rows of the words of a target, with any bytes between."""
    part = st.sampled_from(TARGETS[target].words + TARGETS[target].seeds) | st.binary(max_size=8)
    return st.lists(part, max_size=12).map(b"".join)


_publication = st.fixed_dictionaries({"message": st.text(max_size=50)}, optional={"producer": _names})
_wanted = st.fixed_dictionaries(
    {}, optional={"speed": _json, "producers": st.lists(_names) | _json, "break": _json}
)
_line = st.tuples(st.sampled_from(TARGETS["head"].words), st.binary(max_size=40)).map(b": ".join)
STRATEGIES: Mapping[str, st.SearchStrategy[bytes]] = {
    "query": _of_words("query"),
    "last_event_id": _of_words("last_event_id"),
    "publish": _as_json(_publication | st.lists(_publication, max_size=101) | _json)
    | _of_words("publish"),
    "control": _as_json(st.fixed_dictionaries({KEY: _wanted | _json})) | _of_words("control"),
    "head": _of_words("head")
    | st.tuples(st.sampled_from(TARGETS["head"].seeds), st.lists(_line, max_size=6)).map(
        lambda drawn: drawn[0][:-2] + b"\r\n".join(drawn[1]) + b"\r\n\r\n"
    ),
}


@pytest.fixture(scope="module")
def fuzzed_server() -> Iterator[FuzzedServer]:
    """One server for all inputs: each must leave it as it was."""
    server = FuzzedServer()
    yield server
    server.close()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_of_a_target_pass(fuzzed_server: FuzzedServer, name: str) -> None:
    """What mutations begin with breaks nothing."""
    for seed in TARGETS[name].seeds:
        TARGETS[name].target(fuzzed_server, seed)


@pytest.mark.parametrize("name", TARGETS)
def test_drawn_bytes_break_no_promise(fuzzed_server: FuzzedServer, name: str) -> None:
    """No error of the server, no traceback, and the promise of each target."""

    @settings(max_examples=EXAMPLES)
    @given(data=STRATEGIES[name])
    def check(data: bytes) -> None:
        TARGETS[name].target(fuzzed_server, data)

    check()


def test_positions_of_the_log_continue_it(fuzzed_server: FuzzedServer) -> None:
    """Random bytes hardly ever are a position of the log: here each one is tried."""
    TARGETS["last_event_id"].target(fuzzed_server, b"x")
    last = fuzzed_server.server.hub.engine.log.last
    for offset in range(last.offset + 3):
        position = str(last._replace(offset=offset)).encode()
        for given_id in (
            position,
            b" " + position,
            position + b"0",
            b"0" + position,
            position + b"\xb2",
        ):
            TARGETS["last_event_id"].target(fuzzed_server, given_id)
