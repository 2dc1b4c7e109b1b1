"""Keeping the files beside the log up to date in the background: the projection and the checkpoint.

Both can be worked out again from the log, so neither is ever waited for, but for one thing: what the projection has
not taken in is held in memory, so when it falls a whole step behind, recording waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, NamedTuple

import structlog

from palmares.domain.errors import Unavailable
from palmares.domain.group import Group
from palmares.ledger.embedded import checkpoint
from palmares.ledger.embedded.archivist import Archivist
from palmares.ledger.embedded.draft import Step
from palmares.ledger.embedded.folder import Folder
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.log import Log
from palmares.ledger.embedded.projection import Projection
from palmares.ledger.embedded.timeline import Timeline
from palmares.ledger.embedded.users import Users

logger = structlog.get_logger(__name__)
_NICE = 10


def _step_back() -> None:
    """Let the present thread take the processor only when nobody else wants it, where the system can do that."""
    # Only on Linux is the number of a thread good for this.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


async def pause() -> None:
    """Let others have their turn on the event loop."""
    await asyncio.sleep(0)


class Newcomer(NamedTuple):
    """A board that is being built: which steps it minds, and those applied since, with instants that passed."""

    minds: Callable[[Step], bool]
    steps: deque[Step | int]


class Upkeep:
    """A watcher of the committer that decides when a file falls too far behind, and sees to it."""

    def __init__(
        self,
        folder: Folder,
        log: Log,
        projection: Projection,
        users: Users,
        followed: Followed,
        events_between_projections: int,
        events_between_checkpoints: int,
        archivist: Archivist,
        timeline: Timeline,
    ) -> None:
        self._folder = folder
        self._log = log
        self._projection = projection
        self._users = users
        self._followed = followed
        self._events_between_projections = events_between_projections
        self._events_between_checkpoints = events_between_checkpoints
        self._archivist = archivist
        self._timeline = timeline
        self._writer: checkpoint.Writer | None = None
        self._newcomers: list[Newcomer] = []
        self._projecting: asyncio.Task[None] | None = None
        self._checkpointing: asyncio.Task[None] | None = None
        self._filling, self._writing = asyncio.Lock(), asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "palmares-upkeep", _step_back)
        self._trusted = True
        self.on_batch: Callable[[], None] = lambda: None
        self.checkpoint_position = 0

    @property
    def minds_standings(self) -> bool:
        """See `Watcher`: while a checkpoint is written."""
        return self._writer is not None

    def step_applied(self, step: Step) -> None:
        """See `Watcher`."""
        for newcomer in self._newcomers:
            if newcomer.minds(step):
                newcomer.steps.append(step)

    def standing_changes(
        self, board: int, run_start: int, user: int, before: Group | None, after: Group | None
    ) -> None:
        """See `Watcher`."""
        if self._writer is not None:
            self._writer.touch(board, run_start, user, before, after)

    async def batch_applied(self) -> None:
        """See `Watcher`."""
        self.on_batch()
        if self._users.unprojected_steps >= self._events_between_projections:
            if self._projecting is not None:
                await self._projecting
            self._projecting = asyncio.create_task(_logged("projection", self.project()))
        behind = self._log.position - self.checkpoint_position
        if self._checkpointing is None and behind >= self._events_between_checkpoints:
            self._checkpointing = asyncio.create_task(_logged("checkpoint", self.checkpoint()))

    def time_passed(self, now: int) -> None:
        """See `Watcher`. What has been written of a checkpoint may hold runs that are final now."""
        self._writer = None
        for newcomer in self._newcomers:
            newcomer.steps.append(now)

    def rankings_doubtful(self) -> None:
        """See `Watcher`."""
        self._trusted = False
        self._writer = None

    def watch(self, newcomer: Newcomer) -> None:
        """Let a newcomer have the steps applied from now on that it minds, and the instants up to which time passed."""
        self._newcomers.append(newcomer)

    def unwatch(self, newcomer: Newcomer) -> None:
        """Let a newcomer have no more."""
        self._newcomers = [others for others in self._newcomers if others is not newcomer]

    async def project(self) -> None:
        """Let the projection take in the log up to what has been applied. Raises `Unavailable` when it cannot."""
        async with self._filling:
            upto = self._log.position
            self._users.begin_filling()
            try:
                await self.in_background(self._projection.fill, upto)
            except BaseException as error:
                self._users.undo_filling()
                if isinstance(error, sqlite3.Error):
                    raise Unavailable("the projection of the log cannot be written at present") from error
                raise
            self._users.end_filling(upto)

    async def compact_projection(self, users: Sequence[int]) -> None:
        """Let the projection hold nothing of erased users any more."""
        async with self._filling:
            await self.undisturbed(self._projection.compact, users, interrupt=self._projection.interrupt)

    async def checkpoint(self) -> None:
        """Write a checkpoint while events go on. Given up when a board comes or goes meanwhile."""
        async with self._writing:
            try:
                with self._folder.checkpoint.with_suffix(".new").open("wb") as file:
                    await self._write_checkpoint(file)
            finally:
                self._writer = None
                self._checkpointing = None

    async def _write_checkpoint(self, file: IO[bytes]) -> None:
        if not self._trusted:
            return
        writer = self._writer = checkpoint.Writer(self._followed)
        await writer.write_slices(file, pause)
        if self._writer is not writer:
            return
        position = self._log.position
        writer.write_end(file, position, self._timeline.now)
        self._writer = None
        # A checkpoint must not forget what was taken out of the rankings before the archive has it.
        await self._archivist.drain()
        await self.in_background(checkpoint.save, file, self._folder.checkpoint)
        self.checkpoint_position = position

    def give_up_checkpoint(self) -> None:
        """A board came or went: what has been written of a checkpoint no longer fits, nor does the last one."""
        self._writer = None
        self.checkpoint_position = 0

    async def in_background(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do slow work on the thread for it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def undisturbed(
        self, work: Callable[..., Any], *arguments: Any, interrupt: Callable[[], None] = lambda: None
    ) -> Any:
        """As `in_background`, but whoever is cancelled waits all the same until the work has ended, maybe sooner."""
        step = asyncio.ensure_future(self.in_background(work, *arguments))
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            interrupt()
            await asyncio.gather(step, return_exceptions=True)
            raise

    async def close(self) -> None:
        """Bring both files up to date."""
        for task in (self._projecting, self._checkpointing):
            if task is not None:
                await task
        await _logged("projection", self.project())
        if self.checkpoint_position != self._log.position:
            await _logged("checkpoint", self.checkpoint())
        self._thread.shutdown()


async def _logged(name: str, work: Coroutine[Any, Any, None]) -> None:
    """Failing here loses nothing: the next step does the work, or a restart does it from the log."""
    try:
        await work
    except Exception:
        logger.exception("upkeep failed", work=name)
