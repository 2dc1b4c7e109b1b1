"""What clients can ask for that is not there: achievements, pauses and freezes of streaks.

Every method of the official clients gets an answer that it can read and does not try again: lists are empty, single
things are not found, and whatever is to be made, changed or removed is refused item by item. All of it is in the two
tables at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from palmares.api.bulk import IdsQuery, ListQuery, Many, find, read_ids
from palmares.api.endpoint import Answer, Call, Endpoint, Handler, Own, read_body, read_query
from palmares.api.wire_admin import Deleted, Issue
from palmares.domain.errors import NotFound
from palmares.service.read_user import read_user

Nothing = list[dict[str, Any]]
Items = Annotated[list[Any], Many]

_ITEMS: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(Items)


class NothingCreated(Struct):
    """Nothing was created, and why."""

    created: Nothing
    issues: list[Issue]


class NothingUpdated(Struct):
    """Nothing was updated, and why."""

    updated: Nothing
    issues: list[Issue]


class StreakIssue(Issue, kw_only=True):
    """A remark on one user. `level` and `reason` are what older clients call severity and message."""

    level: Literal["error"]
    reason: str


class NothingPaused(Struct):
    """No streak was paused, and why."""

    created: Nothing
    issues: list[StreakIssue]


class NothingFrozen(Struct):
    """No streak was frozen, and why."""

    issues: list[StreakIssue]


class NobodyRestored(Struct, rename="camel"):
    """No streak was restored, and why."""

    restored_users: list[str]
    issues: list[StreakIssue]


class NobodyReset(Struct, rename="camel"):
    """No streak was reset, and why."""

    reset_users: list[str]
    issues: list[StreakIssue]


class PausesRequest(Struct):
    """Pauses to create."""

    pauses: Items


class FreezesRequest(Struct):
    """Freezes to create."""

    freezes: Items


class UsersRequest(Struct):
    """Users whose streaks are to be restored or reset."""

    users: Items


# What a call names that has to exist; raises `NotFound`.
Check = Callable[[Call], None]


def unchecked(call: Call) -> None:
    """Nothing has to exist."""


# Handlers


def empty(check: Check = unchecked) -> Handler:
    """Answers with an empty list."""

    async def handle(call: Call) -> Answer:
        check(call)
        return Answer(200, [])

    return handle


def empty_part(check: Check = unchecked) -> Handler:
    """Answers with an empty part of an administrator's list."""

    async def handle(call: Call) -> Answer:
        check(call)
        read_query(call, ListQuery)
        return Answer(200, [])

    return handle


def absent(what: str, check: Check = unchecked) -> Handler:
    """Answers that there is no such thing; an id has to be a UUID all the same."""

    async def handle(call: Call) -> Answer:
        check(call)
        return Answer(200, find(call, what, {}))

    return handle


def refusing(body: Callable[[list[Issue]], Struct], message: str, check: Check = unchecked) -> Handler:
    """Refuses each definition of a list; the issues make the body."""

    async def handle(call: Call) -> Answer:
        check(call)
        items: list[Any] = read_body(call, _ITEMS)
        return Answer(200, body([_refusal(index, item, message) for index, item in enumerate(items)]))

    return handle


def refusing_users(
    kind: type[FreezesRequest] | type[PausesRequest] | type[UsersRequest],
    body: Callable[[list[StreakIssue]], Struct],
    message: str,
) -> Handler:
    """Refuses what is wanted for each of some users; the issues make the body."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    async def handle(call: Call) -> Answer:
        items = getattr(read_body(call, decoder), kind.__struct_fields__[0])
        return Answer(200, body([_refusal_of_user(index, item, message) for index, item in enumerate(items)]))

    return handle


def deleting(message: str, check: Check = unchecked) -> Handler:
    """Refuses each of the ids to delete."""

    async def handle(call: Call) -> Answer:
        check(call)
        issues = [Issue(severity="error", message=message, id=one) for one in read_ids(call)]
        return Answer(200, Deleted([], issues))

    return handle


def _refusal(index: int, item: Any, message: str) -> Issue:
    """The issue of a definition, by its id or else by its place."""
    named = _text(item, "id")
    return Issue(severity="error", message=message, index=index if named is UNSET else UNSET, id=named)


def _refusal_of_user(index: int, item: Any, message: str) -> StreakIssue:
    """The issue of an item that is a user, or about one."""
    named = _text(item, "userId")
    user_id = _text(item, "id") if named is UNSET else named
    return StreakIssue(severity="error", level="error", message=message, reason=message, index=index, user_id=user_id)


def _text(item: Any, name: str) -> str | UnsetType:
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, str) else UNSET


async def list_user_achievements(call: Call) -> Answer:
    """None, of a user who is known."""
    await read_user(call.context, call.scope, call.path["id"])
    return Answer(200, [])


async def complete_achievement(call: Call) -> Answer:
    """No achievement is known."""
    raise NotFound(f"achievement {call.path['key'][:64]!r} was not found")


async def get_wrapped(call: Call) -> Answer:
    """No year is wrapped."""
    user = await read_user(call.context, call.scope, call.path["id"])
    raise NotFound(f"there is no wrapped year of user {user.id[:64]!r}")


# Lines of the tables


def definitions(path: str, name: str, message: str, check: Check = unchecked) -> tuple[Endpoint, ...]:
    """The five endpoints of a kind of definition that there is none of."""
    created = refusing(lambda issues: NothingCreated([], issues), message, check)
    updated = refusing(lambda issues: NothingUpdated([], issues), message, check)
    missing = absent(name, check)
    deleted = deleting(message, check)
    return (
        Endpoint("GET", path, empty_part(check), f"List {name}s: none", {200: Nothing}, query=ListQuery),
        Endpoint("GET", f"{path}/{{id}}", missing, f"Get {_a(name)}: not found", {}, errors=(422,)),
        Endpoint("POST", path, created, f"Refuse to create {name}s", {200: NothingCreated}, body=Items),
        Endpoint("PATCH", path, updated, f"Refuse to update {name}s", {200: NothingUpdated}, body=Items),
        Endpoint("DELETE", path, deleted, f"Refuse to delete {name}s", {200: Deleted}, query=IdsQuery),
    )


def _a(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


ACHIEVEMENTS = "achievements are not supported"
PAUSES = "streaks cannot be paused"
FREEZES = "streak freezes are not supported"

ENDPOINTS = (
    Endpoint("GET", "/achievements", empty(), "List achievements: none", {200: Nothing}),
    Endpoint(
        "POST",
        "/achievements/{key}/complete",
        complete_achievement,
        "Complete an achievement: not found",
        {},
        errors=(413,),
        rate="events",
    ),
    Endpoint(
        "GET",
        "/users/{id:path}/achievements",
        list_user_achievements,
        "List a user's achievements: none",
        {200: Nothing},
        own=Own.PATH,
    ),
    Endpoint("GET", "/users/{id:path}/wrapped", get_wrapped, "Get a user's year: not found", {}, own=Own.PATH),
)

ADMIN_ENDPOINTS = (
    *definitions("/achievements", "achievement", ACHIEVEMENTS),
    Endpoint(
        "POST",
        "/streaks/pauses",
        refusing_users(PausesRequest, lambda issues: NothingPaused([], issues), PAUSES),
        "Refuse to pause streaks",
        {200: NothingPaused},
        body=PausesRequest,
    ),
    Endpoint("DELETE", "/streaks/pauses", deleting(PAUSES), "Refuse to end pauses", {200: Deleted}, query=IdsQuery),
    Endpoint(
        "POST",
        "/streaks/freezes",
        refusing_users(FreezesRequest, NothingFrozen, FREEZES),
        "Refuse to freeze streaks",
        {200: NothingFrozen},
        body=FreezesRequest,
    ),
    Endpoint(
        "POST",
        "/streaks/restore",
        refusing_users(UsersRequest, lambda issues: NobodyRestored([], issues), "streaks cannot be restored"),
        "Refuse to restore streaks",
        {200: NobodyRestored},
        body=UsersRequest,
    ),
    Endpoint(
        "POST",
        "/streaks/reset",
        refusing_users(UsersRequest, lambda issues: NobodyReset([], issues), "streaks cannot be reset"),
        "Refuse to reset streaks",
        {200: NobodyReset},
        body=UsersRequest,
    ),
)
