"""The settings of an environment: read and change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palmares.domain.settings import EnvironmentSettings, changed
from palmares.service.context import Context


def read_settings(context: Context, scope: int) -> EnvironmentSettings:
    """The present settings of the environment that a scope is part of; the defaults when nothing was ever set."""
    return context.catalog.definitions(scope).settings


async def change_settings(context: Context, scope: int, fields: Mapping[str, Any]) -> EnvironmentSettings:
    """The settings after a change, durable; absent fields stay.

    `fields` are those of `EnvironmentSettings`. Raises `Invalid` when one is malformed or out of range. Another
    control ratio holds for users who are created from now on.
    """
    async with context.catalog.changing():
        before = read_settings(context, scope)
        after = changed(before, fields)
        if after != before:
            await context.catalog.save_settings(scope, after)
    return after
