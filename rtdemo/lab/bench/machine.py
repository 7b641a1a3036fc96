"""What Linux tells of processes: CPU time, memory, who listens. Elsewhere nothing is told."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from rtdemo import __version__
from rtdemo.errors import LimitError

_PROC = Path("/proc")
_LISTENING = "0A"
_UTIME, _STIME = 11, 12
"""Of /proc/PID/stat, counted from the field after the name (proc(5))."""


class Environment(msgspec.Struct, frozen=True):
    """Tell where a run was made; `server` is what answered."""

    rtdemo: str
    python: str
    system: str
    cores: int
    server: str = ""


def environment(server: str) -> Environment:
    """Return this machine's."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Environment(__version__, platform.python_version(), system, os.cpu_count() or 1, server)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of processes, user and system, of those that are still there."""
    return sum(map(_cpu_seconds, pids))


def _cpu_seconds(pid: int) -> float:
    try:
        # Nanoseconds by thread; the ticks of `stat` are as long as the work of hundreds of messages.
        tasks = list((_PROC / str(pid) / "task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        return _ticks(pid)


def _ticks(pid: int) -> float:
    try:
        # The name stands in parentheses and may hold spaces and parentheses itself.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the memory that processes hold, shared pages counted in each."""
    pages = 0
    for pid in pids:
        try:
            pages += int((_PROC / str(pid) / "statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def busy_seconds() -> float:
    """Return the CPU seconds used on all cores since the machine started, with stolen time."""
    try:
        fields = (_PROC / "stat").read_text().split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def listeners(port: int) -> set[int]:
    """Return the processes that listen on a TCP port here, as far as this user may see them."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    return {int(link.parts[2]) for link in _descriptors() if wanted and _target(link) in wanted}


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _descriptors() -> Iterator[Path]:
    for folder in _PROC.glob("[0-9]*/fd"):
        try:
            yield from folder.iterdir()
        except OSError:
            continue


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def allow_open_files(wanted: int) -> None:
    """Raise the limit of open files of this process and those it starts.

    Raises:
        LimitError: where that is not allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise LimitError(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
