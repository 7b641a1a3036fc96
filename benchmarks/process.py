"""What the kernel knows of a process: its CPU time, and how many files it may open."""

import os
import time
from pathlib import Path

from rtdemo.errors import LimitError
from rtdemo.lab.bench import machine
from rtdemo.lab.bench.machine import busy_seconds

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STAT_STATE, STAT_GROUP, STAT_UTIME, STAT_STIME = (
    0,
    2,
    11,
    12,
)  # proc(5), counted from the field after the name


def stat_fields(stat: Path) -> list[str]:
    """Return the fields of a /proc/PID/stat after the name; none once the process is gone."""
    try:
        # The name stands in parentheses and may hold spaces and parentheses itself.
        return stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def group_cpu_seconds(group: int) -> float:
    """Return the CPU seconds, user and system, that a process group's threads have used.

    Arguments:
        group: its id, which is the pid of its first process.
    """
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = stat_fields(stat)
        if fields and int(fields[STAT_GROUP]) == group:
            ticks += int(fields[STAT_UTIME]) + int(fields[STAT_STIME])
    return ticks / TICKS_PER_SECOND


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


def allow_open_files(wanted: int) -> None:
    """Raise the limit of open files of this process and those it starts, or exit with what to do.

    Arguments:
        wanted: how many files must be allowed.
    """
    try:
        machine.allow_open_files(wanted)
    except LimitError as error:
        raise SystemExit(str(error)) from error
