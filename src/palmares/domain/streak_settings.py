"""What counts for the streaks of a scope, and how that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from palmares.domain.errors import Invalid
from palmares.domain.period import Period
from palmares.domain.value import MICROS

EvaluationMode = Literal["OR", "AND"]

# What official clients can hold.
MOST_THRESHOLD = 2**31 - 1

# What decides whether a period counts and whether it follows another, for anybody.
_COUNTING = ("frequency", "evaluation_mode", "metrics", "days_off", "customization_enabled")


@dataclass(frozen=True, slots=True)
class StreakSettings:
    """The settings of a scope, or of one user in it; the defaults hold where nothing was set.

    `metrics` are pairs of a metric's number and its threshold in micros; with none, every event with a positive
    amount counts. `days_off` are days of the week, ascending, 0 for Sunday. With `customization_enabled`, users may
    have settings of their own (`domain/preferences.py`). `version` is another one after each change of what counts:
    states of streaks carry the version that they were made by. Only a user can be without a streak, not `enabled`.
    """

    frequency: Period = "daily"
    evaluation_mode: EvaluationMode = "OR"
    metrics: tuple[tuple[int, int], ...] = ()
    days_off: tuple[int, ...] = ()
    customization_enabled: bool = False
    version: int = 0
    enabled: bool = True

    def uses(self, metric: int) -> bool:
        """Whether the settings name a metric."""
        return any(number == metric for number, _ in self.metrics)


def changed(settings: StreakSettings, given: Mapping[str, Any]) -> StreakSettings:
    """The settings with the given fields; absent ones stay. The same object when nothing differs.

    Days off go when the frequency leaves daily. Raises `Invalid` for what is out of range or does not fit together.
    """
    fields = dict(given)
    if fields.get("frequency", "daily") != "daily":
        fields.setdefault("days_off", ())
    after = replace(settings, **fields)
    _check(after)
    after = replace(after, days_off=tuple(sorted(after.days_off)))
    if after == settings:
        return settings
    counts_alike = all(getattr(after, name) == getattr(settings, name) for name in _COUNTING)
    return after if counts_alike else replace(after, version=settings.version + 1)


def _check(settings: StreakSettings) -> None:
    numbers = [number for number, _ in settings.metrics]
    if len(set(numbers)) < len(numbers):
        raise Invalid("metrics: a metric is listed twice")
    for _, threshold in settings.metrics:
        if not 1 <= threshold // MICROS <= MOST_THRESHOLD:
            raise Invalid(f"metrics: a threshold is an integer from 1 to {MOST_THRESHOLD}")
    check_days_off(settings.days_off, "daysOff")
    if settings.days_off and settings.frequency != "daily":
        raise Invalid("daysOff: only with the frequency daily")


def check_days_off(days: Sequence[int], field: str) -> None:
    """Raises `Invalid` unless these are some of the days of the week, each once, but not all of them."""
    if not all(0 <= day <= 6 for day in days):
        raise Invalid(f"{field}: expected days of the week, from 0 for Sunday to 6 for Saturday")
    if len(set(days)) < len(days):
        raise Invalid(f"{field}: a day is listed twice")
    if len(days) == 7:
        raise Invalid(f"{field}: at least one day of the week has to be left")
