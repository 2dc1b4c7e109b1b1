"""A run that is over everywhere is read like any other, as it was at its end."""

from dataclasses import replace
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid
from palmares.domain.value import MICROS
from palmares.ledger.contract import Place, RunState
from palmares.service.read_board import Page, PageRequest, read_page
from palmares.service.read_user import UserStanding, read_standing
from tests.world import LEVEL, POOL, World, day, make_board

pytestmark = pytest.mark.anyio

# Weekly boards that begin on 2026-03-02 have their first run until then.
JUST_BEFORE, CLOSING = "2026-03-09T11:59:59.999999Z", "2026-03-09T12:00:00Z"
WEEKLY: dict[str, Any] = {"run_unit": "day", "run_interval": 7}
FIRST_WEEK = "2026-03-04"


async def page(world: World, on: str | None = FIRST_WEEK, **asked: Any) -> Page:
    chosen = None if on is None else day(on)
    return await read_page(world.context, DEFAULT_SCOPE, "weekly-laps", PageRequest(day=chosen, **asked))


async def ids(world: World, on: str | None = FIRST_WEEK, **asked: Any) -> str:
    """The users of a page in one word."""
    return "".join([row.user_id for row in (await page(world, on, **asked)).rows])


async def standing(world: World, user_id: str) -> UserStanding:
    return await read_standing(world.context, DEFAULT_SCOPE, user_id, "weekly-laps", day(FIRST_WEEK), 10)


async def two_pools(**fields: Any) -> World:
    """Eight users in two pools and two levels, the best first: a to h."""
    world = World()
    await world.define(make_board(breakdown=(POOL, LEVEL), **WEEKLY, **fields))
    for row, user in enumerate("abcdefgh"):
        await world.change(user, attributes={"pool": ["east", "west"][row % 2], "level": str(row // 4)})
        await world.swim(user, str(80 - 10 * row))
    return world


QUESTIONS: list[dict[str, Any]] = [
    {"attributes": [("pool", "east"), ("level", "0")]},
    {"attributes": [("pool", "east")]},
    {"attributes": [("level", "1")], "limit": 2, "offset": 1},
    {"attributes": [("level", "1")], "limit": 2, "offset": 4},
    {"attributes": [("pool", "north")]},
    {"attributes": [("pool", "east")], "user_id": "e", "limit": 2},
    {"attributes": [("pool", "east")], "user_id": "e", "offset": -1},
    {"attributes": [("pool", "west")], "user_id": "e"},
    {"user_id": "c"},
    {"user_id": "c", "limit": 1},
    {"user_id": "c", "offset": 0, "limit": 1},
    {"user_id": "c", "offset": -1, "limit": 1},
    {"user_id": "h", "offset": -(10**30), "limit": 1},
    {"user_id": "nobody"},
]


@pytest.mark.parametrize("asked", QUESTIONS, ids=str)
@pytest.mark.parametrize("cap", [None, 1])
async def test_a_page_of_a_final_run_is_that_of_its_last_moment(asked: dict[str, Any], cap: int | None) -> None:
    """Rows, ranks, groups, unions, pages around a user; only its state tells that it is final."""
    world = await two_pools(max_participants=cap)
    await world.advance(JUST_BEFORE)
    live = await page(world, **asked)
    await world.advance(CLOSING)
    final = await page(world, **asked)

    assert (live.state, final.state) == (RunState(False, 0, 0), RunState(True, 0, 0))
    # Who was outside the cap in the end stands in no group, so there is nobody to be counted around such a user.
    total = live.total if live.rows or "attributes" in asked else 0
    assert final == live._replace(state=final.state, total=total)


async def test_who_moved_later_is_found_in_the_group_of_the_runs_end() -> None:
    """The page around a user, and the standing; in the present run it is the group of now."""
    world = await two_pools()
    await world.advance(CLOSING)
    await world.change("c", attributes={"pool": "west", "level": "1"})
    await world.change("a", attributes={"pool": None})
    await world.swim_all({"c": "1", "h": "2", "a": "3"})

    assert await ids(world, user_id="c") == "ac"
    assert await ids(world, user_id="a") == "ac"
    assert await ids(world, on=None, user_id="c") == "hc"
    assert await ids(world, on=None, user_id="a") == ""
    assert (await standing(world, "c")).place == Place(1, 2, 60 * MICROS)
    assert (await standing(world, "a")).place == Place(0, 1, 80 * MICROS)
    assert (await standing(world, "a")).total == 2


async def test_what_came_later_is_not_in_a_final_run() -> None:
    """Neither events nor users, nor those who take part only since."""
    world = World()
    await world.define(make_board(filters=((LEVEL, "pro"),), **WEEKLY))
    await world.change("a", attributes={"level": "pro"})
    await world.swim_all({"a": "1", "b": "2"})
    await world.advance(CLOSING)
    await world.change("b", attributes={"level": "pro"})
    await world.change("a", attributes={"level": None})
    await world.swim_all({"a": "5", "b": "5", "c": "5"})

    assert await ids(world) == "a"
    assert (await standing(world, "b")).place is None
    assert (await standing(world, "c")).history == []
    assert (await standing(world, "a")).place == Place(0, 1, MICROS)


async def test_names_follow_the_user() -> None:
    """They are no part of the ranking."""
    world = World()
    await world.define(make_board(**WEEKLY))
    await world.swim("a", "1")
    await world.advance(CLOSING)
    await world.change("a", name="Ann")

    assert [row.user_name for row in (await page(world)).rows] == ["Ann"]


@pytest.mark.parametrize(
    ("late_events", "users", "state"),
    [("ignore", "a", RunState(True, 0, 2)), ("revise", "ba", RunState(True, 1, 0))],
)
async def test_a_late_event_is_ignored_and_counted_or_revises(late_events: Any, users: str, state: RunState) -> None:
    """Nothing changes silently: the answers about the run tell."""
    world = World()
    await world.define(make_board(late_events=late_events, **WEEKLY))
    await world.swim("a", "1")
    await world.advance(CLOSING)
    await world.swim("b", "5", at="2026-03-05T12:00:00Z")
    if late_events == "ignore":
        await world.swim("b", "5", at="2026-03-05T12:00:00Z")
    await world.ledger.settle()

    assert await ids(world) == users
    assert (await page(world)).state == (await standing(world, "a")).state == state
    assert (await page(world, on=None)).state == RunState(False, 0, 0)


async def test_a_finished_board_shows_its_last_run_as_it_ended() -> None:
    """Without a day; whatever is asked of it, events change nothing."""
    world = World()
    await world.define(make_board(end=day("2026-03-10"), **WEEKLY))
    world.at("2026-03-10T12:00:00Z")
    await world.swim_all({"a": "1", "b": "2"})
    await world.advance("2026-03-11T12:00:00Z")
    await world.swim_all({"a": "5"})

    shown = await page(world, on=None)
    assert (shown.status, shown.state, shown.total) == ("finished", RunState(True, 0, 0), 2)
    assert [row.user_id for row in shown.rows] == ["b", "a"]
    with pytest.raises(Invalid, match="offset"):
        await page(world, on=None, offset=-1)


async def test_a_board_that_is_made_later_has_its_past_runs() -> None:
    """They read like those of one that was there from the start."""
    world = await two_pools()
    await world.advance(CLOSING)
    await world.change("c", attributes={"pool": "west"})
    board = world.catalog.definitions(DEFAULT_SCOPE).board_by_key["weekly-laps"]
    await world.define(replace(board, number=2, id="later", key="later"))

    asked = PageRequest(day=day(FIRST_WEEK), attributes=[("pool", "east")])
    later = await read_page(world.context, DEFAULT_SCOPE, "later", asked)
    assert later._replace(board=board) == await read_page(world.context, DEFAULT_SCOPE, "weekly-laps", asked)
    assert "".join(row.user_id for row in later.rows) == "aceg"
