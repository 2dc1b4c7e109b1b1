"""Where users stood in a run who were erased since, as the archive tells: the log need not know their attributes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from palmares.domain.board import Board
from palmares.domain.group import Group, own_group
from palmares.domain.run import Run
from palmares.ledger.keeping import Archive


class KeptGroups:
    """The groups of one board, as far as they were looked up. `in_thread` asks the archive beside the event loop."""

    def __init__(self, board: Board, archive: Archive, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._board = board
        self._archive = archive
        self._in_thread = in_thread
        self._found: dict[tuple[Run, int], Group | None] = {}

    def get(self, run: Run, user: int) -> Group | None:
        """The group of a user who was looked up; None for nowhere."""
        return self._found.get((run, user))

    async def find(self, run: Run, users: Iterable[int]) -> bool:
        """Look up users, each once; whether there was anybody new. One look into the archive for each."""
        missing = [user for user in users if (run, user) not in self._found]
        for user in missing:
            self._found[run, user] = await self._in_thread(self._look_up, run, user)
        return bool(missing)

    def _look_up(self, run: Run, user: int) -> Group | None:
        """The group in a run that was kept before; where it was not, that of nobody's attributes."""
        if self._archive.final_run(self._board.number, run.start) is None:
            return own_group(self._board, {})
        place = self._archive.place(self._board.number, run.start, user)
        return place.group if place is not None and len(place.group) == len(self._board.breakdown) else None
