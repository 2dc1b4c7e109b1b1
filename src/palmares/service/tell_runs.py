"""Tells when runs begin and end: `leaderboard.started` and `leaderboard.finished`.

Each once, at its instant, or as soon as possible after it. A board that is activated tells the beginning of the run
in progress, which begins for everybody only now, and nothing of the runs that are over. One that is finished by hand
tells at once the end of every run that has begun.

How far each board has come is noted with the messages, so nothing is told twice or left out over a restart.
"""

from __future__ import annotations

from typing import NamedTuple

from palmares.domain.board import Board, Status
from palmares.domain.effect import is_live
from palmares.domain.errors import NotFound
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.run_calendar import before, end_told_at, following, newest_open, newest_told, start_told_at
from palmares.domain.webhook import FINISHED, STARTED
from palmares.ledger.contract import Ledger, Row
from palmares.outbox.contract import BoardNote, Entry, Message, Notes, Outbox
from palmares.service.teller import MOST_ROWS, Teller, pause

# How many groups are rendered before others have their turn: a board may have one for each team.
_GROUPS_AT_ONCE = 100


class _Step(NamedTuple):
    """The next thing to tell of a board, and when."""

    at: int
    board: Board
    run: Run
    ends: bool


class TellRuns:
    """A worker of the timekeeper's, who comes after the ledger."""

    def __init__(self, ledger: Ledger, outbox: Outbox, teller: Teller, notes: Notes) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._teller = teller
        self._notes = {note.board: note for note in notes.boards}
        # Boards that were there before anything was noted had begun before: that is no news.
        self._first = notes.new
        self._steps: dict[int, _Step] = {}
        self._seen: dict[int, Board] = {}

    def next_due(self) -> int | None:
        """See `Worker`."""
        return min([step.at for step in self._steps.values()], default=None)

    async def advance(self, now: int) -> None:
        """See `Worker`."""
        await self._take_up(now)
        while due := [step for step in self._steps.values() if step.at <= now]:
            await self._tell(min(due, key=lambda step: (step.at, step.board.number)), now)

    async def look(self, now: int) -> None:
        """Tell what a board that was just activated begins, and what one that was just finished by hand ends.

        At once, because it is no news for a webhook that is made a moment later. All else waits for `advance`: only
        then has the ledger closed what is over.
        """
        for board in await self._take_up(now):
            while (step := self._steps.get(board.number)) is not None and step.at <= now:
                if step.ends and board.asked_status != "finished":
                    break
                await self._tell(step, now)

    async def _take_up(self, now: int) -> list[Board]:
        """Take up what boards have become since the last time; those that changed."""
        boards = {board.number: board for board in self._teller.boards()}
        entry = Entry(gone=[number for number in self._notes if number not in boards])
        for board in boards.values():
            if self._seen.get(board.number) is not board:
                note = self._noted(board, now)
                if note is not None and note != self._notes.get(board.number):
                    entry.boards.append(note)
        if entry.boards or entry.gone:
            await self._outbox.write(entry)
        self._first = False
        self._notes |= {note.board: note for note in entry.boards}
        for number in entry.gone:
            del self._notes[number]
        for number in [number for number in self._seen if number not in boards]:
            self._steps.pop(number, None)
        changed = [board for board in boards.values() if self._seen.get(board.number) is not board]
        self._seen = boards
        for board in changed:
            self._plan(board, now)
        return changed

    def _noted(self, board: Board, now: int) -> BoardNote | None:
        """How far a board is told from now on; None for one that never was anything but inactive."""
        note = self._notes.get(board.number)
        if board.asked_status == "inactive" or not board.ready:
            return None if note is None else note._replace(active=False)
        calendar = f"{board.start} {board.run_unit} {board.run_interval}"
        if note is not None and note.active and note.calendar == calendar:
            return note
        started, finished = _passed(board, now, self._first)
        if note is not None and note.calendar == calendar:
            started, finished = _later(started, note.started), _later(finished, note.finished)
        return BoardNote(board.number, calendar, True, started, finished)

    def _plan(self, board: Board, now: int) -> None:
        step = self._next(board, now)
        if step is None:
            self._steps.pop(board.number, None)
        else:
            self._steps[board.number] = step

    def _next(self, board: Board, now: int) -> _Step | None:
        note = self._notes.get(board.number)
        if note is None or not note.active:
            return None
        if board.asked_status == "finished":
            return _end_by_hand(board, note, now)
        steps = []
        if (run := following(board.schedule, note.started)) is not None:
            steps.append(_Step(start_told_at(run), board, run, False))
        run = following(board.schedule, note.finished)
        if run is not None and (at := end_told_at(run)) is not None:
            steps.append(_Step(at, board, run, True))
        return min(steps, key=lambda step: (step.at, step.ends), default=None)

    async def _tell(self, step: _Step, now: int) -> None:
        board, run = step.board, step.run
        note = self._notes[board.number]
        note = note._replace(finished=run.start) if step.ends else note._replace(started=run.start)
        messages = await (self._ends(step, now) if step.ends else self._begins(step, now))
        await self._outbox.write(Entry(messages=messages, boards=[note]))
        self._notes[board.number] = note
        self._plan(board, now)

    async def _begins(self, step: _Step, now: int) -> list[Message]:
        board, run = step.board, step.run
        if not self._teller.wants(board.scope, STARTED):
            return []
        rows = [] if board.breakdown else await self._rows(board, run, ())
        body = self._teller.bodies.rankings(STARTED, now, board, "active", run, None, rows)
        return [self._teller.message(board.scope, STARTED, now, body)]

    async def _ends(self, step: _Step, now: int) -> list[Message]:
        board, run = step.board, step.run
        if not self._teller.wants(board.scope, FINISHED):
            return []
        status: Status = "finished" if run == board.schedule.last_run() else "active"
        messages = []
        for place, group in enumerate(await self._groups(board, run), 1):
            rows = [] if group is None else await self._rows(board, run, group)
            body = self._teller.bodies.rankings(FINISHED, now, board, status, run, group, rows)
            messages.append(self._teller.message(board.scope, FINISHED, now, body))
            if place % _GROUPS_AT_ONCE == 0:
                await pause()
        return messages

    async def _groups(self, board: Board, run: Run) -> list[Group | None]:
        """The groups to tell of; none in particular when nobody joined any."""
        if not board.breakdown:
            return [()]
        try:
            return [*sorted(await self._ledger.groups(board.number, run))] or [None]
        except NotFound:
            return [None]

    async def _rows(self, board: Board, run: Run, group: Group) -> list[Row]:
        try:
            return await self._ledger.page(board.number, run, [group], 0, MOST_ROWS)
        except NotFound:
            # A board whose events lead out of the range of values has no rankings.
            return []


def _passed(board: Board, now: int, known: bool) -> tuple[int | None, int | None]:
    """The first days of the last runs that need no telling of their beginning and of their end."""
    schedule = board.schedule
    over, newest = newest_told(schedule, now), newest_open(schedule, now)
    if known and board.asked_status == "finished":
        over = schedule.last_run()
    if newest is not None and not known and board.asked_status == "active" and is_live(newest, now):
        newest = before(schedule, newest)
    return None if newest is None else newest.start, None if over is None else over.start


def _end_by_hand(board: Board, note: BoardNote, now: int) -> _Step | None:
    run = following(board.schedule, note.finished)
    return None if run is None or start_told_at(run) > now else _Step(now, board, run, True)


def _later(one: int | None, other: int | None) -> int | None:
    return max((day for day in (one, other) if day is not None), default=None)
