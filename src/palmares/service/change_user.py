"""Changing users: create, identify and update are one thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palmares.domain.settings import in_control_group
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
    definitions = context.catalog.definitions(scope)
    check_attributes(definitions, changes.get("attributes"), None)
    control = in_control_group(check_id(user_id), definitions.settings.control_ratio)
    entry = Entry(scope, user_id, changes, must_exist=must_exist, control=control)
    [outcome] = await context.ledger.record([entry])
    return outcome.user
