"""Look at a command that `clean_root.Root.start` started, run more commands beside it, and end it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# ruff: noqa: S603 - each command comes from the Dockerfile or is written here

_CLONE_NEWNET = 0x40000000
"""setns(2): a network namespace."""


class Container:
    """Hold a command that `Root.start` started.

    Arguments:
        process: `unshare`, which ends with the command's exit code.
        folder: the command's root on this machine.
        environ: the command's variables.
        ids: the user and group that the image asks for.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        folder: Path,
        environ: Mapping[str, str],
        ids: tuple[int, int],
    ) -> None:
        self._process = process
        self._folder = folder
        self._environ = environ
        self._ids = ids

    @property
    def pid(self) -> int | None:
        """The command's process on this machine; None before it is in its root or after its end."""
        unshare = self._process.pid
        try:
            children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
            is_inside = bool(children) and Path(f"/proc/{children[0]}/root").readlink() == self._folder
        except OSError:
            return None
        return int(children[0]) if is_inside else None

    def returned(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._process.poll()

    def status(self) -> dict[str, str]:
        """Return the lines of the command's /proc/PID/status by their names."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def run(self, words: Sequence[str], timeout_s: float) -> tuple[int, str]:
        """Run a further command in the container, as its user; return its exit code and output.

        The exit code is 124 where the command takes too long, as with timeout(1).
        """
        uid, gid = self._ids
        command = ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid"]
        command += ["--root", "--wd", f"--setuid={uid}", f"--setgid={gid}", "env", "-i"]
        command += [f"{name}={value}" for name, value in self._environ.items()]
        try:
            done = subprocess.run(
                [*command, *words],
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            return 124, f"no answer within {timeout_s:g} s"
        return done.returncode, done.stdout.strip()

    def join_network(self) -> None:
        """Move this process into the container's network, so that it can connect to the command.

        Raises:
            OSError: where the kernel refuses it.
        """
        # Python 3.11 has no os.setns.
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/proc/{self.pid}/ns/net").open("rb") as network:
            if libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
                error = ctypes.get_errno()
                raise OSError(error, os.strerror(error), "setns")

    def stop(self, timeout_s: float) -> int | None:
        """Send SIGTERM to process 1; return its exit code, or None where it does not end in time."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it at once, where it still runs."""
        if self._process.poll() is None:
            # The command's parent-death signal ends it, and with process 1 its whole namespace.
            self._process.kill()
        self._process.wait()
