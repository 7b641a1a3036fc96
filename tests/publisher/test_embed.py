"""`rtdemo.embed`: what a notebook gets to display."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

import pytest

import rtdemo

MARKUP = """"><img src=x onerror='alert(1)'>&producers=other#"""


class Elements(HTMLParser):
    """Collect the elements of a text with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def frame(html: str) -> dict[str, str | None]:
    """Return the attributes of the only element."""
    ((tag, attributes),) = Elements(html).found
    assert tag == "iframe"
    return attributes


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RTDEMO_URL", raising=False)


def test_frame_has_the_bare_view_of_the_producers() -> None:
    """In their order; its title is for screen readers."""
    found = frame(rtdemo.embed("loss", "a b", height=200, window=60, lines="apart")._repr_html_())
    chosen = "producers=loss,a%20b&window=60&lines=apart"
    assert found["src"] == f"http://localhost:3000/view?{chosen}&bare=1"
    assert (found["height"], found["title"]) == ("200", "Live values: loss, a b")


def test_without_names_it_has_all_producers() -> None:
    assert frame(rtdemo.embed()._repr_html_())["src"] == "http://localhost:3000/view?bare=1"


def test_marimo_gets_the_same_as_jupyter() -> None:
    """Each has its own protocol; a terminal shows the address."""
    card = rtdemo.embed("loss")
    assert card._mime_() == ("text/html", card._repr_html_())
    assert card.url in repr(card)


def test_server_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a path too; an argument has precedence."""
    monkeypatch.setenv("RTDEMO_URL", "https://demo.example/rt/")
    assert rtdemo.embed("x").url.startswith("https://demo.example/rt/view?")
    assert rtdemo.embed("x", url="localhost:3000").url.startswith("http://localhost:3000/view?")
    assert rtdemo.embed("x", url="http://[::1]:3000").url.startswith("http://[::1]:3000/view?")


def test_hostile_names_inject_nothing() -> None:
    """Neither an element, nor an attribute, nor a parameter of the address."""
    found = frame(rtdemo.embed(MARKUP)._repr_html_())
    assert set(found) == {"src", "title", "width", "height", "style", "allow"}
    assert found["title"] == f"Live values: {MARKUP}"
    split = urlsplit(found["src"] or "")
    assert parse_qsl(split.query)[0] == ("producers", MARKUP)
    assert split.fragment == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        *(
            ({"url": url}, "give that of an rtdemo server, http://host:port")
            for url in ("javascript:alert(1)", "ws://h", "http://", "http://u:p@h", "file:///x")
        ),
        ({"height": 0}, "height: 0 is not allowed; give a number from 50 to 5000"),
        ({"window": 9}, "window: 9 is not allowed; give a number from 10 to 3600"),
        ({"lines": "own"}, "lines: 'own' is not allowed; give 'together' or 'apart'"),
        ({"height": '1" onload="alert(1)'}, "invalid literal"),
    ],
)
def test_bad_argument_is_one_line(arguments: dict[str, object], sentence: str) -> None:
    """What is wrong, and what to give."""
    with pytest.raises(ValueError, match=sentence) as raised:
        rtdemo.embed("loss", **arguments)  # type: ignore[arg-type]  # what a user may give
    assert "\n" not in str(raised.value)


def test_name_with_a_comma_cannot_be_picked() -> None:
    """The view would take it for two."""
    with pytest.raises(ValueError, match="a name with a comma"):
        rtdemo.embed("a,b")
