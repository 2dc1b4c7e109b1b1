"""The settings of streaks: what may be asked for, and what a change makes anew."""

from typing import Any

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.streak_settings import StreakSettings, changed
from palmares.domain.value import MICROS

DEFAULTS = StreakSettings()


def test_without_settings_every_day_with_a_positive_event_counts() -> None:
    assert (DEFAULTS.frequency, DEFAULTS.evaluation_mode, DEFAULTS.metrics, DEFAULTS.days_off) == (
        "daily",
        "OR",
        (),
        (),
    )
    assert DEFAULTS.version == 0


@pytest.mark.parametrize(
    "given",
    [
        {"frequency": "weekly"},
        {"evaluation_mode": "AND"},
        {"metrics": ((1, MICROS),)},
        {"days_off": (0, 6)},
        {"customization_enabled": True},
    ],
)
def test_a_change_of_what_counts_is_another_version(given: dict[str, Any]) -> None:
    """States of streaks carry the version, so those made by other rules are known."""
    after = changed(DEFAULTS, given)

    assert after.version == 1
    assert changed(after, given) is after
    assert changed(after, {name: getattr(DEFAULTS, name) for name in given}).version == 2


def test_a_change_of_nothing_is_the_same_object() -> None:
    settings = changed(DEFAULTS, {"days_off": (6, 0)})

    assert changed(settings, {}) is settings
    assert changed(settings, {"days_off": (0, 6), "frequency": "daily"}) is settings


def test_days_off_go_when_the_frequency_leaves_daily() -> None:
    """And do not come back with it."""
    weekly = changed(StreakSettings(days_off=(0, 6)), {"frequency": "weekly"})

    assert weekly.days_off == ()
    assert changed(weekly, {"frequency": "daily"}).days_off == ()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"metrics": ((1, MICROS), (1, 2 * MICROS))}, "metrics"),
        ({"metrics": ((1, 0),)}, "metrics"),
        ({"metrics": ((1, 2**31 * MICROS),)}, "metrics"),
        ({"days_off": (7,)}, "daysOff"),
        ({"days_off": (-1,)}, "daysOff"),
        ({"days_off": (2, 2)}, "daysOff"),
        ({"days_off": (0, 1, 2, 3, 4, 5, 6)}, "daysOff"),
        ({"days_off": (0,), "frequency": "monthly"}, "daysOff"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match=f"^{field}: "):
        changed(DEFAULTS, given)


def test_a_metric_is_used_or_not() -> None:
    settings = StreakSettings(metrics=((3, MICROS),))

    assert settings.uses(3)
    assert not settings.uses(1)
