"""Every link of every page leads to something."""

from __future__ import annotations

import re

from tests.docs.markdown import DOCUMENTS, ROOT, anchors, definitions, links, read, without_blocks


def test_there_are_pages_and_links() -> None:
    """Otherwise the test below would test nothing."""
    assert {"README.md", "docs/README.md", "docs/deploy.md"} <= set(DOCUMENTS)
    assert len(links("README.md")) > 5


def test_links_lead_somewhere() -> None:
    """Files and images exist, and so does the heading after a #."""
    for document, link in ((page, link) for page in DOCUMENTS for link in links(page)):
        path, _, anchor = link.partition("#")
        target = ((ROOT / document).parent / path).resolve() if path else ROOT / document
        assert target.exists(), (document, link)
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.relative_to(ROOT).as_posix()), (document, link)


def test_named_links_are_defined_and_used() -> None:
    """`[text][name]` has its `[name]: target`, and no definition is left over."""
    for document in DOCUMENTS:
        used = set(re.findall(r"\]\[([^\]]+)\]", without_blocks(read(document))))
        assert used == set(definitions(document)), document


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links to every page beside it."""
    pages = {path.removeprefix("docs/") for path in DOCUMENTS if path.startswith("docs/")}
    assert pages - {"README.md"} <= set(links("docs/README.md"))
