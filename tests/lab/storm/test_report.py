"""What a storm prints, writes and compares."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rtdemo.cli import storm as cli
from rtdemo.errors import FileError
from rtdemo.lab.bench import machine
from rtdemo.lab.presentation import PIPE_WIDTH
from rtdemo.lab.storm import report, result
from rtdemo.lab.storm.findings import findings, headline
from rtdemo.lab.storm.result import Figures, Storm, StormSettings, Times
from rtdemo.protocol.client import LABELS, Transport
from tests.command import run_in_process

TARGET = "http://127.0.0.1:3000"
NASTY = "<script>alert(1)</script>"


def storm(**fields: object) -> Storm:
    """Return a storm of 200 clients, of which all are back after 5 s."""
    times = Times(1.0, 2.5, 4.5, 4.9, 5.0)
    side = Figures(
        clients=100,
        cut=100,
        back=100,
        back_after=times,
        outage=times,
        attempts=110,
        peak_connects_per_second=40,
        failures={"connection refused": 10},
        lost=0,
        repeated=0,
        connected=[100, 0, 0, 60, 100],
        connects=[0, 0, 0, 60, 40],
    )
    total = msgspec.structs.replace(side, clients=200, cut=200, back=200, peak_connects_per_second=80)
    settings = StormSettings(200, backoffs={"websocket": "page", "sse": "chromium"})
    whole = Storm(
        *("2026-11-29T08:00:00+00:00", TARGET, machine.environment("rtdemo 0.1.0"), settings),
        process="process 7 (serve)",
        sides={"websocket": side, "sse": side},
        total=total,
        signal_at_seconds=0.1,
        has_ended=True,
        messages=12,
    )
    changed = msgspec.structs.replace(whole, **fields)
    return msgspec.structs.replace(changed, findings=findings(changed))


def test_good_storm_in_two_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_report(storm())
    printed = capsys.readouterr().out
    assert printed.startswith("99 % of 200 clients were back 4.9 s after SIGKILL, all after 5.0 s.\n")
    assert "ok    no client lost or repeated one of 12 shared messages" in printed
    assert max(map(len, printed.splitlines())) <= PIPE_WIDTH


def test_report_is_printed_if_the_file_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A storm cannot be repeated at will: its figures must not be lost with the disk."""

    def run(found: Storm, *_: object) -> None:
        made = storm()
        found.sides, found.total = made.sides, made.total
        found.signal_at_seconds, found.findings = made.signal_at_seconds, made.findings

    monkeypatch.setattr(cli, "_run", run)
    done = run_in_process("storm", TARGET, "--pid", "1", "--json", "/dev/full")
    assert (done.code, done.err) == (
        1,
        "rtdemo: /dev/full cannot be written: No space left on device\n",
    )
    assert done.out.startswith("99 % of 200 clients were back 4.9 s after SIGKILL")


def test_two_storms_stand_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    fixed = StormSettings(200, backoffs={"websocket": "fixed:3", "sse": "fixed:3"})
    before = storm(settings=fixed, at="before")
    report.print_report(storm(), before)
    printed = capsys.readouterr().out
    assert "Before: 99 % of 200 clients" in printed
    assert "80 connections came in the busiest second, 110 attempts in all." in printed
    table = printed.partition("Back after")[0].splitlines()[-2:]
    assert table[0].split() == ["WebSocket", "WebSocket", "SSE", "SSE"]
    assert table[1].split() == ["before", "now", "before", "now"]
    assert max(map(len, table)) <= 80
    page = report.html_page(storm(), before).decode()
    assert page.count('class="line before websocket"') == page.count('class="line websocket"') == 2


def test_page_is_self_contained_and_escapes() -> None:
    page = report.html_page(storm(process=NASTY, target=NASTY)).decode()
    assert NASTY not in page
    assert "&lt;script&gt;" in page
    assert "http-equiv" not in page
    assert not any(word in page for word in ("<script", "src=", "@import", "url("))
    assert "prefers-color-scheme: dark" in page
    assert page.count("<svg") == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"back": 0, "back_after": Times()}, "None of 200 clients was back 30 s after SIGKILL."),
        ({"back": 9, "back_after": Times(1.0)}, "Only 9 of 200 clients were back 30 s after SIGKILL."),
        (
            {"back": 199, "back_after": Times(0.2, 0.5, 0.7, 0.9)},
            "99 % of 200 clients were back 900 ms after SIGKILL, but 1 was not, 30 s after SIGKILL.",
        ),
        ({"cut": 0, "back": 0, "back_after": Times()}, "No client lost its connection after SIGKILL."),
    ],
)
def test_headline_of_a_bad_storm(changes: dict[str, object], sentence: str) -> None:
    assert headline(storm(total=msgspec.structs.replace(storm().total, **changes))) == sentence


@pytest.mark.parametrize(
    ("changes", "code", "level"),
    [
        ({"lag_seconds": 0.7}, "storm-was-late", "warn"),
        ({"has_ended": False}, "process-survived", "fail"),
    ],
)
def test_finding_about_the_whole(changes: dict[str, object], code: str, level: str) -> None:
    [found] = [one for one in storm(**changes).findings if one.code == code]
    assert found.level == level
    assert found.fix


def test_reload_need_not_end_the_process() -> None:
    """SIGHUP replaces the workers of many servers."""
    found = storm(has_ended=False, settings=StormSettings(signal="SIGHUP")).findings
    assert [one.level for one in found if one.code.startswith("process-")] == ["note"]


@pytest.mark.parametrize(
    ("changes", "code", "level"),
    [
        ({"back": 150}, "clients-not-back", "fail"),
        ({"back": 150, "gave_up": {"503": 50}}, "clients-gave-up", "fail"),
        ({"lost": 3, "clients_with_losses": 2}, "messages-lost", "fail"),
        ({"repeated": 3}, "messages-repeated", "fail"),
        ({"unannounced": 1}, "log-replaced-silently", "fail"),
        ({"notified": 200}, "loss-reported", "warn"),
        ({"failures": {"no answer in time": 4}}, "attempts-timed-out", "warn"),
        ({"failures": {"503": 4, "200, but no event stream": 1}}, "attempts-refused", "note"),
        ({"cut": 120, "back": 120}, "clients-kept", "note"),
        ({"lost": None, "repeated": None}, "delivery-unknown", "note"),
    ],
)
def test_finding_about_clients(changes: dict[str, object], code: str, level: str) -> None:
    total = msgspec.structs.replace(storm().total, **changes)
    [found] = [one for one in storm(total=total).findings if one.code == code]
    assert found.level == level


@pytest.mark.parametrize(("transport", "level"), [("sse", "warn"), ("websocket", "note")])
def test_clients_that_come_all_at_once(transport: Transport, level: str) -> None:
    """For event streams the server sets the wait, so there it can be mended."""
    sides = dict(storm().sides)
    sides[transport] = msgspec.structs.replace(sides[transport], peak_connects_per_second=80)
    [found] = [one for one in storm(sides=sides).findings if one.code == "stampede"]
    assert found.level == level
    assert f"80 connections for 100 {LABELS[transport]} clients" in found.sentence


def test_storm_that_ended_nothing() -> None:
    """It was interrupted before; there is nothing to chart."""
    early = storm(signal_at_seconds=None, cut_short=True)
    assert headline(early) == "Nothing was killed: the storm was cut short before."
    assert "<svg" not in report.html_page(early).decode()


def test_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "storm.json"
    written = storm()
    file.write_bytes(msgspec.json.encode(written))
    assert result.read(file) == written
    keys = msgspec.json.decode(file.read_bytes())
    assert keys["total"]["backAfter"]["p99Seconds"] == 4.9
    assert {finding["code"] for finding in keys["findings"]} == {"nothing-lost"}


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"format":"rtdemo-storm","version":1}', '{"format":"rtdemo-bench"}']
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(FileError, match="create one with rtdemo storm --json"):
        result.read(file)
