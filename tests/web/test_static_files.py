"""How the page and its files are sent: what caches keep, what is compressed, what is sent again."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.web import static_files
from rtdemo.web.static_files import FOLDER, StaticFiles
from tests.conftest import Start
from tests.raw_client import RawClient

IMMUTABLE = "public, max-age=31536000, immutable"
PLAIN, COMPRESSED = {"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip"}
REFUSED = {
    "a name of 8,000 characters": ("/static/" + "x" * 8000, {}, 404),
    "a name of 200 characters in UTF-8": ("/static/" + "%C3%A9" * 200, {}, 404),
    "a folder": ("/static/connection", {}, 404),
    "a folder under a digest": ("/static/0123456789ab/connection", {}, 404),
    "a digest alone": ("/static/0123456789ab", {}, 404),
    "a file outside": ("/static/%2e%2e/page.py", {}, 404),
    "a file outside, under a digest": ("/static/0123456789ab/%2e%2e/page.py", {}, 404),
    "a byte of zero": ("/static/app.js%00.css", {}, 400),
    "another version": ("/static/app.js", {"If-Match": '"x"'}, 412),
    "another version of the page": ("/", {"If-Match": '"x"'}, 412),
    "no content coding": ("/static/app.js", {"Accept-Encoding": "identity;q=0"}, 406),
    "no content coding of the page": ("/", {"Accept-Encoding": "*;q=0"}, 406),
}


SOURCES = {
    **dict.fromkeys(("app.js", "view/app.js", "embed.js", "client.js"), "1;\n"),
    **dict.fromkeys(("app.css", "view/app.css", "embed.css"), "a {}\n"),
}
"""The files that every folder of pages has: scripts and styles are joined from them."""


def write_files(folder: Path, **others: str) -> None:
    """Write the sources of small pages, and other files by their names without the ending `.js`."""
    (folder / "view").mkdir()
    for name, text in SOURCES.items():
        (folder / name).write_text(text)
    for name, text in others.items():
        (folder / f"{name}.js").write_text(text)


def client(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.web_url)


async def urls(http: httpx.AsyncClient, path: str = "/") -> dict[str, str]:
    """Return the URLs of the files that a page loads, by the names of the files."""
    page = await http.get(path)
    return {
        url.rpartition("/")[2]: f"/{url}"
        for url in re.findall(r'(?:src|href)="(static/[^"]*)"', page.text)
    }


@pytest.mark.parametrize("name", REFUSED)
async def test_file_that_cannot_be_sent_is_one_line(server: Server, name: str) -> None:
    """Each has its status, and a body that says what is wrong."""
    path, headers, status = REFUSED[name]
    async with client(server) as http:
        answer = await http.get(path, headers=headers)
        head = await http.head(path, headers=headers)
    assert (answer.status_code, answer.text.count("\n")) == (status, 1)
    assert (head.status_code, head.text) == (status, "")
    assert len(answer.content) < 700
    if path.startswith("/static/"):
        assert answer.headers["Cache-Control"] == "no-cache"  # caches may keep a 404 otherwise


@pytest.mark.parametrize(("path", "name"), [("/", "joined"), ("/view", "joined_view")])
async def test_page_loads_one_script_one_style_and_one_icon(
    server: Server, path: str, name: str
) -> None:
    """All are below the digest of now, which caches keep without asking again."""
    async with client(server) as http:
        found = await urls(http, path)
        answers = {file: await http.get(url) for file, url in found.items()}
    assert {answer.headers["Cache-Control"] for answer in answers.values()} == {IMMUTABLE}
    assert {file: answer.headers["Content-Type"] for file, answer in answers.items()} == {
        f"{name}.js": "text/javascript; charset=utf-8",
        f"{name}.css": "text/css; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }


async def test_page_of_before_an_update_gets_the_files_of_now(server: Server) -> None:
    """An unknown digest, and none: both get the file, which no cache keeps without asking."""
    async with client(server) as http:
        now = await http.get((await urls(http))["joined.js"])
        before = await http.get("/static/0123456789ab/joined.js")
        module = await http.get("/static/panels/panel.js")
        as_digest = await http.get("/static/0123456789ab/panels/panel.js")
    assert (before.status_code, before.content) == (200, now.content)
    assert module.content == as_digest.content == (FOLDER / "panels/panel.js").read_bytes()
    for answer in (before, module, as_digest):
        assert answer.headers["Cache-Control"] == "no-cache"


def test_each_version_has_its_own_digest(tmp_path: Path) -> None:
    """A change of any file changes the URLs of all: modules import each other by relative paths."""
    write_files(tmp_path, other="2;\n")
    files = StaticFiles(tmp_path)
    first = files.digest
    files.read()
    assert files.digest == first
    (tmp_path / "other.js").write_text("3;\n")
    files.read()
    assert files.digest != first
    assert files.url("app.js") == f"static/{files.digest}/app.js"


def test_file_of_an_editor_is_not_served(tmp_path: Path) -> None:
    """A copy that an editor leaves beside a module is no part of the page, and no start fails for it."""
    write_files(tmp_path)
    for name in ("app.js~", ".app.js.swp", "notes"):
        (tmp_path / name).write_bytes(b"\xff")
    joined = {f"{page}.{kind}" for page in ("joined", "joined_view") for kind in ("js", "css")}
    assert set(StaticFiles(tmp_path)._files) == set(SOURCES) | joined


@pytest.mark.parametrize("path", ["/", "/static/app.js", "joined.js", "joined.css", "icon.svg"])
async def test_content_is_compressed_for_clients_that_take_it(server: Server, path: str) -> None:
    """Both have the same content and different strong tags; HEAD has the headers of GET."""
    async with client(server) as http:
        url = (await urls(http)).get(path, path)
        plain = await http.get(url, headers=PLAIN)
        compressed = await http.get(url, headers=COMPRESSED)
        head = await http.head(url, headers=COMPRESSED)
    assert "Content-Encoding" not in plain.headers
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert compressed.content == plain.content
    assert int(compressed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert compressed.headers["ETag"] != plain.headers["ETag"]
    assert plain.headers["Vary"] == compressed.headers["Vary"] == "Accept-Encoding"
    assert (head.status_code, head.content) == (200, b"")
    differing = {"date"}
    assert {name: value for name, value in head.headers.items() if name not in differing} == {
        name: value for name, value in compressed.headers.items() if name not in differing
    }


async def test_compressed_bytes_are_gzip(server: Server) -> None:
    """Read from the socket, past what a client library does."""
    raw = await RawClient(server, "sse").connect()
    lines = "Host: localhost", "Accept-Encoding: gzip", "Connection: close"
    await raw.send("\r\n".join(("GET /static/app.js HTTP/1.1", *lines, "", "")).encode())
    head, _, body = (await raw.read_to_end()).partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    assert gzip.decompress(body) == (FOLDER / "app.js").read_bytes()
    raw.leave()


@pytest.mark.parametrize("path", ["/", "/static/app.js", "joined.js"])
@pytest.mark.parametrize("coding", [PLAIN, COMPRESSED])
async def test_content_that_a_client_has_is_not_sent_again(
    server: Server, path: str, coding: dict[str, str]
) -> None:
    """RFC 9110 section 13: by the tag of the same coding, also where a proxy has weakened it."""
    async with client(server) as http:
        url = (await urls(http)).get(path, path)
        whole = await http.get(url, headers=coding)
        tag = whole.headers["ETag"]
        for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            same = await http.get(url, headers={"If-None-Match": given, **coding})
            assert (same.status_code, same.content) == (304, b""), given
            for name in ("Cache-Control", "Content-Security-Policy", "ETag", "Vary"):
                assert same.headers[name] == whole.headers[name]
        for given in ('"x"', tag.strip('"'), ""):
            other = await http.get(url, headers={"If-None-Match": given, **coding})
            assert other.status_code == 200, given
        for given, status in ((tag, 200), ("*", 200), (f"W/{tag}", 412), ('"x"', 412)):
            match = await http.get(url, headers={"If-Match": given, **coding})
            assert match.status_code == status, given


async def test_tag_of_one_coding_is_not_that_of_the_other(server: Server) -> None:
    """A cache that has the plain bytes would take them for the compressed ones."""
    async with client(server) as http:
        tag = (await http.get("/static/app.js", headers=PLAIN)).headers["ETag"]
        answer = await http.get("/static/app.js", headers={"If-None-Match": tag, **COMPRESSED})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        *({"Range": value} for value in ("bytes=2-5", "bytes=99999999-", "lines=1-2", "bytes=5-2")),
        {"If-Modified-Since": "Fri, 01 Jan 2999 00:00:00 GMT"},
        {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ],
    ids=lambda header: str(*header.values()),
)
async def test_file_is_sent_whole_and_without_a_date(server: Server, header: dict[str, str]) -> None:
    """A server may ignore Range (RFC 9110 section 14.2), and dates where it has none (section 13.1)."""
    async with client(server) as http:
        answer = await http.get("/static/app.js", headers=header)
    assert (answer.status_code, answer.headers["Accept-Ranges"]) == (200, "none")
    assert answer.content == (FOLDER / "app.js").read_bytes()
    assert "Last-Modified" not in answer.headers


async def test_page_follows_its_files_in_development(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --reload each load of the page has the files of now; else they are those of the start."""
    write_files(tmp_path)
    (tmp_path / "icon.svg").write_text("<svg/>")
    monkeypatch.setattr(static_files, "StaticFiles", lambda: StaticFiles(tmp_path))
    server, development = await start(), await start(reload=True)
    seen = {}
    for text in ("2;", "3;"):
        (tmp_path / "app.js").write_text(text)
        for which in (server, development):
            async with client(which) as http:
                script = await http.get((await urls(http))["joined.js"])
            seen[which, text] = "1;" in script.text, text in script.text
    assert seen == {
        (server, "2;"): (True, False),
        (development, "2;"): (False, True),
        (server, "3;"): (True, False),
        (development, "3;"): (False, True),
    }
    (tmp_path / "app.js").write_text("export default 1;")
    async with client(development) as http:
        broken = await http.get("/")
    assert (broken.status_code, broken.text.count("\n")) == (500, 1)
    assert broken.text.startswith("app.js, line 1: 'export default 1;' cannot be joined; write")
