"""What users prefer: how preferences are merged, and by what a streak counts then."""

from typing import Any

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.preferences import DEFAULTS, Preferences, StreakPreferences, merged, streak_settings_of
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.value import MICROS

SCOPE = StreakSettings(metrics=((1, MICROS),), days_off=(0, 6), customization_enabled=True, version=3)
OWN = {"evaluation_mode": "AND", "metrics": ((1, 5), (2, 7)), "days_off": (3,)}


def test_channels_of_a_given_notification_replace_those_before() -> None:
    """The other notifications stay."""
    first = merged(DEFAULTS, {"notifications": {"recap": ["push", "email", "push"], "reactivation": []}})
    second = merged(first, {"notifications": {"recap": ["push"]}})

    assert first.notifications == {"recap": ("email", "push"), "reactivation": ()}
    assert second.notifications == {"recap": ("push",), "reactivation": ()}


def test_given_fields_of_the_streak_replace_those_before_and_none_takes_them_back() -> None:
    first = merged(DEFAULTS, {"streak": OWN | {"days_off": (3, 1)}})
    second = merged(first, {"streak": {"enabled": False, "days_off": None}})

    assert first.streak == StreakPreferences(True, "AND", ((1, 5), (2, 7)), (1, 3))
    assert second.streak == StreakPreferences(False, "AND", ((1, 5), (2, 7)), None)
    assert merged(second, {"streak": {"enabled": True, "evaluation_mode": None, "metrics": None}}) == DEFAULTS


@pytest.mark.parametrize(
    ("streak", "field"),
    [
        ({"metrics": ((1, 5), (1, 6))}, "streak.metrics"),
        ({"metrics": ((1, 0),)}, "streak.metrics"),
        ({"metrics": ((1, -MICROS),)}, "streak.metrics"),
        ({"days_off": (7,)}, "streak.daysOff"),
        ({"days_off": (1, 1)}, "streak.daysOff"),
        ({"days_off": tuple(range(7))}, "streak.daysOff"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(streak: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        merged(DEFAULTS, {"streak": streak})

    assert refusal.value.message.startswith(f"{field}: ")


def test_without_preferences_the_settings_of_the_scope_hold() -> None:
    """The very same object, as that is what nearly everybody has."""
    only_notifications = Preferences({"recap": ()})

    assert streak_settings_of(SCOPE, DEFAULTS) is SCOPE
    assert streak_settings_of(SCOPE, only_notifications) is SCOPE


def test_what_a_user_prefers_wins_where_customisation_is_on() -> None:
    """The rest, and the version, are the scope's; an empty list is another thing than none."""
    wanted = streak_settings_of(SCOPE, Preferences(streak=StreakPreferences(**OWN)))
    anything = streak_settings_of(SCOPE, Preferences(streak=StreakPreferences(metrics=(), days_off=())))

    assert (wanted.evaluation_mode, wanted.metrics, wanted.days_off) == ("AND", ((1, 5), (2, 7)), (3,))
    assert (wanted.frequency, wanted.version, wanted.enabled) == ("daily", 3, True)
    assert (anything.evaluation_mode, anything.metrics, anything.days_off) == ("OR", (), ())


def test_where_customisation_is_off_only_being_enabled_counts() -> None:
    strict = StreakSettings(metrics=((1, MICROS),), days_off=(0,))
    wanted = streak_settings_of(strict, Preferences(streak=StreakPreferences(False, **OWN)))

    assert (wanted.evaluation_mode, wanted.metrics, wanted.days_off) == ("OR", ((1, MICROS),), (0,))
    assert (wanted.enabled, strict.enabled) == (False, True)


def test_days_off_are_for_days() -> None:
    """They are kept, for when the frequency is daily again."""
    weekly = StreakSettings(frequency="weekly", customization_enabled=True)

    assert streak_settings_of(weekly, Preferences(streak=StreakPreferences(**OWN))).days_off == ()
