"""Leaderboards over HTTP."""

from typing import Any

import httpx
import pytest

from palmares.api.board_json import board_json
from palmares.api.wire import ENCODER, leaderboard
from tests.http import check_documented, client
from tests.world import POOL, World, day, make_board

pytestmark = pytest.mark.anyio

LIST, PAGE, STANDING = "/leaderboards", "/leaderboards/{key}", "/users/{id}/leaderboards/{key}"


async def get(world: World, path: str, documented: str, **query: Any) -> httpx.Response:
    async with client(world) as http:
        answer = await http.get(path, params=query)
    check_documented(answer, "GET", documented)
    return answer


async def swimmers(**fields: Any) -> World:
    """Two pools; b has 61 and d 58.5 laps in the east, c 60 in the west."""
    world = World()
    await world.define(make_board(run_unit="day", run_interval=7, **fields))
    await world.change("b", name="Ivo Brandt", attributes={"pool": "east"})
    await world.change("c", attributes={"pool": "west"})
    await world.change("d", name="Noor Haddad", attributes={"pool": "east"})
    await world.swim_all({"b": "61", "c": "60", "d": "58.5"})
    return world


# The list


async def test_the_list_is_a_bare_array_of_boards() -> None:
    world = World()
    running, over = make_board(), make_board(2, "over", end=day("2026-03-02"))
    await world.define(running, over, make_board(3, "hidden", asked_status="inactive"))

    assert (await get(world, LIST, LIST)).content == ENCODER.encode([leaderboard(running, "active")])
    for text, keys in [("true", ["weekly-laps", "over"]), ("false", ["weekly-laps"])]:
        answer = await get(world, LIST, LIST, includeFinished=text)
        assert [board["key"] for board in answer.json()] == keys
    assert (await get(world, LIST, LIST, includeFinished="maybe")).status_code == 422


# A page


async def test_a_page_is_the_board_with_rankings_and_the_run() -> None:
    world = await swimmers()

    answer = (await get(world, "/leaderboards/weekly-laps", PAGE, limit=2)).json()

    rows = answer.pop("rankings")
    assert rows == [
        {"userId": "b", "userName": "Ivo Brandt", "rank": 1, "value": 61, "exactValue": 61},
        {"userId": "c", "userName": None, "rank": 2, "value": 60, "exactValue": 60},
    ]
    assert answer.pop("totalParticipants") == 3
    assert (answer.pop("runStart"), answer.pop("runEnd")) == ("2026-03-02", "2026-03-08")
    board = world.catalog.definitions(1).board_by_key["weekly-laps"]
    assert ENCODER.encode(answer) == board_json(board, "active") + b"}"
    assert (answer["start"], answer["end"]) == ("2026-03-02", None)


async def test_the_query_chooses_group_user_and_offset() -> None:
    world = await swimmers(breakdown=(POOL,))

    answer = await get(
        world, "/leaderboards/weekly-laps", PAGE, userAttributes="pool:east", userId="d", offset=-1, limit=3
    )

    assert [(row["userId"], row["rank"], row["value"]) for row in answer.json()["rankings"]] == [
        ("b", 1, 61),
        ("d", 2, 59),
    ]
    assert answer.json()["totalParticipants"] == 2


async def test_the_query_chooses_a_run() -> None:
    world = await swimmers()
    world.at("2026-03-10T12:00:00Z")

    past = await get(world, "/leaderboards/weekly-laps", PAGE, run="2026-03-05")
    present = await get(world, "/leaderboards/weekly-laps", PAGE)

    assert (len(past.json()["rankings"]), past.json()["runStart"]) == (3, "2026-03-02")
    assert (present.json()["rankings"], present.json()["runStart"]) == ([], "2026-03-09")
    assert (await get(world, "/leaderboards/weekly-laps", PAGE, run="2026-03-01")).status_code == 404


async def test_before_a_board_opens_the_run_is_null() -> None:
    world = World()
    await world.define(make_board(start=day("2026-05-01")))

    answer = (await get(world, "/leaderboards/weekly-laps", PAGE)).json()

    assert (answer["status"], answer["rankings"], answer["totalParticipants"]) == ("scheduled", [], 0)
    assert (answer["runStart"], answer["runEnd"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"limit": "-1"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"offset": "1.5"}, "offset"),
        ({"run": "20260302"}, "run"),
        ({"run": "2026-02-30"}, "run"),
        ({"run": ""}, "run"),
        ({"userAttributes": "pool:east"}, "userAttributes"),
        ({"userAttributes": "pool"}, "userAttributes"),
    ],
)
async def test_a_query_out_of_range_is_422_and_names_the_parameter(query: dict[str, str], name: str) -> None:
    answer = await get(await swimmers(), "/leaderboards/weekly-laps", PAGE, **query)

    assert answer.status_code == 422
    assert answer.json()["error"].startswith(name)


@pytest.mark.parametrize("text", ["", "pool", "pool:east,", "level:1", "Pool:east"])
async def test_attributes_that_name_no_group_are_422(text: str) -> None:
    answer = await get(await swimmers(breakdown=(POOL,)), "/leaderboards/weekly-laps", PAGE, userAttributes=text)

    assert answer.status_code == 422
    assert "userAttributes" in answer.json()["error"]


async def test_an_attribute_is_split_at_its_first_colon() -> None:
    world = await swimmers(breakdown=(POOL,))
    await world.change("d", attributes={"pool": "east:side"})

    answer = await get(world, "/leaderboards/weekly-laps", PAGE, userAttributes="pool:east:side")

    assert [row["userId"] for row in answer.json()["rankings"]] == ["d"]


async def test_an_unknown_or_inactive_board_is_404() -> None:
    world = World()
    await world.define(make_board(asked_status="inactive"))

    assert (await get(world, "/leaderboards/weekly-laps", PAGE)).status_code == 404
    assert (await get(world, "/leaderboards/no-such", PAGE)).status_code == 404


# A standing


async def test_a_standing_is_the_board_with_rank_value_and_history() -> None:
    world = await swimmers(breakdown=(POOL,))

    answer = (await get(world, "/users/d/leaderboards/weekly-laps", STANDING)).json()

    assert (answer.pop("rank"), answer.pop("value"), answer.pop("exactValue")) == (2, 59, 58.5)
    assert answer.pop("totalParticipants") == 2
    assert answer.pop("history") == [
        {
            "date": "2026-03-04",
            "timestamp": "2026-03-04T00:00:00.000Z",
            "rank": 2,
            "value": 59,
            "previousRank": None,
            "previousValue": None,
        }
    ]
    assert (answer.pop("runStart"), answer.pop("runEnd")) == ("2026-03-02", "2026-03-08")
    board = world.catalog.definitions(1).board_by_key["weekly-laps"]
    assert ENCODER.encode(answer) == board_json(board, "active") + b"}"


async def test_a_history_tells_of_each_day_and_of_the_one_before() -> None:
    """Rounded like every value; what came before the first entry asked for is told with it."""
    world = await swimmers()
    await world.advance("2026-03-05T12:00:00Z")
    await world.swim("d", "2")
    await world.advance("2026-03-06T12:00:00Z")
    await world.swim_all({"b": "0.5", "d": "0.25"})

    answer = await get(world, "/users/d/leaderboards/weekly-laps", STANDING, numEvents=2)

    assert answer.json()["history"] == [
        {"date": "2026-03-05", "timestamp": "2026-03-05T00:00:00.000Z", "rank": 2, "value": 61,
         "previousRank": 3, "previousValue": 59},
        {"date": "2026-03-06", "timestamp": "2026-03-06T00:00:00.000Z", "rank": 2, "value": 61,
         "previousRank": 2, "previousValue": 61},
    ]  # fmt: skip


async def test_a_day_on_which_the_user_was_out_has_nulls() -> None:
    """Also as what came before."""
    world = await swimmers(breakdown=(POOL,))
    for date, pool in (("05", None), ("06", "east")):
        await world.advance(f"2026-03-{date}T12:00:00Z")
        await world.change("d", attributes={"pool": pool})

    history = (await get(world, "/users/d/leaderboards/weekly-laps", STANDING)).json()["history"]

    assert [(day["rank"], day["previousRank"]) for day in history] == [(2, None), (None, 2), (2, None)]
    assert [(day["value"], day["previousValue"]) for day in history] == [(59, None), (None, 59), (59, None)]


@pytest.mark.parametrize(("text", "entries"), [("0", 0), ("1", 1), ("100", 4), (None, 4)])
async def test_as_many_days_are_told_as_are_asked_for(text: str | None, entries: int) -> None:
    """The most recent ones; ten when nothing is said."""
    world = await swimmers()
    await world.advance("2026-03-07T12:00:00Z")

    answer = await get(
        world, "/users/d/leaderboards/weekly-laps", STANDING, **({} if text is None else {"numEvents": text})
    )

    dates = ["2026-03-04", "2026-03-05", "2026-03-06", "2026-03-07"]
    assert [day["date"] for day in answer.json()["history"]] == dates[4 - entries :]


# Runs that are final


async def test_a_final_run_tells_how_often_it_was_revised_and_what_was_left_out() -> None:
    """A page and a standing; an answer about a run that goes on has neither."""
    world = await swimmers(late_events="revise")
    world.catalog.add(ignoring := make_board(2, "ignoring", run_unit="day", run_interval=7))
    await world.ledger.follow(ignoring)
    await world.advance("2026-03-10T12:00:00Z")
    await world.swim("c", "9", at="2026-03-05T12:00:00Z")
    await world.ledger.settle()

    for key, told in (("weekly-laps", (1, 0)), ("ignoring", (0, 1))):
        for path, documented in ((f"/leaderboards/{key}", PAGE), (f"/users/c/leaderboards/{key}", STANDING)):
            final = (await get(world, path, documented, run="2026-03-04")).json()
            present = (await get(world, path, documented)).json()
            assert (final["revision"], final["ignoredLateEvents"]) == told
            assert present.keys().isdisjoint({"revision", "ignoredLateEvents"})
            assert final.keys() - present.keys() == {"revision", "ignoredLateEvents"}
    page = (await get(world, "/leaderboards/weekly-laps", PAGE, run="2026-03-04")).json()
    assert [(row["userId"], row["value"]) for row in page["rankings"]] == [("c", 69), ("b", 61), ("d", 59)]


async def test_a_final_run_is_read_by_the_same_questions() -> None:
    """Group, user, offset, and the group of a user who has moved since."""
    world = await swimmers(breakdown=(POOL,))
    await world.advance("2026-03-10T12:00:00Z")
    await world.change("d", attributes={"pool": "west"})

    for query in ({"userAttributes": "pool:east", "userId": "d", "offset": -1}, {"userId": "d"}):
        answer = await get(world, "/leaderboards/weekly-laps", PAGE, run="2026-03-08", **query)
        assert [(row["userId"], row["rank"]) for row in answer.json()["rankings"]] == [("b", 1), ("d", 2)]
    standing = (await get(world, "/users/d/leaderboards/weekly-laps", STANDING, run="2026-03-08")).json()
    assert (standing["rank"], standing["value"], standing["totalParticipants"]) == (2, 59, 2)
    assert [(day["date"], day["rank"]) for day in standing["history"]] == [
        (f"2026-03-{date:02}", 2) for date in range(4, 10)
    ]


# Statuses


async def test_a_status_changes_at_its_instant() -> None:
    """When the first day begins in the earliest zone, and when the last is over in the latest."""
    world = World()
    await world.define(make_board(start=day("2026-03-10"), end=day("2026-03-12")))

    seen = []
    for date in ("09T09:59:59.999999", "09T10:00:00", "13T11:59:59.999999", "13T12:00:00"):
        await world.advance(f"2026-03-{date}Z")
        [listed] = (await get(world, LIST, LIST, includeFinished="true")).json()
        unfinished = (await get(world, LIST, LIST)).json()
        shown = (await get(world, "/leaderboards/weekly-laps", PAGE)).json()
        assert listed["status"] == shown["status"]
        seen.append((shown["status"], len(unfinished), shown["runStart"], "revision" in shown))

    assert seen == [
        ("scheduled", 1, None, False),
        ("active", 1, "2026-03-10", False),
        ("active", 1, "2026-03-10", False),
        ("finished", 0, "2026-03-10", True),
    ]


async def test_a_board_in_the_making_is_seen_by_nobody() -> None:
    """As long as its rankings are incomplete, it is as unknown as an inactive one."""
    world = World()
    world.catalog.add(make_board(ready=False))
    await world.change("a")

    assert (await get(world, LIST, LIST, includeFinished="true")).json() == []
    assert (await get(world, "/leaderboards/weekly-laps", PAGE)).status_code == 404
    assert (await get(world, "/users/a/leaderboards/weekly-laps", STANDING)).status_code == 404


async def test_a_value_of_zero_is_a_value() -> None:
    """Zero and null are different things."""
    world = World()
    await world.define(make_board())
    await world.swim("zero", "0")

    answer = (await get(world, "/users/zero/leaderboards/weekly-laps", STANDING)).json()

    assert (answer["rank"], answer["value"], answer["exactValue"]) == (1, 0, 0)


async def test_a_known_user_without_a_rank_has_nulls() -> None:
    world = World()
    await world.define(make_board(max_participants=1))
    await world.change("idle")
    await world.swim_all({"a": "2", "b": "1"})

    for user in ("idle", "b"):
        answer = (await get(world, f"/users/{user}/leaderboards/weekly-laps", STANDING)).json()
        assert (answer["rank"], answer["value"], answer["exactValue"], answer["history"]) == (None, None, None, [])


async def test_an_id_with_a_slash_is_found_encoded_or_not() -> None:
    world = await swimmers()
    await world.swim("org/7", "100")

    for path in ("/users/org%2F7/leaderboards/weekly-laps", "/users/org/7/leaderboards/weekly-laps"):
        assert (await get(world, path, STANDING)).json()["rank"] == 1


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/users/nobody/leaderboards/weekly-laps", {}, 404),
        ("/users/d/leaderboards/no-such", {}, 404),
        ("/users/d/leaderboards/weekly-laps", {"run": "2026-03-01"}, 404),
        ("/users/d/leaderboards/weekly-laps", {"run": "yesterday"}, 422),
        ("/users/d/leaderboards/weekly-laps", {"numEvents": "101"}, 422),
        ("/users/d/leaderboards/weekly-laps", {"numEvents": "-1"}, 422),
        ("/users/d/leaderboards/weekly-laps", {"numEvents": "0"}, 200),
        ("/users/d/leaderboards/weekly-laps", {"numEvents": "100", "other": "x"}, 200),
    ],
)
async def test_a_standing_answers_by_what_is_asked(path: str, query: dict[str, str], status: int) -> None:
    assert (await get(await swimmers(), path, STANDING, **query)).status_code == status
