"""Reading standings, users and the log from the shards.

What is read of one shard at once is of one moment. A page from the top, however many shards and groups it has, is one
round trip to each shard, and the names are another; one that begins far down takes a few more (`merged.py`).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from heapq import merge
from typing import NamedTuple, TypeVar

from palmares.domain import local_time
from palmares.domain.board import Board
from palmares.domain.effect import final_at
from palmares.domain.erased import anonymous_id
from palmares.domain.group import Group
from palmares.domain.log_line import ARRIVAL
from palmares.domain.metric import Metric
from palmares.domain.run import Run
from palmares.domain.snapshot import DayStanding, FinalRun
from palmares.domain.streak import CountedPeriod, Streak, counted_periods
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User
from palmares.domain.value import MOST
from palmares.ledger.contract import Award, DayChange, Entry, Place, Ranks, Record, Row
from palmares.ledger.keeping import Archive
from palmares.ledger.points import award_of
from palmares.ledger.valkey.boards import Making
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.draft import Draft, streak_settings_for
from palmares.ledger.valkey.final import Finals
from palmares.ledger.valkey.keys import run_field, run_group_of, scope_and_id, user_name
from palmares.ledger.valkey.member import Members, before_value, event_of, local_bound
from palmares.ledger.valkey.merged import Merged, Piece
from palmares.ledger.valkey.shards import Shards, by_present_boards, with_events
from palmares.ledger.valkey.state import (
    Held,
    Logged,
    Stored,
    decode_held,
    decode_name,
    decode_stored,
)
from palmares.ledger.valkey.stream import Stream

T = TypeVar("T")
# Up to this row, a page is made from the top, which is one round trip.
_FEW_ROWS = 1_000


class _Where(NamedTuple):
    """A user by the place of the shard."""

    place: int
    name: bytes


class _Ranked(NamedTuple):
    """A row of a page before it has a name."""

    row: int
    rank: int
    user_id: str
    value: int


class View:
    """Some groups of one run of a board, over all shards."""

    def __init__(self, shards: Shards, board: Board, run: Run, groups: Iterable[Group]) -> None:
        self.board = board
        self.groups = list(dict.fromkeys(groups))
        self.members = Members(board)
        self.cap = MOST if board.max_participants is None else board.max_participants
        self._shards = shards
        self.ask = shards.asking()
        self._run = run
        makings = [(shard, shard.boards.current(board.number)) for shard in shards.all]
        # Group by group, and of each its part in every shard.
        self.pieces = [
            Piece(shard.place, shard.keys.order(making.generation, (run.start, group)))
            for group in self.groups
            for shard, making in makings
        ]
        self._values = [
            Piece(shard.place, shard.keys.values(making.generation, (run.start, group)))
            for group in self.groups
            for shard, making in makings
        ]

    def merged(self, pieces: Sequence[Piece] | None = None) -> Merged:
        """The view as one order; of some pieces if they are named."""
        return Merged(self.ask, self.pieces if pieces is None else pieces)

    def by_group(self, numbers: Sequence[int]) -> list[int]:
        """The sum of each group, of numbers that go with the pieces."""
        count = len(self._shards)
        return [sum(numbers[start : start + count]) for start in range(0, len(numbers), count)]

    async def size(self) -> int:
        """How many are ranked."""
        return sum(min(size, self.cap) for size in self.by_group(await self.merged().sizes()))

    async def rows(self, start: int, stop: int) -> list[_Ranked]:
        """The rows from `start` up to `stop`."""
        if start >= stop or not self.pieces:
            return []
        if len(self.pieces) == 1:
            return await self._numbered(start, await self.merged().window(start, min(stop, self.cap)))
        if stop <= _FEW_ROWS:
            return self._numbered_from_top(await self._top(stop))[start:stop]
        pieces = await self._capped()
        return await self._numbered(start, await self.merged(pieces).window(start, stop))

    async def _top(self, stop: int) -> list[bytes]:
        """The first rows, of each group no more than are ranked."""
        count = len(self._shards)
        asked: dict[int, list[list[bytes]]] = {}
        for piece in self.pieces:
            asked.setdefault(piece.shard, []).append([b"ZRANGE", piece.key, b"0", b"%d" % (stop - 1)])
        found = await asyncio.gather(*(self.ask(place, asked[place]) for place in range(count)))
        by_group = ([found[place][number] for place in range(count)] for number in range(len(self.groups)))
        return list(merge(*(list(merge(*parts))[: self.cap] for parts in by_group)))[:stop]

    async def _capped(self) -> list[Piece]:
        """The pieces, with how much of each is ranked where its group has more than the cap."""
        sizes = self.by_group(await self.merged().sizes())
        pieces: list[Piece] = []
        count = len(self._shards)
        for number, size in enumerate(sizes):
            some = self.pieces[number * count : (number + 1) * count]
            pieces += await self._limited(some) if size > self.cap else some
        return pieces

    async def _limited(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The pieces of one group, cut where its cap is."""
        merged = self.merged(pieces)
        lowest = await merged.window(self.cap - 1, self.cap)
        if not lowest:
            return list(pieces)
        before = await merged.counts(lowest[0] + b"\0")
        return [piece._replace(limit=limit) for piece, limit in zip(pieces, before, strict=True)]

    def _numbered_from_top(self, members: Sequence[bytes]) -> list[_Ranked]:
        return self._number(0, 1, members)

    async def _numbered(self, start: int, members: Sequence[bytes]) -> list[_Ranked]:
        if not members or self.board.numbering == "ordinal":
            return self._number(start, start + 1, members)
        return self._number(start, await self.rank(start, members[0]), members)

    def _number(self, start: int, rank: int, members: Sequence[bytes]) -> list[_Ranked]:
        """The rows of members, of which the first has that rank."""
        rows: list[_Ranked] = []
        held = before_value(members[0]) if members else b""
        for row, member in enumerate(members, start):
            if self.board.numbering == "ordinal":
                rank = row + 1
            elif before_value(member) != held:
                held = before_value(member)
                rank = row + 1 if self.board.numbering == "competition" else rank + 1
            value, user_id = self.members.decode(member)
            rows.append(_Ranked(row, rank, user_id, value))
        return rows

    async def rank(self, row: int, member: bytes) -> int:
        """The rank of the member of a row."""
        if self.board.numbering == "ordinal":
            return row + 1
        better = self.by_group(await self.merged().counts(before_value(member)))
        if self.board.numbering == "competition":
            return 1 + sum(min(count, self.cap) for count in better)
        return 1 + await self._better_values(before_value(member), better)

    async def _better_values(self, start: bytes, better: Sequence[int]) -> int:
        """How many distinct values are better. They are counted where there is one part, else united."""
        values = self.merged(self._values)
        if len(self._values) == 1:
            return (await values.counts(start))[0]
        united: set[bytes] = set()
        count = len(self._shards)
        for number, members in enumerate(better):
            some = self._values[number * count : (number + 1) * count]
            end = b"(" + start
            if members > self.cap:
                lowest = await self.merged(self.pieces[number * count : (number + 1) * count]).window(
                    self.cap - 1, self.cap
                )
                end = b"[" + before_value(lowest[0])
            told = await asyncio.gather(
                *(self.ask(piece.shard, [[b"ZRANGE", piece.key, b"-", end, b"BYLEX"]]) for piece in some)
            )
            united.update(value for [found] in told for value in found)
        return len(united)


class Reader:
    """The reading half of the contract; each method is described there."""

    def __init__(self, shards: Shards, streaks: Mapping[int, StreakSettings], archive: Archive | None = None) -> None:
        self.stream = Stream(shards, self._record)
        self._shards = shards
        self._streaks = streaks
        self._finals = None if archive is None else Finals(archive, self.named)

    def close(self) -> None:
        """Let go of what reads the archive."""
        if self._finals is not None:
            self._finals.close()

    async def board(self, board_number: int) -> Board:
        """The definition of a board; `NotFound` when it is not followed, by whichever worker."""
        for shard in self._shards.all:
            if not any(making.ready for making in shard.boards.of(board_number)):
                await self._shards.refresh()
                break
        makings = [shard.boards.current(board_number) for shard in self._shards.all]
        return makings[0].board

    def is_final(self, board_number: int, run: Run) -> bool:
        """Whether a run of a board takes no events any more."""
        is_over = final_at(run) <= self._shards.now
        return is_over or not self._making(self._shards.all[0], board_number).counts

    async def _final_or_live(
        self,
        board_number: int,
        run: Run,
        final: Callable[[Finals, FinalRun], Awaitable[T]],
        live: Callable[[], Awaitable[T]],
    ) -> T:
        """Read a run from the archive when it is there, else from the shards.

        While the shards were read, it may have come into the archive, and its orders gone.
        """
        while True:
            if self._finals is None:
                return await live()
            if self.is_final(board_number, run):
                kept = await self._finals.of(board_number, run)
                if kept is not None:
                    return await final(self._finals, kept)
            found = await live()
            if not self.is_final(board_number, run) or await self._finals.of(board_number, run) is None:
                return found

    async def run_groups(self, board_number: int) -> list[tuple[int, Group | None]]:
        """The runs and groups in which anybody stands."""
        await self.board(board_number)
        found = await asyncio.gather(
            *(
                self._shards.ask(place, [[b"HKEYS", shard.keys.groups(self._making(shard, board_number).generation)]])
                for place, shard in enumerate(self._shards.all)
            )
        )
        return list(dict.fromkeys(run_group_of(raw) for [fields] in found for raw in fields))

    @by_present_boards
    async def runs(self, board_number: int) -> list[Run]:
        """See `Ledger.runs`."""
        schedule = (await self.board(board_number)).schedule
        found: set[Run] = set()
        for start, group in await self.run_groups(board_number):
            run = schedule.run_at(start)
            if run is not None and (group is not None or not self.is_final(board_number, run)):
                found.add(run)
        if self._finals is not None:
            final = await self._finals.ranked_runs(board_number)
            found.update(run for start in final if (run := schedule.run_at(start)) is not None)
        return sorted(found, key=lambda run: run.start)

    async def revision(self, board_number: int, run: Run) -> int:
        """How often a final run was revised."""
        kept = None if self._finals is None else await self._finals.of(board_number, run)
        return 0 if kept is None else kept.revision

    async def history(
        self, board_number: int, run: Run, user: User, first_day: int, last_day: int
    ) -> list[DayStanding]:
        """The days that are in the archive; see `Ledger.history`."""
        assert self._finals is not None, "nothing is kept without an archive"
        return await self._finals.history(board_number, run, user, first_day, last_day)

    @by_present_boards
    async def groups(self, board_number: int, run: Run) -> Collection[Group]:
        """See `Ledger.groups`."""
        await self.board(board_number)

        async def final(_: Finals, kept: FinalRun) -> Collection[Group]:
            return list(kept.sizes)

        return await self._final_or_live(board_number, run, final, lambda: self._live_groups(board_number, run))

    async def _live_groups(self, board_number: int, run: Run) -> Collection[Group]:
        found = await self.run_groups(board_number)
        return [group for start, group in found if start == run.start and group is not None]

    @by_present_boards
    async def group(self, board_number: int, run: Run, user: User) -> Group | None:
        """See `Ledger.group`."""
        await self.board(board_number)
        return await self._final_or_live(
            board_number,
            run,
            lambda finals, _: finals.group(board_number, run, user),
            lambda: self._live_group(board_number, run, user),
        )

    async def _live_group(self, board_number: int, run: Run, user: User) -> Group | None:
        board = await self.board(board_number)
        making = self._making(self._shard(user), board_number)
        if not self.is_final(board_number, run):
            return making.plan.own_group(user.attributes)
        held, _ = await self._held(user, making, run)
        if held is None or held.group is None:
            return None
        view = View(self._shards, board, run, [held.group])
        before = await view.merged().counts(view.members.encode(held[:2], user.id))
        return held.group if sum(before) < view.cap else None

    @by_present_boards
    async def ignored(self, board_number: int, run: Run) -> int:
        """How many events came late to a run and were left out."""
        fields = [run_field(self._making(shard, board_number).generation, run.start) for shard in self._shards.all]
        found = await asyncio.gather(
            *(
                self._shards.ask(shard.place, [[b"HGET", shard.keys.ignored, field]])
                for shard, field in zip(self._shards.all, fields, strict=True)
            )
        )
        return sum(int(count or 0) for [count] in found)

    @by_present_boards
    async def size(self, board_number: int, run: Run, groups: Collection[Group]) -> int:
        """See `Ledger.size`."""
        board = await self.board(board_number)

        async def final(_: Finals, kept: FinalRun) -> int:
            return sum(kept.sizes.get(group, 0) for group in set(groups))

        return await self._final_or_live(
            board_number, run, final, lambda: View(self._shards, board, run, groups).size()
        )

    @by_present_boards
    async def page(self, board_number: int, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        """See `Ledger.page`."""
        board = await self.board(board_number)
        return await self._final_or_live(
            board_number,
            run,
            lambda finals, _: finals.page(board, run, groups, start, stop),
            lambda: self._live_page(board, run, groups, start, stop),
        )

    async def _live_page(self, board: Board, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        rows = await View(self._shards, board, run, groups).rows(start, stop)
        stored = await self._stored(user_name(board.scope, row.user_id) for row in rows)
        return [
            Row(row.row, row.rank, row.user_id, decode_name(raw), row.value)
            for row, raw in zip(rows, stored, strict=True)
            if raw is not None
        ]

    @by_present_boards
    async def place(self, board_number: int, run: Run, groups: Collection[Group], user: User) -> Place | None:
        """See `Ledger.place`."""
        board = await self.board(board_number)
        return await self._final_or_live(
            board_number,
            run,
            lambda finals, _: finals.place(board, run, groups, user),
            lambda: self._live_place(board, run, groups, user),
        )

    async def _live_place(self, board: Board, run: Run, groups: Collection[Group], user: User) -> Place | None:
        """Where the user stands, by the shards.

        What the user has is read before what others have. Who moves in between is looked at again: the own member has
        to be there when the others are counted. That of who is hidden is in the hidden order.
        """
        view = View(self._shards, board, run, groups)
        while True:
            making = self._making(self._shard(user), board.number)
            held, present = await self._held(user, making, run)
            if held is None:
                return None
            group = held.group
            if group is None and present.hidden and not self.is_final(board.number, run):
                group = making.plan.own_group(present.attributes)
            if group is None or group not in view.groups:
                return None
            member = view.members.encode(held[:2], user.id)
            own = self._shard(user).keys.order(making.generation, (run.start, held.group))
            before = await self._counted(view, user, member, own)
            if before is not None:
                return await self._place(view, run, Held(held.value, held.reached_at, group), member, before)
            if held.leaves_at is not None and self.is_final(board.number, run):
                # The streak broke before the board was finished by hand, and the state does not know of it.
                return None

    async def _counted(self, view: View, user: User, member: bytes, order: bytes) -> list[int] | None:
        """How many of each group come before a member; None when it is not in its own order any more."""
        count, own = len(self._shards), self._shard(user).place
        asked = [
            [[b"ZLEXCOUNT", piece.key, b"-", b"(" + member] for piece in view.pieces if piece.shard == place]
            for place in range(count)
        ]
        asked[own].append([b"ZSCORE", order, member])
        found = await asyncio.gather(*(view.ask(place, some) for place, some in enumerate(asked)))
        if found[own].pop() is None:
            return None
        return [sum(counts) for counts in zip(*found, strict=True)]

    async def _place(self, view: View, run: Run, held: Held, member: bytes, before: Sequence[int]) -> Place | None:
        assert held.group is not None
        if before[view.groups.index(held.group)] >= view.cap:
            # In the end there is nothing to be caught up with outside the cap.
            return None if self.is_final(view.board.number, run) else Place(None, None, held.value)
        row = sum(min(count, view.cap) for count in before)
        return Place(row, await view.rank(row, member), held.value)

    @by_present_boards
    async def ranks(self, board_number: int, run: Run, group: Group) -> Ranks:
        """See `Ledger.ranks`."""
        board = await self.board(board_number)
        return await self._final_or_live(
            board_number,
            run,
            lambda finals, _: finals.ranks(board, run, group),
            lambda: self._live_ranks(board, run, group),
        )

    async def _live_ranks(self, board: Board, run: Run, group: Group) -> Ranks:
        view = View(self._shards, board, run, [group])
        rows = await view.rows(0, await view.size())
        stored = await self._stored(user_name(board.scope, row.user_id) for row in rows)
        found = sorted(
            (decode_stored(raw).state.user.number, row.rank, row.value)
            for row, raw in zip(rows, stored, strict=True)
            if raw is not None
        )
        participants, ranks, values = zip(*found, strict=True) if found else ((), (), ())
        return Ranks(array("I", participants), array("I", ranks), array("q", values))

    # Users

    async def stored(self, scope: int, user_id: str) -> Stored | None:
        """A user as the shard has it."""
        [raw] = await self._stored([user_name(scope, user_id)])
        return None if raw is None else decode_stored(raw)

    async def present(self, user: User) -> Stored:
        """A user who is known, as of now."""
        found = await self.stored(user.scope, user.id)
        assert found is not None, f"user {user.id!r} is unknown"
        return found

    async def user(self, scope: int, user_id: str) -> User | None:
        """See `Ledger.user`."""
        found = await self.stored(scope, user_id)
        return None if found is None or found.state.erased_at else found.state.user

    async def users(self, numbers: Sequence[int]) -> list[User]:
        """See `Ledger.users`."""
        names = await self._names(numbers)
        stored = await self._read(names.values())
        found = [stored.get(names[number].name) for number in numbers if number in names]
        return [decode_stored(raw).state.user for raw in found if raw is not None]

    async def named(self, numbers: Collection[int]) -> Mapping[int, tuple[str, str | None]]:
        """The id and name of users by number; of who is not there any more, what stands for an erased user."""
        names = await self._names(numbers)
        stored = await self._read(names.values())
        found = {
            number: (scope_and_id(where.name)[1], decode_name(raw))
            for number, where in names.items()
            if (raw := stored.get(where.name)) is not None
        }
        return {number: found.get(number, (anonymous_id(number), None)) for number in dict.fromkeys(numbers)}

    async def _names(self, numbers: Iterable[int]) -> dict[int, _Where]:
        """Where users are, by number, those that there are. Those that were taken over are looked for everywhere."""
        by_shard: dict[int, list[int]] = {}
        for number in dict.fromkeys(numbers):
            for place in self._shards.numbering.shards_of_number(number):
                by_shard.setdefault(place, []).append(number)
        told = await asyncio.gather(
            *(
                self._shards.store.read(
                    [[b"HMGET", self._shards.all[place].keys.names, *(b"%d" % number for number in some)]]
                )
                for place, some in by_shard.items()
            )
        )
        return {
            number: _Where(place, name)
            for (place, some), [answers] in zip(by_shard.items(), told, strict=True)
            for number, name in zip(some, answers, strict=True)
            if name is not None
        }

    async def total(self, user: User, metric: Metric) -> int:
        """See `Ledger.total`."""
        found = (await self.present(user)).state.sums.get(metric.number)
        return 0 if found is None else found.total

    async def days(self, user: User, metric: Metric, first_day: int, last_day: int) -> list[DayChange]:
        """See `Ledger.days`."""
        key = self._shard(user).keys.events(metric.number, user_name(user.scope, user.id))
        first, past = (b"[" + local_bound(local_time.start_of(day)) for day in (first_day, last_day + 1))
        [members] = await self._shards.store.read([[b"ZRANGE", key, first, b"(" + past[1:], b"BYLEX"]])
        sums: dict[int, int] = {}
        for member in members:
            _, _, amount, local_at = event_of(member)
            day = local_time.day_of(local_at)
            sums[day] = sums.get(day, 0) + amount
        return [DayChange(day, sums[day]) for day in sorted(sums)]

    async def awards(self, user: User, system: Metric, limit: int) -> list[Award]:
        """See `Ledger.awards`."""
        if limit < 1:
            return []
        shard = self._shard(user)
        key = shard.keys.events(system.number, user_name(user.scope, user.id))
        [members] = await self._shards.store.read([[b"ZREVRANGE", key, b"0", b"%d" % (limit - 1)]])
        positions = [(shard.place, event_of(member)[1]) for member in members]
        lines = await self._shards.lines_at(positions)
        return [
            award_of(lines[where]._replace(position=self._shards.whole_position(shard, where[1])))
            for where in positions
            if where in lines
        ]

    async def streak(self, user: User) -> Streak:
        """See `Ledger.streak`."""
        name = user_name(user.scope, user.id)
        draft, stored = await self._looking_at(user)
        return await with_events(self._shards, draft.picture, lambda: draft.streak(name, stored.state))

    async def counted_periods(self, user: User) -> list[CountedPeriod]:
        """See `Ledger.counted_periods`."""
        name = user_name(user.scope, user.id)
        draft, stored = await self._looking_at(user)
        settings = streak_settings_for(self._streaks, stored.state.user)
        events = await with_events(
            self._shards, draft.picture, lambda: draft.streak_events(name, stored.state, settings)
        )
        return counted_periods(settings, sorted(events))

    async def _looking_at(self, user: User) -> tuple[Draft, Stored]:
        picture = await self._shards.picture([Entry(user.scope, user.id)], self._shards.now)
        return Draft(picture, self._streaks), picture.users[user_name(user.scope, user.id)]

    # The log

    async def records(self, after: int, limit: int) -> list[Record]:
        """See `Ledger.records`."""
        found = await asyncio.gather(*(self._lines(shard, after, limit) for shard in self._shards.all))
        lines = sorted((line for some in found for line in some), key=lambda line: line.position)
        return lines[:limit]

    async def _lines(self, shard: Shard, after: int, limit: int) -> list[Record]:
        upto = self._shards.numbering.place_upto(shard.place, max(0, after))
        # One more, because what is told of another shard may be among them, and where that ends.
        entries = await self.stream.entries(shard.place, upto, max(limit, 1) + 1)
        lines = [entry.logged() for entry in entries]
        return [self._record(shard, line) for line in lines if not self._is_told_elsewhere(shard, line)]

    def _is_told_elsewhere(self, shard: Shard, logged: Logged) -> bool:
        """Whether a line was taken over by every shard, and the first one tells it; that a log was taken over is told
        by none."""
        if logged.position > self._shards.numbering.inherited.lines:
            return False
        return logged.line.kind == ARRIVAL or (logged.line.kind == "points" and shard.place > 0)

    def _record(self, shard: Shard, logged: Logged) -> Record:
        line, target = logged.line, self._shards.whole_position(shard, logged.target or 0)
        return Record(
            self._shards.whole_position(shard, logged.position), line.kind, logged.recorded_at, line.scope, logged.user,
            line.metric, line.amount, line.occurred_at, line.local_at, line.total, line.idempotency_key, target or None,
            line.body,
        )  # fmt: skip

    def _shard(self, user: User) -> Shard:
        return self._shards.of(user_name(user.scope, user.id))

    @staticmethod
    def _making(shard: Shard, board_number: int) -> Making:
        return shard.boards.current(board_number)

    async def _held(self, user: User, making: Making, run: Run) -> tuple[Held | None, User]:
        """What a user has in a run, final or not, and the user as of the same moment."""
        shard, name = self._shard(user), user_name(user.scope, user.id)
        past_key = shard.keys.past(making.generation, run.start)
        raw, past = await self._shards.ask(shard.place, [[b"HGET", shard.keys.users, name], [b"HGET", past_key, name]])
        state = decode_stored(raw).state
        held = state.held.get(making.generation, {}).get(run.start)
        if held is not None and held.leaves_at is not None and making.counts and held.leaves_at <= self._shards.now:
            held = None
        return held if held is not None or past is None else decode_held(past), state.user

    async def _stored(self, names: Iterable[bytes]) -> list[bytes | None]:
        """What the shards have of some users, in the order asked for."""
        wanted = list(names)
        found = await self._read(_Where(self._shards.of(name).place, name) for name in wanted)
        return [found[name] for name in wanted]

    async def _read(self, users: Iterable[_Where]) -> dict[bytes, bytes | None]:
        """What the shards have of some users, by name."""
        by_shard: dict[int, list[bytes]] = {}
        for place, name in dict.fromkeys(users):
            by_shard.setdefault(place, []).append(name)
        told = await asyncio.gather(
            *(
                self._shards.store.read([[b"HMGET", self._shards.all[place].keys.users, *some]])
                for place, some in by_shard.items()
            )
        )
        return {
            name: raw
            for some, [answers] in zip(by_shard.values(), told, strict=True)
            for name, raw in zip(some, answers, strict=True)
        }
