"""Environments: listed by priority, made empty, with tenants or without."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from palmares.catalog.contract import Environment
from palmares.catalog.sql import SqlCatalog
from palmares.domain.errors import Invalid, NotFound
from palmares.service.environments import (
    create_environment,
    find_environment,
    list_environments,
    switch_multi_tenancy,
)
from tests.definitions import SCOPE, Clock, Desk, open_desk, url

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def test_there_is_production_from_the_start(desk: Desk) -> None:
    """First in the list, without tenants."""
    assert list_environments(desk.context) == (
        Environment(1, "production", "Production", 1, desk.clock(), multi_tenancy=False, scope=SCOPE),
    )


async def test_the_first_environment_has_tenants_if_that_is_asked_for_when_it_is_made(tmp_path: Path) -> None:
    """Later starts change nothing of an environment that is there."""
    for asked in (True, False):
        catalog = await SqlCatalog.open(url(tmp_path), Clock("2026-03-04 10:00"), multi_tenancy=asked)
        assert [environment.multi_tenancy for environment in catalog.environments()] == [True]
        await catalog.close()


async def test_a_new_environment_is_listed_last_unless_its_priority_says_otherwise(desk: Desk) -> None:
    """Among equals, the older one first."""
    for key, priority in (("staging", None), ("preview", 2), ("development", None)):
        await create_environment(desk.context, key, key.title(), priority, multi_tenancy=False)

    found = [(one.key, one.priority) for one in list_environments(desk.context)]
    assert found == [("production", 1), ("staging", 2), ("preview", 2), ("development", 3)]


async def test_a_new_environment_has_a_scope_of_its_own(desk: Desk) -> None:
    """With nothing in it."""
    made = await create_environment(desk.context, "staging", "Staging", None, multi_tenancy=True)

    assert made == Environment(2, "staging", "Staging", 2, desk.clock(), multi_tenancy=True, scope=2)
    assert desk.catalog.environment(2) == made == find_environment(desk.context, "staging")
    assert desk.catalog.tenants(made.id).all == ()
    assert desk.catalog.scopes() == (SCOPE, 2)


@pytest.mark.parametrize(("key", "name"), [("production", "Again"), ("has space", "x"), ("", "x"), ("new", " ")])
async def test_a_key_that_is_taken_or_malformed_and_a_blank_name_are_refused(desk: Desk, key: str, name: str) -> None:
    """Nothing is made."""
    with pytest.raises(Invalid):
        await create_environment(desk.context, key, name, None, multi_tenancy=False)

    assert len(list_environments(desk.context)) == 1


async def test_multi_tenancy_is_switched_for_one_environment(desk: Desk) -> None:
    """And nothing else of it changes."""
    staging = await create_environment(desk.context, "staging", "Staging", None, multi_tenancy=False)

    switched = await switch_multi_tenancy(desk.context, "staging", on=True)

    assert switched == replace(staging, multi_tenancy=True)
    assert [one.multi_tenancy for one in list_environments(desk.context)] == [False, True]
    assert await switch_multi_tenancy(desk.context, "staging", on=False) == staging


async def test_an_environment_that_is_not_there_is_told_with_those_that_are(desk: Desk) -> None:
    """Nobody remembers the keys of all."""
    with pytest.raises(NotFound, match="no environment 'prod'; there are production"):
        find_environment(desk.context, "prod")
