"""Points systems and their triggers over the Admin API."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin_client import UNKNOWN, Admin, named, open_admin

pytestmark = pytest.mark.anyio

GOLD = {"name": "Gold", "key": "gold"}


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path) as admin:
        yield admin


@pytest.fixture
async def laps(admin: Admin) -> str:
    """The id of a metric."""
    [metric] = await admin.create("/metrics", {"name": "Laps", "key": "laps"})
    return str(metric["id"])


@pytest.fixture
async def attributes(admin: Admin) -> list[str]:
    """The ids of an attribute of users and one of events."""
    made = await admin.create("/attributes", *({"name": kind, "key": kind, "type": kind} for kind in ("user", "event")))
    return [attribute["id"] for attribute in made]


def without_id(thing: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name != "id"}


async def test_a_system_is_answered_with_all_its_fields(admin: Admin) -> None:
    """Nulls mean that there is none."""
    created = await admin.create(
        "/points",
        GOLD | {"description": "What shines", "badge": {"url": "https://example.org/g.png"}, "maxPoints": 100},
        {"name": "Silver", "key": "silver", "description": None, "badge": None, "maxPoints": None, "triggers": None},
    )

    assert [*map(without_id, created)] == [
        {
            "name": "Gold", "key": "gold", "description": "What shines", "status": "active",
            "badge": {"url": "https://example.org/g.png"}, "maxPoints": 100,
        },
        {"name": "Silver", "key": "silver", "description": "", "status": "active", "badge": None, "maxPoints": None},
    ]  # fmt: skip
    assert await admin.call("GET", "/points") == created
    assert await admin.call("GET", "/points?skip=1") == created[1:]
    assert await admin.call("GET", f"/points/{created[0]['id']}") == created[0]
    await admin.refused("GET", f"/points/{UNKNOWN}", status=404)
    await admin.refused("GET", "/points/gold", status=422)


async def test_a_system_comes_with_its_triggers(admin: Admin, laps: str, attributes: list[str]) -> None:
    """Only the answer to its creation has them; they are listed apart."""
    user, event = attributes
    full = {
        "type": "metric", "points": -5, "status": "active", "metricId": laps, "metricThreshold": 10,
        "userAttributes": [{"attributeId": user, "attributeValue": "east"}],
        "eventAttributes": [{"attributeId": event, "attributeValue": "free"}], "blockIfOutOfPoints": True,
    }  # fmt: skip
    plain = {"type": "metric", "points": 1, "metricId": laps, "metricThreshold": 1}
    [system] = await admin.create("/points", GOLD | {"triggers": [full, plain]})

    triggers = system.pop("triggers")
    defaults = {"status": "inactive", "userAttributes": [], "eventAttributes": [], "blockIfOutOfPoints": False}
    assert [*map(without_id, triggers)] == [full, plain | defaults]
    path = f"/points/{system['id']}"
    assert await admin.call("GET", path) == system
    assert await admin.call("GET", f"{path}/triggers") == triggers
    assert await admin.call("GET", f"{path}/triggers?limit=1") == triggers[:1]
    assert await admin.call("GET", f"{path}/triggers/{triggers[1]['id']}") == triggers[1]
    await admin.refused("GET", f"{path}/triggers/{UNKNOWN}", status=404)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"key": "has space"}, "key"),
        ({"description": 5}, "description"),
        ({"badge": "https://example.org"}, "badge"),
        ({"badge": {}}, "badge"),
        ({"badge": {"url": ""}}, "badge.url"),
        ({"maxPoints": 0}, "maxPoints"),
        ({"maxPoints": 1.5}, "maxPoints"),
        ({"maxPoints": 2**31}, "maxPoints"),
        ({"triggers": {}}, "triggers"),
        ({"triggers": [{"type": "metric"}]}, "triggers[0]"),
        ({"triggers": [{"type": "streak", "points": 5}]}, "triggers[0].type"),
        ({"triggers": [{"type": "metric", "points": 5}]}, "triggers[0].metricId"),
    ],
)
async def test_a_wrong_field_of_a_system_is_an_issue_that_names_it(
    admin: Admin, fields: dict[str, Any], field: str
) -> None:
    """And nothing of the item is stored."""
    answer = await admin.call("POST", "/points", [GOLD | fields], 200)

    assert (answer["created"], [found[0] for found in named(answer["issues"])]) == ([], [0])
    assert field in answer["issues"][0]["message"]
    assert await admin.call("GET", "/points") == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"type": "level"}, "type"),
        *(({"type": kind}, "type") for kind in ("achievement", "streak", "time", "user_creation")),
        ({"points": 0}, "points"),
        ({"points": "5"}, "points"),
        ({"points": 2**31}, "points"),
        ({"status": "archived"}, "status"),
        ({"metricId": None}, "metricId"),
        ({"metricId": UNKNOWN}, "metricId"),
        ({"metricThreshold": None}, "metricThreshold"),
        ({"metricThreshold": 0}, "metricThreshold"),
        ({"metricThreshold": 0.5}, "metricThreshold"),
        ({"userAttributes": [{"attributeId": UNKNOWN, "attributeValue": "x"}]}, "userAttributes"),
        ({"eventAttributes": [{"attributeId": UNKNOWN, "attributeValue": "x"}]}, "eventAttributes"),
        ({"eventAttributes": [{"attributeId": UNKNOWN}]}, "eventAttributes"),
        ({"blockIfOutOfPoints": 1}, "blockIfOutOfPoints"),
    ],
)
async def test_a_wrong_field_of_a_trigger_is_an_issue_that_names_it(
    admin: Admin, laps: str, fields: dict[str, Any], field: str
) -> None:
    """Whether it is created or changed."""
    good = {"type": "metric", "points": 5, "metricId": laps, "metricThreshold": 10}
    [system] = await admin.create("/points", GOLD)
    path = f"/points/{system['id']}/triggers"
    [trigger] = await admin.create(path, good)

    answer = await admin.call("POST", path, [good | fields], 200)
    assert (answer["created"], len(answer["issues"])) == ([], 1)
    assert answer["issues"][0]["message"].startswith(field)
    changed = await admin.call("PATCH", path, [{"id": trigger["id"]} | fields])
    if None not in fields.values():
        assert (changed["updated"], len(changed["issues"])) == ([], 1)
    assert await admin.call("GET", path) == [trigger]


async def test_systems_and_triggers_change(admin: Admin, laps: str, attributes: list[str]) -> None:
    """An absent field stays, a null clears where there is something to clear."""
    filters = [{"attributeId": attributes[0], "attributeValue": "east"}]
    trigger = {"type": "metric", "points": 5, "metricId": laps, "metricThreshold": 10, "userAttributes": filters}
    [system] = await admin.create(
        "/points", GOLD | {"maxPoints": 5, "badge": {"url": "x"}, "description": "y", "triggers": [trigger]}
    )
    [made] = system.pop("triggers")
    path = f"/points/{system['id']}/triggers"

    renamed = await admin.call("PATCH", "/points", [{"id": system["id"], "name": "Coins"}])
    assert renamed == {"updated": [system | {"name": "Coins"}], "issues": []}
    cleared = {"badge": None, "maxPoints": None, "description": None}
    answer = await admin.call("PATCH", "/points", [{"id": system["id"]} | cleared])
    assert answer["updated"] == [system | {"name": "Coins", "badge": None, "maxPoints": None, "description": ""}]

    active = await admin.call("PATCH", path, [{"id": made["id"], "type": "metric", "status": "active"}])
    assert active == {"updated": [made | {"status": "active"}], "issues": []}
    open_to_all = await admin.call("PATCH", path, [{"id": made["id"], "userAttributes": None, "points": 7}])
    assert open_to_all["updated"] == [made | {"status": "active", "userAttributes": [], "points": 7}]
    assert await admin.call("GET", path) == open_to_all["updated"]


async def test_systems_and_triggers_are_deleted(admin: Admin, laps: str) -> None:
    trigger = {"type": "metric", "points": 5, "metricId": laps, "metricThreshold": 10}
    [gold, silver] = await admin.create("/points", GOLD | {"triggers": [trigger]}, {"name": "Silver", "key": "silver"})
    [made] = gold["triggers"]
    path = f"/points/{gold['id']}/triggers"
    await admin.create("/leaderboards", {"name": "B", "key": "b", "rankBy": "points", "pointsSystemId": gold["id"]})

    assert await admin.call("DELETE", f"{path}?ids={made['id']}") == {"deleted": [{"id": made["id"]}], "issues": []}
    assert await admin.call("GET", path) == []
    answer = await admin.call("DELETE", f"/points?ids={gold['id']},{silver['id']}")
    assert answer["deleted"] == [{"id": silver["id"]}]
    assert [(issue["id"], issue["severity"]) for issue in answer["issues"]] == [(gold["id"], "error")]
    assert [system["key"] for system in await admin.call("GET", "/points")] == ["gold"]


async def test_a_leaderboard_ranks_by_points(admin: Admin) -> None:
    """It names its system by the id."""
    [system] = await admin.create("/points", GOLD)
    board = {"name": "B", "key": "b", "rankBy": "points", "pointsSystemId": system["id"].upper()}
    [made] = await admin.create("/leaderboards", board)

    assert (made["rankBy"], made["pointsSystemId"], "metricId" in made) == ("points", system["id"], False)
    for wrong in ({"pointsSystemId": UNKNOWN}, {"pointsSystemId": None}):
        answer = await admin.call("POST", "/leaderboards", [board | {"key": "c"} | wrong], 200)
        assert named(answer["issues"]) == [(0, "pointsSystemId")]


@pytest.mark.parametrize("things", ["triggers", "levels", "boosts"])
async def test_what_belongs_to_an_unknown_system_is_not_found(admin: Admin, things: str) -> None:
    """Whatever else is wrong."""
    path = f"/points/{UNKNOWN}/{things}"

    for method, body in (("GET", None), ("POST", [{"type": "metric", "points": 5}]), ("PATCH", [{"id": UNKNOWN}])):
        await admin.refused(method, path, body, 404)
    await admin.refused("DELETE", f"{path}?ids={UNKNOWN}", status=404)
    await admin.refused("GET", f"{path}/{UNKNOWN}", status=404)


@pytest.mark.parametrize("things", ["levels", "boosts"])
async def test_levels_and_boosts_of_a_system_are_refused_item_by_item(admin: Admin, things: str) -> None:
    [system] = await admin.create("/points", GOLD)
    path = f"/points/{system['id']}/{things}"

    assert await admin.call("GET", path) == []
    await admin.refused("GET", f"{path}/{UNKNOWN}", status=404)
    for method, name, body in (("POST", "created", [{"name": "x"}]), ("PATCH", "updated", [{"id": UNKNOWN}])):
        answer = await admin.call(method, path, body)
        assert (answer[name], [issue["severity"] for issue in answer["issues"]]) == ([], ["error"])
    deleted = await admin.call("DELETE", f"{path}?ids={UNKNOWN}")
    assert (deleted["deleted"], deleted["issues"][0]["id"]) == ([], UNKNOWN)
