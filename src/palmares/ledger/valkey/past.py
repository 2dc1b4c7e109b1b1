"""The past of one board, read from the logs of all shards in the order in which it took effect.

Nearly every event took effect when it was recorded, and a log is in the order of recording. The others, which were sent
with a time of their own, are found by a first pass and sorted; they are held in memory, and so is the group of every
user. Attributes before the first ones known are those first known.

Events that are void by what was read are left out. Who is erased has the anonymous id from the start, and no group from
then on.

Users of different shards have nothing to do with each other, but for the boundaries at which something ends. So logs
are not merged: each is read up to the next boundary.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from palmares.domain.changes import Plan
from palmares.domain.effect import effect_at, is_late
from palmares.domain.erased import anonymous_id
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.value import MOST
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.keys import user_name
from palmares.ledger.valkey.member import event_of
from palmares.ledger.valkey.shards import Shards
from palmares.ledger.valkey.state import Line, Logged
from palmares.ledger.valkey.stream import Stream
from palmares.ledger.voids import consequence

_LINES_AT_ONCE = 1_000


class Effect(NamedTuple):
    """An event that counts in a run. `position` is that in the log of its shard; `late` says that the run was final."""

    at: int
    position: int
    shard: int
    user: int
    run: Run
    amount: int
    occurred_at: int
    late: bool
    metric: int = 0
    local_at: int = 0


class Regrouping(NamedTuple):
    """From an instant on a user stands in another group; None is nowhere."""

    at: int
    user: int
    group: Group | None


class _Attributes(msgspec.Struct):
    attributes: dict[str, str]


_attributes = msgspec.json.Decoder(_Attributes).decode


class Past:
    """What is known of some runs of a board, of all if none are named, by the lines up to a position in each shard.

    `ignored` counts, by shard and run, what came late and takes no effect; `groups` and `ids` are those of all users by
    number, the groups those of the moment that was reached; `regrouped` says that any of them has become another.

    Users who are `to_be_erased` are still there, but nobody may know their attributes any more.

    Events that are void take no effect; `revising` are the runs that were final when that was said, and `recounted` are
    those, by run and user, of whose events some have become void: who has counted them already has to count anew.

    With `beyond`, lines behind the positions are told too, as far as they do not change what was told before.
    """

    def __init__(
        self,
        shards: Shards,
        stream: Stream,
        plan: Plan,
        upto: Mapping[int, int],
        runs: Collection[int] | None = None,
        beyond: bool = True,
    ) -> None:
        self.ignored: Counter[tuple[int, int]] = Counter()
        self.groups: dict[int, Group | None] = {}
        self.ids: dict[int, str] = {}
        self.regrouped = False
        self.revising: set[Run] = set()
        self.recounted: dict[tuple[Run, int], int] = {}
        self.to_be_erased: set[int] = set()
        self.reached = 0
        self._shards = shards
        self._stream = stream
        self._plan = plan
        self._upto = upto
        self._runs = runs
        self._backdated: list[Effect] = []
        self._gone: set[tuple[int, int]] = set()
        self._logs = [_Log(stream, shard, MOST if beyond else upto[shard.place]) for shard in shards.all]

    @property
    def read(self) -> int:
        """How many lines the second pass has read."""
        return sum(log.position for log in self._logs)

    async def survey(self) -> None:
        """The first pass."""
        await asyncio.gather(*(self._survey(shard) for shard in self._shards.all))
        heapq.heapify(self._backdated)

    async def _survey(self, shard: Shard) -> None:
        log = _Log(self._stream, shard, self._upto[shard.place])
        while found := await log.piece():
            for logged in found:
                if logged.line.kind == "void":
                    await self._take_back(shard.place, logged)
                else:
                    self._look(shard.place, logged)

    def look_again(self) -> None:
        """Logs that were read to their end may have grown since. What grows from now on need not be told."""
        for log in self._logs:
            log.at_end = False

    async def first(self) -> int | None:
        """The first instant at which anything is left to be told; None when nothing is."""
        found = [at for at in await asyncio.gather(*(log.next() for log in self._logs)) if at is not None]
        return min([*found, *(effect.at for effect in self._backdated[:1])], default=None)

    def _look(self, shard: int, logged: Logged) -> None:
        line = logged.line
        if line.kind == "user":
            if line.scope == self._plan.board.scope and logged.user not in self.ids:
                self.ids[logged.user] = line.user_id
                self.groups[logged.user] = self._group_after(line)
            return
        if line.kind == "erasure":
            if logged.user in self.ids:
                self.ids[logged.user] = anonymous_id(logged.user)
                self.to_be_erased.add(logged.user)
            return
        run = self._run_of(line)
        if run is None:
            return
        effect = self.effect_of(shard, logged, run)
        if effect is None:
            self.ignored[shard, run.start] += 1
        elif effect.at != logged.recorded_at:
            self._backdated.append(effect)

    async def until(self, instant: int) -> list[Effect]:
        """What took effect before an instant and was not told yet, in no order; the groups are those of then.

        Lines behind the positions of the survey that take effect before what was reached are left out.
        """
        found: list[Effect] = []
        pieces = await asyncio.gather(*(log.until(instant) for log in self._logs))
        for log, piece in zip(self._logs, pieces, strict=True):
            for logged in piece:
                if logged.line.kind != "void":
                    self._tell(log.shard.place, logged, found)
                elif logged.position > self._upto[log.shard.place]:
                    await self._take_back(log.shard.place, logged)
        while self._backdated and self._backdated[0].at < instant:
            found.append(heapq.heappop(self._backdated))
        self.reached = instant
        return [effect for effect in found if (effect.shard, effect.position) not in self._gone]

    async def _take_back(self, shard: int, void: Logged) -> None:
        """Find out what a void does. One look into the log."""
        run = self._run_of(void.line)
        if run is None:
            return
        assert void.target is not None
        event = await self._logs[shard].at(void.target)
        found = consequence(self._plan, event, void.recorded_at)
        if found is None:
            return
        if found.ignored:
            self.ignored[shard, run.start] += 1
            return
        self._gone.add((shard, event.position))
        self.recounted[run, event.user] = shard
        if not found.live:
            self.revising.add(run)

    def _tell(self, shard: int, logged: Logged, found: list[Effect]) -> None:
        line = logged.line
        if line.kind == "user":
            if line.scope == self._plan.board.scope:
                self.ids.setdefault(logged.user, line.user_id)
                group = self._group_after(line)
                self.regrouped = self.regrouped or group != self.groups.get(logged.user)
                self.groups[logged.user] = group
            return
        if line.kind == "erasure":
            if logged.user in self.ids:
                self.ids[logged.user], self.groups[logged.user] = anonymous_id(logged.user), None
                self.to_be_erased.discard(logged.user)
                self.regrouped = True
            return
        run = self._run_of(line)
        effect = None if run is None else self.effect_of(shard, logged, run)
        if effect is None:
            return
        if effect.at == logged.recorded_at:
            found.append(effect)
        elif logged.position > self._upto[shard] and effect.at >= self.reached:
            heapq.heappush(self._backdated, effect)

    def effect_of(self, shard: int, logged: Logged, run: Run) -> Effect | None:
        """What an event does in its run; None when it came late and is ignored."""
        line = logged.line
        assert line.occurred_at is not None
        assert line.amount is not None
        assert line.metric is not None
        assert line.local_at is not None
        late_events = self._plan.board.late_events
        at = effect_at(run, late_events, logged.recorded_at, line.occurred_at, line.history)
        if at is None:
            return None
        late = is_late(run, logged.recorded_at)
        return Effect(
            at,
            logged.position,
            shard,
            logged.user,
            run,
            line.amount,
            line.occurred_at,
            late,
            line.metric,
            line.local_at,
        )

    async def all_of(self, shard: int, user: int, run: Run) -> list[Effect]:
        """All that a user's events did in a run until what was reached. One look into the log for each event.

        Who is erased while the past is read is called otherwise already, and somebody else may have the id.
        """
        keys = self._shards.all[shard].keys
        names = [user_name(self._plan.board.scope, name) for name in {self.ids[user], anonymous_id(user)}]
        counted = [(name, metric) for name in names for metric in await self._metrics(shard, name)]
        wanted = [key(metric, name) for name, metric in counted for key in (keys.events, keys.void_events)]
        found = await self._shards.store.read([[b"ZRANGE", key, b"0", b"-1"] for key in wanted])
        events = [event_of(member) for members in found for member in members]
        inside = [
            position
            for _, position, _, local_at in events
            if self._plan.run_concerned(local_at) == run and (shard, position) not in self._gone
        ]
        lines = await asyncio.gather(*(self._logs[shard].at(position) for position in inside))
        effects = [
            self.effect_of(shard, line, run) for line in lines if line.user == user and self._is_known(shard, line)
        ]
        return [effect for effect in effects if effect is not None and effect.at < self.reached]

    async def _metrics(self, shard: int, name: bytes) -> Sequence[int]:
        """The metrics of which a user's events may count on the board."""
        assert self._plan.board.counted is not None
        return [self._plan.board.counted.number]

    def _is_known(self, shard: int, logged: Logged) -> bool:
        return logged.position <= max(self._upto[shard], self._logs[shard].position)

    def _run_of(self, line: Line) -> Run | None:
        board = self._plan.board
        if board.counted is None or line.metric != board.counted.number or line.scope != board.scope:
            return None
        assert line.local_at is not None
        run = self._plan.run_at(line.local_at)
        return run if run is None or self._runs is None or run.start in self._runs else None

    def _group_after(self, line: Line) -> Group | None:
        assert line.body is not None
        return self._plan.group_of(_attributes(line.body).attributes)


class _Log:
    """The log of one shard, read from its beginning to a line. `position` is that of the last line told; where the log
    is `at_end`, it is not asked for more."""

    def __init__(self, stream: Stream, shard: Shard, last: int) -> None:
        self.shard = shard
        self.position = 0
        self.at_end = False
        self._stream = stream
        self._last = last
        self._last_read = 0
        self._waiting: deque[Logged] = deque()

    async def piece(self) -> list[Logged]:
        """The next lines; none at the end."""
        found = await self._read(self._last_read + 1, _LINES_AT_ONCE)
        if found:
            self._last_read = found[-1].position
        return [logged for logged in found if logged.position <= self._last]

    async def next(self) -> int | None:
        """When the next line was recorded; None at the end."""
        if not self._waiting and not self.at_end:
            self._waiting.extend(await self.piece())
            self.at_end = not self._waiting
        return self._waiting[0].recorded_at if self._waiting else None

    async def until(self, instant: int) -> list[Logged]:
        """The next lines that were recorded before an instant."""
        found: list[Logged] = []
        while (at := await self.next()) is not None and at < instant:
            found.append(self._waiting.popleft())
            self.position = found[-1].position
        return found

    async def at(self, position: int) -> Logged:
        """The line at a position."""
        [found] = await self._read(position, 1)
        return found

    async def _read(self, first: int, count: int) -> list[Logged]:
        return [entry.logged() for entry in await self._stream.entries(self.shard.place, first - 1, count)]
