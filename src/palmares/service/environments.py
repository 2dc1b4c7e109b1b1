"""Environments: list, create, switch multi-tenancy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from palmares.catalog.contract import Environment
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.metric import check_key, check_name
from palmares.service.keys import KeyContext


def list_environments(context: KeyContext) -> Sequence[Environment]:
    """All environments, the most important first."""
    return context.catalog.environments()


def find_environment(context: KeyContext, key: str) -> Environment:
    """The environment with that key; raises `NotFound`."""
    for environment in context.catalog.environments():
        if environment.key == key:
            return environment
    known = ", ".join(environment.key for environment in context.catalog.environments())
    raise NotFound(f"there is no environment {key!r}; there are {known}")


async def create_environment(
    context: KeyContext, key: str, name: str, priority: int | None, multi_tenancy: bool
) -> Environment:
    """A new environment, empty and without keys; without a `priority` it is listed last.

    Raises `Invalid` for a key that is malformed or taken, and for a blank name.
    """
    async with context.catalog.changing():
        known = context.catalog.environments()
        if check_key(key) in {environment.key for environment in known}:
            raise Invalid(f"key: another environment has the key {key!r}")
        if priority is None:
            priority = max(environment.priority for environment in known) + 1
        environment = Environment(0, key, check_name(name), priority, context.clock(), multi_tenancy)
        return await context.catalog.save_environment(environment)


async def switch_multi_tenancy(context: KeyContext, key: str, on: bool) -> Environment:
    """Turn the multi-tenancy of an environment on or off.

    Nothing is moved: what is defined without a tenant is there again when it is turned off.
    """
    async with context.catalog.changing():
        environment = find_environment(context, key)
        return await context.catalog.save_environment(replace(environment, multi_tenancy=on))
