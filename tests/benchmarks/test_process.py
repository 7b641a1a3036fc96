"""CPU time and memory are read from what the kernel prints."""

from __future__ import annotations

import os

from benchmarks.process import (
    GROUP,
    STIME,
    UTIME,
    group_cpu_seconds,
    group_pss_kib,
    kib,
    slab_kib,
    stat_fields,
)

SMAPS_ROLLUP = """\
55d0c0000000-7ffd1c5f9000 ---p 00000000 00:00 0                          [rollup]
Rss:               10240 kB
Pss:                8191 kB
Pss_Dirty:          4096 kB
Pss_Anon:           4000 kB
"""


def test_pss_is_the_whole_of_it() -> None:
    """`Pss_Dirty` and the like are parts."""
    assert kib(SMAPS_ROLLUP, "Pss") == 8191


def test_no_pss_is_zero() -> None:
    """A process without memory of its own, such as one that ends, has an empty file."""
    assert kib("", "Pss") == 0


def test_kernel_of_this_machine_has_slabs() -> None:
    """Sockets and files are in them."""
    assert slab_kib() > 1000


def test_fields_follow_a_name_with_spaces_and_parentheses() -> None:
    """The name of a process may be anything."""
    numbers = [str(number) for number in range(4, 20)]
    fields = stat_fields(f"42 (a (b) c d) S {' '.join(numbers)}")
    assert (fields[0], fields[GROUP], fields[UTIME], fields[STIME]) == ("S", "5", "14", "15")


def test_own_group_uses_cpu_and_memory() -> None:
    """The test itself is a member of its group."""
    group = os.getpgrp()
    assert group_cpu_seconds(group) > 0
    assert group_pss_kib(group) > 1000


def test_group_without_processes_uses_nothing() -> None:
    """No process has the group 0."""
    assert (group_cpu_seconds(-1), group_pss_kib(-1)) == (0, 0)
