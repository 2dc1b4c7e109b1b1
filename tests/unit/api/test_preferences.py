"""Preferences of users over HTTP."""

from typing import Any

import httpx
import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.streak_settings import StreakSettings
from tests.http import check_documented, client
from tests.world import World

pytestmark = pytest.mark.anyio

BOTH = ["email", "push"]
NOTIFICATIONS = {"achievement_completed": BOTH, "recap": BOTH, "reactivation": BOTH, "streak_reminder": BOTH}
DEFAULTS = {"notifications": NOTIFICATIONS, "streak": {"enabled": True}}


async def send(world: World, method: str, user_id: str, body: Any = None) -> httpx.Response:
    async with client(world) as http:
        answer = await http.request(method, f"/users/{user_id}/preferences", json=body)
    check_documented(answer, method, "/users/{id}/preferences")
    return answer


@pytest.fixture
async def world() -> World:
    """Where the user `org/7` is known."""
    world = World()
    await world.change("org/7")
    return world


async def customisable(world: World) -> None:
    await world.catalog.save_streaks(DEFAULT_SCOPE, StreakSettings(customization_enabled=True))


async def test_who_prefers_nothing_has_every_notification_and_a_streak(world: World) -> None:
    answer = await send(world, "GET", "org/7")

    assert (answer.status_code, answer.json()) == (200, DEFAULTS)
    assert (await send(world, "GET", "org%2F7")).json() == DEFAULTS


async def test_what_is_given_is_kept_and_the_rest_stays(world: World) -> None:
    first = await send(world, "PATCH", "org/7", {"notifications": {"recap": ["push"], "streak_reminder": []}})
    second = await send(world, "PATCH", "org/7", {"notifications": {"recap": None}, "streak": {"enabled": False}})

    notifications = NOTIFICATIONS | {"recap": ["push"], "streak_reminder": []}
    assert (first.status_code, first.json()) == (200, DEFAULTS | {"notifications": notifications})
    assert second.json() == {"notifications": notifications, "streak": {"enabled": False}}
    assert (await send(world, "GET", "org/7")).json() == second.json()
    assert (await send(world, "PATCH", "org/7", {"notifications": None, "streak": None})).json() == second.json()


async def test_preferences_change_when_the_user_does_and_nothing_else(world: World) -> None:
    """The profile keeps them out of sight, but for the time of the change, and other changes keep them."""
    async with client(world) as http:
        before = (await http.get("/users/org/7")).json()
        world.at("2026-03-05T09:00:00Z")
        await http.patch("/users/org/7/preferences", json={"notifications": {"recap": []}})
        after = (await http.get("/users/org/7")).json()
        world.at("2026-03-06T09:00:00Z")
        await http.patch("/users/org/7/preferences", json={"notifications": {"recap": []}})
        again = (await http.get("/users/org/7")).json()
        await http.patch("/users/org/7", json={"name": "Seven"})
        kept = (await http.get("/users/org/7/preferences")).json()

    assert after == again == before | {"updated": "2026-03-05T09:00:00.000Z"}
    assert kept["notifications"]["recap"] == []


async def test_an_unknown_user_has_none_and_is_not_created(world: World) -> None:
    assert (await send(world, "GET", "nobody")).status_code == 404
    assert (await send(world, "PATCH", "nobody", {"streak": {"enabled": False}})).status_code == 404
    async with client(world) as http:
        assert (await http.get("/users/nobody")).status_code == 404


@pytest.mark.parametrize(
    "streak",
    [{"evaluationMode": "AND"}, {"metrics": []}, {"daysOff": [0]}, {"enabled": False, "daysOff": [0]}],
)
async def test_streaks_are_customised_only_where_that_is_on(world: World, streak: dict[str, Any]) -> None:
    refused = await send(world, "PATCH", "org/7", {"notifications": {"recap": []}, "streak": streak})

    assert refused.status_code == 403
    assert "customizationEnabled" in refused.json()["error"]
    assert (await send(world, "GET", "org/7")).json() == DEFAULTS
    await customisable(world)
    assert (await send(world, "PATCH", "org/7", {"streak": streak})).json()["streak"] == {"enabled": True} | streak


async def test_a_customised_streak_is_shown_and_null_takes_it_back(world: World) -> None:
    """Also where customisation is off again."""
    await customisable(world)
    metrics = [{"key": "laps-swum", "threshold": 2.5}, {"key": "hours", "threshold": 1}]
    own = {"evaluationMode": "AND", "metrics": metrics, "daysOff": [6, 0]}
    kept = await send(world, "PATCH", "org/7", {"streak": own})
    await world.catalog.save_streaks(DEFAULT_SCOPE, StreakSettings())
    nulls = {"enabled": None, "evaluationMode": None, "metrics": None, "daysOff": None}
    taken_back = await send(world, "PATCH", "org/7", {"streak": nulls})

    assert kept.json()["streak"] == {"enabled": True} | own | {"daysOff": [0, 6]}
    assert taken_back.json() == DEFAULTS


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"notifications": {"recap": ["sms"]}}, "notifications.recap[0]"),
        ({"notifications": {"recap": "push"}}, "notifications.recap"),
        ({"streak": {"enabled": "no"}}, "streak.enabled"),
        ({"streak": {"evaluationMode": "ALL"}}, "streak.evaluationMode"),
        ({"streak": {"daysOff": [7]}}, "streak.daysOff[0]"),
        ({"streak": {"daysOff": [1, 1]}}, "streak.daysOff"),
        ({"streak": {"metrics": [{"key": "unknown", "threshold": 1}]}}, "streak.metrics"),
        ({"streak": {"metrics": [{"key": "hours", "threshold": 0}]}}, "streak.metrics"),
        ({"streak": {"metrics": [{"key": "hours", "threshold": "1"}]}}, "streak.metrics.threshold"),
        ({"streak": {"metrics": [{"key": "hours", "threshold": 1}] * 2}}, "streak.metrics"),
        ([], "expected object, got array"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_kept(world: World, body: Any, field: str) -> None:
    await customisable(world)
    answer = await send(world, "PATCH", "org/7", body)

    assert (answer.status_code, answer.json()["error"].partition(": ")[0]) == (422, field)
    assert (await send(world, "GET", "org/7")).json() == DEFAULTS


async def test_without_a_streak_every_answer_says_so(world: World) -> None:
    """Of events, of the user's streak with its past, of many users' streaks."""
    async with client(world) as http:
        event = {"user": {"id": "org/7"}, "value": 1}
        before = (await http.post("/metrics/laps-swum/event", json=event)).json()["currentStreak"]
        await http.patch("/users/org/7/preferences", json={"streak": {"enabled": False}})
        world.at("2026-03-05T12:00:00Z")
        after = (await http.post("/metrics/laps-swum/event", json=event)).json()["currentStreak"]
        one = (await http.get("/users/org/7/streak", params={"historyPeriods": 2})).json()
        many = (await http.get("/streaks", params={"userIds": "org/7"})).json()

    assert (before["length"], before["extended"]) == (1, True)
    assert (after["length"], after["extended"], after["started"], after["expires"]) == (0, False, None, None)
    assert (one["length"], one["extended"], [period["length"] for period in one["streakHistory"]]) == (0, None, [0, 0])
    assert many == [{"userId": "org/7", "streakLength": 0, "extended": None}]


async def test_a_customised_streak_is_told_by_its_own_settings(world: World) -> None:
    """On a Wednesday, with Thursday off, there is time until Friday."""
    settings = StreakSettings(customization_enabled=True)
    await world.catalog.save_streaks(DEFAULT_SCOPE, settings)
    await world.ledger.set_streaks(DEFAULT_SCOPE, settings)
    async with client(world) as http:
        await http.patch("/users/org/7/preferences", json={"streak": {"daysOff": [4]}})
        await http.post("/metrics/laps-swum/event", json={"user": {"id": "org/7"}, "value": 1})
        world.at("2026-03-06T12:00:00Z")
        one = (await http.get("/users/org/7/streak", params={"historyPeriods": 3})).json()
        event = await http.post("/metrics/laps-swum/event", json={"user": {"id": "org/7"}, "value": 1})

    assert (one["length"], one["expires"]) == (1, "2026-03-06")
    assert [period["length"] for period in one["streakHistory"]] == [1, 1, 1]
    assert (event.json()["currentStreak"]["length"], event.json()["currentStreak"]["extended"]) == (2, True)
