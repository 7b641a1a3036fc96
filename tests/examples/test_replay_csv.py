"""examples/replay_csv.py: replay a CSV file at its recorded pace."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from examples import replay_csv
from rtdemo.plugin_system.options import declared
from rtdemo.testing import run_producer
from tests.clients import eventually
from tests.conftest import Connect
from tests.examples.conftest import Serve, is_generator_running

RECORDING = "seconds,speed,note\n100,3.5,start\n100.5,4.25,\n103,0,stop\n"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "ride.csv"
    path.write_text(RECORDING)
    return path


async def test_each_client_gets_the_whole_recording(
    serve: Serve, connect: Connect, transport: str, recording: Path
) -> None:
    """Each row is a dict of its numbers by column, which the view draws; the end is no failure."""
    server = await serve("replay_csv", PATH=recording, SPEED=1e6)
    for _ in range(2):
        peer = await connect(server, transport, "producers=replay_csv")
        rows = [(await peer.receive())["value"] for _ in range(3)]
        assert rows == [{"speed": 3.5}, {"speed": 4.25}, {"speed": 0}]
    (supervisor,) = server.plugins.registry.find("replay_csv")
    assert (supervisor.state, supervisor.failures) == ("running", 0)


def test_text_in_a_column_of_numbers_is_a_gap() -> None:
    """A column counts from its first number on; without any, the texts are sent."""
    rows: list[replay_csv.Row] = [
        {"a": "x", "b": None},
        {"a": "x", "b": 1.0},
        {"a": 2.0, "b": "n/a"},
        {"a": None, "b": 3.0},
    ]
    columns: set[str] = set()
    assert [replay_csv.numbers(row, columns) for row in rows] == [
        {"a": "x", "b": None},
        {"b": 1.0},
        {"a": 2.0, "b": None},
        {"a": None, "b": 3.0},
    ]


@pytest.mark.parametrize(("speed", "sent_at"), [("1", [0, 500, 3000]), ("2", [0, 250, 1500])])
def test_rows_are_sent_at_the_recorded_pace(recording: Path, speed: str, sent_at: list[float]) -> None:
    """A gap of half a second is half a second, or a quarter at twice the speed."""
    environ = {"RTDEMO_REPLAY_CSV_PATH": str(recording), "RTDEMO_REPLAY_CSV_SPEED": speed}
    for name, option in declared(replay_csv).items():
        option.read("replay_csv", name, environ)
    sent = run_producer(replay_csv.replay_csv, seconds=10)
    assert [message.sent_at for message in sent] == sent_at


def test_time_counts_from_the_first_row(recording: Path) -> None:
    """The first row may have any time, such as seconds since 1970."""
    assert [seconds for seconds, _ in replay_csv.timed(recording, "seconds")] == [0.0, 0.5, 3.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RECORDING + "soon,1,x\n", "ride.csv, line 5: no number of seconds in column 'seconds'; "),
        ("time,speed\n1,2\n", "column 'seconds'; RTDEMO_REPLAY_CSV_COLUMN is to be one of time, speed"),
        (None, "ride.csv; RTDEMO_REPLAY_CSV_PATH names it"),
    ],
    ids=["no number", "no column", "no file"],
)
async def test_recording_that_cannot_be_replayed_is_one_line(
    serve: Serve,
    connect: Connect,
    recording: Path,
    text: str | None,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log and `/api/producers` have the file and the column; the connection stays open."""
    if text is None:
        recording.unlink()
    else:
        recording.write_text(text)
    server = await serve("replay_csv", PATH=recording, SPEED=1e6)
    peer = await connect(server, "websocket", "producers=replay_csv")
    (supervisor,) = server.plugins.registry.find("replay_csv")
    await eventually(lambda: supervisor.failures)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        listed = {p["name"]: p for p in (await http.get("/api/producers")).json()}
    assert words in listed["replay_csv"]["lastError"]
    (record,) = [one for one in caplog.records if words in one.getMessage()]
    assert record.exc_info is None
    await peer.say("still there?")
    while (reply := await peer.receive())["producer"] != "echo":
        pass
    assert reply["message"] == "Echo: still there?"


async def test_empty_recording_ends_at_once(serve: Serve, connect: Connect, recording: Path) -> None:
    """A file without rows is no failure."""
    recording.write_text("seconds\n")
    server = await serve("replay_csv", PATH=recording)
    await connect(server, "sse", "producers=replay_csv")
    (supervisor,) = server.plugins.registry.find("replay_csv")
    await eventually(lambda: not is_generator_running())
    assert (supervisor.runs, supervisor.failures) == (0, 0)
