"""Changing users: create, identify and update are one thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palmares.domain.user import User, check_id
from palmares.ledger.contract import Entry
from palmares.service.attributes import check_attributes
from palmares.service.context import Context


async def change_user(
    context: Context, scope: int, user_id: str, changes: Mapping[str, Any], *, must_exist: bool = False
) -> User:
    """The user after the change, durable; an unknown id is created unless it `must_exist`.

    `changes` are as `domain.user.changed` takes them. Raises `Invalid`, `NotAllowed` (an undefined attribute, emails
    without an address), `NotFound` and what `Ledger.record` raises; then nothing was changed.
    """
    check_attributes(context.catalog.definitions(scope), changes.get("attributes"), None)
    entry = Entry(scope, check_id(user_id), changes, must_exist=must_exist)
    [outcome] = await context.ledger.record([entry])
    return outcome.user
