"""The notes that whoever moves leaves behind a boundary which is still to be kept: where the user stood when it passed.

All boards of a shard have theirs in one hash for each boundary, and each board asks. Nobody leaves notes behind any but
the last boundary that has passed in the shard (`commit.lua` comes too late for the others, `pass.lua` waits for streaks
that break before), no note is ever changed, and they go when their boundary is kept. So while several boundaries wait
for the archive, the notes behind all but the last are read once and remembered, as long as they are not too many.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from palmares.domain.group import Group
from palmares.ledger.valkey.boards import Making
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.keys import note_field, run_group_of
from palmares.ledger.valkey.store import Store

_LENGTH = struct.Struct(">I")
# About 30 MB.
_MOST_REMEMBERED = 100_000

Fields = list[tuple[bytes, bytes]]


class Stood(NamedTuple):
    """A user in the order of a group; None is the hidden one."""

    group: Group | None
    member: bytes


class Passing(NamedTuple):
    """A boundary that has passed in a shard; with how many notes behind it, if that is known and stays so."""

    boundary: int
    notes: int | None


class Notes:
    """The notes of all shards, for as long as what waits is kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # By shard and boundary, and by what the fields of a run begin with.
        self._read: dict[tuple[int, int], dict[bytes, Fields]] = {}
        self._remembered = 0

    async def of(
        self, shard: Shard, making: Making, run_start: int, passings: Iterable[Passing]
    ) -> dict[str, Stood | None]:
        """Where those stood who have moved in a run behind the first of some boundaries that follow on each other; None
        is nowhere. Who has moved more than once has the oldest note."""
        prefix = note_field(making.generation, run_start, "")
        found: dict[str, Stood | None] = {}
        for passing in passings:
            for field, raw in await self._fields(shard, prefix, passing):
                found.setdefault(field[len(prefix) :].decode(), _stood(raw))
        return found

    async def _fields(self, shard: Shard, prefix: bytes, passing: Passing) -> Fields:
        read = self._read.get((shard.place, passing.boundary))
        if read is None:
            if passing.notes is None or self._remembered + passing.notes > _MOST_REMEMBERED:
                return await self._scan(shard, passing.boundary, prefix + b"*")
            self._remembered += passing.notes
            read = _by_run(await self._scan(shard, passing.boundary, b"*"))
            self._read[shard.place, passing.boundary] = read
        return read.get(prefix, [])

    async def _scan(self, shard: Shard, boundary: int, pattern: bytes) -> Fields:
        """Those that match; what a scan tells twice, it may."""
        pieces = self._store.scan_hash(shard.keys.notes(boundary), pattern)
        return [pair async for piece in pieces for pair in piece]


def _by_run(fields: Fields) -> dict[bytes, Fields]:
    found: dict[bytes, Fields] = {}
    for field, raw in fields:
        found.setdefault(field[: field.index(b":", field.index(b":") + 1) + 1], []).append((field, raw))
    return found


def _stood(raw: bytes) -> Stood | None:
    if not raw:
        return None
    behind = _LENGTH.size + _LENGTH.unpack_from(raw)[0]
    return Stood(run_group_of(raw[_LENGTH.size : behind])[1], raw[behind:])
