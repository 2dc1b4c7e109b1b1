"""Users over the Admin API: hidden and brought back in the bulk shape, by the customer's ids."""

from typing import Any

import httpx
import pytest

from palmares.api.routes import ADMIN_BASE
from tests.http import check_documented, client
from tests.world import POOL, World, make_board

pytestmark = pytest.mark.anyio


async def send(world: World, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    async with client(world, ADMIN_BASE) as http:
        answer = await http.request(method, path, **({} if body is None else {"json": body}))
    check_documented(
        answer,
        method,
        path.partition("?")[0] if path.startswith("/users?") or path == "/users" else "/users/{id}",
        ADMIN_BASE,
    )
    assert answer.status_code == status, answer.text
    return answer.json()


async def read(world: World, path: str) -> Any:
    async with client(world) as http:
        answer: httpx.Response = await http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def make_world() -> World:
    world = World()
    await world.define(make_board(), make_board(2, "pools", breakdown=(POOL,)))
    for user_id, laps in (("org/7,a", "9"), ("bob", "7"), ("cat", "5")):
        await world.change(user_id, attributes={"pool": "east"}, name=user_id.upper())
        await world.swim(user_id, laps)
    return world


async def test_users_are_hidden_and_brought_back() -> None:
    """The answer shows them as administrators see them; what is unknown is an issue."""
    world = await make_world()
    answer = await send(world, "PATCH", "/users", [{"id": "org/7,a", "hidden": True}, {"id": "eve", "hidden": True}])
    [hidden] = answer["updated"]
    assert (hidden["id"], hidden["hidden"], hidden["attributes"]) == ("org/7,a", True, {"pool": "east"})
    assert answer["issues"] == [{"severity": "error", "message": "id: there is no user with this id", "id": "eve"}]
    assert await send(world, "GET", "/users/org%2F7,a") == hidden
    assert (await send(world, "GET", "/users/bob"))["hidden"] is False

    answer = await send(world, "PATCH", "/users", [{"id": "org/7,a", "hidden": False}, {"id": "bob"}])
    assert [(user["id"], user["hidden"]) for user in answer["updated"]] == [("org/7,a", False), ("bob", False)]


async def test_a_hidden_user_sees_a_place_that_nobody_else_sees() -> None:
    """By the routes of the user and around the user; the page is that of the others."""
    world = await make_world()
    await send(world, "PATCH", "/users", [{"id": "bob", "hidden": True}])

    page = await read(world, "/leaderboards/weekly-laps")
    assert [(row["userId"], row["rank"]) for row in page["rankings"]] == [("org/7,a", 1), ("cat", 2)]
    assert page["totalParticipants"] == 2
    around = await read(world, "/leaderboards/weekly-laps?userId=bob&limit=1")
    assert [row["userId"] for row in around["rankings"]] == ["cat"]
    for key in ("weekly-laps", "pools"):
        standing = await read(world, f"/users/bob/leaderboards/{key}")
        assert (standing["rank"], standing["value"], standing["totalParticipants"]) == (2, 7, 2)
        assert [entry["rank"] for entry in standing["history"]] == []
    assert (await read(world, "/users/bob"))["attributes"] == {"pool": "east"}


async def test_the_mark_is_no_attribute_that_anybody_may_set() -> None:
    """Neither as such nor as a field of the Application API."""
    world = await make_world()
    async with client(world) as http:
        refused = await http.patch("/users/bob", json={"attributes": {"palmares:hidden": "1"}})
        ignored = await http.patch("/users/bob", json={"hidden": True})
    assert (refused.status_code, ignored.status_code) == (400, 200)
    assert (await send(world, "GET", "/users/bob"))["hidden"] is False


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"id": "bob", "hidden": "yes"}, "hidden"),
        ({"hidden": True}, "id"),
        ({"id": "", "hidden": True}, "id"),
        ({"id": 7, "hidden": True}, "id"),
    ],
)
async def test_what_is_wrong_with_an_item_is_its_issue(item: Any, message: str) -> None:
    """The others are done."""
    world = await make_world()
    answer = await send(world, "PATCH", "/users", [item, {"id": "cat", "hidden": True}])
    assert [issue["message"].partition(":")[0] for issue in answer["issues"]] == [message]
    assert [user["id"] for user in answer["updated"]] == ["cat"]


async def test_of_two_items_for_one_user_the_first_wins() -> None:
    world = await make_world()
    answer = await send(world, "PATCH", "/users", [{"id": "bob", "hidden": True}, {"id": "bob", "hidden": False}])
    assert [user["hidden"] for user in answer["updated"]] == [True]
    assert [issue["id"] for issue in answer["issues"]] == ["bob"]


@pytest.mark.parametrize("body", [[], [{"id": "bob", "hidden": True}] * 101, {"id": "bob"}])
async def test_a_request_as_a_whole_is_refused_when_it_is_no_list_of_1_to_100(body: Any) -> None:
    world = await make_world()
    await send(world, "PATCH", "/users", body, status=422)


async def test_an_unknown_user_is_not_found() -> None:
    world = await make_world()
    await send(world, "GET", "/users/eve", status=404)


async def test_users_are_erased_and_unknown_at_once() -> None:
    """The bulk shape, with the ids as they were; the same id may come again as somebody new."""
    world = await make_world()
    answer = await send(world, "DELETE", "/users?ids=bob,eve&ids=cat")
    assert answer == {
        "deleted": [{"id": "bob"}, {"id": "cat"}],
        "issues": [{"severity": "error", "message": "id: there is no user with this id", "id": "eve"}],
    }
    await send(world, "GET", "/users/bob", status=404)
    page = await read(world, "/leaderboards/weekly-laps")
    assert [(row["userId"], row["rank"]) for row in page["rankings"]] == [("org/7,a", 1)]

    await world.swim("bob", "1")
    page = await read(world, "/leaderboards/weekly-laps")
    assert [(row["userId"], row["userName"], row["value"]) for row in page["rankings"]][1:] == [("bob", None, 1)]


async def test_an_id_with_a_comma_is_erased_by_its_own_path() -> None:
    """In `ids` a comma parts two ids, sent as it is or encoded."""
    world = await make_world()
    for separator in (",", "%2C"):
        answer = await send(world, "DELETE", f"/users?ids=org/7{separator}a")
        assert [issue["id"] for issue in answer["issues"]] == ["org/7", "a"]
    assert await send(world, "DELETE", "/users/org%2F7%2Ca") == {"deleted": [{"id": "org/7,a"}], "issues": []}
    await send(world, "DELETE", "/users/org%2F7%2Ca", status=404)


async def test_one_user_named_twice_is_erased_once() -> None:
    world = await make_world()
    answer = await send(world, "DELETE", "/users?ids=bob,bob")
    assert answer["deleted"] == [{"id": "bob"}]
    assert [issue["id"] for issue in answer["issues"]] == ["bob"]


@pytest.mark.parametrize("query", ["", "?ids=", "?ids=,", "?ids=" + ",".join(f"u{number}" for number in range(101))])
async def test_none_and_more_than_a_hundred_ids_are_refused(query: str) -> None:
    """As a whole: nobody is erased."""
    world = await make_world()
    await send(world, "DELETE", f"/users{query}", status=422)
    assert (await read(world, "/leaderboards/weekly-laps"))["totalParticipants"] == 3


async def test_nobody_can_be_called_like_an_erased_user() -> None:
    world = await make_world()
    async with client(world) as http:
        refused = await http.put("/users/erased-2", json={"name": "x"})
    assert refused.status_code == 422
    assert "choose another" in refused.json()["error"]
