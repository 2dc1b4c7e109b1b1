"""A user's total over time: a row for every period of the range."""

from datetime import date

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.period import Period
from palmares.domain.value import MICROS
from palmares.service.read_summary import read_summary
from tests.world import World, day

pytestmark = pytest.mark.anyio


async def rows(world: World, period: Period, first: str, last: str) -> list[tuple[str, int, int]]:
    """The rows in whole laps."""
    found = await read_summary(world.context, DEFAULT_SCOPE, "a", "laps-swum", period, day(first), day(last))
    return [(date.fromordinal(row.start).isoformat(), row.total // MICROS, row.change // MICROS) for row in found]


async def a_swims(**laps_by_day: str) -> World:
    """User a swims at noon of days such as d0301."""
    world = World()
    for name, laps in laps_by_day.items():
        await world.swim("a", laps, f"2026-{name[1:3]}-{name[3:]}T12:00:00Z")
    return world


async def test_days_have_a_row_each_idle_ones_too() -> None:
    """The last day is included, and totals hold what came before the range."""
    world = await a_swims(d0227="5", d0301="2", d0303="4", d0304="1")

    assert await rows(world, "daily", "2026-03-01", "2026-03-03") == [
        ("2026-03-01", 7, 2),
        ("2026-03-02", 7, 0),
        ("2026-03-03", 11, 4),
    ]


async def test_weeks_begin_on_sunday_and_are_cut_to_the_range() -> None:
    """Sunday is 1 March: what came on 2 March, before the range, is in the total and in no change."""
    world = await a_swims(d0302="1", d0303="2", d0307="3", d0308="4", d0310="5")

    assert await rows(world, "weekly", "2026-03-03", "2026-03-09") == [
        ("2026-03-01", 6, 5),
        ("2026-03-08", 10, 4),
    ]


async def test_months_begin_on_the_first() -> None:
    world = await a_swims(d0115="1", d0303="2")

    assert await rows(world, "monthly", "2026-01-10", "2026-03-31") == [
        ("2026-01-01", 1, 1),
        ("2026-02-01", 1, 0),
        ("2026-03-01", 3, 2),
    ]


async def test_days_are_the_users_local_ones() -> None:
    world = World()
    await world.change("a", tz="Asia/Tokyo")
    await world.swim("a", "1", "2026-03-02T15:00:00Z")

    assert await rows(world, "daily", "2026-03-02", "2026-03-03") == [("2026-03-02", 0, 0), ("2026-03-03", 1, 1)]


async def test_a_range_may_be_one_day_or_400_days_apart_but_not_401() -> None:
    world = await a_swims(d0301="2")

    assert await rows(world, "daily", "2026-03-01", "2026-03-01") == [("2026-03-01", 2, 2)]
    assert len(await rows(world, "daily", "2025-01-01", "2026-02-05")) == 401
    with pytest.raises(Invalid, match="at most 400 days"):
        await rows(world, "daily", "2025-01-01", "2026-02-06")


async def test_a_range_may_not_run_backwards() -> None:
    world = await a_swims(d0301="2")

    with pytest.raises(Invalid, match="endDate"):
        await rows(world, "daily", "2026-03-02", "2026-03-01")


async def test_a_summary_needs_a_user_and_a_metric() -> None:
    world = await a_swims(d0301="2")
    today = day("2026-03-04")

    with pytest.raises(NotFound, match="user"):
        await read_summary(world.context, DEFAULT_SCOPE, "nobody", "laps-swum", "daily", today, today)
    with pytest.raises(NotFound, match="metric"):
        await read_summary(world.context, DEFAULT_SCOPE, "a", "no-such", "daily", today, today)
