"""Attributes over the Admin API."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin_client import Admin, named, open_admin

pytestmark = pytest.mark.anyio

POOL = {"name": "Pool", "key": "pool", "type": "user"}


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path) as admin:
        yield admin


async def test_an_attribute_is_answered_with_all_its_fields(admin: Admin) -> None:
    """One key may be used once per type."""
    created = await admin.create("/attributes", POOL, POOL | {"type": "event"})

    assert [{name: value for name, value in one.items() if name != "id"} for one in created] == [
        POOL,
        POOL | {"type": "event"},
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": 5}, "name"),
        ({"name": " "}, "name"),
        ({"name": "n" * 256}, "name"),
        ({"key": "has space"}, "key"),
        ({"key": None}, "key"),
        ({"type": "team"}, "type"),
        ({"type": None}, "type"),
        ({"type": 1}, "type"),
    ],
)
async def test_a_wrong_field_is_an_issue_that_names_it(admin: Admin, fields: dict[str, Any], field: str) -> None:
    """And nothing of the item is stored."""
    answer = await admin.call("POST", "/attributes", [POOL | fields], 200)

    assert (answer["created"], named(answer["issues"])) == ([], [(0, field)])
    assert await admin.call("GET", "/attributes") == []


@pytest.mark.parametrize(("fields", "field"), [({"key": "basin"}, "key"), ({"type": "event"}, "type")])
async def test_key_and_type_never_change(admin: Admin, fields: dict[str, Any], field: str) -> None:
    """The name that came with them stays, too."""
    [pool] = await admin.create("/attributes", POOL)

    answer = await admin.call("PATCH", "/attributes", [{"id": pool["id"], "name": "Basin", **fields}])

    assert named(answer["issues"]) == [(pool["id"], field)]
    assert await admin.call("GET", "/attributes") == [pool]


async def test_the_name_changes(admin: Admin) -> None:
    """It is all that does."""
    [pool] = await admin.create("/attributes", POOL)

    answer = await admin.call("PATCH", "/attributes", [{"id": pool["id"], "name": "Basin"}])

    assert answer == {"updated": [pool | {"name": "Basin"}], "issues": []}


async def test_an_attribute_in_use_cannot_be_deleted(admin: Admin) -> None:
    """The issue names it by its id."""
    [pool] = await admin.create("/attributes", POOL)
    await admin.create(
        "/leaderboards", {"name": "B", "key": "b", "rankBy": "streak", "breakdownAttributes": [pool["id"]]}
    )

    answer = await admin.call("DELETE", f"/attributes?ids={pool['id']}")

    assert (answer["deleted"], [issue["id"] for issue in answer["issues"]]) == ([], [pool["id"]])
