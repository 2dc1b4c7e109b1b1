"""Preferences of users: get, change."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import Decoder

from palmares.api.endpoint import Answer, Call, Endpoint, Own, read_body
from palmares.api.wire import Exact, NumberText, amount
from palmares.api.wire_admin import Key, given
from palmares.api.wire_streak import Weekday
from palmares.domain.preferences import CHANNELS, NOTIFICATIONS, Channel
from palmares.domain.streak_settings import EvaluationMode
from palmares.domain.value import exact
from palmares.service.preferences import (
    MetricThreshold,
    ShownPreferences,
    change_preferences,
    read_preferences,
)

Channels = Annotated[list[Channel], Meta(max_length=100, description="By which ways this notification comes.")]
DaysOff = Annotated[list[Weekday], Meta(max_length=6)]
Enabled = Annotated[bool, Meta(description="Without, the user has no streak.")]


class NotificationPreferences(Struct):
    """The channels of each notification."""

    achievement_completed: Channels
    recap: Channels
    reactivation: Channels
    streak_reminder: Channels


class StreakMetricPreference(Struct):
    """A metric that counts for the user's streak, and how much of it a period needs."""

    key: Key
    threshold: Exact


class StreakPreferencesAnswer(Struct, rename="camel"):
    """How the user's streak is counted; what is left out is as in the settings of streaks."""

    enabled: Enabled
    evaluation_mode: EvaluationMode | UnsetType = UNSET
    metrics: list[StreakMetricPreference] | UnsetType = UNSET
    days_off: DaysOff | UnsetType = UNSET


class UserPreferences(Struct):
    """The preferences of a user."""

    notifications: NotificationPreferences
    streak: StreakPreferencesAnswer


class NotificationsUpdate(Struct, kw_only=True):
    """The given notifications; the channels of each replace those before."""

    achievement_completed: Channels | UnsetType | None = UNSET
    recap: Channels | UnsetType | None = UNSET
    reactivation: Channels | UnsetType | None = UNSET
    streak_reminder: Channels | UnsetType | None = UNSET


class StreakMetricUpdate(Struct):
    """A metric that is to count, and how much of it a period needs: more than 0."""

    key: Key
    threshold: NumberText


class StreakPreferencesUpdate(Struct, rename="camel", kw_only=True):
    """The given fields; null is as in the settings of streaks. All but `enabled` only where customisation is on."""

    enabled: Enabled | UnsetType | None = UNSET
    evaluation_mode: EvaluationMode | UnsetType | None = UNSET
    metrics: Annotated[list[StreakMetricUpdate], Meta(max_length=100)] | UnsetType | None = UNSET
    days_off: DaysOff | UnsetType | None = UNSET


class PreferencesUpdate(Struct, kw_only=True):
    """The given preferences."""

    notifications: NotificationsUpdate | UnsetType | None = UNSET
    streak: StreakPreferencesUpdate | UnsetType | None = UNSET


_UPDATE_DECODER = Decoder(PreferencesUpdate)


def preference_fields(request: PreferencesUpdate) -> dict[str, Any]:
    """What is given as `service/preferences.py` takes it; `Invalid` when a threshold is no number."""
    fields: dict[str, Any] = {}
    parts = given(request)
    if "notifications" in parts:
        fields["notifications"] = given(parts["notifications"])
    if "streak" in parts:
        fields["streak"] = _streak_fields(given(parts["streak"], "evaluation_mode", "metrics", "days_off"))
    return fields


def _streak_fields(streak: dict[str, Any]) -> dict[str, Any]:
    if streak.get("metrics") is not None:
        streak["metrics"] = [
            MetricThreshold(metric.key, amount(metric.threshold, "streak.metrics.threshold"))
            for metric in streak["metrics"]
        ]
    if streak.get("days_off") is not None:
        streak["days_off"] = tuple(streak["days_off"])
    return streak


def user_preferences(shown: ShownPreferences) -> UserPreferences:
    """The wire form of preferences; a notification that was never set comes by every channel."""
    preferences, metrics = shown
    notifications = {name: list(preferences.notifications.get(name, CHANNELS)) for name in NOTIFICATIONS}
    streak = preferences.streak
    return UserPreferences(
        NotificationPreferences(**notifications),
        StreakPreferencesAnswer(
            streak.enabled,
            UNSET if streak.evaluation_mode is None else streak.evaluation_mode,
            UNSET
            if metrics is None
            else [StreakMetricPreference(metric.key, exact(metric.threshold)) for metric in metrics],
            UNSET if streak.days_off is None else list(streak.days_off),
        ),
    )


async def get_preferences(call: Call) -> Answer:
    """One user's preferences."""
    return Answer(200, user_preferences(await read_preferences(call.context, call.scope, call.path["id"])))


async def update_preferences(call: Call) -> Answer:
    """Change what is given."""
    fields = preference_fields(read_body(call, _UPDATE_DECODER))
    shown = await change_preferences(call.context, call.scope, call.path["id"], fields)
    return Answer(200, user_preferences(shown))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/users/{id:path}/preferences",
        get_preferences,
        "Get a user's preferences",
        answers={200: UserPreferences},
        own=Own.PATH,
    ),
    Endpoint(
        "PATCH",
        "/users/{id:path}/preferences",
        update_preferences,
        "Change a user's preferences",
        answers={200: UserPreferences},
        body=PreferencesUpdate,
        errors=(403,),
        own=Own.PATH,
    ),
)
