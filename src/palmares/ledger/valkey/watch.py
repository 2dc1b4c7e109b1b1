"""Which rankings have changed: what this worker recorded is noted at once, what others recorded is looked up.

Each order's entry among the groups of its generation tells the position of its last change and the worker that made it.
A look compares that with the look before, so nobody has to clear anything, and any number of workers may watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from palmares.domain.board import Board
from palmares.domain.effect import is_live
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.ledger.valkey.boards import Making
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.draft import Step
from palmares.ledger.valkey.keys import run_group_of
from palmares.ledger.valkey.shards import Shards, by_present_boards

# Board, first day of the run, group.
_Ranking = tuple[int, int, Group]


class Watch:
    """What changed since somebody asked last; until somebody has, nothing is noted."""

    def __init__(self, shards: Shards, worker: str) -> None:
        self._shards = shards
        self._worker = worker.encode()
        self._changed: dict[_Ranking, Board] | None = None
        # By shard and generation: what each run and group told at the last look.
        self._seen: dict[tuple[int, int], Mapping[bytes, bytes]] = {}

    def note(self, step: Step) -> None:
        """This worker has recorded a step."""
        if self._changed is not None:
            for change in step.changes:
                for side in (change.left, change.joined):
                    if change.making.ready and side is not None and side.group is not None:
                        self._add(change.making.board, change.run_start, side.group)

    def note_ranking(self, board: Board, run_start: int, group: Group) -> None:
        """This worker has changed a ranking otherwise."""
        if self._changed is not None:
            self._add(board, run_start, group)

    async def look(self) -> None:
        """Find out what others have changed. One round trip to each shard; linear in the groups of all live runs."""
        if self._changed is not None:
            seen: dict[tuple[int, int], Mapping[bytes, bytes]] = {}
            await asyncio.gather(*(self._look_at(shard, seen) for shard in self._shards.all))
            self._seen = seen

    def take(self) -> list[tuple[int, Run, Group]]:
        """See `Ledger.changed_rankings`."""
        changed, self._changed = self._changed or {}, {}
        runs = {ranking: board.schedule.run_at(ranking[1]) for ranking, board in changed.items()}
        return [
            (ranking[0], run, ranking[2])
            for ranking in sorted(changed)
            if (run := runs[ranking]) is not None and is_live(run, self._shards.now)
        ]

    @by_present_boards
    async def _look_at(self, shard: Shard, seen: dict[tuple[int, int], Mapping[bytes, bytes]]) -> None:
        makings = [making for making in shard.boards if making.ready and making.counts]
        commands = [[b"HGETALL", shard.keys.groups(making.generation)] for making in makings]
        for making, found in zip(makings, await self._shards.ask(shard.place, commands), strict=True):
            name = (shard.place, making.generation)
            self._note_fields(making, self._different(self._seen.get(name), found))
            seen[name] = found

    def _different(self, before: Mapping[bytes, bytes] | None, now: Mapping[bytes, bytes]) -> Iterable[bytes]:
        """The runs and groups that others have changed. What was never looked at may have been changed by anybody."""
        if before is None:
            return now
        changed = [field for field in now if now[field] != before.get(field) and not self._is_own(now[field])]
        # Nobody stands there any more.
        return [*changed, *(before.keys() - now.keys())]

    def _is_own(self, told: bytes) -> bool:
        return told.partition(b" ")[2] == self._worker

    def _note_fields(self, making: Making, fields: Iterable[bytes]) -> None:
        for run_start, group in map(run_group_of, fields):
            if group is not None:
                self._add(making.board, run_start, group)

    def _add(self, board: Board, run_start: int, group: Group) -> None:
        assert self._changed is not None
        self._changed[board.number, run_start, group] = board
