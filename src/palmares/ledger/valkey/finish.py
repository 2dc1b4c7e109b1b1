"""Boards that are finished by hand: they stop counting in every shard, and all of their runs end.

A shard stops by a change of its boards, so nothing is recorded past it; each shard stops at a place of its own log.
The contract has one position for the whole ledger. So that a board can be made again as far as it counted, the places
in all shards are kept by board and position, for good: a *cut*.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from palmares.domain.board import Board
from palmares.ledger.valkey.keeper import Keeper
from palmares.ledger.valkey.keys import LedgerKeys, cut_field
from palmares.ledger.valkey.shards import Shards

Note = Callable[[int], Awaitable[None]]
# While the place is not noted yet at which a board was finished.
_NOWHERE = 0


class Cut(NamedTuple):
    """When a board was finished, and the last line of each shard that counts, by the shard's place."""

    at: int
    upto: dict[int, int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cut).decode


class Finisher:
    """Finishes boards on behalf of one worker."""

    def __init__(self, shards: Shards, keys: LedgerKeys, keeper: Keeper) -> None:
        self._shards = shards
        self._keys = keys
        self._keeper = keeper

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
                    before = await self._stop(board, _NOWHERE)
                    try:
                        position = await self._settle(board, before, note)
                    except BaseException:
                        missed = before != await self._stop(board, None)
                        raise
                await self._keeper.finish(board, (await self.cut(board.number, position)).at, token)
                return position
        finally:
            if missed:
                await again(board)

    async def go_on(self, board: Board, position: int) -> None:
        """Let runs end of which somebody who died had not got to the end."""
        if await self._keeper.has_runs(board):
            async with self._keeper.leading() as (token, _):
                await self._keeper.finish(board, (await self.cut(board.number, position)).at, token)

    async def _settle(self, board: Board, upto: dict[int, int], note: Note | None) -> int:
        """Keep where a board has stopped, tell it, and make it hold."""
        position = max(self._shards.whole_position(self._shards.all[place], last) for place, last in upto.items())
        cut = _encode(Cut(self._shards.now, upto))
        await self._shards.store.read([[b"HSET", self._keys.cuts, cut_field(board.number, position), cut]])
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
        [found] = await self._shards.store.read([[b"HGET", self._keys.cuts, cut_field(board_number, position)]])
        return Cut(self._shards.now, self._shards.places_upto(position)) if found is None else _decode(found)


async def _told(note: Note | None, position: int) -> None:
    if note is not None:
        await note(position)
