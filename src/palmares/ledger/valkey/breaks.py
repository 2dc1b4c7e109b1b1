"""Streaks that break: at a midnight of its user's own, a streak ends without an event, and the user leaves the boards
that rank by it.

When that is, is worked out with the event that made the streak what it is, and noted in the shard with the place itself
(`leaving.py`). Nothing is recorded behind such an instant, and no boundary passes, before those have left who leave by
then; the scripts see to that. So it does not matter which worker lets them leave, or whether several do.

The state of a user is left as it is, since it says itself until when a place holds: a midnight costs a few commands in
Valkey for each who leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from palmares.domain.effect import last_boundary, next_boundary
from palmares.domain.value import MOST
from palmares.ledger.valkey.boards import Making
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.draft import Step
from palmares.ledger.valkey.keys import note_field, run_group_field
from palmares.ledger.valkey.leaving import Leaving, decode_leaving, encode_leaving
from palmares.ledger.valkey.shards import Shards
from palmares.ledger.valkey.watch import Watch

_LEAVING_AT_ONCE = 500


class Breaks:
    """Lets users leave, on behalf of one worker."""

    def __init__(self, shards: Shards, worker: str, watch: Watch) -> None:
        self._shards = shards
        self._worker = worker.encode()
        self._watch = watch
        # Of each shard, the first instant at which anybody leaves, as far as this worker has seen.
        self._first: dict[int, int] = {}
        shards.break_streaks = self.reach

    @property
    def first(self) -> int:
        """The first instant at which anybody leaves; of what other workers have recorded since the last look, it is
        told only later."""
        return min(self._first.values(), default=MOST)

    def note(self, step: Step) -> None:
        """This worker has recorded a step."""
        for change in step.changes:
            if change.joined is not None and change.joined.leaves_at is not None:
                self._first[step.shard] = min(self._first.get(step.shard, MOST), change.joined.leaves_at)

    async def look(self) -> None:
        """Find out who leaves first."""
        await asyncio.gather(*(self._due(shard, 0) for shard in self._shards.all))

    async def catch_up(self, now: int) -> None:
        """Let everybody leave until an instant, in all shards, as far as this worker knows of anybody: a shard in which
        something is recorded sees to its own, but others count too."""
        if self.first <= now:
            await self.reach_everywhere(now)

    async def reach_everywhere(self, now: int) -> None:
        """Let everybody leave whose streak breaks until an instant. One round trip to each shard where there is none,
        and two or three more for some hundred who leave."""
        await asyncio.gather(*(self.reach(shard, now) for shard in self._shards.all))

    async def reach(self, shard: Shard, now: int) -> None:
        """The same in one shard."""
        while due := await self._due(shard, now):
            # Instants of two halves of a day have a boundary between them, which has to pass between them too.
            boundary, next_one = last_boundary(due[0].at), next_boundary(due[0].at)
            await self._shards.passes(shard, boundary)
            await self._leave(shard, boundary, [leaving for leaving in due if leaving.at < next_one])

    async def _due(self, shard: Shard, now: int) -> list[Leaving]:
        """The next who leave until an instant, in the order in which they do."""
        key = shard.keys.breaks
        bounds = [b"-inf", b"%d" % now, b"BYSCORE", b"LIMIT", b"0", b"%d" % _LEAVING_AT_ONCE]
        due, first = await self._shards.store.read([[b"ZRANGE", key, *bounds], [b"ZRANGE", key, b"0", b"0"]])
        self._first[shard.place] = min((decode_leaving(raw).at for raw in first), default=MOST)
        return [decode_leaving(raw) for raw in due]

    async def _leave(self, shard: Shard, boundary: int, due: Sequence[Leaving]) -> None:
        keys = [shard.keys.head, shard.keys.breaks, shard.keys.notes(boundary)]
        places: dict[bytes, bytes] = {}

        def named(key: bytes) -> bytes:
            return places.setdefault(key, b"%d" % (len(keys) + len(places) + 1))

        known = [(leaving, _counting(shard, leaving)) for leaving in due]
        parts = [part for one in known for part in _parts(shard, *one, named)]
        arguments = [b"%d" % shard.boards.version, self._worker, b"%d" % boundary, b"%d" % due[-1].at, *parts]
        try:
            answer = await self._shards.store.script("leave", [*keys, *places], arguments)
        finally:
            # It may be done though no answer comes.
            for leaving, making in known:
                if making is not None and making.ready and leaving.group is not None:
                    self._watch.note_ranking(making.board, leaving.run_start, leaving.group)
        if answer == b"boards":
            await self._shards.reload(shard)
        elif answer == b"done":
            self._shards.now = max(self._shards.now, due[-1].at)


def _counting(shard: Shard, leaving: Leaving) -> Making | None:
    """The generation whose order is left; None when it was let go, or stays as it is since it was finished by hand."""
    making = shard.boards.get(leaving.generation)
    return making if making is not None and making.counts else None


def _parts(shard: Shard, leaving: Leaving, making: Making | None, named: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Who leaves, as the script takes it."""
    yield encode_leaving(leaving)
    if making is None:
        yield from (b"0", b"", b"0", b"0", b"", b"")
        return
    keys, generation, run_group = shard.keys, leaving.generation, (leaving.run_start, leaving.group)
    yield named(keys.order(generation, run_group))
    yield leaving.member
    yield named(keys.values(generation, run_group)) if making.dense else b"0"
    yield named(keys.groups(generation))
    yield run_group_field(run_group)
    yield note_field(generation, leaving.run_start, making.members.decode(leaving.member)[1])
