"""Users for administrators: show one as the server knows them, hide and bring back many, erase them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, structs
from msgspec.json import Decoder

from palmares.api import bulk
from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.api.wire import UserAnswer, UserId, user_answer
from palmares.api.wire_admin import Issue, given
from palmares.domain.user import User
from palmares.service.bulk import Bulk
from palmares.service.erase import erase_users
from palmares.service.hide import hide_users
from palmares.service.read_user import read_user

Hidden = Annotated[bool, Meta(description="Whether rankings leave the user out, who goes on counting.")]


class AdminUser(UserAnswer):
    """A user, with what only administrators see."""

    hidden: Hidden


class ChangedUser(Struct, rename="camel", kw_only=True):
    """A user by the customer's id, with what changes."""

    id: UserId
    hidden: Hidden | UnsetType | None = UNSET


class UpdatedUsers(Struct):
    """The users as they are now, and why the rest were not changed."""

    updated: list[AdminUser]
    issues: list[Issue]


class ErasedUser(Struct):
    """The id that a user had."""

    id: str


class ErasedUsers(Struct):
    """The users who were erased, and why the rest were not."""

    deleted: list[ErasedUser]
    issues: list[Issue]


_DECODER = Decoder(ChangedUser)


def admin_user(user: User) -> AdminUser:
    """The wire form of a user for administrators."""
    return AdminUser(**structs.asdict(user_answer(user)), hidden=user.hidden)


def user_fields(request: ChangedUser) -> dict[str, Any]:
    """The fields as `service/hide.py` takes them."""
    return given(request)


async def get_user(call: Call) -> Answer:
    """One user."""
    return Answer(200, admin_user(await read_user(call.context, call.scope, call.path["id"])))


async def update_users(call: Call) -> Answer:
    """Hide users from rankings, or bring them back."""
    items = bulk.read_items(call, _DECODER, user_fields)
    return bulk.updated(await hide_users(call.context, call.scope, items), UpdatedUsers, admin_user)


async def erase_many(call: Call) -> Answer:
    """Erase users."""
    return _erased(await erase_users(call.context, call.scope, bulk.read_ids(call)))


async def erase_one(call: Call) -> Answer:
    """Erase one user, whatever characters the id has."""
    user = await read_user(call.context, call.scope, call.path["id"])
    return _erased(await erase_users(call.context, call.scope, [user.id]))


def _erased(done: Bulk[User]) -> Answer:
    return Answer(200, ErasedUsers([ErasedUser(user.id) for user in done.things], bulk.issues(done)))


ENDPOINTS = (
    Endpoint(
        "PATCH",
        "/users",
        update_users,
        "Hide users, or bring them back",
        {200: UpdatedUsers},
        body=bulk.many(ChangedUser),
    ),
    Endpoint("DELETE", "/users", erase_many, "Erase users", {200: ErasedUsers}, query=bulk.IdsQuery),
    Endpoint("GET", "/users/{id:path}", get_user, "Get a user, hidden or not", {200: AdminUser}),
    Endpoint("DELETE", "/users/{id:path}", erase_one, "Erase a user", {200: ErasedUsers}),
)
