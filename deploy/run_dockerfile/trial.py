"""Run an image once as a container: healthy, visited, and ended by SIGTERM."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path

import click

from deploy.run_dockerfile import visit
from deploy.run_dockerfile.clean_root import Root
from deploy.run_dockerfile.container import Container
from deploy.run_dockerfile.dockerfile import ImageConfig
from deploy.run_dockerfile.errors import StepError, tail

STOP_S = 10.0
"""Time that Docker gives a container between SIGTERM and SIGKILL."""
Visitor = tuple[str, visit.Stream, Callable[[bytes], bool]]
"""How a stream must end, in words; the stream; whether its last bytes are that end."""


class Trial:
    """Run an image once, from its start to its end on SIGTERM.

    Arguments:
        root: the last stage's.
        config: the image's settings.
        log: file for the command's output.
    """

    def __init__(self, root: Root, config: ImageConfig, log: Path) -> None:
        self._root = root
        self._config = config
        self._log = log

    def run(self) -> None:
        """Start the command, check it, visit it, and end it.

        Raises:
            StepError: where something is not as it must be, with the end of the log.
        """
        config = self._config
        click.echo(
            "\nContainer: read-only root with a tmpfs on /tmp, no capabilities, no-new-privileges"
        )
        click.echo(f"CMD {shlex.join(config.command)}")
        container = self._root.start(
            config.command, config.environ, config.workdir, config.user, self._log
        )
        try:
            self._wait_until_healthy(container)
            self._check_process(container)
            container.join_network()
            streams = self._visit()
            self._stop(container, streams)
        except StepError as error:
            end = tail(self._log.read_text())
            raise StepError(f"{error}; the end of the container's output:\n{end}") from error
        except OSError as error:
            raise StepError(f"the visit failed: {error}") from error
        finally:
            container.kill()
        for line in self._log.read_text().splitlines():
            click.echo(f"    log: {line}")

    def _wait_until_healthy(self, container: Container) -> None:
        check = self._config.healthcheck
        if check is None:
            raise StepError("the image has no HEALTHCHECK")
        begin = time.monotonic()
        limit = check.start_period_s + check.retries * check.interval_s
        while (waited := time.monotonic() - begin) < limit:
            if (code := container.returned()) is not None:
                raise StepError(f"the command ended with exit code {code} before it was healthy")
            if container.pid is not None:
                code, output = container.run(check.command, check.timeout_s)
                click.echo(
                    f"HEALTHCHECK after {waited:.1f} s: exit code {code} {output[-200:]}".rstrip()
                )
                if code == 0:
                    return
            # Docker would check each --interval; this asks more often only to print the first success.
            time.sleep(0.25)
        raise StepError(f"it was not healthy within {limit:g} s")

    def _check_process(self, container: Container) -> None:
        status = container.status()
        ids, inner = set(status["Uid"].split()), status["NSpid"].split()[-1]
        click.echo(
            f"Process: {status['Name']}, PID {inner} in the container, user {', '.join(sorted(ids))}"
        )
        click.echo(f"    capabilities {status['CapEff']}, no-new-privileges {status['NoNewPrivs']}")
        if ids != {str(self._root.ids(self._config.user)[0])} or "0" in ids:
            raise StepError("the process runs as root, or not as the image's USER")
        if inner != "1":
            raise StepError("the process is not PID 1, so a container's SIGTERM would not reach it")
        for path, wanted in (("/app/new", False), ("/tmp/new", True)):  # noqa: S108 - the container's own
            code, output = container.run(("touch", path), 5.0)
            click.echo(f"    writing {path}: exit code {code} {output}".rstrip())
            if (code == 0) is not wanted:
                raise StepError("the root is not read-only with a writable /tmp")

    def _visit(self) -> list[Visitor]:
        (port,) = self._config.ports
        for path, part in (("/", "<title>rtdemo"), ("/static/app.js", "import"), ("/readyz", "")):
            status, body = visit.fetch(path, port)
            click.echo(f"GET {path}: {status}, {len(body)} characters")
            if status != 200 or part not in body:
                raise StepError(f"GET {path} answered {status} without {part!r}")
        websocket, sse = visit.Stream.websocket(port), visit.Stream.sse(port)
        for stream, text in (
            (websocket, "WebSocket connection established"),
            (sse, "SSE connection established"),
        ):
            if not stream.wait_for(text.encode()):
                raise StepError(f"no message {text!r} arrived")
            click.echo(f"Stream open: {text}")
        return [
            ("WebSocket, close code 1001", websocket, lambda rest: visit.GOING_AWAY in rest),
            ("SSE, retry: and the end", sse, lambda rest: b"retry:" in rest),
        ]

    def _stop(self, container: Container, streams: list[Visitor]) -> None:
        begin = time.monotonic()
        code = container.stop(STOP_S)
        taken = time.monotonic() - begin
        if code is None:
            raise StepError(f"SIGTERM did not end it within {STOP_S:g} s")
        click.echo(f"SIGTERM with two open streams: exit code {code} after {taken:.1f} s")
        if code != 0:
            raise StepError(f"SIGTERM ended it with exit code {code}")
        for name, stream, expected in streams:
            if not expected(stream.read_to_end()):
                raise StepError(f"the stream did not end with {name}")
            click.echo(f"    the stream ended: {name}")
