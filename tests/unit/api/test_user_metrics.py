"""A user's metrics over HTTP."""

from typing import Any

import httpx
import pytest

from tests.http import check_documented, client
from tests.world import HOURS, LAPS, World

pytestmark = pytest.mark.anyio

ALL, ONE, SUMMARY = "/users/{id}/metrics", "/users/{id}/metrics/{key}", "/users/{id}/metrics/{key}/event-summary"
RANGE = {"aggregation": "daily", "startDate": "2026-03-03", "endDate": "2026-03-04"}


async def get(world: World, path: str, documented: str, **query: Any) -> httpx.Response:
    async with client(world) as http:
        answer = await http.get(path, params=query)
    check_documented(answer, "GET", documented)
    return answer


async def a_swimmer() -> World:
    world = World()
    await world.swim("org/a", "0.1")
    await world.swim("org/a", "0.2")
    return world


async def test_all_metrics_come_with_the_users_total() -> None:
    answer = await get(await a_swimmer(), "/users/org%2Fa/metrics", ALL)

    assert answer.json() == [
        {
            "id": LAPS.id,
            "key": "laps-swum",
            "name": "Laps swum",
            "status": "active",
            "current": 0.3,
            "achievements": [],
        },
        {"id": HOURS.id, "key": "hours", "name": "Hours", "status": "active", "current": 0, "achievements": []},
    ]
    assert b'"current":0.3,' in answer.content


async def test_one_metric_comes_with_the_users_total() -> None:
    answer = await get(await a_swimmer(), "/users/org/a/metrics/laps-swum", ONE)

    assert answer.json() == {
        "id": LAPS.id,
        "key": "laps-swum",
        "name": "Laps swum",
        "status": "active",
        "current": 0.3,
        "achievements": [],
    }


async def test_a_summary_has_a_row_for_each_period() -> None:
    answer = await get(await a_swimmer(), "/users/org/a/metrics/laps-swum/event-summary", SUMMARY, **RANGE)

    assert answer.json() == [
        {"date": "2026-03-03", "total": 0, "change": 0},
        {"date": "2026-03-04", "total": 0.3, "change": 0.3},
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"aggregation": "yearly"},
        {"aggregation": None},
        {"startDate": None},
        {"endDate": None},
        {"startDate": "2026-3-3"},
        {"endDate": "2026-02-29"},
        {"startDate": "2026-03-05"},
        {"endDate": "2027-04-08"},
    ],
)
async def test_a_query_that_does_not_fit_is_422_and_names_the_parameter(change: dict[str, str | None]) -> None:
    query = {name: text for name, text in (RANGE | change).items() if text is not None}

    answer = await get(await a_swimmer(), "/users/org/a/metrics/laps-swum/event-summary", SUMMARY, **query)

    assert answer.status_code == 422
    assert next(iter(change)) in answer.json()["error"]


async def test_a_user_or_metric_that_there_is_not_is_404() -> None:
    world = await a_swimmer()

    assert (await get(world, "/users/nobody/metrics", ALL)).status_code == 404
    assert (await get(world, "/users/nobody/metrics/laps-swum", ONE)).status_code == 404
    assert (await get(world, "/users/org/a/metrics/no-such", ONE)).status_code == 404
    for path in ("/users/nobody/metrics/laps-swum", "/users/org/a/metrics/no-such"):
        assert (await get(world, f"{path}/event-summary", SUMMARY, **RANGE)).status_code == 404
