"""The archive with a run of a hundred days: what a day costs to keep, in time and on disk, and a history to read.

Every day has other random values, so that nothing can make the columns smaller. Reads are of random users, one after
the other, from Python, each of all the days: first with the whole file in memory, then with none of it, by a connection
that was not open before.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.finding import Finding
from palmares.archive.sql import SqlArchive
from palmares.domain.run import Run
from palmares.domain.snapshot import DayEnd, Places, Rows
from palmares.ledger.embedded._index import Index

DAYS = 100
BOARD = 1
RUN = Run(1, DAYS)
WARM_READS = 1_000
COLD_READS = 100
_BYTES_OF_ROOM = 30  # a participant and day


class Kept(NamedTuple):
    """Seconds to take everybody's place at the end of each day, and to write it."""

    taking: list[float]
    writing: list[float]


def measure(users: int) -> Iterator[Finding]:
    """The table: a day, the disk, histories, and the close of the run."""
    with tempfile.TemporaryDirectory(prefix="palmares-bench-") as folder:
        _require_room(folder, users)
        file = Path(folder) / "archive.sqlite3"
        with closing(SqlArchive.open(_url(file))) as archive:
            kept = _keep_days(archive, users)
        size = file.stat().st_size
        warm, cold = _read_warm(file, users), _read_cold(file, users)
        with closing(SqlArchive.open(_url(file))) as archive:
            index = _index(users, seed=0)
            ending = _seconds(lambda: _close_run(archive, index))
    at = f"{users:,} × {DAYS} days"
    yield from _of_days(at, kept, size / users / DAYS)
    yield from _of_reads(at, warm, cold)
    yield Finding(f"history: close a run, {users:,}", f"{ending:.2f} s")


def _require_room(folder: str, users: int) -> None:
    needed = _BYTES_OF_ROOM * users * DAYS
    if shutil.disk_usage(folder).free < needed:
        raise RuntimeError(f"{folder} needs {needed >> 20:,} MB of room; TMPDIR chooses another disk")


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


def _keep_days(archive: SqlArchive, users: int) -> Kept:
    kept = Kept([], [])
    edition = archive.edition(BOARD)
    for day in range(RUN.start, RUN.start + DAYS):
        index = _index(users, seed=day)
        began = time.perf_counter()
        places = _places(index)
        taken = time.perf_counter()
        archive.keep_days(edition, RUN.start, [DayEnd(day, [()], places)])
        kept.taking.append(taken - began)
        kept.writing.append(time.perf_counter() - taken)
    return kept


def _index(users: int, seed: int) -> Index:
    index = Index()
    values = array("q", array("I", random.Random(seed).randbytes(4 * users)))
    index.load(values, array("q", bytes(8 * users)), array("I", range(users)))
    return index


def _places(index: Index) -> Places:
    users, ranks, values = index.places(len(index), "ordinal")
    return Places(array("I", users), array("I", [0]) * len(index), array("I", ranks), array("q", values))


def _close_run(archive: SqlArchive, index: Index) -> None:
    values, reached, participants = index.dump_after(None, len(index))
    rows = Rows(array("I", participants), array("q", values), array("q", reached))
    archive.keep_run(archive.edition(BOARD), RUN, [((), rows)], _places(index))


def _read_warm(file: Path, users: int) -> list[float]:
    """Milliseconds of each read; those that bring the file into memory do not count."""
    chance = random.Random(7)
    with closing(SqlArchive(_url(file))) as archive:
        for user in range(0, users, 1_000):
            _read(archive, user)
        return [_seconds(lambda: _read(archive, chance.randrange(users))) * 1e3 for _ in range(WARM_READS)]


def _read_cold(file: Path, users: int) -> list[float]:
    """Milliseconds of each read, the opening of the connection included."""
    chance = random.Random(8)
    milliseconds = []
    for _ in range(COLD_READS):
        _leave_memory(file)
        with closing(SqlArchive(_url(file))) as archive:
            milliseconds.append(_seconds(lambda: _read(archive, chance.randrange(users))) * 1e3)
    return milliseconds


def _leave_memory(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _read(archive: SqlArchive, user: int) -> None:
    history = archive.history(BOARD, RUN.start, user, RUN.start, RUN.start + DAYS)
    if len(history) != DAYS or history[-1].rank is None:
        raise RuntimeError("a history is not complete")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _of_days(at: str, kept: Kept, bytes_each: float) -> Iterator[Finding]:
    yield Finding(
        f"history: bytes on disk each, {at}",
        f"{bytes_each:.1f}",
        target="≤ 20",
        reached=bytes_each <= 20,
    )
    yield Finding("history: keep a day, taken at once", f"{median(kept.taking) * 1e3:.0f} ms")
    yield Finding("history: keep a day, written behind the scenes", f"{median(kept.writing) * 1e3:.0f} ms")


def _of_reads(at: str, warm: list[float], cold: list[float]) -> Iterator[Finding]:
    for name, reads in (("in memory", warm), ("from the disk", cold)):
        slow = sorted(reads)[len(reads) * 99 // 100]
        yield Finding(
            f"history: of a user, {at}, {name}",
            f"p50 {median(reads):.1f} ms, p99 {slow:.1f} ms",
            target="≤ 50 ms",
            reached=slow <= 50,
        )
