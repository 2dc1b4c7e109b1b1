"""Boards that are finished by hand: they stop counting in every shard, and all of their runs end.

A shard stops by a change of its boards, so nothing is recorded past it; each shard stops at a place of its own log.
The contract has one position for the whole ledger. So that a board can be made again as far as it counted, the places
in all shards are kept by board and position, for good: a *cut*. It lies in the archive, since a ledger that is rebuilt
from its log has to stop there again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from palmares.domain.board import Board
from palmares.ledger.keeping import Archive
from palmares.ledger.valkey.keeper import Keeper
from palmares.ledger.valkey.shards import Shards

Note = Callable[[int], Awaitable[None]]
# While the place is not noted yet at which a board was finished.
_NOWHERE = 0


class Cut(NamedTuple):
    """When a board was finished, and the last line of each shard that counts, by the shard's place. `ended` says that
    the archive has all of its runs."""

    at: int
    upto: dict[int, int]
    ended: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cut).decode


class Finisher:
    """Finishes boards on behalf of one worker."""

    def __init__(self, shards: Shards, keeper: Keeper, archive: Archive) -> None:
        self._shards = shards
        self._keeper = keeper
        self._archive = archive

    async def freeze(self, board: Board, note: Note | None, again: Callable[[Board], Awaitable[None]]) -> int:
        """See `Ledger.freeze`. `again` makes a board anew that goes on after all, and has missed something."""
        missed = False
        try:
            async with self._keeper.leading() as (token, _):
                await self._shards.refresh()
                position = self._shards.all[0].boards.current(board.number).stopped
                if position:
                    await _told(note, position)
                else:
                    before: dict[int, int] = {}
                    try:
                        before = await self._stop(board, _NOWHERE)
                        position = await self._settle(board, before, note)
                    except BaseException:
                        missed = before != await self._stop(board, None)
                        raise
                await self._end(board, position, token)
                return position
        finally:
            if missed:
                await again(board)

    async def go_on(self, board: Board, position: int) -> None:
        """Let runs end of which somebody who died had not got to the end."""
        cut = await self.cut(board.number, position)
        if not cut.ended and await self._keeper.has_runs(board):
            async with self._keeper.leading() as (token, _):
                await self._end(board, position, token)

    async def _end(self, board: Board, position: int, token: int) -> None:
        cut = await self.cut(board.number, position)
        await self._keeper.finish(board, cut.at, token)
        await self.keep(board.number, position, cut._replace(ended=True))

    async def _settle(self, board: Board, upto: dict[int, int], note: Note | None) -> int:
        """Keep where a board has stopped, tell it, and make it hold."""
        position = max(self._shards.whole_position(self._shards.all[place], last) for place, last in upto.items())
        await self.keep(board.number, position, Cut(self._shards.now, upto))
        await _told(note, position)
        await self._stop(board, position)
        return position

    async def _stop(self, board: Board, position: int | None) -> dict[int, int]:
        """Let all shards stop counting on a board, or go on; the last line of each at that moment."""
        found = await asyncio.gather(
            *(
                self._shards.change_boards(
                    shard, {one.generation: (one.board, one.ready, position) for one in shard.boards.of(board.number)}
                )
                for shard in self._shards.all
            )
        )
        return {shard.place: last for shard, last in zip(self._shards.all, found, strict=True)}

    async def cut(self, board_number: int, position: int) -> Cut:
        """Where a board was finished, by its position. Where that was not kept, all up to that position counts."""
        found = await self._keeper.in_thread(self._archive.cut, board_number, position)
        return Cut(self._shards.now, self._shards.places_upto(position)) if found is None else _decode(found)

    async def keep(self, board_number: int, position: int, cut: Cut) -> None:
        """Keep where a board was finished, and how far that is."""
        await self._keeper.in_thread(self._archive.keep_cut, board_number, position, _encode(cut))


async def _told(note: Note | None, position: int) -> None:
    if note is not None:
        await note(position)
