"""Points over the Application API: what there is, what a user has, and what an event earned."""

from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.local_time import parse_instant
from palmares.domain.points import PointsSystem
from tests.http import check_documented, client
from tests.world import LAPS, POOL, STROKE, World, make_board, make_system, make_trigger

pytestmark = pytest.mark.anyio

CREATED = parse_instant("2026-03-01T10:00:00Z", "created")
TRIGGER = make_trigger(
    event_filters=((STROKE, "free"),), user_filters=((POOL, "east"),), created=CREATED, updated=CREATED
)
PLAIN = make_trigger(2, points=-1, threshold=5, created=CREATED, updated=CREATED)
GOLD = make_system(TRIGGER, PLAIN, description="What shines", badge_url="https://example.org/gold.png", max_points=100)
SHOWN = {
    "id": GOLD.id, "key": "gold", "name": "Gold", "description": "What shines",
    "badgeUrl": "https://example.org/gold.png", "maxPoints": 100,
}  # fmt: skip
SHOWN_TRIGGER = {
    "id": TRIGGER.id, "type": "metric", "points": 5, "status": "active", "metricId": LAPS.id, "metricName": "Laps swum",
    "metricThreshold": 10, "userAttributes": [{"key": "pool", "value": "east"}],
    "eventAttributes": [{"key": "stroke", "value": "free"}], "eventAttribute": {"key": "stroke", "value": "free"},
    "created": "2026-03-01T10:00:00.000Z", "updated": "2026-03-01T10:00:00.000Z",
}  # fmt: skip


async def paying(*systems: PointsSystem) -> World:
    """A world that pays by some systems."""
    world = World()
    await world.pay(*systems)
    return world


async def read(world: World, path: str, documented: str, status: int = 200) -> Any:
    async with client(world) as http:
        answer = await http.get(path)
    check_documented(answer, "GET", documented)
    assert answer.status_code == status, answer.text
    return answer.json()


async def send(world: World, value: float, user: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """One event of ann; the whole answer."""
    headers = {"Idempotency-Key": more.pop("key")} if "key" in more else {}
    async with client(world) as http:
        body = {"user": {"id": "ann"} | (user or {}), "value": value} | more
        answer = await http.post("/metrics/laps-swum/event", json=body, headers=headers)
    check_documented(answer, "POST", "/metrics/{key}/event")
    assert answer.is_success, answer.text
    told: dict[str, Any] = answer.json()
    return told


# A system


async def test_a_system_is_told_with_its_active_triggers() -> None:
    idle = make_trigger(3, status="inactive")
    world = await paying(replace(GOLD, triggers=(TRIGGER, idle)))

    assert await read(world, "/points/gold", "/points/{key}") == SHOWN | {"triggers": [SHOWN_TRIGGER]}


async def test_what_a_system_does_not_have_is_null() -> None:
    """A trigger without filters has empty lists."""
    world = await paying(make_system(PLAIN))
    told = await read(world, "/points/gold", "/points/{key}")

    assert (told["description"], told["badgeUrl"], told["maxPoints"]) == (None, None, None)
    [trigger] = told["triggers"]
    assert (trigger["userAttributes"], trigger["eventAttributes"], "eventAttribute" in trigger) == ([], [], False)


async def test_an_unknown_system_or_user_is_not_found() -> None:
    world = await paying(GOLD)
    await world.swim("ann", "1")

    assert "'silver'" in (await read(world, "/points/silver", "/points/{key}", 404))["error"]
    for path in ("/users/ann/points/silver", "/users/bob/points/gold"):
        await read(world, path, "/users/{id}/points/{key}", 404)


# What an event earned


async def test_an_event_tells_what_it_earned() -> None:
    world = await paying(GOLD, make_system(make_trigger(3, threshold=100), number=2, key="silver"))
    told = await send(world, 21, {"attributes": {"pool": "east"}}, attributes={"stroke": "free"})

    first, second = told["points"]["gold"].pop("awards")
    assert told["points"] == {"gold": SHOWN | {"total": 6, "added": 6}}
    assert first.pop("id") not in (second["id"], told["eventId"])
    assert first == {"awarded": 10, "date": "2026-03-04T12:00:00.000Z", "total": 10, "trigger": SHOWN_TRIGGER}
    assert (second["awarded"], second["total"], second["trigger"]["id"]) == (-4, 6, PLAIN.id)


async def test_an_event_that_earns_nothing_tells_no_points() -> None:
    """Nor does one that is sent again."""
    world = await paying(make_system(make_trigger()))

    assert (await send(world, 9))["points"] == {}
    assert list((await send(world, 1, key="k"))["points"]) == ["gold"]
    assert (await send(world, 1, key="k"))["points"] == {}
    assert (await read(world, "/users/ann/points/gold", "/users/{id}/points/{key}"))["total"] == 5


async def test_an_event_tells_where_its_points_put_the_user() -> None:
    """Of boards by points it is told what system they rank by."""
    world = await paying(make_system(make_trigger()))
    system = make_system().counter
    await world.define(make_board(rank_by="points", metric=None, points_system=system), make_board(2, "laps"))
    told = await send(world, 10)

    assert list(told["leaderboards"]) == ["laps", "weekly-laps"]
    board = told["leaderboards"]["weekly-laps"]
    names = {name: board[name] for name in ("metricKey", "metricName", "pointsSystemKey", "pointsSystemName")}
    assert names == {"metricKey": None, "metricName": None, "pointsSystemKey": "gold", "pointsSystemName": "Gold"}
    assert (board["rankBy"], board["rank"], board["previousRank"]) == ("points", 1, None)
    assert (await send(world, 1))["leaderboards"].keys() == {"laps"}

    page = await read(world, "/leaderboards/weekly-laps", "/leaderboards/{key}")
    assert (page["pointsSystemKey"], [(row["userId"], row["value"]) for row in page["rankings"]]) == (
        "gold",
        [("ann", 5)],
    )


async def test_an_event_that_a_trigger_blocks_is_not_allowed() -> None:
    """And changes nothing."""
    world = await paying(make_system(replace(PLAIN, block_if_out_of_points=True)))
    async with client(world) as http:
        answer = await http.post("/metrics/laps-swum/event", json={"user": {"id": "ann"}, "value": 5})
    check_documented(answer, "POST", "/metrics/{key}/event")

    assert answer.status_code == 400
    assert await world.ledger.user(1, "ann") is None


# What a user has


async def test_a_user_has_points_and_awards_the_newest_first() -> None:
    world = await paying(GOLD)
    for hour in ("09", "11", "10"):
        await world.swim("org/7", "5", f"2026-03-04T{hour}:00:00Z")
    told = await read(world, "/users/org%2F7/points/gold", "/users/{id}/points/{key}")

    awards = told.pop("awards")
    assert told == SHOWN | {"total": -3, "level": None}
    assert [(award["date"][11:13], award["awarded"], award["total"]) for award in awards] == [
        ("11", -1, -2), ("10", -1, -3), ("09", -1, -1),
    ]  # fmt: skip
    assert awards[0]["trigger"]["id"] == PLAIN.id


async def test_the_number_of_awards_is_asked_for() -> None:
    """Ten, if nothing is said."""
    world = await paying(make_system(make_trigger(threshold=1)))
    for _ in range(12):
        await world.swim("ann", "1")

    for query, number in (("", 10), ("?awards=1", 1), ("?awards=100", 12)):
        told = await read(world, f"/users/ann/points/gold{query}", "/users/{id}/points/{key}")
        assert (len(told["awards"]), told["total"]) == (number, 60)
    for query in ("0", "101", "x", ""):
        await read(world, f"/users/ann/points/gold?awards={query}", "/users/{id}/points/{key}", 422)


async def test_who_has_earned_nothing_has_none() -> None:
    world = await paying(GOLD)
    await world.swim("ann", "1")

    told = await read(world, "/users/ann/points/gold", "/users/{id}/points/{key}")
    assert (told["total"], told["level"], told["awards"]) == (0, None, [])


async def test_an_award_of_a_lost_trigger_is_told_without_it() -> None:
    """Definitions may be restored from a time before."""
    world = await paying(make_system(make_trigger()))
    await world.swim("ann", "10")
    world.catalog.pay(make_system())

    [award] = (await read(world, "/users/ann/points/gold", "/users/{id}/points/{key}"))["awards"]
    assert (award["awarded"], "trigger" in award) == (5, False)
