"""Preferences of users: read and change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from palmares.catalog.contract import Definitions
from palmares.domain.errors import Forbidden, Invalid
from palmares.domain.preferences import Preferences
from palmares.service.change_user import change_user
from palmares.service.context import Context
from palmares.service.read_user import read_user


class MetricThreshold(NamedTuple):
    """A metric by its key, and how much of it a period needs, in micros."""

    key: str
    threshold: int


class ShownPreferences(NamedTuple):
    """The preferences of a user; the metrics of the streak, None without any, as they are called outside."""

    preferences: Preferences
    metrics: Sequence[MetricThreshold] | None


async def read_preferences(context: Context, scope: int, user_id: str) -> ShownPreferences:
    """The preferences of a user, the defaults when nothing was ever set; `NotFound` for an unknown user."""
    user = await read_user(context, scope, user_id)
    return _shown(context.catalog.definitions(scope), user.preferences)


async def change_preferences(context: Context, scope: int, user_id: str, given: Mapping[str, Any]) -> ShownPreferences:
    """The preferences of a user after a change, durable; what is not given stays.

    `given` is as `domain.preferences.merged` takes it, with `MetricThreshold`s in the metrics of the streak. Raises
    `NotFound` for an unknown user, `Forbidden` when users may not customise how their streaks count, `Invalid` for what
    does not fit, such as an unknown metric.
    """
    definitions = context.catalog.definitions(scope)
    user = await read_user(context, scope, user_id)
    if "streak" in given:
        _check_customisation(definitions, given["streak"])
        given = {**given, "streak": _resolved(definitions, given["streak"])}
    user = await change_user(context, scope, user.id, {"preferences": given}, must_exist=True)
    return _shown(definitions, user.preferences)


def _check_customisation(definitions: Definitions, streak: Mapping[str, Any]) -> None:
    """To give up a setting of one's own is always allowed."""
    wanted = [name for name, value in streak.items() if name != "enabled" and value is not None]
    if wanted and not definitions.streaks.customization_enabled:
        raise Forbidden("streak: users may only set `enabled` while customizationEnabled is off in the streak settings")


def _resolved(definitions: Definitions, streak: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the streak with metrics by their numbers."""
    metrics = streak.get("metrics")
    if metrics is None:
        return dict(streak)
    return {**streak, "metrics": tuple(_numbered(definitions, metric) for metric in metrics)}


def _numbered(definitions: Definitions, wanted: MetricThreshold) -> tuple[int, int]:
    metric = definitions.metric_by_key.get(wanted.key)
    if metric is None:
        raise Invalid(f"streak.metrics: there is no metric with the key {wanted.key[:64]!r}")
    return metric.number, wanted.threshold


def _shown(definitions: Definitions, preferences: Preferences) -> ShownPreferences:
    """A metric that was deleted since is not shown; nothing counts for it any more."""
    keys = {metric.number: metric.key for metric in definitions.metrics}
    metrics = preferences.streak.metrics
    if metrics is None:
        return ShownPreferences(preferences, None)
    shown = [MetricThreshold(keys[number], threshold) for number, threshold in metrics if number in keys]
    return ShownPreferences(preferences, shown)
