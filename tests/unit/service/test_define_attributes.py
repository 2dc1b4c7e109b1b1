"""Attributes: created, changed and deleted, one by one or many at once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palmares.domain.metric import Attribute
from palmares.service.define_attributes import create_attributes, delete_attributes, update_attributes
from palmares.service.define_boards import create_boards
from tests.definitions import SCOPE, Desk, complaints, items, open_desk

pytestmark = pytest.mark.anyio

POOL = {"name": "Pool", "key": "pool", "kind": "user"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def make(desk: Desk, *fields: dict[str, object]) -> list[Attribute]:
    return (await create_attributes(desk.context, SCOPE, items(*fields))).things


async def test_a_created_attribute_may_be_set_from_then_on(desk: Desk) -> None:
    """Its key is known for its kind only."""
    [attribute] = await make(desk, POOL)

    assert (attribute.key, attribute.name, attribute.kind) == ("pool", "Pool", "user")
    assert (desk.definitions.user_attribute_keys, desk.definitions.event_attribute_keys) == ({"pool"}, set())


async def test_a_key_is_unique_per_kind(desk: Desk) -> None:
    """Of two items of one kind and key, the first wins."""
    bulk = await create_attributes(
        desk.context, SCOPE, items(POOL, {**POOL, "kind": "event"}, {**POOL, "name": "Basin"})
    )

    assert [(attribute.kind, attribute.name) for attribute in bulk.things] == [("user", "Pool"), ("event", "Pool")]
    assert complaints(bulk) == [(2, "key")]


async def test_bad_items_do_not_stop_good_ones(desk: Desk) -> None:
    """Each wrong item is told of by its place and field."""
    bulk = await create_attributes(
        desk.context, SCOPE, items({**POOL, "key": "a b"}, {**POOL, "name": ""}, POOL, {**POOL, "key": "k" * 256})
    )

    assert [attribute.key for attribute in bulk.things] == ["pool"]
    assert complaints(bulk) == [(0, "key"), (1, "name"), (3, "key")]


async def test_only_the_name_changes(desk: Desk) -> None:
    """Key and kind may be given as they are, but not differ."""
    [pool, lane] = await make(desk, POOL, {"name": "Lane", "key": "lane", "kind": "user"})

    bulk = await update_attributes(
        desk.context,
        SCOPE,
        items(
            {"id": pool.id, "name": "Basin", "key": "pool", "kind": "user"},
            {"id": lane.id, "kind": "event"},
            {"id": "unknown", "name": "X"},
        ),
    )

    assert bulk.things == [Attribute(pool.id, SCOPE, "user", "pool", "Basin")]
    assert complaints(bulk) == [(lane.id, "type"), ("unknown", "id")]
    assert desk.definitions.attributes == (bulk.things[0], lane)


async def test_the_key_never_changes(desk: Desk) -> None:
    """The values that users have are stored by it."""
    [pool] = await make(desk, POOL)

    bulk = await update_attributes(desk.context, SCOPE, items({"id": pool.id, "key": "basin"}))

    assert (complaints(bulk), desk.definitions.attributes) == ([(pool.id, "key")], (pool,))


async def test_an_attribute_that_a_board_uses_cannot_be_deleted(desk: Desk) -> None:
    """Whether the board splits or filters by it."""
    [pool, lane, free] = await make(
        desk, *({"name": key, "key": key, "kind": "user"} for key in ("pool", "lane", "free"))
    )
    board = {"name": "B", "key": "b", "rank_by": "streak", "breakdown": [pool.id], "filters": [(lane.id, "3")]}
    assert not (await create_boards(desk.context, SCOPE, items(board))).issues

    bulk = await delete_attributes(desk.context, SCOPE, [pool.id, lane.id, free.id])

    assert bulk.things == [free]
    assert [issue.id for issue in bulk.issues] == [pool.id, lane.id]
    assert desk.definitions.attributes == (pool, lane)


async def test_a_deleted_attribute_leaves_its_key_free(desk: Desk) -> None:
    """It is another attribute that has the key then."""
    [pool] = await make(desk, POOL)
    await delete_attributes(desk.context, SCOPE, [pool.id])

    [again] = await make(desk, POOL)

    assert desk.definitions.attributes == (again,)
    assert again.id != pool.id
