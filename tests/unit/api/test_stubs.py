"""What is not there is told in ways that clients can read and do not try again."""

from typing import Any

import pytest

from tests.http import check_documented, client
from tests.world import World, make_system, make_trigger

pytestmark = pytest.mark.anyio

UNKNOWN = "00000000-0000-4000-8000-00000000ffff"


async def answer(method: str, path: str, body: Any = None, base: str = "/v1", documented: str = "") -> tuple[int, Any]:
    """Status and body, which have to fit the document, of a request where the user `org/7` and gold are known."""
    world = World()
    await world.pay(make_system(make_trigger()))
    await world.change("org/7")
    async with client(world, base) as http:
        found = await http.request(method, path, json=body)
    check_documented(found, method, documented or path.partition("?")[0], base)
    return found.status_code, found.json()


async def admin(method: str, path: str, body: Any = None, documented: str = "") -> tuple[int, Any]:
    return await answer(method, path, body, "/admin/v1", documented)


@pytest.mark.parametrize(
    ("method", "path", "documented", "status"),
    [
        ("GET", "/achievements", "/achievements", 200),
        ("GET", "/achievements?userAttributes=pool:east", "/achievements", 200),
        ("GET", "/users/org/7/achievements", "/users/{id}/achievements", 200),
        ("GET", "/users/org%2F7/achievements?includeIncomplete=true", "/users/{id}/achievements", 200),
        ("GET", "/users/nobody/achievements", "/users/{id}/achievements", 404),
        ("GET", "/users/org/7/wrapped?year=2025", "/users/{id}/wrapped", 404),
        ("GET", "/users/nobody/wrapped", "/users/{id}/wrapped", 404),
        ("POST", "/achievements/finish/complete", "/achievements/{key}/complete", 404),
        ("GET", "/points/gold/levels", "/points/{key}/levels", 200),
        ("GET", "/points/silver/levels", "/points/{key}/levels", 404),
        ("GET", "/points/gold/boosts", "/points/{key}/boosts", 200),
        ("GET", "/points/silver/boosts", "/points/{key}/boosts", 404),
        ("GET", "/points/gold/summary", "/points/{key}/summary", 200),
        ("GET", "/points/silver/summary", "/points/{key}/summary", 404),
        ("GET", "/points/gold/level-summary", "/points/{key}/level-summary", 200),
        ("GET", "/points/silver/level-summary", "/points/{key}/level-summary", 404),
        ("GET", "/users/org/7/points/gold/boosts", "/users/{id}/points/{key}/boosts", 200),
        ("GET", "/users/org/7/points/silver/boosts", "/users/{id}/points/{key}/boosts", 404),
        ("GET", "/users/nobody/points/gold/boosts", "/users/{id}/points/{key}/boosts", 404),
        ("GET", "/users/org/7/points/gold/event-summary", "/users/{id}/points/{key}/event-summary", 404),
    ],
)
async def test_lists_are_empty_and_single_things_are_not_found(
    method: str, path: str, documented: str, status: int
) -> None:
    found, body = await answer(method, path, {"user": {"id": "a"}} if method == "POST" else None, documented=documented)

    assert found == status
    assert body == [] if status == 200 else list(body) == ["error"]


async def test_achievements_are_defined_nowhere() -> None:
    """What is to be created, updated or deleted is refused item by item."""
    message = "achievements are not supported"
    created = await admin("POST", "/achievements", [{"name": "Finish", "trigger": "api"}, {"id": "x"}, 5])
    updated = await admin("PATCH", "/achievements", [{"id": UNKNOWN, "name": "Finish"}, {"name": "nameless"}])
    deleted = await admin("DELETE", f"/achievements?ids={UNKNOWN},other&ids=third")

    assert await admin("GET", "/achievements?limit=5&skip=1") == (200, [])
    assert (await admin("GET", f"/achievements/{UNKNOWN}", documented="/achievements/{id}"))[0] == 404
    assert (await admin("GET", "/achievements/no-uuid", documented="/achievements/{id}"))[0] == 422
    error = {"severity": "error", "message": message}
    assert created == (
        200,
        {"created": [], "issues": [error | {"index": 0}, error | {"id": "x"}, error | {"index": 2}]},
    )
    assert updated == (200, {"updated": [], "issues": [error | {"id": UNKNOWN}, error | {"index": 1}]})
    assert deleted == (
        200,
        {"deleted": [], "issues": [error | {"id": one} for one in (UNKNOWN, "other", "third")]},
    )


async def test_streaks_are_neither_paused_frozen_restored_nor_reset() -> None:
    """Each issue names the user it is about."""
    users = {"users": [{"id": "org/7"}, {"id": "nobody"}]}
    named = [{"userId": "org/7"}, {"userId": "nobody"}]
    pause = {"start": "2026-03-02", "end": "2026-03-04"}
    for path, body, kept in (
        ("pauses", {"pauses": [one | pause for one in named]}, {"created": []}),
        ("freezes", {"freezes": named}, {}),
        ("restore", users, {"restoredUsers": []}),
        ("reset", users, {"resetUsers": []}),
    ):
        status, found = await admin("POST", f"/streaks/{path}", body)
        issues = found.pop("issues")
        assert (status, found) == (200, kept)
        assert [(one["severity"], one["index"], one["userId"]) for one in issues] == [
            ("error", 0, "org/7"),
            ("error", 1, "nobody"),
        ]
    status, deleted = await admin("DELETE", f"/streaks/pauses?ids={UNKNOWN}")
    assert (status, deleted["deleted"], deleted["issues"][0]["id"]) == (200, [], UNKNOWN)


@pytest.mark.parametrize("kind", ["levels", "boosts"])
async def test_what_belongs_to_an_unknown_points_system_is_not_found(kind: str) -> None:
    path, documented = f"/points/{UNKNOWN}/{kind}", f"/points/{{system_id}}/{kind}"

    for method, body in (("GET", None), ("POST", [{"name": "x"}]), ("PATCH", [{"id": UNKNOWN}])):
        assert (await admin(method, path, body, documented))[0] == 404
    assert (await admin("DELETE", f"{path}?ids={UNKNOWN}", documented=documented))[0] == 404
    assert (await admin("GET", f"{path}/{UNKNOWN}", documented=f"{documented}/{{id}}"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/achievements", {}),
        ("POST", "/achievements", []),
        ("PATCH", "/achievements", [{}] * 101),
        ("DELETE", "/achievements", None),
        ("GET", "/achievements?limit=0", None),
        ("POST", "/streaks/pauses", {"pauses": []}),
        ("POST", "/streaks/freezes", {}),
        ("POST", "/streaks/restore", {"users": "a"}),
        ("POST", "/streaks/reset", []),
        ("DELETE", "/streaks/pauses", None),
    ],
)
async def test_a_request_that_is_unusable_as_a_whole_is_refused(method: str, path: str, body: Any) -> None:
    assert (await admin(method, path, body))[0] == 422
