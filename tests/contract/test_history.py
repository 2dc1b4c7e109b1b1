"""Where a user stood at the end of each UTC day of a run."""

from dataclasses import replace
from typing import get_args

import pytest

from palmares.domain.board import Aggregation, Board
from palmares.domain.local_time import DAY
from palmares.domain.snapshot import DAYS_KEPT
from tests.ledger_world import LedgerWorld, run_on, swim
from tests.world import LEVEL, POOL, day, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
WEEKLY = make_board(2, "weekly", run_unit="day", run_interval=7)
POOLS = make_board(3, "pools", breakdown=(POOL,))
PROS = make_board(4, "pros", filters=((LEVEL, "pro"),))


async def test_each_day_is_kept_with_its_end(world: LedgerWorld) -> None:
    """Rank and value as they were at midnight, whatever they were during the day."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    await world.swim("bob", 2)
    world.at("2026-03-05T12:00:00Z")
    await world.swim("ann", 5)
    await world.swim("bob", 2)
    await world.advance("2026-03-06T12:00:00Z")
    assert await world.history(BOARD, "ann") == [("03-04", 2, 1), ("03-05", 1, 6)]
    assert await world.history(BOARD, "bob") == [("03-04", 1, 2), ("03-05", 2, 4)]


async def test_a_day_is_over_at_midnight_utc(world: LedgerWorld) -> None:
    """What comes in its last microsecond belongs to it, what comes at midnight does not."""
    await world.follow(BOARD)
    world.at("2026-03-04T23:59:59.999999Z")
    await world.swim("ann", 1)
    assert await world.history(BOARD, "ann") == []
    world.at("2026-03-05T00:00:00Z")
    await world.swim("ann", 10)
    assert await world.history(BOARD, "ann") == [("03-04", 1, 1)]
    await world.advance("2026-03-05T23:59:59.999999Z")
    assert await world.history(BOARD, "ann") == [("03-04", 1, 1)]
    await world.advance("2026-03-06T00:00:00Z")
    assert await world.history(BOARD, "ann") == [("03-04", 1, 1), ("03-05", 1, 11)]


@pytest.mark.parametrize("tz", ["Pacific/Kiritimati", "Asia/Tokyo", "America/New_York", "Etc/GMT+12"])
async def test_days_are_those_of_utc_wherever_the_user_is(world: LedgerWorld, tz: str) -> None:
    """Events lie in the run of the local date, but everybody's day ends at the same instant."""
    await world.follow(WEEKLY)
    world.at("2026-03-04T23:00:00Z")
    await world.swim("ann", 1, tz=tz)
    world.at("2026-03-05T01:00:00Z")
    await world.swim("ann", 2)
    await world.advance("2026-03-06T00:00:00Z")
    assert await world.history(WEEKLY, "ann") == [("03-04", 1, 1), ("03-05", 1, 3)]


async def test_a_run_has_days_before_its_first_and_after_its_last(world: LedgerWorld) -> None:
    """In the earliest zone it begins while it is the day before in UTC, and in the latest it ends a day later."""
    await world.follow(WEEKLY)
    world.at("2026-03-08T20:00:00Z")
    await world.record(swim("east", 1, tz="Pacific/Kiritimati"), swim("west", 2, tz="Etc/GMT+12"))
    world.at("2026-03-09T11:00:00Z")
    await world.swim("west", 3)
    await world.advance("2026-03-10T00:00:00Z")
    assert await world.history(WEEKLY, "west", on="2026-03-08") == [("03-08", 1, 2), ("03-09", 1, 5)]
    assert await world.history(WEEKLY, "east", on="2026-03-09") == [("03-08", 1, 1), ("03-09", 1, 1)]


async def test_days_without_a_change_are_kept_too(world: LedgerWorld) -> None:
    """Each day has its entry, also when several are over at once."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    await world.advance("2026-03-09T12:00:00Z")
    assert await world.history(BOARD, "ann") == [(f"03-{date:02}", 1, 1) for date in range(4, 9)]


async def test_others_move_a_user_without_an_event(world: LedgerWorld) -> None:
    """The rank of a day is the rank of that day."""
    await world.follow(BOARD)
    await world.swim("ann", 5)
    for date, rival in [(5, "bob"), (6, "cat"), (7, "dee")]:
        world.at(f"2026-03-{date:02}T12:00:00Z")
        await world.swim(rival, 10)
    await world.advance("2026-03-08T00:00:00Z")
    assert [line.rank for line in await world.history(BOARD, "ann")] == [1, 2, 3, 4]


async def test_a_user_who_comes_later_was_not_ranked_before(world: LedgerWorld) -> None:
    """The run has its days from the first who was ranked; before that there are none."""
    await world.follow(BOARD)
    world.at("2026-03-05T12:00:00Z")
    await world.swim("ann", 1)
    world.at("2026-03-07T12:00:00Z")
    await world.swim("bob", 2)
    await world.advance("2026-03-08T00:00:00Z")
    assert await world.history(BOARD, "ann") == [("03-05", 1, 1), ("03-06", 1, 1), ("03-07", 2, 1)]
    assert await world.history(BOARD, "bob") == [("03-05", None, None), ("03-06", None, None), ("03-07", 1, 2)]


async def test_a_user_who_never_was_in_the_run_has_its_days_without_ranks(world: LedgerWorld) -> None:
    """They are days of the run."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    await world.change("bob")
    await world.advance("2026-03-05T00:00:00Z")
    assert await world.history(BOARD, "bob") == [("03-04", None, None)]


async def test_who_takes_no_part_for_a_while_is_not_ranked_on_those_days(world: LedgerWorld) -> None:
    """And comes back with everything; also when nobody else is in the run meanwhile."""
    await world.follow(PROS)
    for date, level in [(4, "pro"), (5, "new"), (7, "pro")]:
        world.at(f"2026-03-{date:02}T12:00:00Z")
        await world.swim("ann", 1, attributes={"level": level})
    await world.advance("2026-03-08T00:00:00Z")
    assert await world.history(PROS, "ann") == [
        ("03-04", 1, 1),
        ("03-05", None, None),
        ("03-06", None, None),
        ("03-07", 1, 3),
    ]


async def test_the_rank_is_that_in_the_group_of_the_day(world: LedgerWorld) -> None:
    """Who moves had another rank before, and keeps it on the days that are over."""
    await world.follow(POOLS)
    await world.record(
        swim("ann", 5, attributes={"pool": "east"}),
        swim("bob", 9, attributes={"pool": "west"}),
        swim("cat", 7, attributes={"pool": "east"}),
    )
    world.at("2026-03-05T12:00:00Z")
    await world.change("ann", attributes={"pool": "west"})
    world.at("2026-03-06T12:00:00Z")
    await world.change("bob", attributes={"pool": "east"})
    await world.advance("2026-03-07T00:00:00Z")
    assert await world.history(POOLS, "ann") == [("03-04", 2, 5), ("03-05", 2, 5), ("03-06", 1, 5)]
    assert await world.history(POOLS, "bob") == [("03-04", 1, 9), ("03-05", 1, 9), ("03-06", 1, 9)]
    assert await world.history(POOLS, "cat") == [("03-04", 1, 7), ("03-05", 1, 7), ("03-06", 2, 7)]


async def test_outside_the_cap_nobody_has_a_rank(world: LedgerWorld) -> None:
    """Nor a value."""
    capped = replace(BOARD, max_participants=1)
    await world.follow(capped)
    await world.record(swim("ann", 2), swim("bob", 1))
    world.at("2026-03-05T12:00:00Z")
    await world.swim("bob", 5)
    await world.advance("2026-03-06T00:00:00Z")
    assert await world.history(capped, "ann") == [("03-04", 1, 2), ("03-05", None, None)]
    assert await world.history(capped, "bob") == [("03-04", None, None), ("03-05", 1, 6)]


async def test_only_the_days_asked_for_are_told(world: LedgerWorld) -> None:
    """First and last included; where there are none, none."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    await world.advance("2026-03-10T12:00:00Z")
    for first, last, expected in [
        ("2026-03-05", "2026-03-07", ["03-05", "03-06", "03-07"]),
        ("2026-03-05", "2026-03-05", ["03-05"]),
        ("2026-03-08", "2026-03-20", ["03-08", "03-09"]),
        ("2026-02-01", "2026-03-04", ["03-04"]),
        ("2026-03-07", "2026-03-05", []),
        ("2026-03-10", "2026-03-11", []),
    ]:
        assert [line.day for line in await world.history(BOARD, "ann", first=first, last=last)] == expected


async def test_the_last_day_of_a_run_is_the_one_on_which_it_becomes_final(world: LedgerWorld) -> None:
    """It shows the final state, and no day comes behind it."""
    weekly = replace(WEEKLY, breakdown=(POOL,))
    await world.follow(weekly)
    await world.swim("ann", 1, attributes={"pool": "east"}, tz="Etc/GMT+12")
    await world.swim("bob", 2, attributes={"pool": "east"})
    world.at("2026-03-09T10:00:00Z")
    await world.swim("ann", 4)
    await world.change("bob", attributes={"pool": "west"})
    world.at("2026-03-09T13:00:00Z")
    await world.change("bob", attributes={"pool": None})
    await world.advance("2026-03-14T00:00:00Z")
    days = [f"03-{date:02}" for date in range(4, 9)]
    assert await world.history(weekly, "ann") == [*((date, 2, 1) for date in days), ("03-09", 1, 5)]
    assert await world.history(weekly, "bob") == [*((date, 1, 2) for date in days), ("03-09", 1, 2)]


async def test_the_last_day_is_there_as_soon_as_the_run_is_final(world: LedgerWorld) -> None:
    """At noon, not at midnight."""
    await world.follow(WEEKLY)
    await world.swim("ann", 1)
    await world.advance("2026-03-09T11:59:59Z")
    assert [line.day for line in await world.history(WEEKLY, "ann")][-1] == "03-08"
    await world.advance("2026-03-09T12:00:00Z")
    assert [line.day for line in await world.history(WEEKLY, "ann")][-1] == "03-09"


async def test_what_is_uploaded_later_changes_no_day_that_is_over(world: LedgerWorld) -> None:
    """It takes effect when it is recorded, though it counts as of when it happened."""
    await world.follow(BOARD)
    await world.swim("ann", 3)
    await world.swim("bob", 2)
    await world.advance("2026-03-06T12:00:00Z")
    await world.swim("bob", 2, at="2026-03-04T11:00:00Z")
    await world.advance("2026-03-07T00:00:00Z")
    assert await world.history(BOARD, "bob") == [("03-04", 2, 2), ("03-05", 2, 2), ("03-06", 1, 4)]
    assert await world.history(BOARD, "ann") == [("03-04", 1, 3), ("03-05", 1, 3), ("03-06", 2, 3)]


async def test_only_the_newest_days_are_kept(world: LedgerWorld) -> None:
    """As many as anyone can ask for."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    world.clock.now += (DAYS_KEPT + 9) * DAY
    await world.ledger.advance(world.clock())
    ann = await world.user("ann")
    days = await world.ledger.history(1, run_on(BOARD, "2026-03-04"), ann, 0, day("2030-01-01"))
    last = day("2026-03-04") + DAYS_KEPT + 8
    assert [found.day for found in days] == list(range(last - DAYS_KEPT + 1, last + 1))


async def test_a_final_run_keeps_its_days_however_long_ago(world: LedgerWorld) -> None:
    """Only days of the same run push out older ones."""
    await world.follow(WEEKLY)
    await world.swim("ann", 1)
    await world.advance("2026-03-09T12:00:00Z")
    before = await world.history(WEEKLY, "ann")
    world.clock.now += 2 * DAYS_KEPT * DAY
    await world.swim("ann", 1)
    await world.ledger.advance(world.clock() + DAY)
    assert await world.history(WEEKLY, "ann") == before
    assert [line.day for line in before] == [f"03-{date:02}" for date in range(4, 10)]


async def test_a_day_on_which_nobody_was_ranked_yet_is_none(world: LedgerWorld) -> None:
    """Values of those who take no part begin no history."""
    await world.follow(PROS)
    await world.swim("ann", 1)
    world.at("2026-03-06T12:00:00Z")
    await world.change("ann", attributes={"level": "pro"})
    await world.advance("2026-03-07T00:00:00Z")
    assert await world.history(PROS, "ann") == [("03-06", 1, 1)]


KINDS = [
    *(make_board(10 + place, name, aggregation=name) for place, name in enumerate(get_args(Aggregation))),
    make_board(20, "dense", numbering="dense", order="asc"),
    make_board(21, "competition", numbering="competition", ties="last"),
    make_board(22, "capped", max_participants=2),
    make_board(23, "grouped", breakdown=(POOL,), numbering="competition"),
    make_board(24, "filtered", filters=((LEVEL, "pro"),)),
]
USERS = [f"user-{number}" for number in range(6)]


@pytest.mark.parametrize("board", KINDS, ids=lambda board: str(board.key))
async def test_a_day_tells_what_was_read_at_its_end(world: LedgerWorld, board: Board) -> None:
    """On every kind of board, day by day, whatever happened."""
    await world.follow(board)
    read: dict[str, list[tuple[int | None, int | None]]] = {user_id: [] for user_id in USERS}
    for user_id in USERS:
        await world.change(user_id)
    for date in range(4, 12):
        for step in range(4):
            number = date * step + date + step
            world.at(f"2026-03-{date:02}T{6 * step + number % 6:02}:00:00Z")
            attributes = {"pool": ["east", "west", None][number % 3], "level": ["pro", None][date % 2]}
            await world.swim(USERS[number % 6], number % 5, attributes=attributes)
        world.at(f"2026-03-{date:02}T23:59:59.999999Z")
        for user_id in USERS:
            read[user_id].append(await rank_and_value(world, board, user_id))
    await world.advance("2026-03-12T00:00:00Z")
    first = 8 - len(await world.history(board, USERS[0]))
    run = run_on(board, "2026-03-04")
    for user_id in USERS:
        found = await world.ledger.history(board.number, run, await world.user(user_id), 0, day("2030-01-01"))
        assert [(line.rank, line.value) for line in found] == read[user_id][first:]
        assert read[user_id][:first] == [(None, None)] * first


async def rank_and_value(world: LedgerWorld, board: Board, user_id: str) -> tuple[int | None, int | None]:
    run, user = run_on(board, "2026-03-04"), await world.user(user_id)
    group = await world.ledger.group(board.number, run, user)
    place = None if group is None else await world.ledger.place(board.number, run, [group], user)
    return (None, None) if place is None or place.rank is None else (place.rank, place.value)


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_days_are_the_same_after_opening_again(world: LedgerWorld, how: str) -> None:
    """Those that were kept, and those that became due meanwhile."""
    await world.follow(BOARD, WEEKLY, POOLS)
    await world.record(swim("ann", 1, attributes={"pool": "east"}), swim("bob", 2, attributes={"pool": "east"}))
    await world.advance("2026-03-06T12:00:00Z")
    await world.change("bob", attributes={"pool": "west"})
    world.at("2026-03-08T12:00:00Z")
    for _ in range(2):
        await world.reopen(how)
        for board in (BOARD, WEEKLY):
            assert await world.history(board, "ann") == [(f"03-{date:02}", 2, 1) for date in range(4, 8)]
        assert [line.rank for line in await world.history(POOLS, "ann")] == [2, 2, 1, 1]
        assert [line.rank for line in await world.history(POOLS, "bob")] == [1, 1, 1, 1]
