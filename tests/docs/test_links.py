"""Every link of every page leads to something."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import DOCUMENTS, ROOT, anchors, definitions, links, read, without_blocks


def test_there_are_pages_and_links() -> None:
    """Otherwise the test below would test nothing."""
    assert {"README.md", "docs/README.md", "docs/deploy.md"} <= set(DOCUMENTS)
    assert len(links("README.md")) > 5


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """Files and images exist, and so does the heading after a #."""
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = ((ROOT / document).parent / path).resolve() if path else ROOT / document
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.relative_to(ROOT).as_posix()), link


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_links_are_defined_and_used(document: str) -> None:
    """`[text][name]` has its `[name]: target`, and no definition is left over."""
    used = set(re.findall(r"\]\[([^\]]+)\]", without_blocks(read(document))))
    assert used == set(definitions(document))


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links to every page beside it."""
    pages = {path.removeprefix("docs/") for path in DOCUMENTS if path.startswith("docs/")}
    assert pages - {"README.md"} <= set(links("docs/README.md"))
