"""Looking for events, as they were recorded, over all shards.

Each shard's log is in the order of recording, so a time is a place in it. Together, lines are ordered by when they were
recorded, and those of one instant by their place in the whole log. The events of a user are found with the user, all
others by walking the logs backwards. However much there is, a walk looks through no more than so many lines; where that
was not enough, the page is short and says where to go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from palmares.domain.erased import is_anonymous
from palmares.domain.user import User
from palmares.domain.value import MOST
from palmares.ledger.contract import EventPage, StoredEvent, VoidNote, WantedEvents
from palmares.ledger.event_id import event_id, position_of
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.keys import used_field, user_name
from palmares.ledger.valkey.member import event_of
from palmares.ledger.valkey.shards import Shards
from palmares.ledger.valkey.state import Logged, decode_stored, decode_use
from palmares.ledger.valkey.stream import Stream

# What takes some hundredths of a second.
MOST_LOOKED_AT = 10_000
LINES_AT_ONCE = 500
_PROBES = 16

# When a line was recorded, and its place in the whole log.
Moment = tuple[int, int]


class _Reason(msgspec.Struct):
    reason: str


class _Stretch(NamedTuple):
    """The positions of a shard behind one and before another."""

    after: int
    before: int


class _Place(NamedTuple):
    """A line of a shard."""

    shard: Shard
    line: Logged


class Explorer:
    """Finds events; see `Ledger.events` and `Ledger.events_with`."""

    def __init__(self, shards: Shards, stream: Stream) -> None:
        self._shards = shards
        self._stream = stream

    async def events(self, wanted: WantedEvents) -> EventPage:
        """A page of events.

        Of a user: a round trip for all of the user's events. Of all: one for each `LINES_AT_ONCE` lines. A time or a
        place to go on from costs a few more, by the logarithm of the lines.
        """
        if wanted.user is not None:
            return await self._of_user(wanted, wanted.user)
        return await self._walk(wanted)

    async def events_with(self, scope: int, ids: Sequence[str]) -> list[StoredEvent | None]:
        """The events with these ids."""
        numbering = self._shards.numbering
        wanted = [where for text in ids for where in numbering.split_position(_position(text))]
        gone, lines = await asyncio.gather(self._erased(), self._shards.lines_at(wanted))
        places = [_Place(self._shards.all[where[0]], line) for where, line in lines.items()]
        told = await self._told(
            [place for place in places if _is_event(place.line, scope) and not _is_gone(place, gone)]
        )
        found = {event.id: event for event in told}
        return [found.get(text.lower()) for text in ids]

    # Of one user

    async def _of_user(self, wanted: WantedEvents, user: User) -> EventPage:
        name = user_name(user.scope, user.id)
        shard = self._shards.of(name)
        [raw] = await self._shards.store.read([[b"HGET", shard.keys.users, name]])
        if raw is None:
            return EventPage([], None)
        metrics = [number for number in decode_stored(raw).state.sums if number > 0]
        if wanted.metric is not None:
            metrics = [number for number in metrics if number == wanted.metric.number]
        stretch = await self._stretch(shard, wanted, await self._cursor(wanted))
        positions = [
            position
            for position in await self._positions(shard, name, metrics, wanted.idempotency_key)
            if stretch.after < position < stretch.before
        ]
        newest = sorted(positions, reverse=True)[: wanted.limit]
        lines = await self._shards.lines_at([(shard.place, position) for position in newest])
        found = [_Place(shard, lines[shard.place, position]) for position in newest if (shard.place, position) in lines]
        more = len(positions) > wanted.limit
        return EventPage(
            await self._told(found), self._shards.whole_position(shard, newest[-1]) if more and newest else None
        )

    async def _positions(self, shard: Shard, name: bytes, metrics: Sequence[int], key: str | None) -> list[int]:
        """Where a user's events on some metrics are, void or not; with an idempotency key, those that used it."""
        if not metrics:
            return []
        if key is not None:
            fields = [used_field(name, metric, key) for metric in metrics]
            [uses] = await self._shards.store.read([[b"HMGET", shard.keys.used, *fields]])
            return [decode_use(use).position for use in uses if use is not None]
        keys = [make(metric, name) for metric in metrics for make in (shard.keys.events, shard.keys.void_events)]
        found = await self._shards.store.read([[b"ZRANGE", one, b"0", b"-1"] for one in keys])
        return [event_of(member)[1] for members in found for member in members]

    # Of all users

    async def _walk(self, wanted: WantedEvents) -> EventPage:
        """Through the newest lines of all shards, evenly."""
        cursor, gone = await asyncio.gather(self._cursor(wanted), self._erased())
        shards = self._shards.all
        stretches = await asyncio.gather(*(self._stretch(shard, wanted, cursor) for shard in shards))
        open_before = {shard.place: one.before for shard, one in zip(shards, stretches, strict=True)}
        # Of each shard that is not through: the oldest line that was looked at.
        oldest: dict[int, Moment] = {}
        found: list[tuple[Moment, _Place]] = []
        looked_at = 0
        while open_before:
            pieces = await asyncio.gather(
                *(
                    self._backwards(shards[place], stretches[place].after, before)
                    for place, before in open_before.items()
                )
            )
            for place, lines in zip(list(open_before), pieces, strict=True):
                shard = shards[place]
                fitting = [_Place(shard, line) for line in lines if _fits(line, wanted)]
                found += [(self._moment(*one), one) for one in fitting if not _is_gone(one, gone)]
                looked_at += len(lines)
                if len(lines) < LINES_AT_ONCE:
                    del open_before[place]
                    oldest.pop(place, None)
                else:
                    open_before[place], oldest[place] = lines[-1].position, self._moment(shard, lines[-1])
            # What lies in front of this, somebody may have more of.
            frontier = max(oldest.values(), default=(0, 0))
            sure = sum(1 for moment, _ in found if moment >= frontier)
            if sure > wanted.limit or looked_at >= MOST_LOOKED_AT:
                break
        return await self._page(wanted.limit, found, max(oldest.values(), default=None))

    async def _page(self, limit: int, found: list[tuple[Moment, _Place]], frontier: Moment | None) -> EventPage:
        found = sorted((one for one in found if frontier is None or one[0] >= frontier), reverse=True)
        told = await self._told([place for _, place in found[:limit]])
        if len(found) > limit:
            return EventPage(told, found[limit - 1][0][1])
        return EventPage(told, None if frontier is None else frontier[1])

    async def _backwards(self, shard: Shard, after: int, before: int) -> list[Logged]:
        """The last lines in front of a position, newest first, but none up to another."""
        if before - 1 <= after:
            return []
        found = await self._stream.last_entries(shard.place, after, before, LINES_AT_ONCE)
        return [entry.logged() for entry in found]

    async def _erased(self) -> list[set[int]]:
        """Of each shard the erased users of whom its log may still say who they were."""
        read, shards = self._shards.store.read, self._shards.all
        told = await asyncio.gather(*(read([[b"HKEYS", shard.keys.erasures]]) for shard in shards))
        return [{int(number) for number in numbers} for [numbers] in told]

    # Where to look

    async def _cursor(self, wanted: WantedEvents) -> Moment | None:
        """The moment of the line in front of which to look; None for the end."""
        if wanted.before is None:
            return None
        places = self._shards.numbering.split_position(max(wanted.before, 1))
        shards = self._shards.all
        found = await asyncio.gather(*(self._from(shards[place], position) for place, position in places))
        moments = [
            self._moment(shards[place], line) for (place, _), lines in zip(places, found, strict=True) for line in lines
        ]
        return min(moments, default=None)

    async def _stretch(self, shard: Shard, wanted: WantedEvents, cursor: Moment | None) -> _Stretch:
        """Where in a shard that lies which is wanted."""
        [position] = await self._shards.store.read([[b"HGET", shard.keys.head, b"position"]])
        past = int(position or 0) + 1
        bounds = [bound for bound in (cursor, _at(wanted.recorded_before)) if bound is not None]
        before = await self._first(shard, min(bounds), past) if bounds else past
        if wanted.recorded_from is None:
            return _Stretch(0, before)
        return _Stretch(await self._first(shard, (wanted.recorded_from, 0), past) - 1, before)

    async def _first(self, shard: Shard, bound: Moment, past: int) -> int:
        """The position of the first line of a shard that is not before a moment; `past` when there is none."""
        first = 1
        while first < past:
            probes = range(first, past, max(1, (past - first) // _PROBES))
            answers = await asyncio.gather(*(self._from(shard, probe) for probe in probes))
            for probe, lines in zip(probes, answers, strict=True):
                if not lines or self._moment(shard, lines[0]) >= bound:
                    past = probe
                    break
                first = lines[0].position + 1
        return past

    async def _from(self, shard: Shard, position: int) -> list[Logged]:
        """The first line that is not in front of a position, or none."""
        return [entry.logged() for entry in await self._stream.entries(shard.place, position - 1, 1)]

    def _moment(self, shard: Shard, line: Logged) -> Moment:
        return line.recorded_at, self._shards.whole_position(shard, line.position)

    # What to tell

    async def _told(self, found: Sequence[_Place]) -> list[StoredEvent]:
        """Events with what has become of them, in the same order."""
        voids = await self._voids(found)
        return [self._event(place, voids.get((place.shard.place, place.line.position))) for place in found]

    async def _voids(self, found: Sequence[_Place]) -> dict[tuple[int, int], VoidNote]:
        by_shard: dict[int, list[int]] = {}
        for shard, line in found:
            by_shard.setdefault(shard.place, []).append(line.position)
        told = await asyncio.gather(
            *(
                self._shards.store.read([[b"HMGET", self._shards.all[place].keys.voids, *map(_number, positions)]])
                for place, positions in by_shard.items()
            )
        )
        uses = {
            (place, position): decode_use(raw)
            for (place, positions), [answers] in zip(by_shard.items(), told, strict=True)
            for position, raw in zip(positions, answers, strict=True)
            if raw is not None
        }
        lines = await self._shards.lines_at([(place, use.position) for (place, _), use in uses.items()])
        return {where: _note(use.recorded_at, lines.get((where[0], use.position))) for where, use in uses.items()}

    def _event(self, place: _Place, void: VoidNote | None) -> StoredEvent:
        logged, line = place.line, place.line.line
        position = self._shards.whole_position(place.shard, logged.position)
        assert line.metric is not None
        assert line.amount is not None
        assert line.total is not None
        assert line.occurred_at is not None
        attributes = {} if line.body is None else msgspec.json.decode(line.body, type=dict[str, str])
        return StoredEvent(
            event_id(logged.recorded_at, position), position, line.user_id, line.metric, line.amount, line.total,
            attributes, line.idempotency_key, line.occurred_at, logged.recorded_at, line.history, void,
        )  # fmt: skip


def _position(text: str) -> int:
    try:
        return position_of(text)
    except ValueError:
        return 0


def _is_event(line: Logged, scope: int) -> bool:
    return line.line.kind == "event" and line.line.scope == scope and (line.metric or 0) > 0


def _is_gone(place: _Place, gone: Sequence[Collection[int]]) -> bool:
    """Whether an event is of a user who was erased: by the line, once that says no more who it was."""
    return place.line.user in gone[place.shard.place] or is_anonymous(place.line.line.user_id)


def _fits(line: Logged, wanted: WantedEvents) -> bool:
    return (
        _is_event(line, wanted.scope)
        and (wanted.metric is None or line.metric == wanted.metric.number)
        and (wanted.idempotency_key is None or line.line.idempotency_key == wanted.idempotency_key)
    )


def _at(instant: int | None) -> Moment | None:
    return None if instant is None else (min(instant, MOST), 0)


def _note(voided_at: int, line: Logged | None) -> VoidNote:
    body = None if line is None else line.body
    return VoidNote(voided_at, None if body is None else msgspec.json.decode(body, type=_Reason).reason)


def _number(number: int) -> bytes:
    return b"%d" % number
