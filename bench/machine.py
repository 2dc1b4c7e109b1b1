"""The two cores, and what a process has used of them.

Everything that serves runs on the first core, the load on the second, so that neither takes time from the other.
Where cores cannot be chosen, all runs everywhere, and the figures are worth less.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVING_CORE, LOAD_CORE = 0, 1


def cores_are_apart() -> bool:
    """Whether serving and load can be kept on cores of their own."""
    return hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > LOAD_CORE


@contextmanager
def staying_on(core: int) -> Iterator[None]:
    """Keep this process, and those that it starts meanwhile, on one core; nothing where cores cannot be chosen."""
    if not cores_are_apart():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, and those that it has started and still has; Linux only."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _own_cpu_seconds(pid) + sum(cpu_seconds(int(child)) for child in children)


def _own_cpu_seconds(pid: int) -> float:
    # The name, in brackets, may hold spaces; the fields are counted from behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Memory of a process that is not swapped out; Linux only."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Others:
    """How much processor time is taken by whatever else runs, from the making of this object on; Linux only."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.perf_counter(), _busy_seconds(), _own_seconds()

    def share(self) -> float:
        """Of one core, on average. Right once the processes that were started meanwhile have ended."""
        others = (_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return max(0.0, others / (time.perf_counter() - self._began))


def _busy_seconds() -> float:
    user, nice, system, _, _, interrupts, soft_interrupts, *_ = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    ticks = map(int, (user, nice, system, interrupts, soft_interrupts))
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    return sum(os.times()[:4])


def description() -> str:
    """The machine in one line."""
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} × {_processor()}, {system}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
