"""How a request changes a user."""

from typing import Any

import pytest

from palmares.domain.errors import Invalid, NotAllowed
from palmares.domain.local_time import parse_day, parse_instant
from palmares.domain.user import User, changed, check_id

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


def test_absent_fields_stay_and_none_clears() -> None:
    """A change is of the given fields only."""
    user = make_user(name="Noor", tz="Asia/Tokyo", device_tokens=("one",))

    after = changed(user, {"name": None, "device_tokens": ("two",)}, NOW)

    assert (after.name, after.tz, after.device_tokens, after.updated) == (None, "Asia/Tokyo", ("two",), NOW)


def test_a_change_to_what_is_there_is_no_change() -> None:
    """The very same user, with the time of the last real change."""
    user = make_user(name="Noor", attributes={"pool": "east"})

    assert changed(user, {"name": "Noor", "attributes": {"pool": "east", "level": None}}, NOW) is user
    assert changed(user, {}, NOW) is user


def test_attributes_are_merged_and_none_removes_a_key() -> None:
    user = make_user(attributes={"pool": "east", "level": "pro"})

    assert changed(user, {"attributes": {"pool": "west", "level": None, "new": "x"}}, NOW).attributes == {
        "pool": "west",
        "new": "x",
    }
    assert user.attributes == {"pool": "east", "level": "pro"}


@pytest.mark.parametrize(
    ("stored", "changes", "email", "subscribed"),
    [
        ({}, {}, None, False),
        ({}, {"email": "a@b.c"}, "a@b.c", True),
        ({"email": "a@b.c"}, {"email": None}, None, False),
        ({"email": "a@b.c"}, {"subscribe_to_emails": False}, None, False),
        ({"email": "a@b.c"}, {"subscribe_to_emails": True}, "a@b.c", True),
        ({}, {"email": "a@b.c", "subscribe_to_emails": False}, None, False),
        ({"emails_declined": True}, {"email": "a@b.c", "subscribe_to_emails": True}, "a@b.c", True),
        ({"emails_declined": True}, {"name": "Noor"}, None, False),
    ],
)
def test_emails_are_kept_for_those_who_did_not_decline(
    stored: dict[str, Any], changes: dict[str, Any], email: str | None, subscribed: bool
) -> None:
    after = changed(make_user(**stored), changes, NOW)

    assert (after.email, after.subscribe_to_emails) == (email, subscribed)


@pytest.mark.parametrize("changes", [{}, {"email": None}])
def test_emails_cannot_be_asked_for_without_an_address(changes: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed, match=r"^subscribeToEmails: "):
        changed(make_user(), {"subscribe_to_emails": True, **changes}, NOW)


@pytest.mark.parametrize("user_id", ["", "x" * 256, "\ud800"])
def test_a_bad_id_is_refused(user_id: str) -> None:
    with pytest.raises(Invalid, match=r"^user\.id: "):
        check_id(user_id)


@pytest.mark.parametrize("user_id", ["x", "x" * 255, "org/7", "ä€😀", " "])
def test_any_other_text_is_an_id(user_id: str) -> None:
    assert check_id(user_id) == user_id
