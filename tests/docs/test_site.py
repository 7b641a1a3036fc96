"""The site of the documentation has every page and every file that they link to: `make site`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.site import collect, linked_files, pages
from tests.docs.markdown import DOCUMENTS, ROOT, links

CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]


def in_navigation(entries: list[Any]) -> Iterator[str]:
    """Yield the pages of a navigation, in its order."""
    for entry in entries:
        for target in [entry] if isinstance(entry, str) else entry.values():
            yield from [target] if isinstance(target, str) else in_navigation(target)


def test_navigation_has_each_page_once() -> None:
    """A page that it lacks would be found by the search alone."""
    listed = list(in_navigation(CONFIG["nav"]))
    assert sorted(listed) == sorted(DOCUMENTS)
    assert [page.relative_to(ROOT).as_posix() for page in pages()] == sorted(DOCUMENTS)


def test_links_of_the_copy_lead_to_its_files(tmp_path: Path) -> None:
    """Pages, pictures, code and configurations; links to other hosts stay as they are."""
    collect(tmp_path)
    for document in DOCUMENTS:
        for link in links(document):
            if path := link.partition("#")[0]:
                assert (tmp_path / document).parent.joinpath(path).exists(), link


def test_copy_has_nothing_else(tmp_path: Path) -> None:
    """No test data, no settings, no secret: only what a page links to."""
    collect(tmp_path)
    copied = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    linked = {file.relative_to(ROOT).as_posix() for page in pages() for file in linked_files(page)}
    assert copied == {*DOCUMENTS, *linked}
    assert "docs/page-light.png" in copied
    assert "deploy/nginx.conf" in copied


def test_site_loads_nothing_from_other_hosts() -> None:
    """Its fonts are the reader's own."""
    assert CONFIG["theme"]["font"] is False
