"""Tells users' changes of rank, be it by their own event or because others moved: `leaderboard.rank_changed`.

Each ranking that changed is compared as a whole with what was last seen of it, so whoever moved is found, for
whatever reason. That costs a comparison of bytes where nothing moved, and where it takes long, the next one waits: a
large ranking in motion must not take the time that events need.

Users who were told of stand in batches, one for all who were told of at one time; at the end of the batch's window
those who stand elsewhere by then are told of again. Batches are stored with the messages. What was last seen is not:
after a crash the ledger is asked how the rankings were at the place of the log up to which everything is told.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from palmares.domain.board import Board
from palmares.domain.effect import is_live
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.group import Group
from palmares.domain.rank_change import Change, Ranks, Stood, changes, find, news
from palmares.domain.run import Run
from palmares.domain.webhook import RANK_CHANGED
from palmares.ledger.contract import Ledger
from palmares.ledger.contract import Ranks as Columns
from palmares.outbox.contract import Batch, Entry, Notes, Outbox
from palmares.service.teller import Teller, pause

logger = structlog.get_logger(__name__)

_NOBODY = Columns(array("I"), array("I"), array("q"))
_MOST_MESSAGES = 500
# A comparison that took a second is followed by so many seconds without one.
_REST = 4


class _News(NamedTuple):
    """A change of a user in a group that is to be told."""

    group: Group
    change: Change


@dataclass(slots=True)
class _Watched:
    """A run whose ranks are watched: its rankings as last seen, and those that changed since.

    `told` are the users who were told of in a window that is open, with its end; each stands in the batch of that end.
    """

    run: Run
    seen: dict[Group, Ranks] = field(default_factory=dict)
    changed: set[Group] = field(default_factory=set)
    told: dict[int, int] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)


class TellRanks:
    """What the announcer calls for `leaderboard.rank_changed`.

    `interval` is the length of a window in microseconds, `timer` counts seconds. A patient one never rests, and waits
    for what is to be found out after a crash.
    """

    def __init__(
        self,
        ledger: Ledger,
        outbox: Outbox,
        teller: Teller,
        interval: int,
        notes: Notes,
        timer: Callable[[], float],
        patient: bool,
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._teller = teller
        self._interval = interval
        self._notes = notes
        self._timer = timer
        self._patient = patient
        self._boards: dict[int, Board] = {}
        self._watched: dict[tuple[int, int], _Watched] = {}
        self._resuming: asyncio.Task[None] | None = None
        self._looked_at = notes.watch.at
        self._rests_until: float | None = None
        # Up to which position of the log, as it was at which instant, everything is told.
        self.position, self.told_at = notes.watch.position, notes.watch.at

    @property
    def watched(self) -> list[int]:
        """The numbers of the boards whose changes of rank are told."""
        return sorted(self._boards)

    def next_due(self) -> int | None:
        """When a window ends."""
        if self._resuming is not None:
            return None
        return min([watched.batches[0].until for watched in self._watched.values() if watched.batches], default=None)

    def notice(self, changed: Iterable[tuple[int, Run, Group]]) -> None:
        """Rankings changed."""
        for number, run, group in changed:
            if number in self._boards and is_live(run, self._looked_at):
                self._of(number, run).changed.add(group)

    async def open(self) -> None:
        """Take up what was noted. Nothing is recorded meanwhile."""
        wanted = self._teller.wanted(RANK_CHANGED)
        for number in set(self._notes.watch.ranked) & wanted.keys():
            if await self._begin(wanted[number], self._looked_at):
                self._boards[number] = wanted[number]
        for batch in sorted(self._notes.batches, key=lambda batch: batch.until):
            await self._restore(batch)
        if self._boards and self.position != self._ledger.position():
            self._resuming = self._resume()

    async def gave_up(self) -> bool:
        """Stop finding out what happened before a crash, if that still goes on; the next start does it."""
        if self._resuming is None:
            return False
        self._resuming.cancel()
        await asyncio.gather(self._resuming, return_exceptions=True)
        return True

    async def advance(self, now: int, position: int) -> None:
        """Tell what is to be told by an instant. All changes up to that place of the log were noticed."""
        if self._resuming is not None and not await self._resumed():
            return
        await self.look(now, position)
        if self._patient or self._rests_until is None or self._timer() >= self._rests_until:
            await self._compare_all(now)
            self.position, self.told_at = position, now
        await self._end_windows(now)
        self._drop(now)
        self._looked_at = now

    def _of(self, number: int, run: Run) -> _Watched:
        return self._watched.setdefault((number, run.start), _Watched(run))

    # Whose rankings are watched

    async def look(self, now: int, position: int) -> None:
        """Watch the boards of which somebody wants to hear now, and no others."""
        if self._resuming is not None:
            return
        if not self._boards:
            # Nobody waits for what was before.
            self.position, self.told_at = position, now
        wanted = self._teller.wanted(RANK_CHANGED)
        for board in self._finished():
            # Finished by hand, but not all of what happened before is told.
            wanted.setdefault(board.number, board)
        for key in [key for key in self._watched if key[0] not in wanted]:
            await self._forget(key)
        self._boards = {
            number: board for number, board in wanted.items() if number in self._boards or await self._begin(board, now)
        }

    def _finished(self) -> list[Board]:
        """The boards that are watched and finished by hand, with something left to tell."""
        left = {number for (number, _), watched in self._watched.items() if watched.changed or watched.batches}
        return [board for board in self._teller.boards() if board.number in left and board.asked_status == "finished"]

    async def _begin(self, board: Board, at: int) -> bool:
        """Begin with the rankings as they are: that is no news. False for a board that has none.

        Its events may lead out of the range of values.
        """
        try:
            for run in await self._ledger.runs(board.number):
                if is_live(run, at):
                    watched = self._of(board.number, run)
                    for group in await self._ledger.groups(board.number, run):
                        watched.seen[group] = await self._ledger.ranks(board.number, run, group)
        except NotFound:
            return False
        return True

    async def _forget(self, key: tuple[int, int]) -> None:
        batches = self._watched[key].batches
        if batches:
            await self._outbox.write(Entry(forgotten_batches=sorted({batch[:3] for batch in batches})))
        del self._watched[key]

    def _drop(self, now: int) -> None:
        """Let go of runs that are over and completely told."""
        for key, watched in [*self._watched.items()]:
            if not (watched.batches or watched.changed or is_live(watched.run, now)):
                del self._watched[key]

    # After a restart

    async def _restore(self, batch: Batch) -> None:
        """Take up a batch. Who was told of again since then stands in a later one too, and belongs there."""
        board = self._boards.get(batch.board)
        run = None if board is None else board.schedule.run_at(batch.run_start)
        if run is None:
            await self._outbox.write(Entry(forgotten_batches=[batch[:3]]))
        else:
            watched = self._of(batch.board, run)
            watched.batches.append(batch)
            watched.told |= dict.fromkeys(batch.users, batch.until)

    def _resume(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._look_back(), name="palmares-ranks")

    async def _look_back(self) -> None:
        """See the rankings as they were when the last change was told; all of them may have changed since."""
        at = self.told_at
        for board in [*self._boards.values()]:
            try:
                former = await self._ledger.ranks_as_of(board, self.position, at)
            except (NotFound, Invalid) as error:
                logger.error("changes of rank are not told", leaderboard=board.key, reason=error.message)
                continue
            self._see(board, [(run, group, ranks) for run, group, ranks in former if is_live(run, at)])

    def _see(self, board: Board, former: Sequence[tuple[Run, Group, Ranks]]) -> None:
        """Take these for what was last seen of a board; what is there now may all have changed."""
        for (number, _), watched in self._watched.items():
            if number == board.number:
                watched.changed.update(watched.seen)
                watched.seen = {}
        for run, group, ranks in former:
            watched = self._of(board.number, run)
            watched.seen[group] = ranks
            watched.changed.add(group)

    async def _resumed(self) -> bool:
        """Whether all is found out, which a patient one waits for."""
        assert self._resuming is not None
        if not self._patient and not self._resuming.done():
            return False
        try:
            await self._resuming
        except Exception:
            self._resuming = self._resume()
            raise
        self._resuming = None
        return True

    # Comparing

    async def _compare_all(self, now: int) -> None:
        began = self._timer()
        for (number, _), watched in [*self._watched.items()]:
            if watched.changed:
                await self._compare(self._boards[number], watched, now)
        ended = self._timer()
        self._rests_until = ended + _REST * (ended - began)

    async def _compare(self, board: Board, watched: _Watched, now: int) -> None:
        """Tell of everybody who stands elsewhere than when last seen, but for those whose window is open."""
        changed = sorted(watched.changed)
        after = {group: await self._ledger.ranks(board.number, watched.run, group) for group in changed}
        found: list[_News] = []
        left: list[_News] = []
        for group in changed:
            for step in changes(watched.seen.get(group, _NOBODY), after[group]):
                for change in step:
                    if change.user not in watched.told:
                        (left if change.rank is None else found).append(_News(group, change))
                if len(found) >= _MOST_MESSAGES:
                    await self._tell(board, watched, found, now)
                    found = []
                await pause()
        # Who left one group for another was told of there.
        seen = {**watched.seen, **after}
        found += [one for one in left if _elsewhere(seen, one.group, one.change.user) is None]
        await self._tell(board, watched, found, now)
        # Not before everything is told: whom an obstacle kept from being told of is found again.
        watched.seen = seen
        watched.changed.difference_update(changed)

    async def _tell(self, board: Board, watched: _Watched, found: Sequence[_News], now: int) -> None:
        for start in range(0, len(found), _MOST_MESSAGES):
            await self._tell_some(board, watched, found[start : start + _MOST_MESSAGES], now)
            await pause()

    async def _tell_some(self, board: Board, watched: _Watched, found: Sequence[_News], now: int) -> None:
        """Write messages, and in the same transaction that they were written."""
        users = await self._ledger.users([one.change.user for one in found])
        status = board.status_at(now)
        messages = []
        for (group, change), user in zip(found, users, strict=True):
            if user.hidden or user.erased:
                # Left the ranking, but that is nobody's business.
                continue
            body = self._teller.bodies.rank(RANK_CHANGED, now, board, status, watched.run, group, user, change)
            messages.append(self._teller.message(board.scope, RANK_CHANGED, now, body))
        batch = _batch(board.number, watched.run, now + self._interval, found)
        await self._outbox.write(Entry(messages=messages, batches=[batch]))
        watched.batches.append(batch)
        watched.told |= dict.fromkeys(batch.users, batch.until)

    # The ends of windows

    async def _end_windows(self, now: int) -> None:
        for (number, _), watched in [*self._watched.items()]:
            while watched.batches and watched.batches[0].until <= now:
                await self._end_window(self._boards[number], watched, now)

    async def _end_window(self, board: Board, watched: _Watched, now: int) -> None:
        """Tell of those in the first batches who stand elsewhere by now, and let the others go."""
        until = watched.batches[0].until
        ending = [batch for batch in watched.batches if batch.until == until]
        same: list[int] = []
        for batch in ending:
            found: list[_News] = []
            for row, user in enumerate(batch.users):
                # Who was told of again, before an obstacle, stands in a later batch.
                if watched.told[user] == until:
                    one = _news(watched.seen, batch, row)
                    if one is None:
                        same.append(user)
                    else:
                        found.append(one)
            await self._tell(board, watched, found, now)
            await pause()
        await self._outbox.write(Entry(forgotten_batches=[ending[0][:3]]))
        watched.batches = [batch for batch in watched.batches if batch.until != until]
        for user in same:
            del watched.told[user]


def _elsewhere(seen: Mapping[Group, Ranks], group: Group, user: int) -> Stood | None:
    """Where a user stands who does not stand in a group."""
    for other, ranks in seen.items():
        if other != group:
            rank, value = find(ranks, user)
            if rank is not None:
                return Stood(other, rank, value)
    return None


def _news(seen: Mapping[Group, Ranks], batch: Batch, row: int) -> _News | None:
    """What is to be told of a user in a batch by now."""
    user, rank, group = batch.users[row], batch.ranks[row], batch.names[batch.groups[row]]
    told = Stood(group, rank or None, batch.values[row] if rank else None)
    present = Stood(group, *find(seen.get(group, _NOBODY), user))
    if present.rank is None:
        present = _elsewhere(seen, group, user) or present
    previous = news(told, present)
    return None if previous is None else _News(present.group, Change(user, *previous, present.rank, present.value))


def _batch(board: int, run: Run, until: int, found: Sequence[_News]) -> Batch:
    names = [*dict.fromkeys(one.group for one in found)]
    places = {group: place for place, group in enumerate(names)}
    return Batch(
        board,
        run.start,
        until,
        names,
        array("I", [one.change.user for one in found]),
        array("I", [places[one.group] for one in found]),
        array("I", [one.change.rank or 0 for one in found]),
        array("q", [one.change.value or 0 for one in found]),
    )
