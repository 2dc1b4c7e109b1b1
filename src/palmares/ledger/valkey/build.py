"""What is over of a board, made from nothing but the logs: for boards that are followed after their events, for runs
that late events or history revise, and for rankings as of an earlier moment.

The past is lived through once more, from boundary to boundary: what took effect, then what ends. So what comes out is
what a board has that was there from the start. What goes on is not made here but user by user, see `draft.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any, NamedTuple

from palmares.domain import tally, value
from palmares.domain.board import Board
from palmares.domain.effect import BOUNDARY_STEP, ends_day, final_at, last_boundary, next_boundary
from palmares.domain.group import Group
from palmares.domain.local_time import day_of, start_of
from palmares.domain.run import Run
from palmares.domain.snapshot import DAYS_KEPT, DayEnd
from palmares.domain.tally import Tally
from palmares.domain.value import MOST
from palmares.ledger.keeping import Archive
from palmares.ledger.valkey.kept_groups import KeptGroups
from palmares.ledger.valkey.member import Members
from palmares.ledger.valkey.moment import Ranked, columns, end_of_day
from palmares.ledger.valkey.past import Effect, Past

InThread = Callable[..., Awaitable[Any]]
# Half a megabyte, in a transaction that takes some milliseconds by itself.
_PLACES_AT_ONCE = 20_000


class _Held(NamedTuple):
    """A user's tally in a run, and the last of its events in the order in which they happened."""

    tally: Tally
    last: tuple[int, int]


class Build:
    """One making of what is over, into an edition of the archive. `runs` None makes all; else only those are made.

    `begun` are the runs that go on and of which days are kept.
    """

    def __init__(
        self,
        board: Board,
        past: Past,
        archive: Archive,
        edition: int,
        in_thread: InThread,
        runs: Collection[Run] | None,
    ) -> None:
        self.begun: set[int] = set()
        self._board = board
        self._members = Members(board)
        self._past = past
        self._archive = archive
        self._edition = edition
        self._in_thread = in_thread
        self._wanted = list(runs or ())
        self._held: dict[Run, dict[int, _Held]] = {}
        self._revised: set[Run] = set()
        self._closed: set[Run] = set()
        self._kept_groups = KeptGroups(board, archive, in_thread)
        # What was ranked at the last boundary, of runs in which nothing has changed since.
        self._ranked: dict[Run, Ranked] = {}
        # The ends of days that are to be kept, by first day of the run.
        self._ended: dict[int, list[DayEnd]] = {}
        self._boundary = 0

    async def reach(self, boundary: int, on_progress: Callable[[], None] = lambda: None) -> None:
        """Live on until a boundary that has passed in all shards. Raises `Invalid` when a value leaves its range."""
        self._past.look_again()
        while self._boundary < boundary:
            due = await self._next_due(boundary)
            await self._live_until(due)
            for run in list(self._held):
                await self._pass_boundary(run, due, boundary)
            self._boundary = due
            on_progress()
        for run in self._wanted:
            if final_at(run) <= boundary and run not in self._closed:
                # Nobody ever had a value that counts.
                self._revised.add(run)
                await self._close(run, final_at(run))
        for run_start in list(self._ended):
            await self._write_days(run_start)

    async def finish(self, at: int) -> None:
        """Live on to the end of what is known, and let all runs end, as of an instant."""
        await self.reach(last_boundary(at))
        await self._live_until(MOST)
        for run in [*self._held, *self._wanted]:
            if run not in self._closed:
                await self._find_groups(run)
                await self._close(run, at)

    async def rankings_at(self, instant: int) -> list[tuple[Run, Ranked]]:
        """Who stands where in the runs that are live at an instant."""
        await self.reach(last_boundary(instant))
        await self._live_until(instant + 1)
        return [(run, self._rank(run)) for run in self._held]

    async def _next_due(self, boundary: int) -> int:
        """The next boundary at which anything is kept: behind what happens next, of days that are wanted, or the last
        of a run. Where years pass without events, that is far away."""
        soonest, due = self._boundary + BOUNDARY_STEP, boundary
        for run in self._held:
            end = final_at(run)
            due = min(due, end, start_of(day_of(min(boundary, end)) - DAYS_KEPT + 1))
        if due > soonest and (first := await self._past.first()) is not None:
            due = min(due, next_boundary(first))
        return max(due, soonest)

    async def _live_until(self, instant: int) -> None:
        effects = await self._past.until(instant)
        self._revised |= self._past.revising
        unsure = {
            (run, user): shard for (run, user), shard in self._past.recounted.items() if user in self._held.get(run, ())
        }
        self._past.recounted.clear()
        for effect in effects:
            if (effect.run, effect.user) not in unsure and not self._count(effect):
                unsure[effect.run, effect.user] = effect.shard
        for (run, user), shard in unsure.items():
            await self._refold(run, user, shard)

    def _count(self, effect: Effect) -> bool:
        """Count an event; False when only all of the user's events together can tell."""
        users = self._held.setdefault(effect.run, {})
        self._ranked.pop(effect.run, None)
        if effect.late:
            self._revised.add(effect.run)
        happened = (effect.occurred_at, effect.position)
        before = users.get(effect.user)
        in_order = before is None or before.last < happened
        held = None if before is None else before.tally
        after = tally.step(self._board.aggregation, held, effect.amount, effect.occurred_at, in_order)
        if after is None:
            return False
        # Where nobody followed the board, nobody has refused the events that lead out of the range.
        value.checked(after.value, f"a value on leaderboard {self._board.key!r}")
        users[effect.user] = _Held(after, happened if before is None else max(before.last, happened))
        return True

    async def _refold(self, run: Run, user: int, shard: int) -> None:
        effects = await self._past.all_of(shard, user, run)
        events = sorted((effect.occurred_at, effect.position, effect.amount) for effect in effects)
        folded = tally.fold(self._board.aggregation, [(amount, occurred_at) for occurred_at, _, amount in events])
        self._ranked.pop(run, None)
        if folded is None:
            # All of them are void.
            self._held[run].pop(user, None)
            return
        value.checked(folded.value, f"a value on leaderboard {self._board.key!r}")
        self._held[run][user] = _Held(folded, events[-1][:2])
        if any(effect.late for effect in effects):
            self._revised.add(run)

    async def _pass_boundary(self, run: Run, due: int, reached: int) -> None:
        await self._find_groups(run)
        if not ends_day(due):
            if final_at(run) <= due:
                await self._close(run, due)
        elif final_at(run) > due:
            ranked = self._rank(run)
            if ranked.groups:
                self.begun.add(run.start)
            if run.start in self.begun and day_of(due) > day_of(min(reached, final_at(run))) - DAYS_KEPT:
                await self._keep_day(run, day_of(due) - 1, ranked)

    async def _close(self, run: Run, due: int) -> None:
        ranked = self._rank(run)
        if ranked.groups or run.start in self.begun:
            await self._keep_day(run, day_of(due), ranked)
            await self._write_days(run.start)
        await self._in_thread(self._write_run, run, ranked, int(run in self._revised))
        self._closed.add(run)
        self.begun.discard(run.start)
        self._held.pop(run, None)
        self._ranked.pop(run, None)

    async def _keep_day(self, run: Run, day: int, ranked: Ranked) -> None:
        """Let a day end. Days of few users are written together: a transaction takes longer than what is in it."""
        ended = self._ended.setdefault(run.start, [])
        ended.append(await self._in_thread(end_of_day, day, ranked))
        if sum(len(end.places.users) for end in ended) >= _PLACES_AT_ONCE:
            await self._write_days(run.start)

    async def _write_days(self, run_start: int) -> None:
        if ended := self._ended.pop(run_start, None):
            await self._in_thread(self._archive.keep_days, self._edition, run_start, ended)

    def _write_run(self, run: Run, ranked: Ranked, revision: int) -> None:
        self._archive.keep_run(self._edition, run, *columns(ranked), revision=revision)

    def _rank(self, run: Run) -> Ranked:
        """Who stands where in a run, by what was lived through; worked out anew only after something has changed."""
        if self._past.regrouped:
            self._past.regrouped = False
            self._ranked.clear()
        if run not in self._ranked:
            self._ranked[run] = self._sorted(run)
        return self._ranked[run]

    def _sorted(self, run: Run) -> Ranked:
        groups: dict[Group, list[bytes]] = {}
        ids, numbers = self._past.ids, {}
        for user, tally_of_user in self._tallies(run):
            group = self._past.groups[user]
            if group is None and user in self._past.to_be_erased:
                group = self._kept_groups.get(run, user)
            if group is not None:
                groups.setdefault(group, []).append(self._members.encode(tally_of_user, ids[user]))
                numbers[ids[user]] = user
        cap = MOST if self._board.max_participants is None else self._board.max_participants
        inside = {group: sorted(found)[:cap] for group, found in sorted(groups.items())}
        return Ranked(self._board, inside, numbers)

    async def _find_groups(self, run: Run) -> None:
        """Look up where those stood in a run who are to be erased, and of whom the log does not tell it any more."""
        past = self._past
        if past.to_be_erased and (self._board.breakdown or self._board.filters):
            erased = [user for user, _ in self._tallies(run) if user in past.to_be_erased and past.groups[user] is None]
            if await self._kept_groups.find(run, erased):
                self._ranked.pop(run, None)

    def _tallies(self, run: Run) -> Iterator[tuple[int, Tally]]:
        """What every user has in a run."""
        for user, held in self._held.get(run, {}).items():
            yield user, held.tally
