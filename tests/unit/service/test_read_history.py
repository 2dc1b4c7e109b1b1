"""A user's days in a run: one entry a UTC day, from the first appearance until now or the end."""

from typing import NamedTuple

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.local_time import DAY, format_day
from palmares.domain.snapshot import DAYS_KEPT, DayStanding
from palmares.domain.value import MICROS
from palmares.service.define_boards import update_boards
from palmares.service.read_user import UserStanding, read_standing
from tests.definitions import items
from tests.world import LEVEL, POOL, World, day, make_board

pytestmark = pytest.mark.anyio

# The week that begins on 2026-03-02 is final from here on.
CLOSING = "2026-03-09T12:00:00Z"


class Entry(NamedTuple):
    """An entry as a test writes it: `03-04`, rank, whole laps."""

    day: str
    rank: int | None
    laps: int | None


def entry(found: DayStanding) -> Entry:
    return Entry(format_day(found.day)[5:], found.rank, None if found.value is None else found.value // MICROS)


async def standing(world: World, user_id: str, on: str | None = None, days: int = 10) -> UserStanding:
    chosen = None if on is None else day(on)
    return await read_standing(world.context, DEFAULT_SCOPE, user_id, "weekly-laps", chosen, days)


async def history(world: World, user_id: str, on: str | None = None, days: int = 10) -> list[Entry]:
    return [*map(entry, (await standing(world, user_id, on, days)).history)]


async def open_world(**fields: object) -> World:
    """One board without end, unless the fields say otherwise."""
    world = World()
    await world.define(make_board(**fields))
    return world


async def test_every_day_from_the_first_appearance_has_an_entry_and_today_shows_now() -> None:
    """Also a day without change; the entries of days that are over stay as they were at midnight UTC."""
    world = await open_world()
    await world.swim("a", "5")
    await world.advance("2026-03-05T23:59:59Z")
    await world.swim("b", "7")
    await world.advance("2026-03-07T08:00:00Z")
    await world.swim("a", "1")
    assert await history(world, "a") == [("03-04", 1, 5), ("03-05", 2, 5), ("03-06", 2, 5), ("03-07", 2, 6)]
    assert await history(world, "b") == [("03-05", 1, 7), ("03-06", 1, 7), ("03-07", 1, 7)]
    await world.swim("a", "2")
    assert (await history(world, "a"))[-1] == ("03-07", 1, 8)


async def test_a_day_on_which_the_user_was_out_is_null() -> None:
    """In between, and at the end; the days before the first appearance have no entry."""
    world = await open_world(filters=((LEVEL, "pro"),))
    for number, level in enumerate([None, "pro", None, None, "pro", None], start=4):
        await world.advance(f"2026-03-{number:02}T12:00:00Z")
        await world.change("a", attributes={"level": level})
        await world.swim("a", "1")
        await world.change("b", attributes={"level": "pro"})
        await world.swim("b", "1")
    assert await history(world, "a") == [
        ("03-05", 1, 2),
        ("03-06", None, None),
        ("03-07", None, None),
        ("03-08", 1, 5),
        ("03-09", None, None),
    ]


async def test_a_user_who_has_been_out_for_all_of_the_days_asked_for_has_nulls() -> None:
    """The appearance lies before them, but it was one."""
    world = await open_world(filters=((LEVEL, "pro"),))
    await world.change("a", attributes={"level": "pro"})
    await world.swim("a", "1")
    await world.change("b", attributes={"level": "pro"})
    await world.swim("b", "1")
    await world.advance("2026-03-05T12:00:00Z")
    await world.change("a", attributes={"level": None})
    await world.advance("2026-03-09T12:00:00Z")
    found = await standing(world, "a", days=2)
    assert [*map(entry, found.history)] == [("03-08", None, None), ("03-09", None, None)]
    assert found.preceding == DayStanding(day("2026-03-07"), None, None)
    assert await history(world, "a", days=6) == [
        ("03-04", 1, 1),
        *((f"03-0{date}", None, None) for date in range(5, 10)),
    ]


async def test_who_was_never_in_has_no_entries() -> None:
    """No value, outside the cap, or not taking part: it is all the same."""
    world = await open_world(max_participants=1)
    await world.change("idle")
    await world.swim_all({"a": "2", "outside": "1"})
    await world.advance("2026-03-06T12:00:00Z")
    assert await history(world, "idle") == await history(world, "outside") == []
    assert len(await history(world, "a")) == 3


@pytest.mark.parametrize(("days", "dates"), [(0, []), (1, ["03-08"]), (3, ["03-06", "03-07", "03-08"])])
async def test_the_most_recent_entries_are_told_and_what_came_before_them(days: int, dates: list[str]) -> None:
    """The first entry of all has nothing before it."""
    world = await open_world()
    await world.swim("a", "1")
    for number in range(5, 9):
        await world.advance(f"2026-03-{number:02}T12:00:00Z")
        await world.swim("a", "1")
    found = await standing(world, "a", days=days)
    assert [entry(one).day for one in found.history] == dates
    assert found.preceding is not None
    assert entry(found.preceding).day == f"03-{8 - days:02}"
    assert (await standing(world, "a", days=5)).preceding is None


async def test_a_hundred_days_can_be_asked_for() -> None:
    """With what came before the first of them, however long the run is."""
    world = await open_world()
    await world.swim("a", "1")
    world.now += (DAYS_KEPT + 20) * DAY
    await world.ledger.advance(world.now)
    found = await standing(world, "a", days=100)
    today = day("2026-03-04") + DAYS_KEPT + 20
    assert [one.day for one in found.history] == list(range(today - 99, today + 1))
    assert found.preceding == DayStanding(today - 100, 1, MICROS)


async def test_the_history_of_a_final_run_ends_with_the_day_on_which_it_became_so() -> None:
    """Whatever happens later, and of no other run."""
    world = await open_world(run_unit="day", run_interval=7)
    await world.change("late", tz="Etc/GMT+12")
    await world.swim("a", "5")
    await world.advance("2026-03-09T11:00:00Z")
    await world.swim("late", "9")
    await world.swim("a", "1")
    await world.advance(CLOSING)
    expected = [*((f"03-{date:02}", 1, 5) for date in range(4, 9)), ("03-09", 2, 5)]
    assert await history(world, "a", on="2026-03-04") == expected
    await world.advance("2026-03-20T12:00:00Z")
    await world.swim("a", "1")
    found = await standing(world, "a", on="2026-03-04", days=2)
    assert [*map(entry, found.history)] == expected[-2:]
    assert found.preceding == DayStanding(day("2026-03-07"), 1, 5 * MICROS)
    assert await history(world, "a", on="2026-03-04") == expected
    assert await history(world, "a") == [("03-20", 1, 1)]


async def test_until_a_run_is_final_its_history_has_a_present() -> None:
    """Also on the day after its last, while it is live somewhere."""
    world = await open_world(run_unit="day", run_interval=7)
    await world.swim("a", "5")
    await world.advance("2026-03-09T11:59:59Z")
    assert (await history(world, "a", on="2026-03-04"))[-2:] == [("03-08", 1, 5), ("03-09", 1, 5)]
    await world.advance(CLOSING)
    assert (await history(world, "a", on="2026-03-04"))[-2:] == [("03-08", 1, 5), ("03-09", 1, 5)]


async def test_entries_have_the_dates_of_utc_not_of_the_user() -> None:
    """So the first may lie before the first day of the run."""
    world = await open_world(start=day("2026-03-05"))
    await world.change("east", tz="Pacific/Kiritimati")
    await world.swim("east", "1")
    assert await history(world, "east") == [("03-04", 1, 1)]
    await world.advance("2026-03-05T00:00:00Z")
    assert await history(world, "east") == [("03-04", 1, 1), ("03-05", 1, 1)]


async def test_each_day_has_the_rank_in_the_group_of_that_day() -> None:
    """A user who moves takes the value along and leaves the past as it was."""
    world = await open_world(breakdown=(POOL,))
    for user_id, pool in (("a", "east"), ("b", "east"), ("c", "west")):
        await world.change(user_id, attributes={"pool": pool})
    await world.swim_all({"a": "1", "b": "2", "c": "1"})
    await world.advance("2026-03-05T12:00:00Z")
    await world.change("a", attributes={"pool": None})
    await world.advance("2026-03-06T12:00:00Z")
    await world.change("a", attributes={"pool": "west"})
    assert await history(world, "a") == [("03-04", 2, 1), ("03-05", None, None), ("03-06", 1, 1)]


async def test_a_board_that_is_finished_by_hand_has_no_later_days() -> None:
    """It is frozen at once, and its history ends on that day."""
    world = await open_world(end=day("2026-03-06"))
    await world.swim_all({"a": "5", "b": "3"})
    await world.advance("2026-03-06T12:00:00Z")
    await world.swim("a", "1")
    board = world.catalog.definitions(DEFAULT_SCOPE).board_by_key["weekly-laps"]
    [finished] = (
        await update_boards(world.context, DEFAULT_SCOPE, items({"id": board.id, "status": "finished"}))
    ).things
    await world.swim("b", "9")
    await world.advance("2026-03-10T12:00:00Z")

    found = await standing(world, "a", days=10)

    assert (found.status, found.total) == (finished.status_at(world.now), 2) == ("finished", 2)
    assert found.state is not None
    assert (found.state.final, found.place and found.place.value) == (True, 6 * MICROS)
    assert [*map(entry, found.history)] == [("03-04", 1, 5), ("03-05", 1, 5), ("03-06", 1, 6)]
