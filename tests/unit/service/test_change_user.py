"""Creating, identifying and updating users are one action."""

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid, NotAllowed, NotFound
from palmares.service.attributes import check_attributes
from palmares.service.change_user import change_user
from tests.world import World

pytestmark = pytest.mark.anyio


async def test_an_unknown_user_is_created_and_a_known_one_changed() -> None:
    world = World()

    created = await change_user(world.context, DEFAULT_SCOPE, "a", {"name": "Noor", "attributes": {"pool": "east"}})
    world.at("2026-03-05T00:00:00Z")
    after = await change_user(world.context, DEFAULT_SCOPE, "a", {"attributes": {"level": "1"}})

    assert (created.name, created.attributes) == ("Noor", {"pool": "east"})
    assert (after.name, after.attributes) == ("Noor", {"pool": "east", "level": "1"})
    assert (after.created, after.updated) == (created.created, world.now)


async def test_an_update_that_needs_an_existing_user_creates_none() -> None:
    world = World()

    with pytest.raises(NotFound):
        await change_user(world.context, DEFAULT_SCOPE, "a", {"name": "Noor"}, must_exist=True)

    assert await world.ledger.user(DEFAULT_SCOPE, "a") is None


@pytest.mark.parametrize("user_id", ["", "x" * 256])
async def test_an_id_has_1_to_255_characters(user_id: str) -> None:
    with pytest.raises(Invalid, match="id"):
        await change_user(World().context, DEFAULT_SCOPE, user_id, {})


async def test_undefined_attributes_are_refused_by_name_and_nothing_is_changed() -> None:
    """Event attributes are another kind: a user may not carry one."""
    world = World()

    with pytest.raises(NotAllowed, match=r"user attributes: 'team', 'stroke'"):
        await change_user(
            world.context, DEFAULT_SCOPE, "a", {"attributes": {"pool": "east", "team": "x", "stroke": "crawl"}}
        )

    assert await world.ledger.user(DEFAULT_SCOPE, "a") is None


async def test_attributes_of_users_and_of_events_are_checked_by_their_own_kind() -> None:
    definitions = World().catalog.definitions(DEFAULT_SCOPE)

    check_attributes(definitions, {"pool": "east"}, {"stroke": "crawl"})
    check_attributes(definitions, None, None)
    with pytest.raises(NotAllowed, match=r"event attributes: 'pool'"):
        check_attributes(definitions, None, {"pool": "east"})
