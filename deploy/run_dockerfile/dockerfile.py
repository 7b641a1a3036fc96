"""Read a Dockerfile into stages of instructions, and the settings of the image that they make.

It covers what this project's Dockerfile uses and raises `DockerfileError` for anything else, so that no
instruction is left out silently. Reference: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from dockerfile_parse import DockerfileParser

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<plain>\w+))")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class DockerfileError(Exception):
    """Report an instruction that is wrong, or that this module does not cover."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """Hold one instruction: its keyword in capitals, its text, and its first line, from 1."""

    keyword: str
    text: str
    line: int

    @property
    def command(self) -> tuple[str, ...]:
        """The words that it runs."""
        return words_of(self.text)


@dataclass(frozen=True, slots=True)
class Stage:
    """Hold one build stage: its name or number, the image or stage it begins from, its instructions."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """Hold a HEALTHCHECK: its command and its times in seconds."""

    command: tuple[str, ...]
    interval_s: float
    timeout_s: float
    start_period_s: float
    retries: int


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """Hold the settings of an image, as `docker inspect` shows them."""

    environ: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    ports: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """The words that a container runs: ENTRYPOINT, then CMD."""
        return self.entrypoint + self.arguments

    def path(self, text: str) -> str:
        """Return a path of an instruction as an absolute one: from WORKDIR where it is relative."""
        return str(PurePosixPath(self.workdir) / text)

    def after(self, instruction: Instruction) -> ImageConfig:
        """Return the settings after an instruction; RUN and COPY change none.

        Raises:
            DockerfileError: for an instruction that this module does not cover.
        """
        text = instruction.text
        match instruction.keyword:
            case "RUN" | "COPY":
                return self
            case "ENV":
                return replace(self, environ={**self.environ, **self._pairs(instruction)})
            case "LABEL":
                return replace(self, labels={**self.labels, **self._pairs(instruction)})
            case "WORKDIR":
                return replace(self, workdir=self.path(text))
            case "USER":
                return replace(self, user=text)
            case "EXPOSE":
                return replace(self, ports=(*self.ports, *map(int, text.split())))
            case "HEALTHCHECK":
                return replace(self, healthcheck=_healthcheck(text))
            case "ENTRYPOINT":
                # ENTRYPOINT drops a CMD that was set before it.
                return replace(self, entrypoint=instruction.command, arguments=())
            case "CMD":
                return replace(self, arguments=instruction.command)
        raise _unsupported(instruction)

    def _pairs(self, instruction: Instruction) -> dict[str, str]:
        pairs = {}
        for word in shlex.split(instruction.text):
            name, equals, value = word.partition("=")
            if not equals:
                raise _unsupported(instruction)
            pairs[name] = substitute(value, self.environ)
        return pairs


def parse(text: str, build_args: Mapping[str, str] | None = None) -> list[Stage]:
    """Return the build stages of a Dockerfile.

    Arguments:
        text: the file's content.
        build_args: values for ARG, over the file's own defaults.

    Raises:
        DockerfileError: where an instruction precedes the first FROM, or FROM has options.
    """
    given = dict(build_args or {})
    values: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.keyword == "FROM":
            stages.append(_stage(instruction, values, str(len(stages))))
        elif stages:
            last = stages[-1]
            stages[-1] = replace(last, instructions=(*last.instructions, instruction))
        elif instruction.keyword == "ARG":
            name, _, default = instruction.text.partition("=")
            values[name] = given.get(name, default)
        else:
            raise DockerfileError(f"line {instruction.line}: {instruction.keyword} precedes FROM")
    if unknown := given.keys() - values.keys():
        raise DockerfileError(f"the Dockerfile has no ARG {', '.join(sorted(unknown))} before FROM")
    if not stages:
        raise DockerfileError("the Dockerfile has no FROM")
    return stages


def image_config(
    stage: Stage, stages: list[Stage], environ: Mapping[str, str] | None = None
) -> ImageConfig:
    """Return the settings of the image that a stage makes.

    Arguments:
        stage: one of `stages`.
        stages: what `parse` returned.
        environ: the base image's own variables, such as PATH.
    """
    earlier = {other.name: other for other in stages[: stages.index(stage)]}
    config = ImageConfig(environ=dict(environ or {}))
    if stage.base in earlier:
        config = image_config(earlier[stage.base], stages, environ)
    for instruction in stage.instructions:
        config = config.after(instruction)
    return config


def copy_words(instruction: Instruction) -> tuple[str | None, list[str], str]:
    """Return a COPY's source stage (None: the build context), its sources and its destination.

    Raises:
        DockerfileError: for an option other than --from, or a wildcard.
    """
    words = shlex.split(instruction.text)
    stage = None
    if words[0].startswith("--from="):
        stage = words.pop(0).removeprefix("--from=")
    if len(words) < 2 or any(word.startswith("--") or set(word) & set("*?[") for word in words):
        raise _unsupported(instruction)
    return stage, words[:-1], words[-1]


def words_of(command: str) -> tuple[str, ...]:
    """Return the words of a command: of a JSON array of strings; another text runs under /bin/sh."""
    try:
        words = json.loads(command)
    except ValueError:
        words = None
    if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
        return tuple(words)
    return "/bin/sh", "-c", command


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace `$NAME`, `${NAME}` and `${NAME:-default}`; a name without a value becomes empty."""

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        return values.get(name) or match["default"] or ""

    return _VARIABLE.sub(value, text)


def _instructions(text: str) -> list[Instruction]:
    parser = DockerfileParser(fileobj=io.StringIO(text))
    return [
        Instruction(entry["instruction"].upper(), entry["value"], entry["startline"] + 1)
        for entry in parser.structure
        if entry["instruction"] != "COMMENT"
    ]


def _stage(instruction: Instruction, values: Mapping[str, str], number: str) -> Stage:
    words = substitute(instruction.text, values).split()
    if len(words) == 3 and words[1].lower() == "as":
        return Stage(words[2], words[0], ())
    if len(words) != 1:
        raise _unsupported(instruction)
    return Stage(number, words[0], ())


def _healthcheck(text: str) -> Healthcheck | None:
    if text == "NONE":
        return None
    options, found, rest = text.rpartition("CMD ")
    if not found:
        raise DockerfileError(f"HEALTHCHECK {text}: it has no CMD")
    times = dict(word.removeprefix("--").split("=") for word in options.split())
    return Healthcheck(
        words_of(rest),
        interval_s=_seconds(times.pop("interval", "30s")),
        timeout_s=_seconds(times.pop("timeout", "30s")),
        start_period_s=_seconds(times.pop("start-period", "0s")),
        retries=int(times.pop("retries", "3")),
    )


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise DockerfileError(f"{text!r} is no duration such as 10s")
    return float(match[1]) * _SECONDS[match[2]]


def _unsupported(instruction: Instruction) -> DockerfileError:
    return DockerfileError(
        f"line {instruction.line}: {instruction.keyword} {instruction.text}: not supported here"
    )
