"""A live view inside a notebook: the function `embed`."""

from __future__ import annotations

from html import escape
from typing import Literal, get_args
from urllib.parse import quote

from rtdemo.errors import AddressError
from rtdemo.publisher import server_address

HEIGHT_PX = 320
"""Height of the frame: a card with its chart."""
HEIGHT_BOUNDS_PX, WINDOW_BOUNDS_S = (50, 5000), (10, 3600)
"""Least and largest values; those of the window are the view's own."""
Arrangement = Literal["together", "apart"]
"""How the lines of one chart are arranged: on one scale, or each on its own."""


class EmbeddedView:
    """Show a server's view in a frame wherever a notebook displays this object.

    Arguments:
        url: address of the view.
        title: of the frame, for screen readers.
        height: of the frame, in CSS pixels.

    Attributes:
        url: as given.
    """

    def __init__(self, url: str, title: str, height: int) -> None:
        self.url = url
        self._title = title
        self._height = height

    def __repr__(self) -> str:
        return f"<live view at {self.url}>"

    def _repr_html_(self) -> str:
        """Return the frame, as Jupyter displays it (IPython's display protocol)."""
        source, title = escape(self.url), escape(self._title)
        return (
            f'<iframe src="{source}" title="{title}" width="100%" height="{self._height}" '
            'style="border: 0" allow="fullscreen"></iframe>'
        )

    def _mime_(self) -> tuple[str, str]:
        """Return the frame, as marimo displays it."""
        return "text/html", self._repr_html_()


def embed(
    *producers: str,
    url: str | None = None,
    height: int = HEIGHT_PX,
    window: int | None = None,
    lines: Arrangement | None = None,
) -> EmbeddedView:
    """Return live cards for a notebook: Jupyter and marimo display them in a frame.

    The server must allow that: `rtdemo serve --allow-embed http://localhost:8888`, with the notebook's
    origin. The browser of the reader connects to the server, not this program.

    Arguments:
        producers: names, such as `loss`, in the order of their cards; none for all.
        url: of the server; by default that in RTDEMO_URL, or http://localhost:3000.
        height: of the frame, in CSS pixels.
        window: seconds that the charts show, 10 to 3600; None for what fits the data, at most 600.
        lines: `together` on one scale or `apart`, each on its own, where a chart has several; None for
            what fits the values.

    Raises:
        ValueError: if `url` is not the address of a server, a name has a comma, a number is out of
            bounds, or `lines` is another word.
    """
    names = [quote(name, safe="") for name in producers]
    if any("," in name for name in producers):
        raise ValueError("producers: a name with a comma cannot be picked; give each name by itself")
    picked = f"producers={','.join(names)}&" if names else ""
    view = _view(url)
    seconds = "" if window is None else f"window={_within('window', window, *WINDOW_BOUNDS_S)}&"
    if lines not in (None, *get_args(Arrangement)):
        raise ValueError(f"lines: {lines!r} is not allowed; give 'together' or 'apart'")
    arranged = "" if lines is None else f"lines={lines}&"
    return EmbeddedView(
        f"{view}?{picked}{seconds}{arranged}bare=1",
        f"Live values: {', '.join(producers)}" if producers else "Live values",
        _within("height", height, *HEIGHT_BOUNDS_PX),
    )


def _view(url: str | None) -> str:
    """Return the address of a server's view."""
    try:
        return f"{server_address.checked_url_of(url)}/view"
    except AddressError as error:
        raise ValueError(f"url: {error}") from None


def _within(name: str, given: int, least: int, most: int) -> int:
    number = int(given)
    if not least <= number <= most:
        raise ValueError(f"{name}: {number} is not allowed; give a number from {least} to {most}")
    return number
