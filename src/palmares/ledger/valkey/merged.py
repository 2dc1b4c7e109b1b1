"""Several orders read as one: the parts of a ranking in all shards, and the groups of a union.

The first rows are the first rows of each part, merged. To begin far down, one has to know how many rows of each part
come before: that is narrowed down by samples, a few of each part at a time, and each round trip leaves a small
fraction of what was open. Nothing is ever approximate; only the number of round trips grows, with the logarithm.

Parts of one shard are read at one moment. What is recorded while a deep page is looked for may shift where the page
begins, but a page never shows a user twice or half of a change: its rows come from the last round trip alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from palmares.ledger.valkey.store import Command

_SAMPLES = 32
# Where no more rows than this are open in all parts together, they are read.
_FEW_ROWS = 1_000


class Piece(NamedTuple):
    """One order in one shard; of which only the first rows may count."""

    shard: int
    key: bytes
    limit: int | None = None


class _Sample(NamedTuple):
    member: bytes
    piece: int
    row: int


class Merged:
    """A read view of some orders. `ask` reads from a shard, at one moment."""

    def __init__(
        self,
        ask: Callable[[int, Sequence[Command]], Awaitable[list[Any]]],
        pieces: Sequence[Piece],
        samples: int = _SAMPLES,
        few_rows: int = _FEW_ROWS,
    ) -> None:
        self._read = ask
        self._pieces = pieces
        self._samples = samples
        self._few_rows = few_rows

    async def sizes(self) -> list[int]:
        """How many rows of each piece count."""
        found = await self._ask([[[b"ZCARD", piece.key]] for piece in self._pieces])
        return [
            size if piece.limit is None else min(size, piece.limit)
            for piece, [size] in zip(self._pieces, found, strict=True)
        ]

    async def window(self, start: int, stop: int) -> list[bytes]:
        """The members of the rows from `start` up to `stop`."""
        if start >= stop:
            return []
        low = high = [0] * len(self._pieces)
        if start > self._few_rows:
            low, high = await self._narrowed(start)
        ends = [last + stop - start if start > self._few_rows else stop for last in high]
        rows = await self._rows(low, ends)
        return list(islice(merge(*rows), start - sum(low), stop - sum(low)))

    async def counts(self, bound: bytes) -> list[int]:
        """How many members of each piece come before a bound."""
        found = await self._ask([[[b"ZLEXCOUNT", piece.key, b"-", b"(" + bound]] for piece in self._pieces])
        return [count for [count] in found]

    async def _rows(self, starts: Sequence[int], stops: Sequence[int]) -> list[list[bytes]]:
        asked: list[list[Command]] = []
        for piece, start, stop in zip(self._pieces, starts, stops, strict=True):
            last = (stop if piece.limit is None else min(stop, piece.limit)) - 1
            asked.append([[b"ZRANGE", piece.key, b"%d" % start, b"%d" % last]] if last >= start else [])
        return [found[0] if found else [] for found in await self._ask(asked)]

    async def _narrowed(self, row: int) -> tuple[list[int], list[int]]:
        """Between which two numbers of rows of each piece come before a row of the whole."""
        low, high = [0] * len(self._pieces), await self.sizes()
        while sum(high) - sum(low) > self._few_rows:
            samples = await self._sample(low, high)
            before = (low, high)
            low, high = _narrow(row, low, high, samples)
            if (low, high) == before:
                # Only where the pieces change faster than they can be read; what is open is read as it is.
                break
        return low, high

    async def _sample(self, low: Sequence[int], high: Sequence[int]) -> list[_Sample]:
        rows = [
            sorted({first + (last - first) * place // self._samples for place in range(self._samples)})
            if last > first
            else []
            for first, last in zip(low, high, strict=True)
        ]
        asked: list[list[Command]] = [
            [[b"ZRANGE", piece.key, b"%d" % row, b"%d" % row] for row in some]
            for piece, some in zip(self._pieces, rows, strict=True)
        ]
        found = await self._ask(asked)
        samples = [
            _Sample(members[0], place, row)
            for place, (some, answers) in enumerate(zip(rows, found, strict=True))
            for row, members in zip(some, answers, strict=True)
            if members
        ]
        return sorted(samples)

    async def _ask(self, commands: Sequence[Sequence[Command]]) -> list[list[Any]]:
        """The answers to the commands of each piece; one round trip to each shard."""
        by_shard: dict[int, list[int]] = {}
        for place, piece in enumerate(self._pieces):
            by_shard.setdefault(piece.shard, []).append(place)
        told = await asyncio.gather(
            *(
                self._read(shard, [command for place in places for command in commands[place]])
                for shard, places in by_shard.items()
            )
        )
        found: list[list[Any]] = [[] for _ in self._pieces]
        for places, answers in zip(by_shard.values(), told, strict=True):
            rest = iter(answers)
            for place in places:
                found[place] = list(islice(rest, len(commands[place])))
        return found


def _narrow(
    row: int, low: Sequence[int], high: Sequence[int], samples: Sequence[_Sample]
) -> tuple[list[int], list[int]]:
    """The bounds, closer, by samples in their order.

    Of each sample, at least as many members of a piece come before it as the piece's last sample before it tells, and
    at most as many as its first sample behind it tells. Both grow from sample to sample.
    """
    least, most = list(low), list(high)
    lower, upper = list(low), list(high)
    for sample in reversed(samples):
        most[sample.piece] = sample.row
        if sum(most) < row:
            lower = _least_behind(sample, low, samples)
            break
    for sample in samples:
        least[sample.piece] = sample.row
        if sum(least) >= row:
            upper = _most_before(sample, high, samples)
            break
        least[sample.piece] = sample.row + 1
    return lower, [max(one, other) for one, other in zip(lower, upper, strict=True)]


def _least_behind(last: _Sample, low: Sequence[int], samples: Sequence[_Sample]) -> list[int]:
    """How many of each piece come at least before whatever comes behind a sample."""
    least = list(low)
    for sample in samples:
        if sample > last:
            break
        least[sample.piece] = sample.row + 1
    return least


def _most_before(first: _Sample, high: Sequence[int], samples: Sequence[_Sample]) -> list[int]:
    """How many of each piece come at most before a sample."""
    most = list(high)
    for sample in reversed(samples):
        if sample < first:
            break
        most[sample.piece] = sample.row
    return most
