"""The server that dies: a process that runs already, or a command that storm starts.

Nothing is signalled that does not listen on the server's port: a wrong process id must not cost a
stranger's process its life.
"""

from __future__ import annotations

import asyncio
import os
import select
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from rtdemo.errors import RtdemoError, ServerError, network_reason, printable
from rtdemo.lab.bench import machine
from rtdemo.lab.storm.command_output import CommandOutput
from rtdemo.protocol.address import Address

START_TIMEOUT_S = 60.0
"""For a command until its port accepts connections."""
HINT_AFTER_S = 5.0
"""Seconds without an open port after which the user is told where the command listens."""
ELSEWHERE_S = 5.0
"""Seconds after that until storm gives up on a command that listens only elsewhere."""
LOOK_AGAIN_S = 0.5
"""Seconds between two looks at the ports of the command."""
MAX_COMMAND_CHARACTERS = 120
"""Longest command line that is shown."""
_POLL_S = 0.02
_MAX_LINE = 300


class ProcessError(RtdemoError):
    """A process is not the server's, or cannot be signalled."""

    exit_code = 2


class ServerProcess(Protocol):
    """A server that storm may signal.

    Attributes:
        description: its process id and its command line.
        restarts_itself: whether `restart` starts it again; if not, its supervisor or the user does.
    """

    description: str
    restarts_itself: bool

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        ...

    def has_ended(self) -> bool:
        """Return whether the process that got the signal has ended."""
        ...

    async def restart(self) -> None:
        """Start it again, if that is storm's task."""
        ...

    def check(self) -> None:
        """Raise ServerError if storm started it again and it has ended since."""
        ...

    async def close(self, patience_s: float) -> None:
        """End what storm has started; kill it if it has not ended after some seconds."""
        ...


async def check_local(address: Address) -> set[str]:
    """Return a server's IP addresses that are of this machine, whose processes can be signalled.

    Raises:
        ServerError: if there is none, or the name cannot be resolved.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        problem = f"cannot be resolved: {error.strerror or error}"
        raise ServerError(address.origin, problem, "is the host name right?") from error
    own = {str(at[0]) for family, _, _, _, at in found if _is_own(family, at[0])}
    if not own:
        problem = "is not on this machine, so storm cannot kill its process"
        raise ServerError(address.origin, problem, "run storm on the server's machine")
    return own


def _is_own(family: int, host: str | int) -> bool:
    """Return whether an IP address belongs to this machine: only then a socket can be bound to it."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


class RunningProcess:
    """A server that runs already.

    Arguments:
        pid: its process id.
        port: that it must listen on.
        hosts: IP addresses, at one of which it must do so; empty for any.

    Raises:
        ProcessError: if it does not listen there, or this user may not signal it.
    """

    restarts_itself = False

    def __init__(self, pid: int, port: int, hosts: Collection[str] = ()) -> None:
        if sys.platform != "linux":
            raise ProcessError("--pid needs Linux; give --command instead")
        try:
            # The handle keeps meaning this process, even if its number is used again.
            self._handle = os.pidfd_open(pid)
        except OSError as error:
            problem = f"process {pid} cannot be used: {(error.strerror or str(error)).lower()}"
            raise ProcessError(f"{problem}; give the server's process id with --pid") from error
        others = machine.listeners(port, hosts)
        if pid not in others or pid == os.getpid():
            os.close(self._handle)
            others -= {os.getpid()}
            if pid in machine.listeners(port) and pid != os.getpid():
                raise ProcessError(_at_another_address(pid, port, hosts, others))
            raise ProcessError(_not_listening(pid, port, others))
        try:
            signal.pidfd_send_signal(self._handle, 0)
        except OSError as error:
            os.close(self._handle)
            raise ProcessError(
                f"process {pid} belongs to another user; run storm as that one"
            ) from error
        others -= {pid}
        also = f"; {_names(others)} also listen{'s' if len(others) == 1 else ''} there" if others else ""
        self.description = f"process {pid} ({command_line(pid)}{also})"

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended by itself."""
        if not self.has_ended():
            # It may end between the two calls.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def has_ended(self) -> bool:
        """Return whether it has ended."""
        return bool(select.select([self._handle], [], [], 0)[0])

    async def restart(self) -> None:
        """Do nothing: its supervisor or the user starts it again."""

    def check(self) -> None:
        """Do nothing: storm does not know the process that follows."""

    async def close(self, patience_s: float) -> None:
        """Forget it."""
        os.close(self._handle)


def _at_another_address(pid: int, port: int, hosts: Iterable[str], listening: Iterable[int]) -> str:
    problem = f"process {pid} ({command_line(pid)}) listens on port {port}, but not at"
    problem += f" {' or '.join(sorted(hosts))}"
    found = sorted(listening)
    fix = f"give --pid {found[0]} ({command_line(found[0])})" if found else "give its own address"
    return f"{problem}; {fix}"


def _not_listening(pid: int, port: int, listening: Iterable[int]) -> str:
    found = sorted(listening)
    problem = f"process {pid} ({command_line(pid)}) does not listen on port {port}"
    if not found:
        return f"{problem}, and neither does another one that this user may see; see --server-port"
    them = ", ".join(f"{one} ({command_line(one)})" for one in found)
    return f"{problem}; give --pid {found[0]}: {them}"


def _names(pids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(pids)))


def command_line(pid: int) -> str:
    """Return the command line of a process, without folders and shortened; `?` if it is unknown."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return "?"
    # What has one slash is no file, but a path of a URL, such as that of --base-path.
    is_file = [word.startswith(b"/") and word.count(b"/") > 1 for word in words]
    names = (word.rpartition(b"/")[2] if cut else word for word, cut in zip(words, is_file, strict=True))
    line = printable(b" ".join(names).decode(errors="replace"))
    most = MAX_COMMAND_CHARACTERS
    return f"{line[: most - 3]}..." if len(line) > most else line or "?"


class CommandProcess:
    """A server that storm starts, kills, and starts again.

    Arguments:
        command: its command line, without a shell.
        address: where clients connect.
        port: that it listens on.

    Raises:
        ProcessError: if the command line is not valid.
    """

    restarts_itself = True

    def __init__(self, command: str, address: Address, port: int) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise ProcessError(f"--command: {error}: {printable(command)[:_MAX_LINE]}") from error
        if not self._words:
            raise ProcessError("--command: it is empty; give the command line that starts the server")
        self._address = address
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._output = CommandOutput()
        self._bounding: asyncio.Task[None] | None = None
        self.description = "command"

    async def start(self, say: Callable[[str], object]) -> None:
        """Start the server and wait until it accepts connections.

        Arguments:
            say: takes a sentence if that takes long.

        Raises:
            ServerError: if another server has the port, or this one does not start.
        """
        if not await self._refusal():
            problem = f"is served already: something listens on port {self._port}"
            raise ServerError(self._address.origin, problem, "stop it, or give its process with --pid")
        await self.restart()
        self._bounding = asyncio.ensure_future(self._output.bound())
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._wait_until_open(say)
        except TimeoutError as error:
            problem = f"has nothing on port {self._port} after {START_TIMEOUT_S:.0f} s"
            fix = self._where_it_listens(self._ports())
            raise ServerError(self._address.origin, problem, fix) from error
        pid = self._process.pid if self._process is not None else 0
        self.description = f"process {pid} ({command_line(pid)})"

    async def _wait_until_open(self, say: Callable[[str], object]) -> None:
        started, look_at = time.monotonic(), 0.0
        elsewhere: Elsewhere | None = None
        while refusal := await self._refusal():
            self.check()
            now = time.monotonic()
            if now >= max(look_at, started + HINT_AFTER_S):
                look_at = now + LOOK_AGAIN_S
                ports = self._ports()
                hint = self._where_it_listens(ports)
                if elsewhere is None:
                    elsewhere = Elsewhere()
                    say(f"waiting for {self._address.host} port {self._port}: {refusal}; {hint}")
                if elsewhere.is_final(ports, now):
                    problem = f"has nothing on port {self._port}"
                    raise ServerError(self._address.origin, problem, hint)
            await asyncio.sleep(_POLL_S)

    def _ports(self) -> list[int]:
        """Return the ports on which the command listens."""
        return machine.listening_ports(self._process.pid) if self._process is not None else []

    def _where_it_listens(self, ports: Collection[int]) -> str:
        """Return on which ports the command listens, and what to do; or what it printed last."""
        if self._port in ports:
            problem = f"--command listens on port {self._port}, but not at {self._address.host}"
            return f"{problem}; correct the host in the URL or in --command"
        if ports:
            found = f"port{'s' if len(ports) > 1 else ''} {', '.join(map(str, ports))}"
            return f"--command listens on {found}; correct the port in the URL or in --command"
        said = self._output.last_line() or "it printed nothing"
        return f"does --command serve port {self._port}? {said}"

    async def _refusal(self) -> str:
        """Return why the port accepts no connection; empty if it does."""
        try:
            _, writer = await asyncio.open_connection(self._address.host, self._port)
        except OSError as error:
            return network_reason(error)
        writer.close()
        return ""

    async def restart(self) -> None:
        """Start the server again, without waiting for it.

        Raises:
            ServerError: if the command cannot be run.
        """
        if self._process is not None:
            kill_rest(self._process)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._output.file,
                stderr=self._output.file,
                # Ctrl-C must reach only storm. And its group is what storm kills.
                start_new_session=True,
            )
        except OSError as error:
            problem = f"cannot be started: {error.strerror or error}: {printable(self._words[0])}"
            raise ServerError(self._address.origin, problem, "see --command") from error

    def check(self) -> None:
        """Check that the command still runs.

        Raises:
            ServerError: if it has ended.
        """
        if self._process is not None and self._process.returncode is not None:
            code = self._process.returncode
            problem = f"has ended: --command exited with code {code}"
            raise ServerError(
                self._address.origin, problem, self._output.last_line() or "it printed nothing"
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal: SIGKILL to all processes of the command, another one to the first of them."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    def has_ended(self) -> bool:
        """Return whether the command has ended."""
        return self._process is None or self._process.returncode is not None

    async def close(self, patience_s: float) -> None:
        """End the command and all that it has started.

        Arguments:
            patience_s: seconds for it to end after SIGTERM; then it is killed.
        """
        process = self._process
        if process is not None:
            try:
                if process.returncode is None:
                    process.terminate()
                    async with asyncio.timeout(patience_s):
                        await process.wait()
            except TimeoutError:
                pass
            finally:
                kill_rest(process)
                await process.wait()
        if self._bounding is not None:
            self._bounding.cancel()
        self._output.close()


class Elsewhere:
    """Whether a command has opened its ports, and none of them is where clients connect."""

    def __init__(self) -> None:
        self._ports: list[int] = []
        self._since = 0.0

    def is_final(self, ports: list[int], now: float) -> bool:
        """Return whether it has listened on the same ports for `ELSEWHERE_S`.

        Arguments:
            ports: on which it listens, none of them where clients connect.
            now: seconds on a monotonic clock.
        """
        if ports != self._ports:
            # A server may open its ports one after the other.
            self._ports, self._since = ports, now
        return bool(ports) and now - self._since >= ELSEWHERE_S


def kill_rest(leader: asyncio.subprocess.Process) -> None:
    """Kill what is left of a command's processes.

    Arguments:
        leader: the process that leads their group; it may have ended.
    """
    # The kernel gives the number to no new process while the group has members. So a process that has it
    # after the leader's end is a stranger, which may lead a group of its own.
    if leader.returncode is not None and _exists(leader.pid):
        return
    # macOS reports a group of ended processes as one that is not permitted.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
