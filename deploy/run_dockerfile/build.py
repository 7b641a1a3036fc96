"""Execute the steps of a Dockerfile, each stage in a root folder of its own."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from pathlib import Path

import click

from deploy.run_dockerfile import clean_root
from deploy.run_dockerfile.build_context import BuildContext
from deploy.run_dockerfile.clean_root import Root
from deploy.run_dockerfile.dockerfile import ImageConfig, Instruction, Stage, copy_words, image_config
from deploy.run_dockerfile.errors import StepError, tail


class Build:
    """Execute the stages of a Dockerfile, each in a copy of its base.

    Arguments:
        stages: what `parse` returned; the last one is the image.
        base: folder of the base root.
        context: the files that COPY may use.
        work: folder for the stages' roots.
    """

    def __init__(self, stages: list[Stage], base: Path, context: BuildContext, work: Path) -> None:
        self._stages = stages
        self._base = base
        self._context = context
        self._work = work
        self._roots: dict[str, Root] = {}

    def run(self) -> tuple[Root, ImageConfig]:
        """Execute every step; return the last stage's root and settings.

        Raises:
            StepError: where a step fails.
        """
        for stage in self._stages:
            base = self._roots[stage.base].folder if stage.base in self._roots else self._base
            self._roots[stage.name] = Root.copy_of(base, self._work / f"stage-{stage.name}")
            self._run_stage(stage)
        last = self._stages[-1]
        return self._roots[last.name], self._config(last)

    def _config(self, stage: Stage, steps: int | None = None) -> ImageConfig:
        part = Stage(stage.name, stage.base, stage.instructions[:steps])
        others = [part if other.name == stage.name else other for other in self._stages]
        return image_config(part, others, {"PATH": clean_root.PATH})

    def _run_stage(self, stage: Stage) -> None:
        click.echo(f"\nStage {stage.name}, FROM {stage.base}")
        total = len(stage.instructions)
        for number, instruction in enumerate(stage.instructions, 1):
            text = " ".join(instruction.text.split())
            click.echo(f"[{stage.name} {number}/{total}] {instruction.keyword} {text}")
            begin = time.monotonic()
            done = self._step(stage, instruction, self._config(stage, number))
            click.echo(f"    {done} ({time.monotonic() - begin:.1f} s)")

    def _step(self, stage: Stage, instruction: Instruction, config: ImageConfig) -> str:
        root = self._roots[stage.name]
        match instruction.keyword:
            case "RUN":
                return self._run_command(root, instruction, config)
            case "COPY":
                return self._copy(root, instruction, config)
            case "WORKDIR":
                root.inside(config.workdir).mkdir(parents=True, exist_ok=True)
                return f"folder {config.workdir}"
            case "USER":
                return "user {}, group {}".format(*root.ids(config.user))
            case "ENV":
                names = [word.partition("=")[0] for word in shlex.split(instruction.text)]
                return ", ".join(f"{name}={config.environ[name]}" for name in names)
        return "kept as a setting of the image"

    def _run_command(self, root: Root, instruction: Instruction, config: ImageConfig) -> str:
        done = root.run(instruction.command, config.environ, config.workdir, config.user)
        if done.returncode != 0:
            raise StepError(f"line {instruction.line}: exit code {done.returncode}\n{tail(done.stdout)}")
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        return f"exit code 0; {lines[-1].strip()[:150]}" if lines else "exit code 0, no output"

    def _copy(self, root: Root, instruction: Instruction, config: ImageConfig) -> str:
        stage, sources, destination = copy_words(instruction)
        target = root.inside(config.path(destination))
        into = destination.endswith("/") or len(sources) > 1
        if stage is not None:
            (source,) = sources
            return _copy_tree(self._roots[stage].inside(source), target)
        count = 0
        for source in sources:
            for file in self._context.under(source):
                inner = file.relative_to(source)
                # A folder's content is copied; a file keeps its name where the target is a folder.
                place = target / inner if inner.parts else target / file.name if into else target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self._context.folder / file, place, follow_symlinks=False)
                shutil.chown(place, 0, 0)
                count += 1
        return f"{count} files"


def _copy_tree(source: Path, target: Path) -> str:
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["/bin/cp", "-a", f"{source}/.", str(target)], check=True)  # noqa: S603 - our own stage
    return f"{sum(1 for path in target.rglob('*') if path.is_file())} files"
