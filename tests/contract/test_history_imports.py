"""Events imported as history take effect when they happened, also in what is over."""

from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.local_time import DAY
from palmares.domain.snapshot import DAYS_KEPT
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from tests.contract.story import USERS, ZONES, all_that_is_told
from tests.ledger_world import LedgerWorld, placed, swam, swim
from tests.world import HOURS, LAPS, LEVEL, POOL, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
WEEKLY = make_board(2, "weekly", run_unit="day", run_interval=7)
POOLS = make_board(3, "pools", run_unit="day", run_interval=7, breakdown=(POOL,))
PROS = make_board(4, "pros", filters=((LEVEL, "pro"),))
EAST, WEST = ("east",), ("west",)
DAYS = [f"03-{date:02}" for date in range(4, 10)]


@pytest.mark.parametrize("late_events", ["ignore", "revise"])
async def test_history_revises_a_final_run_whatever_the_board_says(world: LedgerWorld, late_events: str) -> None:
    """It is neither ignored nor counted as late."""
    weekly = replace(WEEKLY, late_events=late_events)
    await world.follow(weekly)
    await world.swim("ann", 3)
    world.at("2026-03-20T12:00:00Z")
    outcome = await world.swam("bob", 4, "2026-03-05T12:00:00Z")
    assert (list(outcome.boards), outcome.total) == ([], 4 * MICROS)
    assert await world.standings(weekly) == [(1, "bob", 4 * MICROS), (2, "ann", 3 * MICROS)]
    assert await world.state(weekly) == (True, 1, 0)


async def test_history_changes_the_days_from_then_on(world: LedgerWorld) -> None:
    """Of final runs as of live ones."""
    await world.follow(BOARD, WEEKLY)
    await world.swim("ann", 3)
    await world.advance("2026-03-10T12:00:00Z")
    await world.swam("bob", 4, "2026-03-06T12:00:00Z")
    for board in (BOARD, WEEKLY):
        assert await world.history(board, "ann") == [
            *((date, 1, 3) for date in DAYS[:2]),
            *((date, 2, 3) for date in DAYS[2:]),
        ]
        assert await world.history(board, "bob") == [
            *((date, None, None) for date in DAYS[:2]),
            *((date, 1, 4) for date in DAYS[2:]),
        ]


async def test_history_begins_the_days_of_a_run_earlier(world: LedgerWorld) -> None:
    """From the first who was ranked, as it is known now."""
    await world.follow(WEEKLY)
    world.at("2026-03-06T12:00:00Z")
    await world.swim("ann", 3)
    await world.advance("2026-03-10T12:00:00Z")
    await world.swam("bob", 1, "2026-03-04T12:00:00Z")
    assert await world.history(WEEKLY, "bob") == [*((date, 1, 1) for date in DAYS[:2]), *((d, 2, 1) for d in DAYS[2:])]
    assert [line.rank for line in await world.history(WEEKLY, "ann")] == [None, None, 1, 1, 1, 1]


async def test_history_of_a_live_run_counts_at_once(world: LedgerWorld) -> None:
    """Its answer tells the ranks like that of any event."""
    await world.follow(BOARD)
    await world.swim("ann", 3)
    world.at("2026-03-06T12:00:00Z")
    [outcome] = await world.record(swam("bob", 4, "2026-03-04T10:00:00Z"))
    assert placed(outcome) == {BOARD.key: (None, 1)}
    assert await world.standings(BOARD) == [(1, "bob", 4 * MICROS), (2, "ann", 3 * MICROS)]
    await world.ledger.settle()
    assert await world.history(BOARD, "bob") == [("03-04", 1, 4), ("03-05", 1, 4)]
    assert await world.state(BOARD) == (False, 0, 0)


async def test_history_of_today_changes_no_day_before(world: LedgerWorld) -> None:
    """It is like any other event."""
    await world.follow(BOARD)
    await world.swim("ann", 3)
    world.at("2026-03-05T12:00:00Z")
    await world.swam("bob", 4, "2026-03-05T00:00:00Z")
    await world.advance("2026-03-06T00:00:00Z")
    assert await world.history(BOARD, "bob") == [("03-04", None, None), ("03-05", 1, 4)]


async def test_history_without_a_time_is_of_now(world: LedgerWorld) -> None:
    """The flag alone says nothing."""
    await world.follow(WEEKLY)
    await world.record(replace(swim("ann", 3), history=True))
    await world.ledger.settle()
    await world.advance("2026-03-05T12:00:00Z")
    assert await world.history(WEEKLY, "ann") == [("03-04", 1, 3)]
    assert await world.state(WEEKLY) == (False, 0, 0)


async def test_known_users_were_in_the_groups_of_that_time(world: LedgerWorld) -> None:
    """On each day in that of the day, and in the end in that of the end."""
    await world.follow(POOLS)
    await world.record(swim("ann", 3, attributes={"pool": "east"}), swim("bob", 2, attributes={"pool": "east"}))
    world.at("2026-03-06T12:00:00Z")
    await world.change("bob", attributes={"pool": "west"})
    world.at("2026-03-10T12:00:00Z")
    await world.change("bob", attributes={"pool": None})
    await world.swam("bob", 2, "2026-03-04T10:00:00Z")
    assert await world.standings(POOLS, EAST) == [(1, "ann", 3 * MICROS)]
    assert await world.standings(POOLS, WEST) == [(1, "bob", 4 * MICROS)]
    assert await world.history(POOLS, "bob") == [(date, 1, 4) for date in DAYS]
    assert [line.rank for line in await world.history(POOLS, "ann")] == [2, 2, 1, 1, 1, 1]


async def test_users_who_came_later_were_as_they_were_first_known(world: LedgerWorld) -> None:
    """Not as they are now, on any of the days."""
    await world.follow(POOLS, PROS)
    await world.swim("ann", 3, attributes={"pool": "east"})
    world.at("2026-03-10T12:00:00Z")
    await world.record(swam("bob", 2, "2026-03-04T10:00:00Z", attributes={"pool": "east", "level": "pro"}))
    await world.change("bob", attributes={"pool": "west", "level": None})
    await world.swam("bob", 2, "2026-03-06T10:00:00Z")
    assert await world.standings(POOLS, EAST) == [(1, "bob", 4 * MICROS), (2, "ann", 3 * MICROS)]
    assert await world.history(POOLS, "bob") == [
        *((date, 2, 2) for date in DAYS[:2]),
        *((date, 1, 4) for date in DAYS[2:]),
    ]
    # This run goes on, and there the user takes part no more.
    assert await world.standings(PROS) == []
    assert await world.history(PROS, "bob") == [*((date, 1, 2) for date in DAYS[:2]), *((d, 1, 4) for d in DAYS[2:])]


async def test_the_attributes_that_come_with_history_are_of_now(world: LedgerWorld) -> None:
    """Only events are placed in the past."""
    await world.follow(POOLS)
    await world.swim("ann", 3, attributes={"pool": "east"})
    world.at("2026-03-10T12:00:00Z")
    await world.swam("ann", 2, "2026-03-04T10:00:00Z", attributes={"pool": "west"})
    await world.swim("ann", 1)
    assert await world.standings(POOLS, EAST) == [(1, "ann", 5 * MICROS)]
    assert await world.standings(POOLS, WEST, on="2026-03-10") == [(1, "ann", MICROS)]


async def test_an_import_counts_once_however_often_it_is_sent(world: LedgerWorld) -> None:
    """By its idempotency keys."""
    await world.follow(BOARD, WEEKLY)
    await world.swim("ann", 3)
    world.at("2026-03-10T12:00:00Z")
    for _ in range(2):
        await world.record(
            swam("bob", 4, "2026-03-04T10:00:00Z", key="one"), swam("bob", 4, "2026-03-05T10:00:00Z", key="two")
        )
        await world.ledger.settle()
    assert (await world.standings(WEEKLY))[0] == (1, "bob", 8 * MICROS)
    assert (await world.standings(BOARD))[0] == (1, "bob", 8 * MICROS)


async def test_what_lies_outside_the_board_counts_in_totals_only(world: LedgerWorld) -> None:
    """Before its first day, and outside its daily window."""
    morning = replace(BOARD, start_time="06:00", end_time="11:00")
    await world.follow(morning)
    world.at("2026-03-10T12:00:00Z")
    await world.swam("ann", 1, "2026-03-01T10:00:00Z")
    await world.swam("ann", 2, "2026-03-04T12:00:00Z")
    await world.swam("ann", 4, "2026-03-04T10:00:00Z")
    assert await world.standings(morning) == [(1, "ann", 4 * MICROS)]
    assert await world.total("ann") == 7 * MICROS


async def test_history_of_long_ago_keeps_only_the_newest_days(world: LedgerWorld) -> None:
    """Also when a run has more of them at once."""
    await world.follow(BOARD)
    world.clock.now += (DAYS_KEPT + 20) * DAY
    await world.swam("ann", 1, "2026-03-04T10:00:00Z")
    await world.swam("bob", 2, "2026-03-10T10:00:00Z")
    assert [line.rank for line in await world.history(BOARD, "ann")] == [2] * DAYS_KEPT
    assert [line.rank for line in await world.history(BOARD, "bob")] == [1] * DAYS_KEPT


BOARDS = [
    BOARD,
    make_board(2, "daily", run_unit="day", run_interval=1, order="asc", aggregation="last"),
    make_board(3, "pools", run_unit="day", run_interval=3, breakdown=(POOL,), aggregation="max", numbering="dense"),
    make_board(4, "pros", run_unit="day", run_interval=7, filters=((LEVEL, "pro"),), max_participants=2),
    make_board(5, "morning", start_time="03:00", end_time="15:00", aggregation="count", ties="last"),
]


async def swim_for_ten_days(world: LedgerWorld) -> list[Entry]:
    """Everybody in a zone of their own, some changing pool and level on the way; returns the events."""
    story = []
    for step in range(40):
        world.at(f"2026-03-{5 + step // 4:02}T{step % 4 * 6 + 1:02}:{step:02}:00Z")
        number = step * step % 7
        changes: dict[str, Any] = {"tz": ZONES[number]}
        if step % 3 == 0:
            changes["attributes"] = {"pool": ["east", "west", None][step % 4 % 3], "level": ["pro", None][step % 2]}
        story.append(replace(swim(USERS[number], step % 6 - 1, **changes), occurred_at=world.clock()))
        await world.record(story[-1])
    return story


async def test_a_past_that_is_imported_is_like_one_that_was_lived_through(world: LedgerWorld) -> None:
    """In any order, in lists of any length, over runs that closed and runs that go on: every rank of every day."""
    lived, imported = (
        [replace(board, metric=LAPS) for board in BOARDS],
        [replace(board, metric=HOURS, number=board.number + 50) for board in BOARDS],
    )
    await world.follow(*lived, *imported)
    story = await swim_for_ten_days(world)
    await world.advance("2026-03-16T12:00:00Z")
    history = [replace(entry, changes={}, metric=HOURS, history=True) for entry in story]
    shuffled = [history[place * 17 % 40] for place in range(40)]
    for start in range(0, 40, 7):
        await world.record(*shuffled[start : start + 7])
    expected = await all_that_is_told(world, lived)
    assert await all_that_is_told(world, imported) == expected
    assert len(expected) > 100, "little was compared"


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_history_survives_opening_again(world: LedgerWorld, how: str) -> None:
    """What it changed already, and what it was still to change."""
    await world.follow(*BOARDS)
    await swim_for_ten_days(world)
    await world.advance("2026-03-20T12:00:00Z")
    await world.swam(USERS[0], 9, "2026-03-06T12:00:00Z")
    await world.record(swam(USERS[1], 9, "2026-03-07T12:00:00Z"))
    await world.reopen(how)
    reopened = await all_that_is_told(world, BOARDS)
    twins = [replace(board, number=board.number + 50) for board in BOARDS]
    await world.follow(*twins)
    assert await all_that_is_told(world, twins) == reopened
