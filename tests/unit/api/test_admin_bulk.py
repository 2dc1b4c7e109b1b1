"""What all lists, creates, updates and deletes of the Admin API have in common."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palmares.api.routes import ADMIN_BASE
from tests.admin_client import UNKNOWN, Admin, named, open_admin
from tests.http import DOCUMENTS

pytestmark = pytest.mark.anyio

THINGS = ["/metrics", "/attributes", "/leaderboards"]
NEW = {
    "/metrics": {"name": "Laps", "key": "laps"},
    "/attributes": {"name": "Pool", "key": "pool", "type": "user"},
    "/leaderboards": {"name": "Streak", "key": "streak", "rankBy": "streak"},
}


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path) as admin:
        yield admin


def new(path: str, number: int) -> dict[str, Any]:
    return NEW[path] | {"key": f"key-{number}"}


@pytest.mark.parametrize(
    ("path", "one"), [(THINGS[0], "a metric"), (THINGS[1], "an attribute"), (THINGS[2], "a leaderboard")]
)
def test_each_kind_has_the_same_five_operations(path: str, one: str) -> None:
    """Generated clients name their methods by the ids."""
    many = path[1:]
    operations = {
        operation["operationId"]: operation["summary"]
        for place in (path, path + "/{id}")
        for operation in DOCUMENTS[ADMIN_BASE]["paths"][place].values()
    }

    assert operations == {
        f"get{many.title()}": f"List {many}",
        f"get{many.title()}ById": f"Get {one}",
        f"post{many.title()}": f"Create {many}",
        f"patch{many.title()}": f"Update {many}",
        f"delete{many.title()}": f"Delete {many}",
    }


# Requests that are unusable as a whole


@pytest.mark.parametrize("path", THINGS)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[1,",
        b'[{"name": "\xff"}]',
        b'[{"name": "\\ud800"}]',
        b"[" * 100_000,
        json.dumps([{}] * 101).encode(),
    ],
)
async def test_an_unusable_body_is_422(admin: Admin, method: str, path: str, body: bytes) -> None:
    """Not an array, empty, too long, not JSON, not UTF-8, nested without end."""
    await admin.refused(method, path, body)


@pytest.mark.parametrize("path", THINGS)
@pytest.mark.parametrize("query", ["", "?ids=", "?id=1", "?ids=,", "?ids=" + "a," * 101, "?ids=%ff"])
async def test_a_delete_without_usable_ids_is_422(admin: Admin, path: str, query: str) -> None:
    """None, or more than a hundred."""
    await admin.refused("DELETE", path + query)


@pytest.mark.parametrize("path", THINGS)
@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=ten", "limit=1.5", "limit=", "skip=-1", "skip=x"])
async def test_a_list_query_out_of_range_is_422(admin: Admin, path: str, query: str) -> None:
    """The message names the parameter."""
    message = await admin.refused("GET", f"{path}?{query}")

    assert message.startswith(f"{query.partition('=')[0]}: ")


@pytest.mark.parametrize("path", THINGS)
async def test_a_request_without_a_good_key_is_401(admin: Admin, path: str) -> None:
    """No part of the Admin API is public."""
    admin.client.headers["X-API-KEY"] = "abcd1234.nonsense"

    for method in ("GET", "POST", "PATCH", "DELETE"):
        await admin.refused(method, path, status=401)


# Items are independent


@pytest.mark.parametrize("path", THINGS)
@pytest.mark.parametrize("item", [1, None, "text", [], [[]], {}, {"name": 5}, {"key": "k"}, {"name": "n"}])
async def test_an_item_that_is_none_is_an_issue_with_its_place(admin: Admin, path: str, item: Any) -> None:
    """The good item after it is created."""
    answer = await admin.call("POST", path, [item, NEW[path]], 201)

    assert [issue["index"] for issue in answer["issues"]] == [0]
    assert answer["issues"][0].keys() == {"severity", "message", "index"}
    assert [thing["name"] for thing in answer["created"]] == [NEW[path]["name"]]


@pytest.mark.parametrize("path", THINGS)
async def test_a_create_in_which_nothing_was_created_is_200(admin: Admin, path: str) -> None:
    """Both arrays are there all the same."""
    answer = await admin.call("POST", path, [{}, {"name": "n", "key": "has space"}], 200)

    assert answer["created"] == []
    assert [issue["index"] for issue in answer["issues"]] == [0, 1]


@pytest.mark.parametrize("path", THINGS)
async def test_an_update_tells_of_an_item_by_its_id_as_given_or_else_by_its_place(admin: Admin, path: str) -> None:
    """Also when the id is no UUID; an id that is no text counts as none."""
    [thing] = await admin.create(path, NEW[path])

    answer = await admin.call(
        "PATCH",
        path,
        [{"id": "Nonsense"}, {"id": UNKNOWN}, {"name": "n"}, {"id": 7}, {"id": thing["id"], "name": 7}, "text"],
    )

    assert answer["updated"] == []
    assert [issue.get("id", issue.get("index")) for issue in answer["issues"]] == [
        "Nonsense", UNKNOWN, 2, 3, thing["id"], 5
    ]  # fmt: skip
    assert [issue["message"].partition(":")[0] for issue in answer["issues"]][:2] == ["id", "id"]


@pytest.mark.parametrize("path", THINGS)
async def test_an_update_with_nothing_to_change_returns_the_object(admin: Admin, path: str) -> None:
    """Unknown fields are ignored, and an id may be written in capitals."""
    [thing] = await admin.create(path, NEW[path])

    answer = await admin.call("PATCH", path, [{"id": thing["id"].upper(), "unknown": 1}])

    assert answer == {"updated": [thing], "issues": []}


@pytest.mark.parametrize("path", THINGS)
async def test_an_object_as_it_was_answered_can_be_sent_back(admin: Admin, path: str) -> None:
    """Fields that never change may be given as they are."""
    [thing] = await admin.create(path, NEW[path])

    assert await admin.call("PATCH", path, [thing]) == {"updated": [thing], "issues": []}


@pytest.mark.parametrize("path", THINGS)
async def test_of_two_items_that_clash_the_first_wins(admin: Admin, path: str) -> None:
    """On a key when creating, on the thing itself when updating."""
    created = await admin.call("POST", path, [NEW[path], NEW[path] | {"name": "Second"}], 201)
    thing_id = created["created"][0]["id"]
    updated = await admin.call("PATCH", path, [{"id": thing_id, "name": "A"}, {"id": thing_id, "name": "B"}])

    assert named(created["issues"]) == [(1, "key")]
    assert [thing["name"] for thing in updated["updated"]] == ["A"]
    assert named(updated["issues"]) == [(thing_id, "id")]


# Lists and single things


@pytest.mark.parametrize("path", THINGS)
async def test_a_list_is_a_bare_array_oldest_first(admin: Admin, path: str) -> None:
    """Ten unless said otherwise, at most a hundred; skipping past the end gives none."""
    await admin.create(path, *(new(path, number) for number in range(100)))
    await admin.create(path, new(path, 100))

    async def numbers(query: str) -> list[int]:
        return [int(thing["key"].removeprefix("key-")) for thing in await admin.call("GET", path + query)]

    assert await numbers("") == list(range(10))
    assert await numbers("?limit=100") == list(range(100))
    assert await numbers("?limit=3&skip=99") == [99, 100]
    assert await numbers(f"?skip={10**30}") == []


@pytest.mark.parametrize("path", THINGS)
async def test_a_thing_is_got_by_its_id(admin: Admin, path: str) -> None:
    """Unknown is 404; what is no UUID is 422."""
    [thing] = await admin.create(path, NEW[path])

    assert await admin.call("GET", f"{path}/{thing['id']}") == thing
    assert await admin.call("GET", f"{path}/{thing['id'].upper()}/") == thing
    await admin.refused("GET", f"{path}/{UNKNOWN}", status=404)
    await admin.refused("GET", f"{path}/{thing['key']}", status=422)


# Deleting


@pytest.mark.parametrize("path", THINGS)
async def test_ids_to_delete_come_repeated_or_joined_by_commas_or_both(admin: Admin, path: str) -> None:
    """What was deleted is told in the order of the request; the rest is an issue with the id as given."""
    ids = [thing["id"] for thing in await admin.create(path, *(new(path, number) for number in range(4)))]

    answer = await admin.call("DELETE", f"{path}?ids={ids[2]},{ids[0]}&ids=nonsense&ids={ids[3]},{ids[2]}")

    assert answer["deleted"] == [{"id": ids[2]}, {"id": ids[0]}, {"id": ids[3]}]
    assert named(answer["issues"]) == [("nonsense", "id"), (ids[2], "id")]
    assert [thing["id"] for thing in await admin.call("GET", path)] == [ids[1]]
    await admin.refused("GET", f"{path}/{ids[0]}", status=404)


@pytest.mark.parametrize("path", THINGS)
async def test_what_was_deleted_leaves_its_key_free(admin: Admin, path: str) -> None:
    """And cannot be deleted again."""
    [thing] = await admin.create(path, NEW[path])
    await admin.call("DELETE", f"{path}?ids={thing['id']}")

    [again] = await admin.create(path, NEW[path])
    answer = await admin.call("DELETE", f"{path}?ids={thing['id']}")

    assert again["id"] != thing["id"]
    assert answer["deleted"] == []
    assert named(answer["issues"]) == [(thing["id"], "id")]
