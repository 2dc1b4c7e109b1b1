"""Data folders in which everybody has a value, made once and kept: `python -m bench.seed FOLDER USERS`.

The events go straight into the ledger, as the server records them, but before any board is followed; the rankings are
then made from the log, which is quicker than a million changes of three of them.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from functools import partial
from itertools import islice
from pathlib import Path

import uvloop

import palmares.catalog
import palmares.ledger.embedded
from bench import world
from palmares.databases import open_archive, open_catalog
from palmares.domain.board import Board
from palmares.ledger.embedded.ledger import EmbeddedLedger
from palmares.machine import system_clock

_ENTRIES_PER_RECORD = 5_000


def copy_of_world(users: int, target: Path) -> Path:
    """A fresh copy of the world of so many users in a new folder inside `target`; the original is made when missing.

    Making it takes about a minute per million users and a gigabyte of disk.
    """
    original = Path(tempfile.gettempdir()) / f"palmares-world-{users}-{world.first_day()}-{_form():08x}"
    if not original.exists():
        for older in original.parent.glob(f"palmares-world-{users}-*"):
            shutil.rmtree(older)
        _make_in_process_of_its_own(original, users)
    return Path(shutil.copytree(original, target / f"world-{users}", dirs_exist_ok=True))


def _form() -> int:
    """Tells folders apart that were made by another form of the files or of the world."""
    packages = Path(palmares.ledger.embedded.__path__[0]), Path(palmares.catalog.__path__[0]), Path(__file__).parent
    sources = [folder / name for folder, name in zip(packages, ("queries.sql", "tables.py", "world.py"), strict=True)]
    return zlib.crc32(b"".join(source.read_bytes() for source in sources))


def _make_in_process_of_its_own(folder: Path, users: int) -> None:
    # What it leaves in memory would slow this process down.
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "bench.seed", str(unfinished), str(users)], check=True)
    unfinished.rename(folder)


async def make(folder: Path, users: int) -> None:
    """Fill an empty folder."""
    boards = await _define(folder)
    metric = boards[0].metric
    assert metric is not None
    ledger = await EmbeddedLedger.open(
        folder, [], system_clock, time.perf_counter, open_archive=partial(open_archive, folder)
    )
    entries = world.first_entries(users, metric)
    while some := list(islice(entries, _ENTRIES_PER_RECORD)):
        await ledger.record(some)
    await ledger.close()
    ledger = await EmbeddedLedger.open(
        folder, boards, system_clock, time.perf_counter, open_archive=partial(open_archive, folder)
    )
    await ledger.checkpoint()
    await ledger.close()


async def _define(folder: Path) -> list[Board]:
    catalog = await open_catalog(folder)
    [metric] = await catalog.save_metrics([world.METRIC])
    await catalog.save_attributes([world.COUNTRY])
    boards = await catalog.save_boards(world.boards(metric))
    await catalog.close()
    return boards


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True)
        runner.run(make(folder, int(sys.argv[2])))
