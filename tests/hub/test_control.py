"""Control messages: a client changes its own connection, without reconnecting."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

import pytest

from rtdemo.hub import control
from rtdemo.hub.selection import LISTED_NAMES, KnownNames, SelectionError, read_producers
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import Peer
from tests.conftest import Connect, Start


async def ask(peer: Peer, **wanted: object) -> object:
    await peer.say(json.dumps({"rtdemo": wanted}))
    answer = await peer.receive()
    assert answer["producer"] == "rtdemo"
    return json.loads(answer["message"])


async def test_speed_applies_from_now_on(
    server: Server, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """At four times the speed, four times as many messages."""
    peer = await connect(server, transport, "producers=message")
    assert await ask(peer, speed=4) == {"producers": ["message"], "speed": 4.0}
    clock.advance(2)
    assert [(await peer.receive())["seq"] for _ in range(4)] == [1, 2, 3, 4]


async def test_picking_starts_and_stops_producers(
    server: Server, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """Producers that stay picked run on; null picks all; the welcome is sent only once."""
    peer = await connect(server, transport)
    clock.advance(1)
    assert await ask(peer, producers=["message"]) == {"producers": ["message"], "speed": 1.0}
    assert server.hub.schedule.ticks == 1
    clock.advance(1)
    assert (await peer.receive())["producer"] == "message", "due 2 s after the connect, as before"
    assert await ask(peer, producers=None) == {"producers": None, "speed": 1.0}
    assert server.hub.schedule.ticks == 2
    assert await ask(peer, producers=[]) == {"producers": [], "speed": 1.0}
    assert server.hub.schedule.ticks == 0


REFUSED: list[tuple[object, str]] = [
    ({"speed": 1000}, "0.1 to 20"),
    ({"speed": None}, "0.1 to 20"),
    ({"speed": 10**400}, "0.1 to 20"),  # no float holds it
    ({"speed": True}, "0.1 to 20"),
    ({"producers": ["nix"]}, "there are chat, echo, message, status, welcome"),
    ({"producers": "message"}, "a list of names"),
    ({"producers": [["x"]]}, "there is no"),
    ({"producers": ["nix"]}, "there is no 'nix'"),
    ({"dance": 1}, "there is no control 'dance'"),
    ({}, "there are speed, producers, break"),
    (7, "there are speed, producers, break"),
    ({"break": "cut"}, "start the server with --lab"),
]


@pytest.mark.parametrize(("wanted", "words"), REFUSED)
async def test_refusal_changes_nothing(
    server: Server, connect: Connect, transport: str, wanted: object, words: str
) -> None:
    """The answer names the error, and no parameter of a query; the connection continues unchanged."""
    peer = await connect(server, transport)
    await peer.say(json.dumps({"rtdemo": wanted}))
    error = json.loads((await peer.receive())["message"])["error"]
    assert words in error
    assert "latest" not in error
    assert server.hub.schedule.ticks == 2


@pytest.mark.parametrize(
    "text",
    [
        '{"rtdemo": 1, "more": 2}',
        '["rtdemo"]',
        '{"rtdemo"',
        '{"message": "rtdemo"}',
        '"rtdemo"',
        '{"rtdemo":' + "[" * 9999,
    ],
)
def test_any_other_text_is_no_control_message(text: str) -> None:
    """Only an object with that one key is a control message; other texts are for the plugins."""
    assert control.read(text) is None


async def test_shared_producer_runs_once_for_everyone(
    start: Start, connect: Connect, clock: VirtualClock, tmp_path: Path
) -> None:
    """Both transports get the same text, time and number; a client that did not pick it gets nothing."""
    plugin = tmp_path / "news.py"
    plugin.write_text(
        "from rtdemo import Producer, hookimpl, producer\nruns = []\n"
        "@producer(every=5, shared=True)\ndef news():\n    runs.append(1)\n    return str(len(runs))\n"
        "@hookimpl\ndef shared_producers():\n"
        "    yield Producer('weather', lambda: 'sun', every=5, shared=True, transports=['sse'])\n"
    )
    server = await start(files=(plugin,), without=("message", "status", "broadcast"))
    clock.advance(5)
    peers = [await connect(server, t) for t in ("websocket", "sse")]
    other = await connect(server, "websocket", "producers=welcome")
    clock.advance(5)
    first = await peers[0].receive()
    # Two producers that are due together may be in any order.
    second, weather = sorted(
        [await peers[1].receive(), await peers[1].receive()], key=itemgetter("producer")
    )
    assert first == second
    assert (first["message"], first["producer"], first["seq"]) == ("2", "news", 2)
    assert weather["message"] == "sun"
    assert await ask(other, producers=["news"]) == {"producers": ["news"], "speed": 1.0}
    clock.advance(5)
    assert (await other.receive())["message"] == "3"


class CountedNames(dict[str, None]):
    """Names that count how many of them are read in a row."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(dict.fromkeys(names))
        self.read = 0

    def __iter__(self) -> Iterator[str]:
        for name in super().__iter__():
            self.read += 1
            yield name


@pytest.mark.parametrize("names", [["nix"], ["nix"] * 100, ["name 07000"] * 99 + ["nix"]])
def test_cost_of_a_selection_does_not_grow_with_the_published_names(names: list[str]) -> None:
    """Names are looked up; only those that the error lists are read."""
    published = CountedNames(f"name {n:05}" for n in range(10_000))
    known = KnownNames({"welcome", "message"}, published.keys())
    assert len(known) == 10_002
    published.read = 0
    with pytest.raises(SelectionError, match=r"there are message, welcome, name 00000.* and 9952 more"):
        read_producers(names, known)
    assert published.read <= LISTED_NAMES


def test_number_of_picked_names_is_bounded() -> None:
    """A hundred names are enough; more cost one comparison."""
    names = [str(n) for n in range(101)]
    assert read_producers(names[:100], set(names)) == frozenset(names[:100])
    with pytest.raises(SelectionError, match=r"^producers: 101 names; give at most 100$"):
        read_producers(names, set(names))


def test_names_are_listed_once() -> None:
    """A name that a plugin has and that was published under counts once."""
    known = KnownNames({"b", "a"}, {"b": 1, "c": 2})
    assert (list(known), len(known), "c" in known, "d" in known) == (["a", "b", "c"], 3, True, False)


def test_refusal_lists_only_some_of_many_names() -> None:
    """The answer stays short, however many names were published under."""
    with pytest.raises(SelectionError) as refused:
        read_producers(["nix"], [f"name {n:05}" for n in range(10_000)])
    assert "name 00049 and 9950 more" in str(refused.value)
    assert len(str(refused.value)) < 1000
