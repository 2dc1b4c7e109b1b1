"""Events over HTTP."""

from typing import Any

import httpx
import pytest

from palmares.api.routes import ADMIN_BASE
from palmares.catalog.contract import DEFAULT_SCOPE
from tests.http import check_documented, client
from tests.world import LAPS, World, make_board

pytestmark = pytest.mark.anyio


async def send(world: World, *items: dict[str, Any], **query: str) -> httpx.Response:
    """A batch of laps."""
    async with client(world, ADMIN_BASE) as http:
        answer = await http.post("/metrics/events", json=[{"key": LAPS.key, **item} for item in items], params=query)
    check_documented(answer, "POST", "/metrics/events", ADMIN_BASE)
    return answer


async def after_the_first_week() -> World:
    """A weekly board that ignores late events; a swam in its first week, which is final."""
    world = World()
    await world.define(make_board(run_unit="day", run_interval=7))
    await world.swim("a", "3")
    await world.advance("2026-03-10T12:00:00Z")
    return world


async def first_week(world: World) -> dict[str, Any]:
    async with client(world) as http:
        page: dict[str, Any] = (await http.get("/leaderboards/weekly-laps", params={"run": "2026-03-04"})).json()
    return page


LATE = {"user": {"id": "b"}, "value": 5, "timestamp": "2026-03-05T12:00:00Z"}


@pytest.mark.parametrize("query", [{}, {"history": "false"}])
async def test_an_event_for_a_run_that_is_final_is_accepted_and_left_out(query: dict[str, str]) -> None:
    """It counts in the lifetime total, and the run says how many there were."""
    world = await after_the_first_week()

    answer = await send(world, LATE, LATE, **query)

    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    page = await first_week(world)
    assert [row["userId"] for row in page["rankings"]] == ["a"]
    assert (page["revision"], page["ignoredLateEvents"]) == (0, 2)
    user = await world.ledger.user(DEFAULT_SCOPE, "b")
    assert user is not None
    assert await world.ledger.total(user, LAPS) == 10_000_000


async def test_history_takes_effect_when_it_happened_whatever_the_boards_choice() -> None:
    """The run is revised, and so are the days since."""
    world = await after_the_first_week()

    answer = await send(world, LATE, {"user": {"id": "c"}, "value": 1}, history="true")

    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    page = await first_week(world)
    assert [(row["userId"], row["value"]) for row in page["rankings"]] == [("b", 5), ("a", 3)]
    assert (page["revision"], page["ignoredLateEvents"]) == (1, 0)
    async with client(world) as http:
        standing = (await http.get("/users/b/leaderboards/weekly-laps", params={"run": "2026-03-04"})).json()
        present = (await http.get("/leaderboards/weekly-laps")).json()
    assert [(entry["date"], entry["rank"]) for entry in standing["history"]] == [
        (f"2026-03-{date:02}", 1) for date in range(5, 10)
    ]
    assert [row["userId"] for row in present["rankings"]] == ["c"], "without a timestamp it happens now"


@pytest.mark.parametrize("text", ["yes", "2", "", "tru"])
async def test_a_history_that_is_neither_true_nor_false_is_422(text: str) -> None:
    """Nothing of the batch is recorded."""
    world = await after_the_first_week()

    answer = await send(world, LATE, history=text)

    assert answer.status_code == 422
    assert answer.json()["error"].startswith("history")
    assert await world.ledger.user(DEFAULT_SCOPE, "b") is None


async def test_the_answer_to_an_event_tells_nothing_of_the_past() -> None:
    """It is about runs that go on."""
    world = await after_the_first_week()
    async with client(world) as http:
        answer = (await http.post("/metrics/laps-swum/event", json={"user": {"id": "b"}, "value": 1})).json()

    board = answer["leaderboards"]["weekly-laps"]
    assert (board["start"], board["rank"]) == ("2026-03-09", 1)
    assert board.keys().isdisjoint({"revision", "ignoredLateEvents", "history"})


async def test_an_empty_timestamp_is_refused() -> None:
    """It is no time, and not the same as none given: an import must not move events to now."""
    world = World()
    item = {"key": LAPS.key, "user": {"id": "a"}, "value": 1, "timestamp": ""}
    async with client(world, ADMIN_BASE) as http:
        answer = await http.post("/metrics/events", json=[item])
    check_documented(answer, "POST", "/metrics/events", ADMIN_BASE)

    assert answer.status_code == 422
    assert "timestamp" in answer.json()["error"]
    assert await world.ledger.user(DEFAULT_SCOPE, "a") is None
