"""Users: the customer's end users, and how a request changes one.

A change is a mapping of the given fields only: an absent field stays as it is, `None` clears it. Emails are kept
only for users who did not decline them, so `subscribe_to_emails` is true exactly when there is an email.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from palmares.domain.erased import anonymous_id
from palmares.domain.errors import Invalid, NotAllowed
from palmares.domain.hidden import is_hidden, marked, unmarked
from palmares.domain.local_time import day_of, format_day, local_at, zone
from palmares.domain.metric import check_text
from palmares.domain.preferences import DEFAULTS, Preferences, merged

LONGEST_ID = 255

# What does not simply replace a field of the same name.
_MERGED = ("attributes", "hidden", "preferences", "subscribe_to_emails")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user as of now. `number` is the short name inside the ledger; `sign_up_date` is a day; times are instants."""

    number: int
    scope: int
    id: str
    email: str | None = None
    emails_declined: bool = False
    name: str | None = None
    tz: str | None = None
    sign_up_date: int | None = None
    device_tokens: tuple[str, ...] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    preferences: Preferences = DEFAULTS
    control: bool = False
    created: int
    updated: int

    @property
    def subscribe_to_emails(self) -> bool:
        """Whether emails may be sent: there is an address, and the user did not decline."""
        return self.email is not None

    @property
    def hidden(self) -> bool:
        """Whether rankings leave the user out."""
        return is_hidden(self.attributes)

    @property
    def erased(self) -> bool:
        """Whether nothing is left of the user but a number."""
        return self.id == anonymous_id(self.number)

    @property
    def own_attributes(self) -> Mapping[str, str]:
        """The attributes as the customer gave them."""
        return unmarked(self.attributes) if self.hidden else self.attributes


def check_id(user_id: str) -> str:
    """The id itself, or `Invalid`: 1 to 255 characters that UTF-8 can carry, without NUL."""
    if not 1 <= len(user_id) <= LONGEST_ID:
        raise Invalid("user.id: expected 1 to 255 characters")
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise Invalid("user.id: holds half of a surrogate pair") from None
    return check_text(user_id, "user.id")


def changed(user: User, changes: Mapping[str, Any], now: int) -> User:
    """The user after a change; the very same object when nothing differs.

    `changes` holds any of email, name, tz, sign_up_date, device_tokens, subscribe_to_emails, attributes, hidden and
    preferences, of the types that `User` has (attributes may carry None to remove a key; preferences are as
    `preferences.merged` takes them). Raises `Invalid` for an unknown zone, a new sign-up day after the user's today or
    preferences that do not fit, `NotAllowed` when emails are asked for without an address.
    """
    given = {name: value for name, value in changes.items() if name not in _MERGED}
    if given.get("tz") is not None:
        zone(given["tz"])
    _settle_email(user, given, changes.get("subscribe_to_emails"))
    if "attributes" in changes:
        given["attributes"] = _merged(user.attributes, changes["attributes"])
    if "hidden" in changes:
        given["attributes"] = marked(given.get("attributes", user.attributes), changes["hidden"])
    if "preferences" in changes:
        given["preferences"] = merged(user.preferences, changes["preferences"])
    differing = {name: value for name, value in given.items() if getattr(user, name) != value}
    if not differing:
        return user
    _check_texts(differing)
    after = replace(user, **differing, updated=now)
    if "sign_up_date" in differing:
        _check_sign_up(after, now)
    return after


def _check_texts(differing: Mapping[str, Any]) -> None:
    for name in ("email", "name"):
        check_text(differing.get(name) or "", name)
    for token in differing.get("device_tokens") or ():
        check_text(token, "deviceTokens")
    for key, text in differing.get("attributes", {}).items():
        check_text(text, f"attributes.{key}")


def _check_sign_up(user: User, now: int) -> None:
    """Only of a day that is new: who signed up today and then travels west is not refused."""
    if user.sign_up_date is not None and user.sign_up_date > day_of(local_at(now, user.tz)):
        raise Invalid(f"signUpDate: {format_day(user.sign_up_date)} lies after today in the user's time zone")


def _settle_email(user: User, given: dict[str, Any], subscribe: bool | None) -> None:
    declined = user.emails_declined if subscribe is None else not subscribe
    given["emails_declined"] = declined
    if declined:
        given["email"] = None
    elif subscribe and given.get("email", user.email) is None:
        raise NotAllowed("subscribeToEmails: true needs an email, given or stored")


def _merged(stored: Mapping[str, str], given: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**stored, **given}
    return {key: value for key, value in merged.items() if value is not None}


def without_person(user: User) -> User:
    """What is left of a user who is erased: what decides how events counted, and nothing of the person."""
    return User(
        number=user.number, scope=user.scope, id=anonymous_id(user.number), tz=user.tz, preferences=user.preferences,
        control=user.control, created=user.created, updated=user.updated,
    )  # fmt: skip
