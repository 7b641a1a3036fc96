"""Write a new plugin's package: ready to install, to test and to serve."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from rtdemo import __version__
from rtdemo.errors import RtdemoError
from rtdemo.settings.folders import bundled

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
LONGEST_NAME = 40
_TAKEN = {"option", "producer", "randrange", "rtdemo", "str", "int"}
"""Names that the module itself uses."""


class ScaffoldError(RtdemoError):
    """Report a name that a plugin cannot have, or a folder that is in the way."""

    exit_code = 2


_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "rtdemo-$name"
version = "0.1.0"
description = "A plugin for rtdemo: $name."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["rtdemo>=$version"]

[project.optional-dependencies]
test = ["pytest", "pytest-asyncio"]

[project.entry-points.rtdemo]
$name = "$module"

[tool.setuptools]
py-modules = ["$module"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
asyncio_default_fixture_loop_scope = "function"
"""

_MODULE = '''\
"""Put $name on the page."""

from random import randrange

from rtdemo import Option, producer

# Set it with the environment variable $variable.
HIGHEST = Option(int, 100, "The highest number that comes.")


@producer(every=1$named)
def $function() -> str:
    return f"$name: {randrange(HIGHEST.value + 1)}"
'''

_TEST = '''\
"""What $name sends."""

import pytest

import $module
from rtdemo.testing import run_producer


def test_one_message_a_second():
    sent = run_producer($module.$function, seconds=60)
    assert len(sent) == 60
    assert sent[0].sent_at == 1000
    assert all(text.startswith("$name: ") for text in sent.texts)


@pytest.mark.asyncio
@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_it_reaches_a_client(rtdemo_server, transport):
    async with rtdemo_server($module) as server:
        client = await server.connect(transport)
        await server.advance(2)
        assert [message.producer for message in client.take()] == ["$name"] * 2
'''

_README = """\
# rtdemo-$name

A plugin for [rtdemo](https://pypi.org/project/rtdemo/): it puts `$name` on the page, once a second.

    pip install -e '.[test]'
    pytest
    rtdemo plugins check .
    rtdemo serve

| setting | default | what |
|---|---|---|
| `$variable` | 100 | The highest number that comes. |
"""


def create(name: str, parent: Path) -> Path:
    """Write the folder `rtdemo-NAME`; return it.

    Arguments:
        name: of the plugin and its producer: small letters, digits, hyphens between.
        parent: the folder that gets it.

    Raises:
        ScaffoldError: when the name cannot be one, or the folder exists.
    """
    _check(name)
    folder = parent / f"rtdemo-{name}"
    function = name.replace("-", "_")
    module = f"rtdemo_{function}"
    words = {"name": name, "function": function, "module": module, "version": __version__}
    # A function cannot have a hyphen in its name; its producer can.
    words["named"] = f', name="{name}"' if "-" in name else ""
    words["variable"] = f"RTDEMO_{function.upper()}_HIGHEST"
    try:
        folder.mkdir()
        (folder / "tests").mkdir()
    except FileExistsError as error:
        raise ScaffoldError(f"{folder} exists; choose another name or move it away") from error
    except OSError as error:
        raise ScaffoldError(f"cannot write {folder}: {(error.strerror or '').lower()}") from error
    files = {
        "pyproject.toml": _PYPROJECT,
        f"{module}.py": _MODULE,
        f"tests/test_{function}.py": _TEST,
        "README.md": _README,
    }
    for path, text in files.items():
        (folder / path).write_text(Template(text).substitute(words))
    return folder


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ScaffoldError(
            f"{name[:100]!r} cannot be a plugin's name; give small letters and digits, with hyphens "
            f"between, {LONGEST_NAME} at the most"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _TAKEN:
        raise ScaffoldError(f"{name!r} means something to Python or rtdemo; give another name")
    if (bundled("plugins") / f"{name}.py").is_file():
        raise ScaffoldError(f"{name!r} is a built-in plugin; give another name")
