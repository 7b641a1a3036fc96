"""Read CPU time, memory and listening sockets of processes from Linux's /proc (proc(5)).

Where there is no /proc, CPU times and memory are 0, and no process listens.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain
from pathlib import Path

import msgspec

from rtdemo import __version__
from rtdemo.errors import LimitError

_PROC = Path("/proc")
_LISTENING = "0A"
"""State of a listening socket in /proc/net/tcp."""
_GROUP, _UTIME, _STIME = 2, 11, 12
"""Indices in /proc/PID/stat, counted from the field after the name."""


class Environment(msgspec.Struct, frozen=True):
    """Where a run was made.

    Arguments:
        rtdemo: version of this installation.
        python: version.
        system: name, release and architecture.
        cores: number of cores.
        server: what was measured, such as `rtdemo 0.1.0`.
    """

    rtdemo: str
    python: str
    system: str
    cores: int
    server: str = ""


def environment(server: str) -> Environment:
    """Return the environment of this machine."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Environment(__version__, platform.python_version(), system, os.cpu_count() or 1, server)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU seconds of processes, user and system; a process that has ended counts 0."""
    return sum(map(_cpu_seconds, pids))


def _cpu_seconds(pid: int) -> float:
    try:
        # `schedstat` has nanoseconds; a tick of `stat` is as long as the work of hundreds of messages.
        tasks = list((_PROC / str(pid) / "task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        return _ticks(pid)


def _ticks(pid: int) -> float:
    try:
        fields = _stat(_PROC / str(pid))
    except OSError:
        return 0.0
    return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK")


def _stat(process: Path) -> list[bytes]:
    # The name is in parentheses, and may contain any bytes: spaces, parentheses, half a character.
    return (process / "stat").read_bytes().rpartition(b")")[2].split()


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes in bytes; shared pages count in each process."""
    pages = 0
    for pid in pids:
        try:
            pages += int((_PROC / str(pid) / "statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def busy_seconds() -> float:
    """Return the CPU seconds used on all cores since the machine started, including stolen time."""
    try:
        fields = (_PROC / "stat").read_text().split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def listeners(port: int, hosts: Collection[str] = ()) -> set[int]:
    """Return the ids of the processes that listen on a local TCP port and that this user may inspect.

    Arguments:
        port: the port.
        hosts: IP addresses; processes count that listen at one of them. Empty for all.
    """
    addresses = [ip_address(host.partition("%")[0]) for host in hosts]
    wanted = {
        target
        for target, bound, number in _listening()
        if number == port and (not addresses or any(_serves(bound, each) for each in addresses))
    }
    return {
        int(process.name)
        for process in _processes()
        if wanted and not wanted.isdisjoint(_open_files(process))
    }


def listening_ports(group: int) -> list[int]:
    """Return the TCP ports on which the processes of a group listen.

    Arguments:
        group: the process group's id.
    """
    ports = {target: number for target, _, number in _listening()}
    members = (process for process in _processes() if _group(process) == group)
    targets = set(chain.from_iterable(map(_open_files, members)))
    return sorted({ports[target] for target in targets & ports.keys()})


def _group(process: Path) -> int:
    try:
        return int(_stat(process)[_GROUP])
    except OSError:
        return 0


def _listening() -> Iterator[tuple[str, IPv4Address | IPv6Address, int]]:
    """Yield each listening socket: the target of a link to it, its address and its port."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            host, _, number = fields[1].partition(":")
            if fields[3] == _LISTENING:
                yield f"socket:[{fields[9]}]", _bound_to(host), int(number, 16)


def _bound_to(digits: str) -> IPv4Address | IPv6Address:
    """Return the address of a socket; the kernel prints words of 32 bits in its byte order."""
    data = bytes.fromhex(digits)
    words = [int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, len(data), 4)]
    return ip_address(b"".join(word.to_bytes(4) for word in words))


def _serves(bound: IPv4Address | IPv6Address, host: IPv4Address | IPv6Address) -> bool:
    """Return whether a socket that is bound to an address accepts connections to a host's."""
    mapped = bound.ipv4_mapped if isinstance(bound, IPv6Address) else None
    if bound.is_unspecified:
        # One of IPv6 accepts IPv4, too, unless it is told not to.
        return bound.version >= host.version
    return host in (bound, mapped)


def _processes() -> Iterator[Path]:
    return _PROC.glob("[0-9]*")


def _open_files(process: Path) -> Iterator[str]:
    """Yield the target of each open file of a process that this user may inspect."""
    try:
        yield from map(_link_target, (process / "fd").iterdir())
    except OSError:
        return


def _link_target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def allow_open_files(wanted: int) -> None:
    """Raise the limit of open files for this process and its children.

    Arguments:
        wanted: number of open files.

    Raises:
        LimitError: if the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise LimitError(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
