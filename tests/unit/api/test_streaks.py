"""Streaks over HTTP: in the answers to events, of one user, of many, and the longest."""

from typing import Any

import httpx
import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.value import MICROS
from tests.http import check_documented, client
from tests.world import LAPS, World

pytestmark = pytest.mark.anyio

ONE, MANY, RANKINGS = "/users/{id}/streak", "/streaks", "/streaks/rankings"
EVENT = "/metrics/{key}/event"


async def get(world: World, path: str, documented: str, **query: Any) -> httpx.Response:
    async with client(world) as http:
        answer = await http.get(path, params=query or None)
    check_documented(answer, "GET", documented)
    return answer


async def post(world: World, user_id: str, value: float = 1, **headers: str) -> Any:
    """The `currentStreak` of an event's answer."""
    async with client(world) as http:
        answer = await http.post(
            "/metrics/laps-swum/event", json={"user": {"id": user_id}, "value": value}, headers=headers
        )
    check_documented(answer, "POST", EVENT)
    return answer.json()["currentStreak"]


async def swimmers() -> World:
    """At noon of 4 March, a has swum on three days, b today, and c broke a longer streak."""
    world = World()
    for day in ("2026-02-20", "2026-02-21", "2026-02-22", "2026-02-23"):
        await world.swim("c", "1", f"{day}T12:00:00Z")
    for day in ("2026-03-02", "2026-03-03", "2026-03-04"):
        await world.swim("org/a", "1", f"{day}T10:00:00Z")
    await world.change("org/a", name="Ada")
    await world.swim("b", "1", "2026-03-04T11:00:00Z")
    return world


async def test_the_event_that_extends_a_streak_says_so_and_no_other() -> None:
    """The next one of the same day shows the same streak."""
    world = World()
    for day in ("2026-03-02", "2026-03-03"):
        await world.swim("a", "1", f"{day}T12:00:00Z")

    assert [await post(world, "a"), await post(world, "a")] == [
        {
            "length": 3,
            "frequency": "daily",
            "started": "2026-03-02",
            "periodStart": "2026-03-04",
            "periodEnd": "2026-03-04",
            "expires": "2026-03-05",
            "extended": extended,
        }
        for extended in (True, False)
    ]


async def test_a_replayed_event_shows_the_streak_and_extends_nothing() -> None:
    world = World()
    key = {"Idempotency-Key": "session-1"}

    first, replayed = await post(world, "a", **key), await post(world, "a", **key)

    assert first == {**replayed, "extended": True}
    assert replayed["extended"] is False


async def test_without_a_streak_the_days_are_null_and_the_frequency_is_that_of_the_settings() -> None:
    world = World()
    await world.catalog.save_streaks(DEFAULT_SCOPE, StreakSettings("weekly", version=1))
    await world.ledger.set_streaks(DEFAULT_SCOPE, StreakSettings("weekly", version=1))

    assert await post(world, "a", 0) == {
        "length": 0,
        "frequency": "weekly",
        "started": None,
        "periodStart": None,
        "periodEnd": None,
        "expires": None,
        "extended": False,
    }
    assert (await post(world, "a"))["periodEnd"] == "2026-03-07"


async def test_one_users_streak_comes_with_its_past() -> None:
    answer = await get(await swimmers(), "/users/org%2Fa/streak", ONE, historyPeriods=4)

    assert answer.json() == {
        "length": 3,
        "frequency": "daily",
        "started": "2026-03-02",
        "periodStart": "2026-03-04",
        "periodEnd": "2026-03-04",
        "expires": "2026-03-05",
        "extended": "2026-03-04T10:00:00.000Z",
        "streakHistory": [
            {"periodStart": f"2026-03-0{day}", "periodEnd": f"2026-03-0{day}", "length": day - 1, "usedPause": False}
            for day in (1, 2, 3, 4)
        ],
        "pauses": [],
    }


async def test_an_id_with_a_slash_is_found_and_history_has_a_week() -> None:
    answer = await get(await swimmers(), "/users/org/a/streak", ONE)

    assert [one["length"] for one in answer.json()["streakHistory"]] == [0, 0, 0, 0, 1, 2, 3]


async def test_a_broken_streak_has_no_days() -> None:
    answer = await get(await swimmers(), "/users/c/streak", ONE, historyPeriods=1)

    told = answer.json()
    assert (told["length"], told["streakHistory"][0]["length"]) == (0, 0)
    assert {told[name] for name in ("started", "periodStart", "periodEnd", "expires", "extended")} == {None}


async def test_the_streak_of_nobody_is_404() -> None:
    assert (await get(World(), "/users/nobody/streak", ONE)).status_code == 404


@pytest.mark.parametrize("periods", ["0", "367", "x", "1.5"])
async def test_a_number_of_periods_out_of_range_is_422(periods: str) -> None:
    answer = await get(await swimmers(), "/users/b/streak", ONE, historyPeriods=periods)

    assert answer.status_code == 422
    assert "historyPeriods" in answer.json()["error"]


@pytest.mark.parametrize(
    "query", ["userIds=b,c&userIds=org/a,nobody", "userIds=nobody&userIds=c&userIds=b&userIds=org%2Fa"]
)
async def test_streaks_of_many_come_longest_first(query: str) -> None:
    """Ids are repeated or joined by commas; who is unknown has none."""
    answer = await get(await swimmers(), f"/streaks?{query}", MANY)

    assert answer.json() == [
        {"userId": "org/a", "streakLength": 3, "extended": "2026-03-04T10:00:00.000Z"},
        {"userId": "b", "streakLength": 1, "extended": "2026-03-04T11:00:00.000Z"},
        {"userId": "c", "streakLength": 0, "extended": None},
        {"userId": "nobody", "streakLength": 0, "extended": None},
    ]


async def test_a_user_who_is_named_twice_is_told_once() -> None:
    answer = await get(await swimmers(), "/streaks?userIds=b,b&userIds=b", MANY)

    assert [one["userId"] for one in answer.json()] == ["b"]


@pytest.mark.parametrize("query", ["", "?userIds=", "?userIds=" + ",".join(map(str, range(101)))])
async def test_streaks_of_none_or_of_too_many_are_422(query: str) -> None:
    answer = await get(World(), f"/streaks{query}", MANY)

    assert answer.status_code == 422
    assert "userIds" in answer.json()["error"]


async def test_a_hundred_streaks_are_not_too_many() -> None:
    answer = await get(World(), "/streaks?userIds=" + ",".join(map(str, range(100))), MANY)

    assert len(answer.json()) == 100


async def test_the_longest_streaks_are_those_that_go_on() -> None:
    answer = await get(await swimmers(), "/streaks/rankings", RANKINGS)

    assert answer.json() == [
        {"userId": "org/a", "userName": "Ada", "name": "Ada", "streakLength": 3},
        {"userId": "b", "userName": None, "name": None, "streakLength": 1},
    ]


async def test_the_longest_streaks_may_be_those_of_all_times() -> None:
    answer = await get(await swimmers(), "/streaks/rankings", RANKINGS, type="longest", limit=2)

    assert [(one["userId"], one["streakLength"]) for one in answer.json()] == [("c", 4), ("org/a", 3)]


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"type": "shortest"}])
async def test_rankings_that_are_asked_for_wrongly_are_422(query: dict[str, str]) -> None:
    answer = await get(World(), "/streaks/rankings", RANKINGS, **query)

    assert answer.status_code == 422
    assert next(iter(query)) in answer.json()["error"]


async def test_streaks_are_counted_by_thresholds() -> None:
    """The sum of the day reaches the threshold with the second event."""
    world = World()
    settings = StreakSettings(metrics=((LAPS.number, 3 * MICROS),), version=1)
    await world.catalog.save_streaks(DEFAULT_SCOPE, settings)
    await world.ledger.set_streaks(DEFAULT_SCOPE, settings)

    told = [await post(world, "a", value) for value in (2, 1, 1)]

    assert [(one["length"], one["extended"]) for one in told] == [(0, False), (1, True), (1, False)]
