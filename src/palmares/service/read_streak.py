"""Reading streaks: one user's with its past, those of many users, the longest of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from palmares.domain.local_time import day_of, local_at
from palmares.domain.period import Period, end_of_period
from palmares.domain.preferences import streak_settings_of
from palmares.domain.streak import PeriodLength, Streak, at, counted_period, expires_on, history
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User
from palmares.ledger.contract import StreakOrder, StreakRow
from palmares.service.context import Context
from palmares.service.read_user import read_user


class ShownStreak(NamedTuple):
    """What is left of a streak at an instant; with length 0, everything else is None.

    `started` is a day, `period` the first and last day of the latest period that counted, `expires` the last day to
    act, `extended_at` an instant.
    """

    frequency: Period
    length: int
    started: int | None
    period: tuple[int, int] | None
    expires: int | None
    extended_at: int | None


class UserStreak(NamedTuple):
    """A user's streak, and the periods up to the present one, ascending."""

    streak: ShownStreak
    history: Sequence[PeriodLength]


class StreakOfUser(NamedTuple):
    """How long the streak of the user with an id is; `extended_at` is None without one."""

    user_id: str
    length: int
    extended_at: int | None


def shown_streak(context: Context, user: User, state: Streak) -> ShownStreak:
    """How the state of a user shows now."""
    return _shown(_settings_of(context, user), at(state, context.clock()))


async def read_streak(context: Context, scope: int, user_id: str, periods: int) -> UserStreak:
    """A user's streak with so many periods of the past, the present one included; `NotFound` for an unknown user.

    Linear in the user's events.
    """
    user = await read_user(context, scope, user_id)
    streak = shown_streak(context, user, await context.ledger.streak(user))
    counted = await context.ledger.counted_periods(user)
    today = day_of(local_at(context.clock(), user.tz))
    return UserStreak(streak, history(_settings_of(context, user), counted, today, periods))


async def read_streaks(context: Context, scope: int, user_ids: Sequence[str]) -> list[StreakOfUser]:
    """The streaks of users, each named once, longest first; an unknown user has none.

    Of equal ones, that which was extended earlier stands first, then the smaller id.
    """
    found = [await _streak_of(context, scope, user_id) for user_id in dict.fromkeys(user_ids)]
    return sorted(found, key=lambda one: (-one.length, one.extended_at or 0, one.user_id.encode()))


async def rank_streaks(context: Context, scope: int, order: StreakOrder, limit: int) -> list[StreakRow]:
    """The users with the longest streaks, longest first: of those alive now, or of all times."""
    return await context.ledger.streak_rankings(scope, order, limit)


async def _streak_of(context: Context, scope: int, user_id: str) -> StreakOfUser:
    user = await context.ledger.user(scope, user_id)
    if user is None:
        return StreakOfUser(user_id, 0, None)
    streak = shown_streak(context, user, await context.ledger.streak(user))
    return StreakOfUser(user_id, streak.length, streak.extended_at)


def _settings_of(context: Context, user: User) -> StreakSettings:
    return streak_settings_of(context.catalog.definitions(user.scope).streaks, user.preferences)


def _shown(settings: StreakSettings, state: Streak) -> ShownStreak:
    counted = counted_period(settings, state)
    return ShownStreak(
        settings.frequency,
        state.length,
        state.started,
        None if counted is None else (counted, end_of_period(settings.frequency, counted)),
        expires_on(settings, state),
        state.extended_at,
    )
