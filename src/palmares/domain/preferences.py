"""What a user prefers: which notifications by which channels, and how streaks are counted.

A user without preferences has every notification by every channel, and a streak by the settings of the scope. The
server sends no notifications; it keeps what those who do want to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace as replace_fields
from typing import Any, Literal, get_args

import msgspec
from msgspec.structs import asdict, replace

from palmares.domain.errors import Invalid
from palmares.domain.streak_settings import EvaluationMode, StreakSettings, check_days_off
from palmares.domain.value import MOST

Notification = Literal["achievement_completed", "recap", "reactivation", "streak_reminder"]
Channel = Literal["email", "push"]

NOTIFICATIONS: tuple[Notification, ...] = get_args(Notification)
CHANNELS: tuple[Channel, ...] = get_args(Channel)


class StreakPreferences(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one user's streak is counted; None where the settings of the scope hold.

    `metrics` and `days_off` are as in `StreakSettings`; they count only while the scope lets users customise streaks.
    """

    enabled: bool = True
    evaluation_mode: EvaluationMode | None = None
    metrics: tuple[tuple[int, int], ...] | None = None
    days_off: tuple[int, ...] | None = None


class Preferences(msgspec.Struct, frozen=True, omit_defaults=True):
    """All preferences of a user. `notifications` has the channels of those that were ever set."""

    notifications: dict[Notification, tuple[Channel, ...]] = {}
    streak: StreakPreferences = StreakPreferences()


DEFAULTS = Preferences()


def merged(stored: Preferences, given: Mapping[str, Any]) -> Preferences:
    """The preferences with what is given; the rest stays.

    `given` may have `notifications`, channels by notification, and `streak`, fields of `StreakPreferences`. Raises
    `Invalid` when a field does not fit.
    """
    notifications = {name: _ordered(channels) for name, channels in given.get("notifications", {}).items()}
    streak = replace(stored.streak, **given.get("streak", {}))
    _check_metrics(streak.metrics or ())
    if streak.days_off is not None:
        check_days_off(streak.days_off, "streak.daysOff")
        streak = replace(streak, days_off=tuple(sorted(streak.days_off)))
    return Preferences(stored.notifications | notifications, streak)


def streak_settings_of(settings: StreakSettings, preferences: Preferences) -> StreakSettings:
    """By what the streak of a user with these preferences counts, where these are the settings of the scope.

    The same object for who prefers nothing else.
    """
    if preferences is DEFAULTS or preferences.streak == DEFAULTS.streak:
        return settings
    wanted = {name: value for name, value in asdict(preferences.streak).items() if value is not None}
    if not settings.customization_enabled:
        wanted = {"enabled": preferences.streak.enabled}
    if settings.frequency != "daily":
        wanted.pop("days_off", None)
    return replace_fields(settings, **wanted)


def _ordered(channels: Iterable[Channel]) -> tuple[Channel, ...]:
    """Each channel once."""
    return tuple(channel for channel in CHANNELS if channel in set(channels))


def _check_metrics(metrics: Iterable[tuple[int, int]]) -> None:
    numbers = [number for number, _ in metrics]
    if len(set(numbers)) < len(numbers):
        raise Invalid("streak.metrics: a metric is listed twice")
    if not all(0 < threshold <= MOST for _, threshold in metrics):
        raise Invalid("streak.metrics: a threshold is more than 0")
