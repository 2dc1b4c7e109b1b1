"""Streaks the slow and obvious way, from the whole story each time: what every faster way is compared with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeVar

from palmares.domain.board import Board
from palmares.domain.local_time import day_of, local_at
from palmares.domain.metric import Metric
from palmares.domain.period import Period, end_of_period, start_of_period
from palmares.domain.preferences import streak_settings_of
from palmares.domain.run import Run
from palmares.domain.streak import CountedPeriod, Streak, StreakEvent, at, counted_periods, fold
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User
from palmares.domain.value import MICROS
from palmares.ledger.contract import StreakOrder, StreakRow

PERIODS: tuple[Period, ...] = ("daily", "weekly", "monthly")
NO_END = date.max.toordinal()


class Shown(NamedTuple):
    """What is told of a streak; the days and the instant are None without one."""

    length: int
    started: int | None = None
    extended_on: int | None = None
    extended_at: int | None = None


class Met(NamedTuple):
    """A period whose condition was met, and the day and instant at which it was."""

    period: int
    day: int
    instant: int


def shown(settings: StreakSettings, events: Sequence[StreakEvent], now: int, tz: str | None) -> Shown:
    """The streak at an instant, in the zone that the user has then."""
    found = met_periods(settings, events)
    today = day_of(local_at(now, tz))
    if not found or is_over(settings, found[-1].period, today):
        return Shown(0)
    streak = last_streak(settings, found)
    return Shown(len(streak), streak[0].day, streak[-1].day, streak[-1].instant)


def longest(settings: StreakSettings, events: Sequence[StreakEvent]) -> tuple[int, int | None]:
    """The longest streak ever, and when it first was that long."""
    found = met_periods(settings, events)
    lengths = [(len(last_streak(settings, found[: place + 1])), one.instant) for place, one in enumerate(found)]
    return max(lengths, key=lambda length: length[0], default=(0, None))


def met_periods(settings: StreakSettings, events: Sequence[StreakEvent]) -> list[Met]:
    """The periods that count, ascending."""
    held: dict[int, list[StreakEvent]] = {}
    for event in sorted(events):
        period = start_of_period(settings.frequency, day_of(event.local_at))
        # West over the date line, an earlier day comes once more, and nothing counts there.
        if is_of_interest(settings, event) and period >= max(held, default=period):
            held.setdefault(period, []).append(event)
    found = []
    for period, inside in held.items():
        for count in range(1, len(inside) + 1):
            if is_met(settings, inside[:count]):
                last = inside[count - 1]
                found.append(Met(period, day_of(last.local_at), last.occurred_at))
                break
    return found


def is_of_interest(settings: StreakSettings, event: StreakEvent) -> bool:
    if not settings.enabled:
        return False
    if not settings.metrics:
        return event.amount > 0
    return event.metric in [metric for metric, _ in settings.metrics]


def may_be_of_interest(settings: StreakSettings, event: StreakEvent) -> bool:
    """To some user of a scope: where each may have settings of their own, any event may be."""
    return settings.customization_enabled or is_of_interest(settings, event)


def is_met(settings: StreakSettings, events: Sequence[StreakEvent]) -> bool:
    """Whether these events of one period, or fewer from its beginning, meet the condition."""
    if not settings.metrics:
        return bool(events)
    reached = [
        any(
            sum(event.amount for event in events[:count] if event.metric == metric) >= threshold
            for count in range(1, len(events) + 1)
        )
        for metric, threshold in settings.metrics
    ]
    return all(reached) if settings.evaluation_mode == "AND" else any(reached)


def last_streak(settings: StreakSettings, found: Sequence[Met]) -> Sequence[Met]:
    """The last of the periods that follow each other."""
    breaks = [place for place, (one, other) in enumerate(pairwise(found), 1) if not follows(settings, one, other)]
    return found[breaks[-1] if breaks else 0 :]


def follows(settings: StreakSettings, one: Met, other: Met) -> bool:
    """Whether nothing but days off lies between two periods."""
    return not missed(settings, one.period, other.period)


def is_over(settings: StreakSettings, counted: int, today: int) -> bool:
    """Whether a period has been missed since the one that counted last."""
    return missed(settings, counted, start_of_period(settings.frequency, today))


def missed(settings: StreakSettings, one: int, other: int) -> bool:
    """Whether a period that is no day off lies between two others."""
    inside = range(end_of_period(settings.frequency, one) + 1, other)
    return any(not is_off(settings, day) for day in inside)


def is_off(settings: StreakSettings, day: int) -> bool:
    return date.fromordinal(day).isoweekday() % 7 in settings.days_off


def lengths(
    settings: StreakSettings, events: Sequence[StreakEvent], today: int, periods: int
) -> list[tuple[int, int, int]]:
    """The last periods, each with the streak as it was on its last day, or today. For users who stay in one zone."""
    found = []
    end = today
    for _ in range(periods):
        start = start_of_period(settings.frequency, end)
        until = [event for event in events if day_of(event.local_at) <= end]
        found.append((start, end_of_period(settings.frequency, end), _length_on(settings, until, start, end == today)))
        end = start - 1
    return found[::-1]


def _length_on(settings: StreakSettings, events: Sequence[StreakEvent], period: int, present: bool) -> int:
    found = met_periods(settings, events)
    if not found:
        return 0
    counted = found[-1].period
    # A period that is over without counting has been missed itself, unless it is a day off.
    next_day = end_of_period(settings.frequency, period) + 1
    lost = missed(settings, counted, period if present else next_day)
    return 0 if lost else len(last_streak(settings, found))


# On boards


@dataclass(frozen=True, kw_only=True)
class StreakBoard(Board):
    """A board that ranks by streak, with the settings that it is made by and how far time has come for it."""

    settings: StreakSettings
    now: int


def streak_board(board: Board, settings: StreakSettings, now: int) -> StreakBoard:
    """A board as the slow functions see it."""
    return StreakBoard(**{one.name: getattr(board, one.name) for one in fields(Board)}, settings=settings, now=now)


class Event(Protocol):
    """A line of a log that is an event."""

    @property
    def position(self) -> int: ...
    @property
    def user(self) -> int: ...
    @property
    def metric(self) -> Metric: ...
    @property
    def amount(self) -> int: ...
    @property
    def occurred_at(self) -> int: ...
    @property
    def local_at(self) -> int: ...


EventLine = TypeVar("EventLine", bound=Event)


def events_of_run(board: StreakBoard, events: Iterable[EventLine]) -> dict[Run, list[EventLine]]:
    """The events that concern the only run: those of its days and of all before, which make what is brought along."""
    run = board.schedule.run_at(board.start)
    assert run is not None
    end = NO_END if run.end is None else run.end
    found = [
        event
        for event in events
        if may_be_of_interest(board.settings, streak_event(event)) and day_of(event.local_at) <= end
    ]
    return {run: found} if found else {}


def value_at(board: StreakBoard, run: Run, events: Iterable[Event], moment: int, user: User) -> tuple[int, int] | None:
    """Value and time of a user as of a moment, just before it."""
    settings = streak_settings_of(board.settings, user.preferences)
    found = met_periods(settings, [streak_event(event) for event in events])
    if not found or found[-1].day < run.start:
        return None
    today = day_of(local_at(min(moment - 1, board.now), user.tz))
    if is_over(settings, found[-1].period, today if run.end is None else min(today, run.end)):
        return None
    return len(last_streak(settings, found)) * MICROS, found[-1].instant


def streak_event(event: Event) -> StreakEvent:
    """An event as streaks need it."""
    return StreakEvent(event.occurred_at, event.position, event.metric.number, event.amount, event.local_at)


# The part of a slow ledger


class SlowStreaks:
    """The streaks of a log, folded from all of it every time."""

    def __init__(self) -> None:
        self._settings: dict[int, StreakSettings] = {}

    def settings_of(self, scope: int) -> StreakSettings:
        return self._settings.get(scope, StreakSettings())

    def state(self, user: User, events: Iterable[Event]) -> Streak:
        """The streak of a user with the zone that the user has now."""
        return fold(self._own_settings(user), self._of(user, events), user.tz)

    def counted_periods(self, user: User, events: Iterable[Event]) -> list[CountedPeriod]:
        return counted_periods(self._own_settings(user), self._of(user, events))

    def extended(self, user: User, events: Sequence[Event], now: int) -> bool:
        """Whether the last of the events made the streak longer, as it shows now."""
        before, after = [at(self.state(user, some), now) for some in (events[:-1], events)]
        return after.length > before.length

    def rows(self, users: Iterable[User], events: Sequence[Event], now: int, order: StreakOrder) -> list[StreakRow]:
        """The users with a streak, longest first."""
        found = []
        for user in users:
            state = at(self.state(user, events), now)
            length, reached = (
                (state.length, state.extended_at) if order == "active" else (state.longest, state.longest_at)
            )
            if reached is not None:
                found.append((-length, reached, user.id.encode(), StreakRow(user.id, user.name, length)))
        return [row for *_, row in sorted(found)]

    def define(self, scope: int, settings: StreakSettings) -> bool:
        """Take settings; whether something else counts now."""
        before, self._settings[scope] = self.settings_of(scope), settings
        return before.version != settings.version

    def _own_settings(self, user: User) -> StreakSettings:
        return streak_settings_of(self.settings_of(user.scope), user.preferences)

    @staticmethod
    def _of(user: User, events: Iterable[Event]) -> list[StreakEvent]:
        return sorted(streak_event(event) for event in events if event.user == user.number)
