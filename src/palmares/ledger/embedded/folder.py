"""The data folder: where its files are, and that only one process has it at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from palmares.domain.errors import PalmaresError


class FolderInUse(PalmaresError):
    """Another process has the data folder open."""


class Folder:
    """A data folder held by this process until `release`; opening it makes it when missing."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = _hold(path)

    @property
    def log(self) -> Path:
        """The event log: the truth."""
        return self.path / "log.sqlite3"

    @property
    def projection(self) -> Path:
        """What is found by other keys than the position; made again from the log when missing."""
        return self.path / "projection.sqlite3"

    @property
    def checkpoint(self) -> Path:
        """The rankings as of some position of the log; made again from the log when missing."""
        return self.path / "standings.checkpoint"

    def release(self) -> None:
        """Let another process have the folder."""
        self._lock.close()


def _hold(path: Path) -> IO[str]:
    # The operating system lets go of the lock when the process ends, however it ends.
    lock = (path / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise FolderInUse(f"the data folder {path} is in use by process {holder}") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
