"""Erased users: what is left of them, and how others' messages are told without them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from palmares.domain.errors import Invalid

_RESERVED = re.compile(r"erased-[0-9]+")


def anonymous_id(number: int) -> str:
    """What stands for a user who was erased, in rows of runs that were final before: told by the number only."""
    return f"erased-{number}"


def is_anonymous(user_id: str) -> bool:
    """Whether an id stands for an erased user."""
    return _RESERVED.fullmatch(user_id) is not None


def check_new_id(user_id: str) -> str:
    """The id itself, or `Invalid` for one that stands for an erased user: no user can be called so."""
    if is_anonymous(user_id):
        raise Invalid(f"user.id: {user_id!r} stands for a user who was erased; choose another")
    return user_id


def without_user(body: bytes, user_id: str, number: int) -> bytes | None:
    """The JSON of a webhook's message without a user; None when it is about that user and nobody else.

    The very same bytes when it does not name the user.
    """
    message: dict[str, Any] = msgspec.json.decode(body)
    if (message.get("user") or {}).get("id") == user_id:
        return None
    rows = [row for row in message.get("leaderboard", {}).get("rankings", ()) if row.get("userId") == user_id]
    for row in rows:
        row |= {"userId": anonymous_id(number), "userName": None}
    return msgspec.json.encode(message) if rows else body
