"""The log of a data folder, put together from the logs of all shards of a cluster.

It is in the order of recording, so lines get other places than they had. The folder notes where they were: of that the
ids of events are made, and by that lines that are about others find them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from palmares.ledger.embedded.transfer import FolderLog
from palmares.ledger.valkey.numbering import Numbering
from palmares.ledger.valkey.transfer import whole_line
from palmares.ledger.valkey.whole_log import Placed, whole_log
from palmares.ledger.whole_line import WholeLine
from palmares.log_archive.contract import LogArchive

_LINES_PER_PIECE = 5_000


async def put_together(
    archive: LogArchive,
    numbering: Numbering,
    log: FolderLog,
    cuts: Sequence[dict[int, int]],
    told: Callable[[int, int], None],
) -> list[int]:
    """Fill the log of a folder with the lines of all shards. What the last line is, of those up to some place in each
    shard, is returned for each of the cuts."""
    total = sum([await archive.count(shard, 0) for shard in range(numbering.shards)])
    piece, found = _Piece(numbering, log), [0] * len(cuts)
    async for placed in whole_log(archive, numbering.shards, cuts):
        position = piece.add(placed)
        for number, upto in enumerate(cuts):
            if placed.line.position <= upto.get(placed.place, 0):
                found[number] = position
        if len(piece.lines) == _LINES_PER_PIECE:
            await asyncio.to_thread(piece.append)
            told(log.position, total)
    await asyncio.to_thread(piece.append)
    told(total, total)
    return found


class _Piece:
    """Some lines of shards that are about to be added to the log of a folder, with the places that they had."""

    def __init__(self, numbering: Numbering, log: FolderLog) -> None:
        self.lines: list[WholeLine] = []
        self._numbering = numbering
        self._log = log
        self._positions: dict[int, int] = {}
        self._origins: list[tuple[int, int]] = []

    def add(self, placed: Placed) -> int:
        """Take a line, and return the position that it will have."""
        line, position = whole_line(placed.line), self._log.position + len(self.lines) + 1
        origin = self._numbering.whole_position(placed.place, line.position)
        self.lines.append(line._replace(position=position, target=self._target(placed.place, line.target)))
        if self._numbering.shards > 1:
            self._positions[origin] = position
            self._origins.append((position, origin))
        return position

    def _target(self, place: int, target: int | None) -> int | None:
        """Where the line is in the folder that a line of a shard is about."""
        if target is None or self._numbering.shards == 1:
            return target
        origin = self._numbering.whole_position(place, target)
        found = self._positions.get(origin) or self._log.position_of_origin(origin)
        assert found is not None, f"line {target} of shard {place} is in front of what is about it"
        return found

    def append(self) -> None:
        """Add them to the log; durable on return."""
        if self.lines:
            self._log.append(self.lines, self._origins)
        self.lines, self._origins, self._positions = [], [], {}
