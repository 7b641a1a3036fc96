"""`rtdemo plugins list`, `new` and `check` in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from rtdemo.cli.scaffold import MAX_NAME_LENGTH
from tests.command import run_in_process

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]

WEATHER = """
from rtdemo import Option, Secret, hookimpl, producer
CITY = Option(str, "Berlin", "Where.")
KEY = Option(Secret, Secret(), "The key.")
PLAIN = Option(Secret, "plain-default", "A default that is no Secret.")
@producer(every=2.5, transports=["sse"])
def weather(): return CITY.value
@producer(every=1, shared=True)
def news(): return "n"
@producer
async def stream(): yield "s"
@hookimpl
def receive(client, text): return None
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `python -m rtdemo plugins ...`, or another module, in an empty folder."""

    def done(
        *arguments: str, module: tuple[str, ...] = ("rtdemo", "plugins"), path: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join(filter(None, [str(ROOT), path]))
        return subprocess.run(
            [sys.executable, "-m", *module, *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": paths} | environ,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return done


def test_list_shows_everything_and_no_secret(run: Run, tmp_path: Path) -> None:
    """The tables have origin, hooks, producers, state and settings; secrets are hidden."""
    (tmp_path / "weather.py").write_text(WEATHER)
    (tmp_path / "bad.py").write_text("def (")
    done = run(
        *("weather.py", "bad.py", "--without", "status"),
        RTDEMO_WEATHER_CITY="Oslo",
        RTDEMO_WEATHER_KEY="hunter2",
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "PLUGIN VERSION HOOKS PRODUCERS FROM STATE"
    assert "message - - message, every 2 s built-in loaded" in lines
    assert "weather - receive weather, every 2.5 s, sse only weather.py loaded" in lines
    assert "news, every 1 s, shared" in lines
    assert "stream, async generator" in lines
    assert "bad - - - bad.py error: line 1: SyntaxError: invalid syntax" in lines
    assert "RTDEMO_WEATHER_CITY Oslo Berlin weather Where." in lines
    assert "RTDEMO_WEATHER_KEY Secret(***) Secret(***) weather The key." in lines
    assert [word for word in ("hunter2", "plain-default", "status") if word in done.stdout] == []


def test_list_as_json(run: Run, tmp_path: Path) -> None:
    """`--json` prints the same list; `--plugins-dir` works as for `rtdemo serve`."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/weather.py").write_text(WEATHER)
    done = run("--json", "--plugins-dir", "mine", RTDEMO_WEATHER_KEY="hunter2")
    weather = next(entry for entry in json.loads(done.stdout) if entry["name"] == "weather")
    assert weather["producers"][0] == {
        "name": "weather",
        "period": 2.5,
        "transports": ["sse"],
        "shared": False,
        "stream": False,
    }
    assert (weather["state"], weather["hooks"]) == ("loaded", ["receive"])
    assert weather["settings"][0]["default"] == "Berlin"
    assert "hunter2" not in done.stdout


BAD = [
    (["nowhere.py"], 2, ["nowhere.py", "list, new, check"]),
    (["--jsn"], 2, ["--jsn", "--json"]),
    (["--plugins-dir", "nowhere"], 2, ["--plugins-dir", "RTDEMO_PLUGINS_DIR"]),
    (["new"], 2, ["NAME"]),
    (["new", "My Plugin"], 2, ["'My Plugin'", "lower-case letters"]),
    (["new", "a" * (MAX_NAME_LENGTH + 1)], 2, [str(MAX_NAME_LENGTH)]),
    (["new", "class"], 2, ["'class'", "another name"]),
    (["new", "producer"], 2, ["'producer'"]),
    (["new", "echo"], 2, ["'echo' is a built-in plugin"]),
    (["new", "there"], 2, ["rtdemo-there exists"]),
    (["check"], 2, ["PATH"]),
    (["check", "nowhere"], 2, ["'nowhere'", "broadcast, chat, echo, message, status, welcome"]),
    (["check", "rtdemo-there"], 2, ["rtdemo-there", "[project.entry-points.rtdemo]"]),
    (["check", "broken"], 2, ["pyproject.toml cannot be read"]),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD)
def test_bad_input_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: list[str]
) -> None:
    """The error names the problem and the choices; standard output is empty."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtdemo-there").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/pyproject.toml").write_text("[project")
    done = run_in_process("plugins", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done.err
    assert [word for word in words if word not in done.err] == []


def test_check_prints_ok_and_fail(run: Run, tmp_path: Path) -> None:
    """One line per producer; the exit code is 1 if one fails, else 0."""
    (tmp_path / "mixed.py").write_text(
        "from rtdemo import producer\n"
        "@producer(every=1)\ndef good(): return 'x'\n"
        "@producer(every=1)\ndef bad(): return b'1'\n"
    )
    done = run("check", "mixed.py")
    assert (done.returncode, done.stderr) == (1, "")
    loads, good, bad = done.stdout.splitlines()
    assert loads.startswith("ok    plugin 'mixed' loads")
    assert good == "ok    good: 200 runs"
    assert bad.startswith("fail  bad: ContentTypeError: returned a value of type bytes")
    assert run("check", "message").returncode == 0
    (tmp_path / "mixed.py").write_text("import nix\n")
    broken = run("check", "mixed.py")
    assert (broken.returncode, broken.stderr) == (1, "")
    assert "No module named 'nix'" in broken.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["dice", "two-words"])
def test_a_new_package_passes_its_check_and_its_test(run: Run, tmp_path: Path, name: str) -> None:
    """A new package passes `plugins check`; its tests need only pytest and pytest-asyncio."""
    assert run("new", name).returncode == 0
    folder = tmp_path / f"rtdemo-{name}"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["rtdemo"] == {name: f"rtdemo_{name.replace('-', '_')}"}
    checked = run("check", str(folder))
    assert (checked.returncode, checked.stdout.count("ok    ")) == (0, 2), checked.stdout
    only = ("-p", "no:aiohttp", "-p", "no:cov", "-p", "no:rtdemo", "-p", "rtdemo.testing.pytest_plugin")
    tested = run(str(folder), *only, module=("pytest",))
    assert tested.returncode == 0, tested.stdout
    assert "3 passed" in tested.stdout


@pytest.mark.timeout(300)
def test_an_installed_package_is_found_listed_and_checked(run: Run, tmp_path: Path) -> None:
    """A package that pip installed is found by its entry point, with its version."""
    run("new", "dice")
    where = tmp_path / "site"
    flags = ("--no-deps", "--no-build-isolation", "--no-index", "-q", "--disable-pip-version-check")
    installed = run("install", *flags, "--target", str(where), "./rtdemo-dice", module=("pip",))
    assert installed.returncode == 0, installed.stderr
    dice = next(e for e in json.loads(run("--json", path=str(where)).stdout) if e["name"] == "dice")
    assert (dice["version"], dice["origin"], dice["state"]) == ("0.1.0", "rtdemo-dice 0.1.0", "loaded")
    assert run("check", "dice", path=str(where)).returncode == 0


def test_help_and_the_default_commands(run: Run) -> None:
    """`rtdemo plugins` is `rtdemo plugins list`; `--help` names the commands."""
    done = run("--help")
    assert [word for word in ("check", "list", "new") if word not in done.stdout] == []
    assert run().stdout == run("list").stdout
