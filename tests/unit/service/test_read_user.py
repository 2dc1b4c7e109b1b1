"""One user's profile, standing and totals."""

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import NotFound
from palmares.domain.run import Run
from palmares.ledger.contract import Place
from palmares.service.read_user import UserStanding, read_standing, read_total, read_totals, read_user
from tests.world import HOURS, LAPS, POOL, World, day, make_board

pytestmark = pytest.mark.anyio


async def standing(world: World, user_id: str, text: str | None = None, days: int = 10) -> UserStanding:
    chosen = None if text is None else day(text)
    return await read_standing(world.context, DEFAULT_SCOPE, user_id, "weekly-laps", chosen, days)


async def test_a_user_is_found_by_id_and_scope() -> None:
    world = World()
    await world.change("org/7", name="Noor")

    assert (await read_user(world.context, DEFAULT_SCOPE, "org/7")).name == "Noor"
    with pytest.raises(NotFound, match="org"):
        await read_user(world.context, DEFAULT_SCOPE, "org")
    with pytest.raises(NotFound):
        await read_user(world.context, 2, "org/7")


async def test_a_standing_tells_rank_and_value_among_those_who_are_ranked() -> None:
    world = World()
    await world.define(make_board())
    await world.swim_all({"a": "3", "b": "2.5", "c": "1"})

    found = await standing(world, "b")

    assert (found.place, found.total) == (Place(1, 2, 2_500_000), 3)
    assert (found.status, found.run) == ("active", Run(day("2026-03-02"), None))


async def test_a_standing_is_in_the_group_of_the_users_own_attributes() -> None:
    world = World()
    await world.define(make_board(breakdown=(POOL,)))
    await world.change("a", attributes={"pool": "west"})
    await world.change("b", attributes={"pool": "east"})
    await world.change("groupless")
    await world.swim_all({"a": "3", "b": "2", "groupless": "1"})

    assert (await standing(world, "b")).place == Place(0, 1, 2_000_000)
    assert (await standing(world, "b")).total == 1
    found = await standing(world, "groupless")
    assert (found.total, found.place, found.history) == (0, None, [])


async def test_a_user_outside_the_cap_has_neither_rank_nor_value() -> None:
    world = World()
    await world.define(make_board(max_participants=1))
    await world.swim_all({"a": "3", "b": "2"})

    found = await standing(world, "b")
    assert (found.total, found.place, found.history) == (1, None, [])


async def test_a_standing_is_in_the_run_of_the_users_today_or_of_a_day() -> None:
    """In Honolulu it is still Sunday when the Monday's run is under way in UTC."""
    world = World()
    await world.define(make_board(run_unit="day", run_interval=7))
    await world.change("a", tz="Pacific/Honolulu")
    await world.swim("a", "5")
    world.at("2026-03-09T06:00:00Z")

    assert (await standing(world, "a")).place == Place(0, 1, 5_000_000)
    found = await standing(world, "a", "2026-03-09")
    assert (found.run, found.total, found.place) == (Run(day("2026-03-09"), day("2026-03-15")), 0, None)
    with pytest.raises(NotFound, match="2026-03-01"):
        await standing(world, "a", "2026-03-01")


async def test_the_standing_on_a_board_that_has_not_opened_is_empty() -> None:
    world = World()
    await world.define(make_board(start=day("2026-03-10")))
    await world.change("a")

    found = await standing(world, "a")
    assert (found.status, found.run, found.state, found.total, found.place) == ("scheduled", None, None, 0, None)
    assert found.history == ()


async def test_a_standing_needs_a_user_and_a_board() -> None:
    world = World()
    await world.define(make_board())
    await world.change("a")

    with pytest.raises(NotFound, match="user"):
        await standing(world, "nobody")
    with pytest.raises(NotFound, match="leaderboard"):
        await read_standing(world.context, DEFAULT_SCOPE, "a", "no-such", None, 10)


async def test_all_metrics_have_a_total_also_where_nothing_was_sent() -> None:
    world = World()
    await world.swim("a", "1.5")
    await world.swim("a", "-0.25")

    assert await read_totals(world.context, DEFAULT_SCOPE, "a") == [(LAPS, 1_250_000), (HOURS, 0)]
    assert await read_total(world.context, DEFAULT_SCOPE, "a", "laps-swum") == (LAPS, 1_250_000)
    assert await read_total(world.context, DEFAULT_SCOPE, "a", "hours") == (HOURS, 0)


async def test_a_total_needs_a_user_and_a_metric() -> None:
    world = World()
    await world.change("a")

    with pytest.raises(NotFound, match="user"):
        await read_totals(world.context, DEFAULT_SCOPE, "nobody")
    with pytest.raises(NotFound, match="user"):
        await read_total(world.context, DEFAULT_SCOPE, "nobody", "hours")
    with pytest.raises(NotFound, match="metric"):
        await read_total(world.context, DEFAULT_SCOPE, "a", "no-such")
