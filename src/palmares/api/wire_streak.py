"""The shapes of streaks and their settings, and the way between them and the actions."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from palmares.api.wire import ENCODER, Day, Instant, StreakState, day_or_none
from palmares.api.wire_admin import Key, given
from palmares.domain.local_time import format_day, format_instant
from palmares.domain.period import Period
from palmares.domain.streak import PeriodLength
from palmares.domain.streak_settings import MOST_THRESHOLD, EvaluationMode
from palmares.ledger.contract import StreakRow
from palmares.service.read_streak import ShownStreak, StreakOfUser, UserStreak
from palmares.service.streak_settings import ShownSettings, StreakMetric

# As many different answers are kept; users who act on the same days share one.
_MOST_REMEMBERED = 4096


# Answers to events


def streak_json(streak: ShownStreak, extended: bool) -> msgspec.Raw:
    """`StreakState` as JSON."""
    frequency, length, started, period, expires, _ = streak
    return _state_json(frequency, length, started, period, expires, extended)


@lru_cache(maxsize=_MOST_REMEMBERED)
def _state_json(
    frequency: Period,
    length: int,
    started: int | None,
    period: tuple[int, int] | None,
    expires: int | None,
    extended: bool,
) -> msgspec.Raw:
    start, end = period or (None, None)
    state = StreakState(
        length, frequency, day_or_none(started), day_or_none(start), day_or_none(end), day_or_none(expires), extended
    )
    return msgspec.Raw(ENCODER.encode(state))


# One user's streak


class StreakPeriod(Struct, rename="camel"):
    """A period, and how long the streak was at its end; of the present one, how long it is."""

    period_start: Day
    period_end: Day
    length: int
    used_pause: bool


class StreakAnswer(Struct, rename="camel"):
    """A user's streak; length 0 is none, and then the days and the time of the last extension are null."""

    length: int
    frequency: Period
    started: Day | None
    period_start: Day | None
    period_end: Day | None
    expires: Day | None
    extended: Instant | None
    streak_history: list[StreakPeriod]
    pauses: list[dict[str, Any]]


def streak_answer(found: UserStreak) -> StreakAnswer:
    """The wire form of a user's streak."""
    streak = found.streak
    start, end = streak.period or (None, None)
    return StreakAnswer(
        length=streak.length,
        frequency=streak.frequency,
        started=day_or_none(streak.started),
        period_start=day_or_none(start),
        period_end=day_or_none(end),
        expires=day_or_none(streak.expires),
        extended=_instant_or_none(streak.extended_at),
        streak_history=[_period(one) for one in found.history],
        pauses=[],
    )


def _period(one: PeriodLength) -> StreakPeriod:
    return StreakPeriod(format_day(one.start), format_day(one.end), one.length, used_pause=False)


def _instant_or_none(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


# Streaks of many users


class UserStreakLength(Struct, rename="camel"):
    """How long a user's streak is, and when it was last extended."""

    user_id: str
    streak_length: int
    extended: Instant | None


class RankedStreak(Struct, rename="camel"):
    """A user among the longest streaks; both names are the same."""

    user_id: str
    user_name: str | None
    name: str | None
    streak_length: int


def user_streak_length(one: StreakOfUser) -> UserStreakLength:
    """The wire form of one user's length."""
    return UserStreakLength(one.user_id, one.length, _instant_or_none(one.extended_at))


def ranked_streak(row: StreakRow) -> RankedStreak:
    """The wire form of a row."""
    return RankedStreak(row.user_id, row.user_name, row.user_name, row.length)


# Settings

Weekday = Annotated[int, Meta(ge=0, le=6, description="0 for Sunday to 6 for Saturday.")]
Threshold = Annotated[int, Meta(ge=1, le=MOST_THRESHOLD, description="Least sum of events in a period.")]


class StreakSettingsMetric(Struct):
    """A metric that counts, and how much of it a period needs."""

    key: Key
    threshold: Threshold


class StreakFreezes(Struct, rename="camel"):
    """Freezes, which are not supported: to be left null."""

    start_count: int
    max_count: int
    auto_earn_interval: int | None = None
    auto_earn_amount: int | None = None


class StreakSettingsUpdate(Struct, rename="camel", kw_only=True):
    """The given fields of the settings; `metrics` replaces the whole list."""

    frequency: Period | UnsetType | None = UNSET
    evaluation_mode: (
        Annotated[Literal["OR", "AND", "ALL"], Meta(description="ALL is the same as AND.")] | UnsetType | None
    ) = UNSET
    customization_enabled: bool | UnsetType | None = UNSET
    days_off: Annotated[list[Weekday], Meta(max_length=6)] | UnsetType | None = UNSET
    metrics: Annotated[list[StreakSettingsMetric], Meta(max_length=100)] | UnsetType | None = UNSET
    freezes: StreakFreezes | UnsetType | None = UNSET


class AdminStreakSettings(Struct, rename="camel"):
    """What counts for streaks; without metrics, every event with a positive value."""

    frequency: Period
    evaluation_mode: EvaluationMode
    customization_enabled: bool
    days_off: list[Weekday]
    metrics: list[StreakSettingsMetric]
    freezes: StreakFreezes | None


def settings_fields(request: StreakSettingsUpdate) -> dict[str, Any]:
    """The given fields as `service/streak_settings.py` takes them."""
    fields = given(request)
    if "metrics" in fields:
        fields["metrics"] = [StreakMetric(metric.key, metric.threshold) for metric in fields["metrics"]]
    return fields


def admin_settings(shown: ShownSettings) -> AdminStreakSettings:
    """The wire form of the settings."""
    settings = shown.settings
    return AdminStreakSettings(
        settings.frequency,
        settings.evaluation_mode,
        settings.customization_enabled,
        list(settings.days_off),
        [StreakSettingsMetric(metric.key, metric.threshold) for metric in shown.metrics],
        None,
    )
