"""Boards of a ledger that lost its data, and is rebuilt from its log with the archive that it had.

What is over of them is in the archive, and must not be made again: of who was erased since, nobody knows the attributes
any more. So a board is begun in the shards that lost it while these are empty, and counts from the first line on; one
that was finished by hand is begun as it ended, when all lines are there.
"""

from __future__ import annotations

from collections.abc import Callable

from palmares.domain.board import Board
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.valkey.boards import Making
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.finish import Finisher
from palmares.ledger.valkey.keys import run_field
from palmares.ledger.valkey.replay import REPLAYER
from palmares.ledger.valkey.shards import Shards
from palmares.ledger.valkey.streak_build import past_of
from palmares.ledger.valkey.stream import Stream


class Restorer:
    """Begins boards in shards that have none of them. Nobody else uses the ledger; everything may be done again."""

    def __init__(
        self, shards: Shards, stream: Stream, finisher: Finisher, streaks: Callable[[int], StreakSettings]
    ) -> None:
        self._shards = shards
        self._streaks = streaks
        self._stream = stream
        self._finisher = finisher

    async def begin(self, board: Board) -> None:
        """Let a board count in the shards that are empty."""
        for shard in self._shards.all:
            [position] = await self._shards.store.read([[b"HGET", shard.keys.head, b"position"]])
            makings = shard.boards.of(board.number)
            if not int(position or 0) and not any(making.ready for making in makings):
                await self._make_ready(shard, await self._begun(shard, board))

    async def finish(self, board: Board, archived: bool) -> bool:
        """Let a board that was finished by hand be so in all shards, if the archive has all of its runs: it is known to
        be so, or `archived` says it. Returns whether that is done. Reads the log, for what came late."""
        position = board.finished_position
        assert position is not None
        cut = await self._finisher.cut(board.number, position)
        if archived and not cut.ended:
            cut = cut._replace(ended=True)
            await self._finisher.keep(board.number, position, cut)
        if not cut.ended:
            return False
        lost = {shard.place: shard for shard in self._shards.all if not _has_finished(shard, board)}
        if lost:
            past = past_of(self._shards, self._stream, board, self._settings(board), cut.upto, beyond=False)
            await past.survey()
            for place, shard in lost.items():
                making = await self._begun(shard, board)
                ignored = {run: count for (where, run), count in past.ignored.items() if where == place}
                for run_start, count in ignored.items():
                    field = run_field(making.generation, run_start)
                    await self._shards.store.read([[b"HSET", shard.keys.ignored, field, b"%d" % count]])
                await self._make_ready(shard, making)
        return True

    def _settings(self, board: Board) -> StreakSettings | None:
        """By which settings a board ranks by streak; None for other boards."""
        return self._streaks(board.scope) if board.rank_by == "streak" else None

    async def _begun(self, shard: Shard, board: Board) -> Making:
        """The board in a shard, which a rebuild that was killed may have begun already."""
        if not shard.boards.of(board.number):
            # Who begins a board remembers that by the number of the attempt: for one board it is the same.
            await self._shards.begin(shard, board, self._settings(board), REPLAYER, board.number)
        return shard.boards.of(board.number)[-1]

    async def _make_ready(self, shard: Shard, making: Making) -> None:
        given = (making.board, True, making.board.finished_position)
        await self._shards.change_boards(shard, {making.generation: given})


def _has_finished(shard: Shard, board: Board) -> bool:
    return any(one.ready and one.stopped == board.finished_position for one in shard.boards.of(board.number))
