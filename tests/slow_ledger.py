"""A ledger that is obviously right: what every real one is compared with.

It keeps one list, the log, and computes every answer anew from all of it. Nothing is updated in place, so there is no
state that could go wrong: recording extends a copy of the log and takes it over when nothing was refused. Beside the
log it knows which boards it follows, and how far the time has come.
"""

import json
from array import array
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from math import floor
from typing import Any, TypeVar

import msgspec

from palmares.domain.board import Board
from palmares.domain.changes import Plan, threshold
from palmares.domain.erased import anonymous_id, check_new_id
from palmares.domain.errors import NotAllowed, NotFound, PalmaresError
from palmares.domain.group import Group, own_group
from palmares.domain.local_time import HOUR, day_of, local_at
from palmares.domain.metric import Metric
from palmares.domain.points import Rule, Scheme
from palmares.domain.run import Run
from palmares.domain.snapshot import DayStanding
from palmares.domain.standing import Standing
from palmares.domain.streak import CountedPeriod, Streak
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User, changed
from palmares.domain.value import MICROS, checked
from palmares.ledger.contract import (
    Award,
    BoardOutcome,
    DayChange,
    Entry,
    Erasure,
    EventPage,
    Outcome,
    Place,
    Ranks,
    Record,
    Row,
    RunState,
    StoredEvent,
    StreakOrder,
    StreakRow,
    VoidNote,
    WantedEvents,
)
from tests.slow_fold import (
    NEVER,
    ErasureLine,
    EventLine,
    Line,
    Places,
    PointsLine,
    Rankings,
    UserLine,
    VoidLine,
    check_values,
    days_of,
    erased,
    events_by_run,
    events_of,
    final_at,
    ignored_late,
    known_users,
    own_events,
    rank_in,
    rankings,
    revising,
    schemes_of,
    standing_events,
    tallies,
    total_of,
    union,
    user_with,
    users_of,
    voids_of,
)
from tests.slow_streaks import SlowStreaks, streak_board

T = TypeVar("T")


class SlowLedger:
    """A `Ledger` in memory. `new_id` gives the id of an event."""

    def __init__(self, clock: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._log: list[Line] = []
        self._now = clock()
        self._boards: dict[int, Board] = {}
        # Where in the log each board was followed: what came before has revised nothing.
        self._followed_at: dict[int, int] = {}
        # When each board was finished by hand: its runs were final then.
        self._frozen_at: dict[int, int] = {}
        self._streaks = SlowStreaks()
        # The settings that each board that ranks by streak is made by.
        self._made_by: dict[int, StreakSettings] = {}
        self._seen: dict[tuple[int, Run, Group], list[Standing]] | None = None
        # Runs are asked about user by user: what was worked out is remembered until the log grows or time goes on.
        self._answers: dict[tuple[Any, ...], Any] = {}
        self._answers_of = (0, 0)

    # Recording

    async def record(self, entries: Sequence[Entry]) -> list[Outcome]:
        log, outcomes = list(self._log), []
        await self.advance(self._clock())
        for place, entry in enumerate(entries):
            try:
                outcomes.append(self._record_one(log, entry, self._now))
            except PalmaresError as error:
                raise error.at(place) if len(entries) > 1 else error from None
        self._log = log
        return outcomes

    def _record_one(self, log: list[Line], entry: Entry, now: int) -> Outcome:
        if entry.voids is not None:
            return self._void(log, entry, entry.voids, now)
        known = user_with(log, entry.scope, entry.user_id)
        if entry.erase:
            return self._erase(log, entry, known, now)
        if known is None and entry.must_exist:
            raise NotFound(f"user {entry.user_id!r} was not found")
        first = None if known is None else first_use(log, known, entry)
        if known is not None and first is not None and entry.metric is not None:
            boards = self._outcomes(log, log, known, entry.metric, local_at(now, known.tz), now)
            total = total_of(log, known.number, entry.metric.number)
            return Outcome(known, False, first.event_id, total, True, boards, self._streak(log, known))
        if known is None:
            check_new_id(entry.user_id)
        fresh = User(
            number=len(users_of(log)) + 1, scope=entry.scope, id=entry.user_id, control=entry.control,
            created=now, updated=now,
        )  # fmt: skip
        user = changed(known or fresh, entry.changes, now)
        before = list(log)
        if user is not known:
            log.append(UserLine(len(log) + 1, now, user))
        if entry.metric is None:
            return Outcome(user, known is None)
        if entry.total is not None:
            present = total_of(log, user.number, entry.metric.number)
            if entry.total == present:
                return Outcome(user, known is None, total=present, streak=self._streak(log, user))
            entry = replace(entry, total=None, amount=checked(entry.total, "total") - present)
        event = self._event(log, user, entry, now)
        log.append(event)
        self._check_values(log, user, entry.metric)
        awards = self._pay(before, log, user, event)
        boards = [
            outcome
            for metric in [entry.metric, *{award.metric.number: award.metric for award in awards}.values()]
            for outcome in self._outcomes(before, log, user, metric, event.local_at, now)
        ]
        streak, extended = self._streak(log, user), self._streaks.extended(user, own_events_of(log, user), now)
        if extended:
            boards += self._told(self._streak_boards(user.scope), before, log, user, event.local_at, now)
        self._revise_streak_boards(log, event, event)
        told = list(map(award_of, awards))
        return Outcome(user, known is None, event.event_id, event.total, False, boards, streak, extended, told)

    def _pay(self, before: list[Line], log: list[Line], user: User, event: EventLine) -> list[EventLine]:
        """Add to the log what an event earns."""
        awards = []
        totals = [total_of(lines, user.number, event.metric.number) for lines in (before, log)]
        for scheme in schemes_of(log, user.scope):
            for rule in scheme.rules:
                points = total_of(log, user.number, scheme.number)
                amount = pays(scheme, rule, event, totals, points, user.attributes)
                if amount:
                    total = checked(points + checked(amount, "points"), "points")
                    if rule.blocks and amount < 0 and total < 0:
                        raise NotAllowed("out of points")
                    award = replace(
                        event,
                        position=len(log) + 1,
                        event_id=self._new_id(),
                        metric=Metric(scheme.number, "", user.scope, scheme.key, scheme.key),
                        amount=amount,
                        total=total,
                        idempotency_key=None,
                        attributes=None,
                        trigger=rule.trigger,
                        earned_by=event.position,
                    )
                    log.append(award)
                    awards.append(award)
                    self._check_values(log, user, award.metric)
        return awards

    def _void(self, log: list[Line], entry: Entry, position: int, now: int) -> Outcome:
        """An event was never there, from now on; said twice, it is the same."""
        event = event_at(log, entry.scope, position)
        user = users_of(log)[event.user]
        known = position in voids_of(log)
        if not known:
            total = checked(total_of(log, user.number, event.metric.number) - event.amount, "total")
            void = VoidLine(len(log) + 1, now, event, total, entry.reason)
            log.append(void)
            self._check_values(log, user, event.metric)
            self._revise_streak_boards(log, event, void)
            self._repay(log, user, event, now)
        total = total_of(log, user.number, event.metric.number)
        return Outcome(user, False, event.event_id, total, known, (), self._streak(log, user))

    def _repay(self, log: list[Line], user: User, voided: EventLine, now: int) -> None:
        """From a void event on, let the user have earned what the events that are left earn."""
        before = schemes_of(log[: voided.position], user.scope)
        since = [line.schemes for line in log[voided.position :] if is_points_of(line, user.scope)]
        paying = {
            scheme.number
            for schemes in (before, *since)
            for scheme in schemes
            if any(rule.metric == voided.metric.number for rule in scheme.rules)
        }
        for counter in sorted(paying):
            owed = self._owed(log, user, voided, counter)
            for award in awards_since(log, user, voided.position, counter):
                assert award.earned_by is not None
                if owed.get((award.earned_by, award.trigger)) == award.amount:
                    del owed[award.earned_by, award.trigger]
                    continue
                total = checked(total_of(log, user.number, counter) - award.amount, "points")
                log.append(VoidLine(len(log) + 1, now, award, total, None))
            for (earned_by, trigger), amount in owed.items():
                event = log[earned_by - 1]
                assert isinstance(event, EventLine)
                log.append(
                    replace(
                        event,
                        position=len(log) + 1,
                        recorded_at=now,
                        event_id=self._new_id(),
                        metric=Metric(counter, "", user.scope, "", ""),
                        amount=amount,
                        total=checked(total_of(log, user.number, counter) + amount, "points"),
                        idempotency_key=None,
                        attributes=None,
                        history=False,
                        trigger=trigger,
                        earned_by=earned_by,
                    )
                )
            self._check_values(log, user, Metric(counter, "", user.scope, "", ""))

    def _owed(self, log: list[Line], user: User, voided: EventLine, counter: int) -> dict[tuple[int, str | None], int]:
        """What each rule of a system pays for each event behind a void one."""
        owed: dict[tuple[int, str | None], int] = {}
        earlier = awards_since(log, user, 0, counter)
        points = sum(award.amount for award in earlier if (award.earned_by or 0) < voided.position)
        own = own_events_of(log, user)
        for event in own:
            if event.position < voided.position:
                continue
            same = [other for other in own if other.metric == event.metric and other.position <= event.position]
            after = sum(other.amount for other in same)
            for scheme in schemes_of(log[: event.position], user.scope):
                for rule in scheme.rules if scheme.number == counter else ():
                    amount = pays(scheme, rule, event, (after - event.amount, after), points, user.attributes)
                    points += amount
                    if amount:
                        owed[event.position, rule.trigger] = amount
        return owed

    def _erase(self, log: list[Line], entry: Entry, known: User | None, now: int) -> Outcome:
        if known is None:
            raise NotFound(f"user {entry.user_id!r} was not found")
        log.append(ErasureLine(len(log) + 1, now, known.number))
        return Outcome(self._anonymous(known))

    @staticmethod
    def _anonymous(user: User) -> User:
        return User(
            number=user.number, scope=user.scope, id=anonymous_id(user.number), tz=user.tz,
            preferences=user.preferences, control=user.control, created=user.created, updated=user.updated,
        )  # fmt: skip

    def _event(self, log: list[Line], user: User, entry: Entry, now: int) -> EventLine:
        assert entry.metric is not None
        occurred_at = now if entry.occurred_at is None else entry.occurred_at
        return EventLine(
            position=len(log) + 1,
            recorded_at=now,
            event_id=self._new_id(),
            user=user.number,
            metric=entry.metric,
            amount=checked(entry.amount, "value"),
            occurred_at=occurred_at,
            local_at=local_at(occurred_at, user.tz),
            total=checked(total_of(log, user.number, entry.metric.number) + entry.amount, "total"),
            idempotency_key=entry.idempotency_key,
            attributes=entry.attributes,
            history=entry.history,
        )

    def _check_values(self, log: list[Line], user: User, metric: Metric) -> None:
        """Every value of the user has to fit, also where nobody sees it at present."""
        own = [event for event in standing_events(log) if event.user == user.number]
        for board in self._boards_of(metric):
            check_values(own, board)

    def _outcomes(
        self, before: list[Line], after: list[Line], user: User, metric: Metric, local: int, now: int
    ) -> list[BoardOutcome]:
        """Where an event of that local time put its user, by the log before and after it, on the active boards.

        Of a run that is final nothing is told.
        """
        return self._told(self._boards_of(metric), before, after, user, local, now)

    def _told(
        self, boards: Iterable[Board], before: list[Line], after: list[Line], user: User, local: int, now: int
    ) -> list[BoardOutcome]:
        outcomes = []
        for board in boards:
            run = Plan(board).run_at(local)
            group = own_group(board, user.attributes)
            counts = board.finished_position is None and board.status_at(now) == "active"
            if counts and run is not None and group is not None and now < final_at(run):
                standings = rankings(after, board, run).get(group, [])
                outcomes.append(
                    BoardOutcome(
                        board,
                        run,
                        group,
                        rank_in(rankings(after, board, run, seen_by=user.number).get(group, []), user.id),
                        rank_in(rankings(before, board, run, seen_by=user.number).get(group, []), user.id),
                        threshold(board, len(standings), standings[-1].value if standings else None),
                    )
                )
        return outcomes

    def _boards_of(self, metric: Metric) -> list[Board]:
        boards = sorted(self._boards.values(), key=lambda board: board.number)
        return [board for board in boards if board.counted is not None and board.counted.number == metric.number]

    # Time

    async def advance(self, now: int) -> None:
        self._now = max(self._now, now)

    def next_due(self) -> int:
        """Days end at midnight, runs become final at noon."""
        return (self._now // (12 * HOUR) + 1) * 12 * HOUR

    async def settle(self) -> None:
        """There is nothing to wait for."""

    # Following boards

    async def follow(self, board: Board) -> None:
        check_values(self._log, board)
        self._boards[board.number] = board
        self._followed_at[board.number] = len(self._log)
        self._frozen_at[board.number] = self._now
        self._made_by[board.number] = self._streaks.settings_of(board.scope)

    def progress(self, board_number: int) -> float | None:
        """Following takes no time."""
        return None

    def revising(self, board_number: int) -> bool:
        """Nor does revising."""
        return False

    def redefine(self, board: Board) -> None:
        if board.number not in self._boards:
            return
        frozen = self._board(board.number).finished_position
        self._boards[board.number] = replace(board, finished_position=board.finished_position or frozen)

    def forget(self, board_number: int) -> None:
        self._boards.pop(board_number, None)

    async def freeze(self, board_number: int, note: Callable[[int], Awaitable[None]] | None = None) -> int:
        board = self._board(board_number)
        if note is not None:
            await note(len(self._log) if board.finished_position is None else board.finished_position)
        if board.finished_position is not None:
            return board.finished_position
        self._frozen_at[board_number] = self._now
        self._boards[board_number] = replace(board, finished_position=len(self._log))
        return len(self._log)

    async def restart(self, boards: Iterable[Board], streaks: Mapping[int, StreakSettings]) -> None:
        """What closing and opening is to others: these boards are followed, and are what they are said to be."""
        for scope, settings in streaks.items():
            await self.set_streaks(scope, settings)
        followed = set(self._boards)
        self._boards = {}
        for board in boards:
            if board.number in followed:
                self._boards[board.number] = board
            else:
                await self.follow(board)

    # Reading rankings

    async def runs(self, board_number: int) -> list[Run]:
        board = self._board(board_number)
        runs = sorted(events_by_run(self._log, board))
        return [run for run in runs if self._rankings(board, run) or self._earned(board, run)]

    async def run_state(self, board_number: int, run: Run) -> RunState:
        board = self._board(board_number)
        since = [event for event in revising(self._log, board, run) if event.position > self._followed_at[board_number]]
        return RunState(self._final(board, run), len(since), ignored_late(self._log, board, run))

    async def ranks(self, board_number: int, run: Run, group: Group) -> Ranks:
        board = self._board(board_number)
        numbers = {user.id: number for number, user in known_users(self._log).items() if user.scope == board.scope}
        standings = {} if self._final(board, run) else self._rankings(board, run)
        found = sorted(
            (numbers[standing.participant], standing.rank, standing.value) for standing in standings.get(group, [])
        )
        users, ranks, values = zip(*found, strict=True) if found else ((), (), ())
        return Ranks(array("I", users), array("I", ranks), array("q", values))

    def changed_rankings(self) -> list[tuple[int, Run, Group]]:
        before, after = self._seen, self._live_rankings()
        self._seen = after
        if before is None:
            return []
        live = [ranking for ranking in {**before, **after} if self._is_live(*ranking[:2])]
        return sorted(ranking for ranking in live if before.get(ranking, []) != after.get(ranking, []))

    async def group(self, board_number: int, run: Run, user: User) -> Group | None:
        board = self._board(board_number)
        for group, standings in self._rankings(board, run).items():
            if rank_in(standings, user.id) is not None:
                return group
        present = user_with(self._log, user.scope, user.id)
        return None if present is None or self._final(board, run) else own_group(board, present.attributes)

    async def groups(self, board_number: int, run: Run) -> Collection[Group]:
        return list(self._rankings(self._board(board_number), run))

    async def size(self, board_number: int, run: Run, groups: Collection[Group]) -> int:
        board = self._board(board_number)
        return len(union(board, self._rankings(board, run), groups))

    async def page(self, board_number: int, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        board = self._board(board_number)
        names = {user.id: user.name for user in known_users(self._log).values() if user.scope == board.scope}
        standings = union(board, self._rankings(board, run), groups)
        return [
            Row(row, standing.rank, standing.participant, names.get(standing.participant), standing.value)
            for row, standing in list(enumerate(standings))[start:stop]
        ]

    async def place(self, board_number: int, run: Run, groups: Collection[Group], user: User) -> Place | None:
        board = self._board(board_number)
        for row, standing in enumerate(union(board, self._rankings_seen_by(user, board, run), groups)):
            if standing.participant == user.id:
                return Place(row, standing.rank, standing.value)
        tally = self._earned(board, run).get(user.number)
        present = users_of(self._log).get(user.number)
        if tally is None or present is None or own_group(board, present.attributes) not in set(groups):
            return None
        return Place(None, None, tally.value)

    async def history(
        self, board_number: int, run: Run, user: User, first_day: int, last_day: int
    ) -> list[DayStanding]:
        board = self._board(board_number)
        days = self._days_of(board, run)
        asked = [day for day in sorted(days) if first_day <= day <= last_day]
        return [DayStanding(day, *days[day].get(user.id, (None, None))) for day in asked]

    def _live_rankings(self) -> dict[tuple[int, Run, Group], list[Standing]]:
        return {
            (board.number, run, group): standings
            for board in map(self._viewed, self._boards.values())
            for run in events_by_run(self._log, board)
            if not self._final(board, run)
            for group, standings in self._rankings(board, run).items()
        }

    def _is_live(self, number: int, run: Run) -> bool:
        return number in self._boards and not self._final(self._boards[number], run)

    def _final(self, board: Board, run: Run) -> bool:
        """Whether a run is final: it is over everywhere, or the board was finished by hand."""
        return board.finished_position is not None or self._now >= final_at(run)

    def _rankings(self, board: Board, run: Run) -> Rankings:
        """The rankings of a run: as they are now, or as they were when it became final."""
        until = final_at(run) if self._now >= final_at(run) else NEVER
        return self._once(lambda: rankings(self._log, board, run, until), "rankings", board, run)

    def _rankings_seen_by(self, user: User, board: Board, run: Run) -> Rankings:
        """The rankings of a run; while it is not final, who is hidden stands in their own."""
        if not user.hidden or self._final(board, run):
            return self._rankings(board, run)
        return self._once(lambda: rankings(self._log, board, run, seen_by=user.number), "seen", board, run, user.number)

    def _earned(self, board: Board, run: Run) -> Mapping[int, Any]:
        """The tallies of a run that is not final; of one that is, nothing is known but who is ranked."""
        if self._final(board, run):
            return {}
        return self._once(lambda: tallies(self._log, board, run), "tallies", board, run)

    def _days_of(self, board: Board, run: Run) -> dict[int, Places]:
        """The days that are over; of a board that was finished by hand, up to the one on which that was."""
        frozen_at = NEVER if board.finished_position is None else self._frozen_at[board.number]
        return self._once(lambda: days_of(self._log, board, run, self._now, frozen_at), "days", board, run, frozen_at)

    def _once(self, work_out: Callable[[], T], *about: Any) -> T:
        """The answer of before, if nothing has happened since."""
        present = (len(self._log), self._now)
        if self._answers_of != present:
            self._answers, self._answers_of = {}, present
        if about not in self._answers:
            self._answers[about] = work_out()
        answer: T = self._answers[about]
        return answer

    # Reading users and the log

    async def users(self, numbers: Sequence[int]) -> list[User]:
        users, gone = users_of(self._log), erased(self._log)
        return [self._anonymous(users[number]) if number in gone else users[number] for number in numbers]

    def position(self) -> int:
        return len(self._log)

    async def user(self, scope: int, user_id: str) -> User | None:
        return user_with(self._log, scope, user_id)

    async def total(self, user: User, metric: Metric) -> int:
        return total_of(self._log, user.number, metric.number)

    async def days(self, user: User, metric: Metric, first_day: int, last_day: int) -> list[DayChange]:
        changes: dict[int, int] = {}
        for event in events_of(standing_events(self._log), metric.number):
            day = day_of(event.local_at)
            if event.user == user.number and first_day <= day <= last_day:
                changes[day] = changes.get(day, 0) + event.amount
        return [DayChange(day, changes[day]) for day in sorted(changes)]

    async def set_points(self, scope: int, schemes: Sequence[Scheme]) -> None:
        if tuple(schemes) != schemes_of(self._log, scope):
            await self.advance(self._clock())
            self._log = [*self._log, PointsLine(len(self._log) + 1, self._now, scope, tuple(schemes))]

    async def awards(self, user: User, system: Metric, limit: int) -> list[Award]:
        awards = awards_since(self._log, user, 0, system.number)
        awards.sort(key=lambda award: (award.local_at, award.position), reverse=True)
        return [award_of(award) for award in awards[:limit]]

    async def records(self, after: int, limit: int) -> list[Record]:
        scopes = {user.number: user.scope for user in users_of(self._log).values()}
        return [record_of(line, scopes) for line in self._log if line.position > after][:limit]

    async def events(self, wanted: WantedEvents) -> EventPage:
        found = [line for line in reversed(self._log) if isinstance(line, EventLine) and self._fits(line, wanted)]
        shown = found[: wanted.limit]
        return EventPage(
            [self._stored(event) for event in shown], shown[-1].position if len(found) > len(shown) else None
        )

    async def events_with(self, scope: int, ids: Sequence[str]) -> list[StoredEvent | None]:
        wanted = WantedEvents(scope, 0)
        known = {
            line.event_id: self._stored(line)
            for line in self._log
            if isinstance(line, EventLine) and self._fits(line, wanted)
        }
        return [known.get(text.lower()) for text in ids]

    def _fits(self, event: EventLine, wanted: WantedEvents) -> bool:
        known = known_users(self._log).get(event.user)
        return (
            event.trigger is None
            and known is not None
            and known.scope == wanted.scope
            and (wanted.before is None or event.position < wanted.before)
            and (wanted.user is None or event.user == wanted.user.number)
            and (wanted.metric is None or event.metric.number == wanted.metric.number)
            and (wanted.recorded_from is None or event.recorded_at >= wanted.recorded_from)
            and (wanted.recorded_before is None or event.recorded_at < wanted.recorded_before)
            and wanted.idempotency_key in (None, event.idempotency_key)
        )

    def _stored(self, event: EventLine) -> StoredEvent:
        void = voids_of(self._log).get(event.position)
        return StoredEvent(
            event.event_id, event.position, users_of(self._log)[event.user].id, event.metric.number, event.amount,
            event.total, dict(event.attributes or {}), event.idempotency_key, event.occurred_at, event.recorded_at,
            event.history, None if void is None else VoidNote(void.recorded_at, void.reason),
        )  # fmt: skip

    async def unfinished_erasures(self) -> list[Erasure]:
        """There are no files."""
        return []

    async def compact(self, numbers: Sequence[int]) -> None:
        """Nothing to be removed."""

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _board(self, number: int) -> Board:
        if number not in self._boards:
            raise NotFound(f"board {number} is not followed")
        return self._viewed(self._boards[number])

    # Streaks

    async def set_streaks(self, scope: int, settings: StreakSettings) -> None:
        if self._streaks.define(scope, settings):
            for board in self._streak_boards(scope):
                if not self._final(board, board.schedule.run_at(board.start) or Run(board.start, board.end)):
                    await self.follow(self._boards[board.number])

    async def streak(self, user: User) -> Streak:
        return self._streak(self._log, users_of(self._log)[user.number])

    async def counted_periods(self, user: User) -> list[CountedPeriod]:
        return self._streaks.counted_periods(user, own_events_of(self._log, user))

    async def streak_rankings(self, scope: int, order: StreakOrder, limit: int) -> list[StreakRow]:
        users = [user for user in known_users(self._log).values() if user.scope == scope and not user.hidden]
        return self._streaks.rows(users, own_events(self._log), self._now, order)[:limit]

    def _streak(self, log: Sequence[Line], user: User) -> Streak:
        return self._streaks.state(user, own_events_of(log, user))

    def _streak_boards(self, scope: int) -> list[Board]:
        found = sorted(self._boards.values(), key=lambda board: board.number)
        return [self._viewed(board) for board in found if board.rank_by == "streak" and board.scope == scope]

    def _revise_streak_boards(self, log: Sequence[Line], event: EventLine, by: EventLine | VoidLine) -> None:
        """A final run that an event, or a void of it, revises is made by the settings of that time."""
        for board in self._streak_boards(users_of(log)[event.user].scope):
            if any(by in revising(log, board, run) for run in events_by_run(log, board)):
                self._made_by[board.number] = self._streaks.settings_of(board.scope)

    def _viewed(self, board: Board) -> Board:
        """A board as the fold wants it."""
        if board.rank_by != "streak":
            return board
        now = self._now if board.finished_position is None else self._frozen_at[board.number]
        return streak_board(board, self._made_by[board.number], now)


def own_events_of(log: Sequence[Line], user: User) -> list[EventLine]:
    return [event for event in own_events(log) if event.user == user.number]


def event_at(log: Sequence[Line], scope: int, position: int) -> EventLine:
    """The event at a position, which is one of the scope."""
    scopes = {user.number: user.scope for user in known_users(log).values()}
    for line in log:
        own = isinstance(line, EventLine) and line.trigger is None
        if own and line.position == position and scopes.get(line.user) == scope:
            return line
    raise NotFound("there is no such event")


def pays(
    scheme: Scheme, rule: Rule, event: EventLine, totals: Sequence[int], points: int, attributes: Mapping[str, str]
) -> int:
    """What a rule pays for an event that took a total from the first of these to the second."""
    wanted = [(attributes, rule.user_attributes), (event.attributes or {}, rule.event_attributes)]
    if rule.metric != event.metric.number or any(
        had.get(key) != value for had, pairs in wanted for key, value in pairs
    ):
        return 0
    # Steps up, or down, by whole thresholds.
    before, after = (floor(Fraction(total, rule.threshold)) for total in totals)
    amount = (after - before) * rule.points * MICROS
    if scheme.max_points is None or amount < 0:
        return amount
    return max(0, min(amount, scheme.max_points * MICROS - points))


def is_points_of(line: Line, scope: int) -> bool:
    return isinstance(line, PointsLine) and line.scope == scope


def awards_since(log: Sequence[Line], user: User, position: int, counter: int) -> list[EventLine]:
    """The user's awards of a system that are not void, for events from a position on."""
    awards = [event for event in events_of(standing_events(log), counter) if event.user == user.number]
    return [award for award in awards if (award.earned_by or 0) >= position]


def award_of(award: EventLine) -> Award:
    return Award(award.event_id, award.metric.number, award.trigger or "", award.amount, award.total, award.occurred_at)


def first_use(log: Sequence[Line], user: User, entry: Entry) -> EventLine | None:
    """The event of the same user, metric and idempotency key."""
    if entry.metric is None or entry.idempotency_key is None:
        return None
    for event in events_of(log, entry.metric.number):
        if event.user == user.number and event.idempotency_key == entry.idempotency_key:
            return event
    return None


def record_of(line: Line, scopes: Mapping[int, int]) -> Record:
    if isinstance(line, ErasureLine):
        nothing = (None,) * 8
        return Record(line.position, "erasure", line.recorded_at, scopes[line.user], line.user, *nothing)
    if isinstance(line, UserLine):
        body = msgspec.json.encode(profile(line.user)).decode()
        number, scope = line.user.number, line.user.scope
        return Record(
            line.position, "user", line.recorded_at, scope, number, None, None, None, None, None, None, None, body
        )  # fmt: skip
    if isinstance(line, VoidLine):
        event = line.event
        reason = None if line.reason is None else json.dumps({"reason": line.reason})
        return Record(
            line.position, "void", line.recorded_at, scopes[event.user], event.user, event.metric.number,
            -event.amount, event.occurred_at, event.local_at, line.total, None, event.position, reason,
        )  # fmt: skip
    if isinstance(line, PointsLine):
        body = msgspec.json.encode(line.schemes).decode()
        return Record(
            line.position, "points", line.recorded_at, line.scope, 0, None, None, None, None, None, None, None, body
        )  # fmt: skip
    attributes = {"trigger": line.trigger} if line.trigger else line.attributes
    return Record(
        line.position,
        "event",
        line.recorded_at,
        scopes[line.user],
        line.user,
        line.metric.number,
        line.amount,
        line.occurred_at,
        line.local_at,
        line.total,
        line.idempotency_key,
        line.earned_by,
        None if attributes is None else json.dumps(dict(attributes)),
    )


def profile(user: User) -> dict[str, Any]:
    return {name: value for name, value in asdict(user).items() if name not in ("number", "scope")}
