"""Built-in plugins and examples import only the package `rtdemo`, none of its modules."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ("token_stream.py",)
"""Examples that are programs of their own, not plugins."""
FOUND = sorted([*ROOT.glob("plugins/*.py"), *ROOT.glob("examples/*.py")])
FILES = [path for path in FOUND if path.name not in PROGRAMS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_the_package_itself_is_imported(path: Path) -> None:
    """A plugin imports `rtdemo`, but no submodule of it, and not aiohttp's server."""
    tree = ast.parse(path.read_text())
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    assert "rtdemo" in modules
    assert not [name for name in modules if name.startswith(("rtdemo.", "aiohttp.web"))]
