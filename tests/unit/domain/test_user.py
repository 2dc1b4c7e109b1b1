"""How a request changes a user."""

from typing import Any

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.local_time import parse_day, parse_instant
from palmares.domain.user import User, changed

# In Kiritimati it is the 15th already, in Honolulu still the 14th.
NOW = parse_instant("2026-03-14T12:00:00Z", "now")
TODAY, TOMORROW = parse_day("2026-03-14", "day"), parse_day("2026-03-15", "day")


def make_user(**fields: Any) -> User:
    return User(number=1, scope=1, id="swim-7", created=0, updated=0, **fields)


def test_a_sign_up_day_may_be_the_users_today_in_the_zone_given_with_it() -> None:
    user = changed(make_user(), {"sign_up_date": TOMORROW, "tz": "Pacific/Kiritimati"}, NOW)

    assert (user.sign_up_date, user.tz, user.updated) == (TOMORROW, "Pacific/Kiritimati", NOW)


@pytest.mark.parametrize("zone", [{}, {"tz": "Pacific/Honolulu"}])
def test_a_sign_up_day_after_the_users_today_is_refused(zone: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="signUpDate: 2026-03-15"):
        changed(make_user(), {"sign_up_date": TOMORROW, **zone}, NOW)


def test_who_signed_up_today_may_travel_west() -> None:
    """The stored day was right when it was given; the change of zone says nothing about it."""
    user = make_user(tz="Pacific/Kiritimati", sign_up_date=TOMORROW)

    moved = changed(user, {"tz": "Pacific/Honolulu", "sign_up_date": TOMORROW}, NOW)

    assert (moved.tz, moved.sign_up_date) == ("Pacific/Honolulu", TOMORROW)
    assert changed(moved, {"sign_up_date": TODAY}, NOW).sign_up_date == TODAY


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a\0b"}, "name"),
        ({"email": "\0"}, "email"),
        ({"device_tokens": ("fine", "\0")}, "deviceTokens"),
        ({"attributes": {"pool": "\0east"}}, "attributes.pool"),
    ],
)
def test_the_character_that_postgresql_cannot_keep_is_refused(changes: dict[str, Any], field: str) -> None:
    """A log with it could never move to a cluster."""
    with pytest.raises(Invalid, match=rf"^{field}: "):
        changed(make_user(), changes, NOW)
