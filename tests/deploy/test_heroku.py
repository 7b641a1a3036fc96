"""What Heroku and similar platforms read: app.json, the Procfile, the names in the root folder."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.deploy.files import ROOT, served_variables

PLATFORM_STOP_S = 30
"""Time between SIGTERM and SIGKILL (devcenter.heroku.com/articles/dynos#shutdown)."""


OTHER_LANGUAGES = (
    *("Gemfile", "package.json", "deno.json", "project.clj", "pom.xml", "build.gradle", "build.sbt"),
    *("composer.json", "index.php", "go.mod", "Cargo.toml", "mix.exs"),
)
"""Files by which a platform recognises a project in another language."""


def app() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "app.json").read_text())
    return read


def test_variables_are_settings_of_the_program() -> None:
    """Each has a description, and a value or a generator."""
    variables = app()["env"]
    assert variables.keys() <= served_variables().keys()
    for variable in variables.values():
        assert variable["description"].endswith(".")
        assert variable.get("value") or variable["generator"] == "secret"


def test_server_ends_before_the_platform_kills_it() -> None:
    """It needs 5 s after its drain."""
    assert int(app()["env"]["RTDEMO_DRAIN_SECONDS"]["value"]) + 5 <= PLATFORM_STOP_S


def test_root_folder_is_that_of_a_project_in_python() -> None:
    """Heroku and Render look for files there, and for Node's before Python's."""
    assert (ROOT / "requirements.txt").exists()
    assert (ROOT / ".python-version").exists()
    assert [name for name in OTHER_LANGUAGES if (ROOT / name).exists()] == []
    assert app()["buildpacks"] == [{"url": "heroku/python"}]


def test_formation_is_that_of_the_procfile() -> None:
    """Each type of process has a command."""
    commands = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert app()["formation"].keys() == commands.keys()


def test_commands_of_the_documentation_do_what_app_json_does() -> None:
    """`heroku create` does not read app.json."""
    text = (ROOT / "docs/deploy.md").read_text()
    settings = re.findall(r"(?m)^\$ heroku config:set (\w+)=(.*)$", text)
    # The Procfile has the same number of proxies.
    assert dict(settings) == {
        name: variable.get("value", "$(openssl rand -hex 16)")
        for name, variable in app()["env"].items()
        if name != "RTDEMO_TRUSTED_PROXIES"
    }
