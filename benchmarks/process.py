"""What the kernel knows of processes: CPU time, memory, and how many files they may open."""

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from rtdemo.lab.bench.machine import busy_seconds

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
GROUP, UTIME, STIME = 2, 11, 12
"""Fields of /proc/PID/stat, as proc(5) lists them, counted from the one after the name."""


def stat_fields(stat: str) -> list[str]:
    """Return the fields of a /proc/PID/stat after the process's name."""
    # The name is in parentheses, and may contain spaces and parentheses.
    return stat.rpartition(")")[2].split()


def kib(listing: str, name: str) -> int:
    """Return the KiB on the line of a name, such as `Pss:  8191 kB`; 0 without it.

    Arguments:
        listing: what a file such as /proc/meminfo has.
        name: of the line.
    """
    for line in listing.splitlines():
        given, _, rest = line.partition(":")
        if given == name:
            return int(rest.split()[0])
    return 0


def _members(group: int) -> Iterator[tuple[Path, list[str]]]:
    for folder in PROC.glob("[0-9]*"):
        try:
            # A name may end within a character: the kernel keeps 15 bytes of it.
            fields = stat_fields((folder / "stat").read_text(errors="replace"))
        except OSError:  # it has ended
            continue
        if int(fields[GROUP]) == group:
            yield folder, fields


def group_cpu_seconds(group: int) -> float:
    """Return the CPU seconds, user and system, that the processes of a group have used.

    Arguments:
        group: its id, which is the pid of its first process.
    """
    ticks = sum(int(fields[UTIME]) + int(fields[STIME]) for _, fields in _members(group))
    return ticks / TICKS_PER_SECOND


def group_pss_kib(group: int) -> int:
    """Return the memory of a group's processes in KiB; a page that several share counts once.

    Arguments:
        group: its id, which is the pid of its first process.
    """
    total = 0
    for folder, _ in _members(group):
        try:
            total += kib((folder / "smaps_rollup").read_text(), "Pss")
        except OSError:  # it has ended
            continue
    return total


def slab_kib() -> int:
    """Return the memory in KiB that the kernel keeps its own objects in, such as sockets and files."""
    return kib((PROC / "meminfo").read_text(), "Slab")


def wait_until_quiet(share: float, limit: float) -> None:
    """Return once the machine used less than a share of one core for a second, or at the limit.

    Arguments:
        share: of one core, 0.25 is a quarter.
        limit: seconds after which to go on in any case.
    """
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        before = busy_seconds()
        time.sleep(1.0)
        if busy_seconds() - before < share:
            return


def allow_open_files() -> int:
    """Raise the limit of open files of this process and those it starts, and return the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
