"""Streaks the slow and obvious way, from the whole story each time: what every faster way is compared with."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from palmares.domain.local_time import day_of, local_at
from palmares.domain.period import Period, end_of_period, start_of_period
from palmares.domain.streak import StreakEvent
from palmares.domain.streak_settings import StreakSettings


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
    if not settings.metrics:
        return event.amount > 0
    return event.metric in [metric for metric, _ in settings.metrics]


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


PERIODS: tuple[Period, ...] = ("daily", "weekly", "monthly")
