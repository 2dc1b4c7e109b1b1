"""The notes that whoever moves leaves behind a boundary which is still to be kept: where the user stood when it passed.

All boards of a shard have theirs in one hash for each boundary, and each board asks, so few notes are read once and
remembered. A note is never changed, and goes only when its boundary is kept: while there are no more of them than are
remembered, those are all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from palmares.domain.group import Group
from palmares.ledger.valkey.boards import Making
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.keys import note_field, run_group_of
from palmares.ledger.valkey.store import Store

_LENGTH = struct.Struct(">I")
# About 3 MB for each shard and boundary. Of more, each board reads its own.
_MOST_REMEMBERED = 10_000

Fields = list[tuple[bytes, bytes]]


class Stood(NamedTuple):
    """A user in the order of a group; None is the hidden one."""

    group: Group | None
    member: bytes


class Behind(NamedTuple):
    """A boundary that has passed in a shard, and how many notes there were behind it, if that is known."""

    boundary: int
    notes: int | None


class _Read(NamedTuple):
    """Notes that were read, by what their fields begin with."""

    number: int
    by_prefix: Mapping[bytes, Fields]


class Notes:
    """What was read of the notes of all shards."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[tuple[int, int], _Read] = {}

    def forget_until(self, boundary: int) -> None:
        """Let go of what was read behind boundaries that are kept."""
        self._read = {key: read for key, read in self._read.items() if key[1] > boundary}

    async def of(
        self, shard: Shard, making: Making, run_start: int, boundaries: Iterable[Behind]
    ) -> dict[str, Stood | None]:
        """Where those stood who have moved in a run behind the first of some boundaries that follow on each other; None
        is nowhere. Who has moved more than once has the oldest note."""
        prefix = note_field(making.generation, run_start, "")
        found: dict[str, Stood | None] = {}
        for behind in boundaries:
            for field, raw in await self._fields(shard, prefix, behind):
                found.setdefault(field[len(prefix) :].decode(), _stood(raw))
        return found

    async def _fields(self, shard: Shard, prefix: bytes, behind: Behind) -> Fields:
        if behind.notes is None or behind.notes > _MOST_REMEMBERED:
            return await self._scan(shard, behind.boundary, prefix + b"*")
        read = self._read.get((shard.place, behind.boundary))
        if read is None or read.number < behind.notes:
            read = _grouped(await self._scan(shard, behind.boundary, b"*"))
            self._read[shard.place, behind.boundary] = read
        return read.by_prefix.get(prefix, [])

    async def _scan(self, shard: Shard, boundary: int, pattern: bytes) -> Fields:
        pieces = self._store.scan_hash(shard.keys.notes(boundary), pattern)
        return [pair async for piece in pieces for pair in piece]


def _grouped(fields: Fields) -> _Read:
    by_prefix: dict[bytes, Fields] = {}
    notes = dict(fields)
    for field, raw in notes.items():
        generation, run_start, _ = field.split(b":", 2)
        by_prefix.setdefault(note_field(int(generation), int(run_start), ""), []).append((field, raw))
    return _Read(len(notes), by_prefix)


def _stood(raw: bytes) -> Stood | None:
    if not raw:
        return None
    behind = _LENGTH.size + _LENGTH.unpack_from(raw)[0]
    return Stood(run_group_of(raw[_LENGTH.size : behind])[1], raw[behind:])
