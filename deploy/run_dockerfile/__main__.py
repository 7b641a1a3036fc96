"""Execute each step of the Dockerfile in a clean root, then run the image: where no container engine is.

    sudo python -m deploy.run_dockerfile

It executes every instruction and starts the command. It waits until the HEALTHCHECK reports a healthy
server, visits the server over both transports, sends SIGTERM, and expects exit code 0.
Exit codes: 0, 1 where a step fails, 2 where this machine lacks something.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from deploy.run_dockerfile import clean_root
from deploy.run_dockerfile.build import Build
from deploy.run_dockerfile.build_context import BuildContext
from deploy.run_dockerfile.clean_root import Root
from deploy.run_dockerfile.dockerfile import DockerfileError, ImageConfig, Stage, parse
from deploy.run_dockerfile.errors import StepError
from deploy.run_dockerfile.trial import Trial

PROJECT = Path(__file__).parents[2]
BASE_CACHE = Path("~/.cache/rtdemo/dockerfile-base").expanduser()
MAX_ADDED_MB = 25.0
"""What the steps may add to the base image, in millions of bytes: with the 125 of python:3.11-slim, the
image stays below 150. docs/cost.md has what they add."""


@click.command()
@click.option("--file", type=click.Path(path_type=Path), default=PROJECT / "Dockerfile")
@click.option(
    "--build-arg", "build_args", multiple=True, metavar="NAME=VALUE", help="A value for an ARG."
)
@click.option(
    "--cache", type=click.Path(path_type=Path), default=BASE_CACHE, help="Folder of the base root."
)
@click.option("--keep", is_flag=True, help="Keep the roots of the stages, and print where they are.")
def main(file: Path, build_args: tuple[str, ...], cache: Path, keep: bool) -> None:
    """Execute each step of the Dockerfile in a clean root, then run the image."""
    if (lack := clean_root.missing()) is not None:
        click.echo(f"run_dockerfile {lack}", err=True)
        sys.exit(2)
    work = Path(tempfile.mkdtemp(prefix="rtdemo-dockerfile-"))
    begin = time.monotonic()
    try:
        stages = parse(file.read_text(), dict(pair.split("=", 1) for pair in build_args))
        _base(cache, stages)
        root, config = Build(stages, cache, BuildContext(PROJECT), work).run()
        _inspect(root, config, cache)
        Trial(root, config, work / "log").run()
    except (StepError, DockerfileError, FileNotFoundError) as error:
        click.echo(f"FAILED: {error}", err=True)
        sys.exit(1)
    finally:
        if keep:
            click.echo(f"The roots are in {work}")
        else:
            shutil.rmtree(work)
    click.echo(f"OK: every step of {file.name} ran, in {time.monotonic() - begin:.0f} s")


def _base(cache: Path, stages: list[Stage]) -> None:
    names = {stage.name for stage in stages}
    images = sorted({stage.base for stage in stages} - names)
    click.echo("Each step runs for real, but not in a container engine. What differs:")
    click.echo(
        f"- the base image is not {', '.join(images)}, but Debian {clean_root.SUITE} by debootstrap"
    )
    click.echo("  with Debian's Python, pip and venv: another build of Python, other system packages")
    click.echo("- there are no layers and no image file; a stage is a folder, the container a chroot in")
    click.echo("  namespaces of its own (mount, process, network, IPC, host name)")
    click.echo("- a RUN step uses this machine's resolv.conf and certificate authorities")
    click.echo("- there is no seccomp profile, no memory limit and no published port")
    begin = time.monotonic()
    try:
        made = clean_root.make_base(cache)
    except subprocess.CalledProcessError as error:
        raise StepError(f"debootstrap ended with exit code {error.returncode}") from error
    done = f"made in {time.monotonic() - begin:.0f} s" if made else "from the cache"
    click.echo(f"Base root {cache}: {done}")


def _inspect(root: Root, config: ImageConfig, base: Path) -> None:
    added, compressed = root.layer_mb(base)
    click.echo(f"\nImage: its base and {added:.1f} MB, which are {compressed:.1f} MB compressed")
    if added > MAX_ADDED_MB:
        raise StepError(f"the steps add {added:.1f} MB, more than {MAX_ADDED_MB:g} MB")
    click.echo(
        f"    command {json.dumps(config.command)}, user {config.user}, ports {list(config.ports)}"
    )
    for path in ("opt/rtdemo/bin/pip", "usr/bin/gcc", "src"):
        if (root.folder / path).exists():
            raise StepError(f"the final stage has /{path}, which only a build needs")
    click.echo("    the final stage has no compiler, no source folder and no pip of its own")


if __name__ == "__main__":
    main()
