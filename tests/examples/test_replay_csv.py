"""examples/replay_csv.py: replay a CSV file at its recorded pace."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from examples import replay_csv
from rtdemo.plugin_system.options import declared
from rtdemo.testing import ProducerFailedError, run_producer
from tests.clients import eventually
from tests.conftest import Connect
from tests.examples.conftest import Serve

RECORDING = "seconds,speed,rain,note\n100,3.5,1,start\n100.5,4.25,,\n103,0,2,stop\n"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "ride.csv"
    path.write_text(RECORDING)
    return path


async def test_each_client_gets_the_whole_recording(
    serve: Serve, connect: Connect, transport: str, recording: Path
) -> None:
    """Each row is a dict by column, of which the view draws the numbers; the end is no failure."""
    server = await serve("replay_csv", PATH=recording, SPEED=1e6)
    for _ in range(2):
        peer = await connect(server, transport, "producers=replay_csv")
        rows = [await peer.receive() for _ in range(3)]
        assert [(row["message"], row["value"]) for row in rows] == [
            ("100: speed 3.5, rain 1.0, note start", {"speed": 3.5, "rain": 1, "note": "start"}),
            ("100.5: speed 4.25", {"speed": 4.25, "rain": None, "note": None}),
            ("103: speed 0.0, rain 2.0, note stop", {"speed": 0, "rain": 2, "note": "stop"}),
        ]
    (supervisor,) = server.plugins.registry.find("replay_csv")
    assert (supervisor.state, supervisor.failures) == ("running", 0)


async def test_semicolons_and_decimal_commas(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """As Excel writes them where the comma is the decimal sign. Texts stay: the view names them."""
    path = tmp_path / "room.csv"
    path.write_text("time;celsius;word\n0,5;20,4;a, b\n1;-3;1,2,3\n2;1.234,5;1.23,4\n")
    server = await serve("replay_csv", PATH=path, SPEED=1e6)
    peer = await connect(server, "sse", "producers=replay_csv")
    assert [(await peer.receive())["value"] for _ in range(3)] == [
        {"celsius": 20.4, "word": "a, b"},
        {"celsius": -3, "word": "1,2,3"},
        {"celsius": 1234.5, "word": "1.23,4"},
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("seconds;v\n0;1.234\n1;0,5\n", 1234),
        ("seconds;v\n0;1.234\n1;0.5\n", 1.234),
        ("seconds\tv\n0\t-1,5\n", -1.5),
        ('seconds,v\n0,"1,234.5"\n', 1234.5),
        ('seconds,v\n0,"1,2"\n', "1,2"),
        ('seconds,v\n0,"$1,234.50"\n', 1234.5),
        ("seconds,v\n0,45 %\n", 45),
        ("seconds;v\n0;1.234\u00a0€\n1;-0,5 €\n", 1234),
        ("seconds,v\n0,%\n", "%"),
        ("seconds,v\n0,-$5\n", -5),
        ("seconds\tv\n0\t$1,234\n", 1234),
        ("seconds;v\n0;1.234\n1;(3,4)\n2;$1,234\n", 1.234),
        ('"seconds";"v"\r\n"0";"1,234"\r\n"1";"20,4"\r\n', 1.234),
        ("seconds\tv\r\n0\t1,234\r\n1\t20,4\r\n", 1.234),
        ("seconds\tv\n0\t0,125\n1\t0,250\n", 0.125),
        ("seconds\tv\n0\t1,125\n1\t1.234,500\n", 1.125),
        (f"seconds\tv\n0\t1,234\n1\t{'x' * 65_509}\n2\t1,234", 1234),
        ("seconds;v\n0; 1.234,50\n", 1234.5),
        ("seconds;v\n0;€ 1.234,50\n", 1234.5),
        (f"seconds,v\n0,{' ' * 5000}5\n", 5),
    ],
    ids=[
        *("points", "no decimal commas", "tabs", "commas", "no groups of three"),
        *("dollars", "percent", "euros", "a sign alone", "minus dollars", "tab and dollars"),
        *("no decimal comma", "quoted cells", "tabs, Windows", "no group", "too long for a group"),
        *("cut", "space", "euro before", "padding"),
    ],
)
async def test_groups_of_thousands(
    serve: Serve, connect: Connect, tmp_path: Path, text: str, value: object
) -> None:
    """Points are such where another cell of the file has a decimal comma."""
    path = tmp_path / "sales.csv"
    path.write_text(text)
    server = await serve("replay_csv", PATH=path, SPEED=1e6)
    peer = await connect(server, "sse", "producers=replay_csv")
    assert (await peer.receive())["value"] == {"v": value}


def test_file_of_another_encoding_is_one_line(tmp_path: Path) -> None:
    """Older programs on Windows write such files."""
    path = tmp_path / "days.csv"
    path.write_bytes("time,Gäste\n0,1\n".encode("cp1252"))
    with pytest.raises(ProducerFailedError, match=r"days\.csv is not UTF-8; save it as CSV UTF-8"):
        sent_at(path)


def sent_at(path: Path, seconds: float = 60, **options: str) -> list[float]:
    """Return when the rows of a file are sent, in milliseconds."""
    for name, option in declared(replay_csv).items():
        text = {"PATH": str(path), **options}.get(name, "")
        option.read("replay_csv", name, {f"RTDEMO_REPLAY_CSV_{name}": text})
    return [message.sent_at for message in run_producer(replay_csv.replay_csv, seconds=seconds)]


@pytest.mark.parametrize(("speed", "expected"), [("1", [0, 500, 3000]), ("2", [0, 250, 1500])])
def test_rows_are_sent_at_the_recorded_pace(recording: Path, speed: str, expected: list[float]) -> None:
    """A gap of half a second is half a second, or a quarter at twice the speed."""
    assert sent_at(recording, SPEED=speed) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("date,v\n2026-01-01,1\n2026-01-02,2\n2026-01-04,3\n", [0, 1000, 3000]),
        ("\ufeffdate,v\n2026-01-04 00:00,1,\n2026-01-03T00:00Z,2,\n", [0, 1000]),
        ("name,when,v\na,2026-01-01,1\na,2026-01-01T12:00:00,2\n", [0, 500]),
        ("seconds,date\n0,2026-01-01\n86400,2026-01-08\n", [0, 1000]),
        ("v,Time\n1,0\n2,86400\n", [0, 1000]),
        ("v,timestamp\n1,1767225600000\n2,1767312000000\n", [0, 1000]),
        ("when,date\n2026-01-01,0\n2026-01-01,86400\n", [0, 1000]),
        ("date,time,v\n2026-01-01,10:00,1\n2026-01-02,22:00,2\n", [0, 1500]),
        ("v;Uhrzeit;Datum\n1;10:00:00;30.11.2026\n1;10:00:00;01.12.2026\n", [0, 1000]),
        ("seconds,at\n0,10:00\n86400,10:00\n", [0, 1000]),
        ('seconds,"v; w"\n0,1\n86400,2\n', [0, 1000]),
        ("Zeit\tv\n30.11.2026 10:00\t1\n01.12.2026 10:00\t2,5\n", [0, 1000]),
        ("time,v\n0,1\n,2\nsoon,2\n86400,3\n", [0, 1000]),
    ],
    ids=[
        *("days", "newest first", "second column", "seconds beside dates"),
        *("time as a number", "timestamp in ms", "date beside another"),
        *("time of day in a second column", "and before it, days first", "time of day beside seconds"),
        *("semicolon in a name", "tabs and days first", "rows without a time"),
    ],
)
def test_dates_are_the_pace(tmp_path: Path, text: str, expected: list[float]) -> None:
    """A column with a usual name is the time, or else the first one of dates."""
    path = tmp_path / "days.csv"
    path.write_text(text, encoding="utf-8")
    assert sent_at(path, SPEED="86400") == expected


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("when,v\n1/2/2026 9:05 AM,1\n1/3/2026 9:05 AM,2\n", "%m/%d/%Y %I:%M %p"),
        ("Date,Time\n31/01/2026,9:05\n01/02/2026,9:05\n", "%d/%m/%Y %H:%M"),
    ],
    ids=["month first", "day first, in two columns"],
)
def test_format_of_dates(tmp_path: Path, text: str, form: str) -> None:
    """Of 1/2/2026 nobody knows whether the day is first."""
    path = tmp_path / "days.csv"
    path.write_text(text)
    assert sent_at(path, SPEED="86400", FORMAT=form) == [0, 1000]


def test_log_names_the_column_of_the_time_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line, however many clients there are."""
    caplog.set_level("INFO", "replay_csv")
    path = tmp_path / "days.csv"
    path.write_text("v,time\n1,0\n2,1\n")
    for _ in range(2):
        assert sent_at(path) == [0, 1000]
    assert caplog.messages == [f"{path}: the time is in column 'time'"]


def test_rows_without_a_time_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first of them: a file may have many."""
    path = tmp_path / "days.csv"
    path.write_text("time,v\n0,1\n,2\nsoon,3\n")
    assert sent_at(path) == [0]
    (line,) = [text for text in caplog.messages if "left out" in text]
    assert line.startswith(f"{path}, line 3: '' in column 'time' is not a time such as 12.5")


def test_pace_is_found_below_a_row_without_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Such as one of units."""
    path = tmp_path / "lab.csv"
    path.write_text("seconds,v\ns,mV\n0,1\n3,2\n")
    assert sent_at(path) == [0, 3000]
    assert [text for text in caplog.messages if text.startswith(f"{path}, line 2: 's' in column")]


def test_long_pause_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A row of each day would take a day. The log says it once, and what to set."""
    caplog.set_level("INFO", "replay_csv")
    path = tmp_path / "days.csv"
    path.write_text("epoch,v\n1767225600,1\n1767312000,2\n1767312001,3\n1767398401,4\n")
    assert sent_at(path, COLUMN="epoch") == [0, 5000, 6000, 11_000]
    assert sent_at(path, COLUMN="epoch", PAUSE="2") == [0, 2000, 3000, 5000]
    assert [text for text in caplog.messages if "apart" in text] == [
        f"{path}: rows come {pause} s apart at most; RTDEMO_REPLAY_CSV_SPEED sets the speed,"
        " RTDEMO_REPLAY_CSV_PAUSE the longest pause"
        for pause in (5, 2)
    ]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((0, 1, 2, 0.5, 1.5), [0, 1000, 2000, 2000, 3000]),
        ((0, 1, 1, 0.5, 0.5, 1.5), [0, 1000, 1000, 1000, 1000, 2000]),
        ((4, 3, 1, 1, 0), [0, 1000, 3000, 3000, 4000]),
    ],
    ids=["set back", "set back between equal times", "newest first"],
)
def test_clock_that_is_set_back_makes_no_pause(
    tmp_path: Path, times: tuple[float, ...], expected: list[float]
) -> None:
    """It had been as long as the step; only a file with the newest row first goes back on purpose."""
    path = tmp_path / "back.csv"
    path.write_text("seconds,v\n" + "".join(f"{time},1\n" for time in times))
    assert sent_at(path) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "seconds,v\nsoon,1\n",
            "'soon' in column 'seconds' is not a time such as 12.5 or 2026-01-01 10:00; correct it",
        ),
        ("time,v\nten,1\n", "'ten' in column 'time' is not a time such as 12.5"),
        ("seconds,date\n,2026-01-01\n", "'' in column 'seconds' is not a time"),
        ("name,epoch\na,1\n", "no time among the columns; let RTDEMO_REPLAY_CSV_COLUMN name one"),
        (
            "Note,Order Date,v\nof 3/4,1/5/2026 9:00 AM,1\n",
            "ride.csv, line 2: '1/5/2026 9:00 AM' in column 'Order Date' is not a time such as 12.5 or"
            " 2026-01-01 10:00; correct it, or set RTDEMO_REPLAY_CSV_FORMAT to %m/%d/%Y %I:%M %p or"
            " %d/%m/%Y %I:%M %p.",
        ),
        (
            "Date,Time\n03/14/2026,11:40:00 AM\n",
            "'03/14/2026 11:40:00 AM' in column 'Date' and 'Time' is not a time such as 12.5 or"
            " 2026-01-01 10:00; correct it, or set RTDEMO_REPLAY_CSV_FORMAT to %m/%d/%Y %I:%M:%S %p.",
        ),
        ("Date,Shipped\n1/15/2026,\n1/16/2026,2026-01-07\n", "'1/15/2026' in column 'Date' is"),
        ("ip,when\n1.2.3.4,Mar 5\n", "set RTDEMO_REPLAY_CSV_FORMAT to its format, such as %m/%d/%Y"),
    ],
    ids=[
        *("no time", "time is a word", "empty", "no date", "date with slashes", "date and time"),
        *("other date below", "other"),
    ],
)
def test_rows_without_a_pace_are_sent_one_a_second(
    tmp_path: Path, text: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At any speed. The log says once what to set."""
    path = tmp_path / "ride.csv"
    path.write_text("\n".join([*text.splitlines()[:2], text.splitlines()[-1]]))
    for _ in range(2):
        assert sent_at(path, SPEED="60") == [0, 1000]
    (record,) = [one for one in caplog.records if words in one.getMessage()]
    assert record.getMessage().endswith("Until then, its rows are sent one a second")


def test_cells_of_rows_without_a_pace(tmp_path: Path) -> None:
    """All are sent, and the text has the number of the row."""
    path = tmp_path / "ride.csv"
    path.write_text("when,v\n1/5/2026,3\n")
    sent_at(path)
    (message,) = run_producer(replay_csv.replay_csv, seconds=5)
    assert message.message == "row 1: when 1/5/2026, v 3.0"
    assert message.value == {"when": "1/5/2026", "v": 3}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.5,2\n1.6,3\n", "the first line is to name the columns; it has '1.5'"),
        ("2026-01-01,ok,1\n2026-01-02,ok,2\n", "the first line is to name the columns; it has '2026"),
        ("2026-01-01,1\n2026-01-02,2\n", "the first line is to name the columns; it has '2026-01-01'"),
        ("seconds,v\n", "ride.csv has no rows below the first line"),
        ("", "ride.csv has no rows below the first line"),
        ("\nseconds,v\n0,1\n", "the first line is to name the columns; it has ''"),
        (None, "ride.csv; RTDEMO_REPLAY_CSV_PATH names it"),
    ],
    ids=[
        *("numbers for names", "a text among them", "no names"),
        *("no rows", "nothing", "an empty line", "no file"),
    ],
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


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("COLUMN", "wehn", "no column 'wehn' among the columns; .* They are when, date, v"),
        ("FORMAT", "%d/%m/%Y", "'2026-01-01' in column 'date' does not have the format %d/%m/%Y; cor"),
    ],
    ids=["column", "format"],
)
def test_setting_that_does_not_fit_is_not_replaced(
    tmp_path: Path, option: str, value: str, words: str
) -> None:
    """By what seems to be right: it may be misspelt."""
    path = tmp_path / "days.csv"
    path.write_text("when,date,v\n1,2026-01-01,1\n")
    with pytest.raises(ProducerFailedError, match=words):
        sent_at(path, 60, **{option: value})
