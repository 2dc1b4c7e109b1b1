"""Application keys over the Admin API: made, shown once, deleted."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin_client import UNKNOWN, Admin, named, open_admin

pytestmark = pytest.mark.anyio
PATH = "/application-api-keys"


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path) as admin:
        yield admin


async def status_with(admin: Admin, key: str) -> int:
    answer = await admin.client.get("http://test/v1/leaderboards", headers={"X-API-KEY": key})
    return answer.status_code


async def test_a_key_works_from_when_it_is_made_until_it_is_deleted(admin: Admin) -> None:
    """Several of one user, each by itself."""
    one, two = await admin.create(PATH, {"userId": "swim-7"}, {"userId": "swim-7"})

    assert one.keys() == {"id", "userId", "key", "prefix"}
    assert (one["userId"], one["key"].partition(".")[0]) == ("swim-7", one["prefix"])
    assert [await status_with(admin, made["key"]) for made in (one, two)] == [200, 200]

    answer = await admin.call("DELETE", f"{PATH}?ids={one['id']}&ids={UNKNOWN}&ids=nonsense")
    assert answer["deleted"] == [{"id": one["id"]}]
    assert named(answer["issues"]) == [(UNKNOWN, "id"), ("nonsense", "id")]
    assert [await status_with(admin, made["key"]) for made in (one, two)] == [401, 200]


@pytest.mark.parametrize("item", [{}, {"userId": ""}, {"userId": None}, {"userId": 7}, {"userId": "x" * 256}])
async def test_a_wrong_user_id_is_an_issue(admin: Admin, item: Any) -> None:
    """And the other items get their keys."""
    answer = await admin.call("POST", PATH, [item, {"userId": "swim-7"}], 201)

    assert [made["userId"] for made in answer["created"]] == ["swim-7"]
    assert named(answer["issues"]) == [(0, "userId")]


async def test_a_request_that_names_nothing_is_refused(admin: Admin) -> None:
    await admin.refused("POST", PATH, [])
    await admin.refused("POST", PATH, {"userId": "swim-7"})
    await admin.refused("POST", PATH, [{"userId": "swim-7"}] * 101)
    await admin.refused("DELETE", PATH)


async def test_there_is_no_way_to_read_keys(admin: Admin) -> None:
    """Neither a list nor one of them."""
    await admin.refused("GET", PATH, status=405)
    await admin.refused("GET", f"{PATH}/{UNKNOWN}", status=404)
