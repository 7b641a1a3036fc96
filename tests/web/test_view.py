"""`GET /view`: the first paint has the newest values of those producers that the reader may see."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.web.latest_values import MAX_SHOWN
from tests.clients import eventually
from tests.conftest import Start
from tests.web.login_tokens import SECRET, bearer, token

TITLE = "<img src=x onerror=alert(1)>\"'"
MARKUP = f"{TITLE}\u202e"
SHARED = f"""
from rtdemo import producer

@producer(every=1, shared=True, title={TITLE!r}, unit="<b>'", low=0, high=10)
def level():
    return 7.25

@producer(every=1, shared=True, users=["ann"])
def secret():
    return 42
"""


class Rows(HTMLParser):
    """The rows of the table, as a browser without JavaScript reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[dict[str, str | None]] = []
        self.cells: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        if tag == "tr" and "data-name" in found:
            self.rows.append(found)
            self.cells.append([])

    def handle_data(self, data: str) -> None:
        if self.cells and data.strip():
            self.cells[-1].append(data.strip())

    @property
    def names(self) -> list[str | None]:
        return [row["data-name"] for row in self.rows]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "levels.py"
    path.write_text(SHARED)
    return path


async def view(server: Server, query: str = "", **headers: str) -> tuple[httpx.Response, Rows]:
    async with httpx.AsyncClient() as http:
        response = await http.get(f"{server.web_url}/view{query}", headers=headers)
    return response, Rows(response.text)


async def publish(server: Server, *messages: dict[str, Any]) -> None:
    async with httpx.AsyncClient() as http:
        for start in range(0, len(messages), 100):
            batch = list(messages[start : start + 100])
            answer = await http.post(f"{server.web_url}/api/publish", json=batch)
            answer.raise_for_status()


async def test_newest_value_of_each_producer(start: Start) -> None:
    """By name; without the built-in producers, which are no one's data."""
    server = await start()
    await publish(
        server,
        {"producer": "loss", "value": 0.5},
        {"producer": "acc", "value": 0.9},
        {"producer": "loss", "value": 0.25},
        {"producer": "note", "message": "hi"},
    )
    response, rows = await view(server)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert [cells[:2] for cells in rows.cells] == [["acc", "0.9"], ["loss", "0.25"], ["note", "hi"]]
    assert '<section class="empty" data-part="empty" hidden>' in response.text


async def test_without_values_it_shows_how_to_publish_one(start: Start) -> None:
    """Three lines of Python, and no table."""
    response, rows = await view(await start(without=("broadcast",)))
    assert rows.rows == []
    assert 'rtdemo.publish("loss", 0.12)' in response.text
    assert '<section class="empty" data-part="empty">' in response.text


async def test_private_producers_are_named_to_those_who_may_pick_them(
    start: Start, tmp_path: Path
) -> None:
    """Their values come with a connection only."""
    path = tmp_path / "room.py"
    path.write_text(
        "from rtdemo import producer\n@producer(every=1)\ndef room(): return 1\n"
        "@producer(every=1, users=['ann'])\ndef safe(): return 2\n"
    )
    server = await start(files=(path,), secret=SECRET)
    for user, names in (("ann", "room, safe"), ("bob", "room")):
        page = (await view(server, "?producers=rom", **bearer(token(user))))[0].text
        assert f"There are values of {names}." in page
    assert "There are values" not in (await view(server, "?producers=rom"))[0].text
    page = (await view(server, "?producers=room", **bearer(token("ann"))))[0].text
    assert "There are values of safe." in page


async def test_without_values_of_the_picked_producers_it_names_them(start: Start) -> None:
    """Others may have values: whoever publishes one of these waits in vain."""
    server = await start()
    page = (await view(server, "?producers=speed,<b>"))[0].text
    assert "<h2>No values yet of speed, &lt;b&gt;</h2>" in page
    assert "There are values" not in page
    await publish(server, {"producer": "sped", "value": 1}, {"producer": "<i>", "value": 2})
    page = (await view(server, "?producers=speed"))[0].text
    assert 'There are values of &lt;i&gt;, sped. <a href="?">Show all</a>' in page


async def test_names_in_the_address_do_not_reverse_the_heading(start: Start) -> None:
    """Whoever gives someone a link chooses them."""
    response, _ = await view(await start(), "?producers=%E2%80%AEdaol,%1B[2J")
    assert "<h2>No values yet of \\u202edaol, \\x1b[2J</h2>" in response.text


def times_of(answer: tuple[httpx.Response, Rows]) -> tuple[float, float]:
    """Return when the log's oldest message was sent, and the page."""
    (facts,) = re.findall(r'data-now="([\d.]+)" data-log-from="([\d.]+)"', answer[0].text)
    return float(facts[1]), float(facts[0])


async def test_picked_producers_come_in_their_order(start: Start) -> None:
    """A built-in one can be picked too; an unknown one has no row yet."""
    server = await start()
    await publish(server, *({"producer": name, "value": 1} for name in ("a", "b", "c")))
    assert (await view(server, "?producers=c,nothing,a,c"))[1].names == ["c", "a"]


async def test_producer_of_a_mistake_can_be_left_out(start: Start) -> None:
    """Of the table; the script reads the address, and gets a list of the built-in ones.

    Picking shows it.
    """
    server = await start()
    await publish(server, *({"producer": name, "value": 1} for name in ("a", "b", "c")))
    response, rows = await view(server, "?without=b,,<i>,message")
    assert rows.names == ["a", "c"]
    (built_in,) = re.findall(r'data-built-in="([^"]*)"', response.text)
    assert {"message", "welcome"} <= set(built_in.split(","))
    assert not {"b", "&lt;i&gt;"} & set(built_in.split(","))
    assert (await view(server, "?without=b&producers=b"))[1].names == ["b"]


async def test_page_has_the_start_of_the_log(start: Start) -> None:
    """Without a message it is the time of the page. Those without a login do not learn it."""
    server = await start()
    first, now = times_of(await view(server))
    assert 0 < first <= now
    await publish(server, {"producer": "a", "value": 1}, {"producer": "b", "value": 2})
    assert times_of(await view(server))[0] == next(iter(server.hub.engine.log.latest)).sent_at
    closed = await start(secret=SECRET)
    assert times_of(await view(closed))[0] == 0


async def test_repeated_names_of_the_address_count_once(start: Start) -> None:
    """A hundred names are read, as the page's script does."""
    server = await start()
    await publish(server, *({"producer": name, "value": 1} for name in ("a", "b")))
    assert (await view(server, f"?producers={'a,' * 100}b"))[1].names == ["a", "b"]
    assert (await view(server, f"?without={'a,' * 100}b"))[1].names == []


async def test_names_titles_units_and_values_inject_no_markup(
    start: Start, plugin: Path, clock: VirtualClock
) -> None:
    """What is hostile is text: no element and no attribute of it appears."""
    server = await start(files=(plugin,))
    clock.advance(1)
    await eventually(lambda: "level" in server.hub.engine.log.producers)
    value = {MARKUP: MARKUP}
    await publish(server, {"producer": "x", "message": MARKUP, "value": value})
    response, rows = await view(server)
    assert not {"img", "b"} & rows.tags
    assert "<img" not in response.text
    assert "\u202e" not in re.sub(r' data-\w+="[^"]*"', "", response.text)
    assert {"level", "x"} <= set(rows.names)


async def test_each_reader_sees_only_their_producers(
    start: Start, plugin: Path, clock: VirtualClock
) -> None:
    """Before a login nothing is shown; after it, what the user may receive."""
    server = await start(files=(plugin,), secret=SECRET)
    clock.advance(1)
    await eventually(lambda: {"level", "secret"} <= set(server.hub.engine.log.producers))
    assert (await view(server))[1].rows == []
    for user, names in (("ann", ["level", "secret"]), ("bob", ["level"])):
        assert (await view(server, **bearer(token(user))))[1].names == names


async def test_more_producers_than_cards_are_counted(start: Start) -> None:
    """The first 200 have a row; each other one can be picked."""
    server = await start()
    names = [f"p{index:03}" for index in range(MAX_SHOWN + 3)]
    await publish(server, *({"producer": name, "value": 1} for name in names))
    response, rows = await view(server)
    assert rows.names == names[:MAX_SHOWN]
    assert "3 more producers are not shown" in response.text
    assert (await view(server, "?producers=p202"))[1].names == ["p202"]


async def test_long_value_is_not_in_the_page(start: Start) -> None:
    """Its start is in the table; the connection brings the rest."""
    server = await start()
    await publish(server, {"producer": "long", "message": "x" * 60_000})
    response, rows = await view(server)
    assert rows.rows[0]["data-message"] == ""
    assert len(response.text) < 10_000


async def test_pages_link_to_each_other(server: Server) -> None:
    """By relative addresses, which stay right below a path."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        assert '<a href="view">' in (await http.get("/")).text
        assert '<a href="./">' in (await http.get("/view")).text


async def test_pages_share_their_head_and_login(start: Start) -> None:
    """They differ in their titles only, and both ask for a token where one is needed."""
    server = await start(secret=SECRET)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        pages = [(await http.get(path)).text for path in ("/", "/view")]
    for page in pages:
        assert page.startswith('<!doctype html>\n<html lang="en" data-version=')
        assert page.endswith("</body>\n</html>")
        assert page.count('data-login="yes"') == page.count('<form class="login"') == 1
    one, other = ([line for line in page.splitlines() if "<meta" in line] for page in pages)
    assert [len(one), *one[:3]] == [4, *other[:3]]


async def test_start_prints_the_views_address(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """It is one of the addresses that a user needs at once."""
    server = await start()
    server._print_addresses()
    assert f"rtdemo: view            {server.web_url}/view\n" in capsys.readouterr().out


@pytest.mark.parametrize(("is_production", "count"), [(False, 1), (True, 0)])
async def test_start_prints_the_variable_that_publishers_need(
    start: Start, capsys: pytest.CaptureFixture[str], is_production: bool, count: int
) -> None:
    """They go to port 3000 otherwise. On the server of a site, others publish."""
    server = await start(production=is_production)
    server._print_addresses()
    line = f"rtdemo: to publish      export RTDEMO_URL={server.web_url}\n"
    assert capsys.readouterr().out.count(line) == count


async def test_start_on_the_default_port_prints_no_variable(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishers find that server without it."""
    server = await start()
    monkeypatch.setattr("rtdemo.server.server.DEFAULT_URL", server.web_url)
    server._print_addresses()
    assert "RTDEMO_URL" not in capsys.readouterr().out
