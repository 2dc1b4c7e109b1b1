"""Removing from the files what is left of erased users.

The checkpoint first, so that no restart has to replay lines that are about to lose what it needs; then the log, in
portions between which events go on; then the projection, which is written anew. What an erasure means is long done:
this only takes away what nobody reads any more, so it may fail, or die, at any point, and begins again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from palmares.domain.errors import Unavailable
from palmares.ledger.contract import Erasure
from palmares.ledger.embedded.log import Log
from palmares.ledger.embedded.projection import Projection
from palmares.ledger.embedded.rewriting import Rewriter
from palmares.ledger.embedded.upkeep import Upkeep
from palmares.ledger.embedded.users import Users

_LINES_READ_AT_ONCE = 100_000
# A transaction with so many pages keeps events waiting for some milliseconds.
_LINES_WRITTEN_AT_ONCE = 200


class Compaction:
    """Compacts the files of one ledger. `turn` is held while a batch is recorded."""

    def __init__(
        self, log_path: Path, log: Log, projection: Projection, users: Users, upkeep: Upkeep, turn: asyncio.Lock
    ) -> None:
        self._log_path = log_path
        self._log = log
        self._projection = projection
        self._users = users
        self._upkeep = upkeep
        self._turn = turn
        self._one_at_a_time = asyncio.Lock()

    async def unfinished(self) -> list[Erasure]:
        """See `Ledger.unfinished_erasures`."""
        await self._upkeep.project()
        return [Erasure(scope, user, name, at) for scope, user, name, at, _ in self._projection.unfinished_erasures()]

    async def compact(self, numbers: Sequence[int]) -> None:
        """See `Ledger.compact`."""
        async with self._one_at_a_time:
            await self._upkeep.project()
            positions = {user: position for _, user, _, _, position in self._projection.unfinished_erasures()}
            erased = {user: positions[user] for user in numbers if user in positions}
            if erased:
                try:
                    await self._compact(sorted(erased), max(erased.values()))
                except sqlite3.Error as error:
                    raise Unavailable(f"the files cannot be compacted at present: {error}") from error

    async def _compact(self, users: Sequence[int], upto: int) -> None:
        if self._upkeep.checkpoint_position < upto:
            await self._upkeep.checkpoint()
        if self._upkeep.checkpoint_position < upto:
            raise Unavailable("the files cannot be compacted without a new checkpoint; it will be tried again")
        with closing(await self._upkeep.undisturbed(Rewriter, self._log_path)) as rewriter:
            await self._rewrite(rewriter, users, upto)
            async with self._turn:
                await self._upkeep.undisturbed(rewriter.finish)
        await self._upkeep.compact_projection(users)
        self._users.forget(users)

    async def _rewrite(self, rewriter: Rewriter, users: Sequence[int], upto: int) -> None:
        for after in range(0, upto, _LINES_READ_AT_ONCE):
            past = min(after + _LINES_READ_AT_ONCE, upto)
            lines = await self._upkeep.undisturbed(rewriter.find, users, after, past)
            for first in range(0, len(lines), _LINES_WRITTEN_AT_ONCE):
                async with self._turn:
                    await self._upkeep.undisturbed(rewriter.write, lines[first : first + _LINES_WRITTEN_AT_ONCE])
