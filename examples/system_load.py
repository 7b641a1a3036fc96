"""Show how busy this machine is: load average, CPU and memory, in percent, by the standard library."""

import os
from pathlib import Path

from rtdemo import producer

PROC = Path("/proc")


class Cpu:
    """Measure how busy the processors were since the last call."""

    def __init__(self) -> None:
        self.busy, self.total = self._read()

    def _read(self) -> tuple[int, int]:
        # user nice system idle iowait irq softirq steal; user already includes guest time (proc(5)).
        ticks = [int(number) for number in (PROC / "stat").read_text().split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)

    def percent(self) -> float:
        """Return the percentage of time since the last call that was not idle."""
        before = self.busy, self.total
        self.busy, self.total = self._read()
        return 100 * (self.busy - before[0]) / max(1, self.total - before[1])


def memory_percent() -> float:
    lines = (line.split() for line in (PROC / "meminfo").read_text().splitlines())
    kib = {words[0]: int(words[1]) for words in lines}
    return 100 * (1 - kib["MemAvailable:"] / kib["MemTotal:"])


# Only Linux has /proc; elsewhere, as on macOS, there is the load average only.
cpu = Cpu() if (PROC / "stat").exists() else None


@producer(every=2, shared=True, title="This machine", unit="%", low=0, high=100)
def system_load() -> dict[str, float]:
    # 100 % is one process that waits or runs for each processor.
    load = {"load": round(100 * os.getloadavg()[0] / (os.cpu_count() or 1), 1)}
    if cpu is None:
        return load
    return load | {"cpu": round(cpu.percent(), 1), "memory": round(memory_percent(), 1)}
