"""Which run an event falls in: local dates, daily windows, several runs at once."""

import pytest

from palmares.domain.run import Run
from palmares.domain.value import MICROS
from tests.ledger_world import LedgerWorld, placed, run_on, swim
from tests.world import day, make_board

pytestmark = pytest.mark.anyio

WEEKLY = make_board(1, "weekly", run_unit="day", run_interval=7)
DAILY = make_board(2, "daily", run_unit="day", run_interval=1)
ZONES = ["Pacific/Kiritimati", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "Pacific/Honolulu", "Etc/GMT+12"]


async def test_each_run_counts_its_own_events(world: LedgerWorld) -> None:
    """A new run begins with nothing; the one before stays readable."""
    await world.follow(WEEKLY)
    await world.swim("ann", 3)
    world.at("2026-03-09T12:00:00Z")
    outcome = await world.swim("ann", 1)
    assert placed(outcome) == {"weekly": (None, 1)}
    assert outcome.total == 4 * MICROS
    assert await world.standings(WEEKLY, on="2026-03-08") == [(1, "ann", 3 * MICROS)]
    assert await world.standings(WEEKLY, on="2026-03-09") == [(1, "ann", MICROS)]


async def test_runs_are_told_oldest_first(world: LedgerWorld) -> None:
    """Only those in which somebody has a value."""
    await world.follow(WEEKLY)
    world.at("2026-04-01T12:00:00Z")
    for at in ("2026-03-31T12:00:00Z", "2026-03-04T12:00:00Z", "2026-03-18T12:00:00Z"):
        await world.swam("ann", 1, at)
    starts = [WEEKLY.start, WEEKLY.start + 14, WEEKLY.start + 28]
    assert await world.ledger.runs(1) == [Run(start, start + 6) for start in starts]


async def test_a_run_without_events_is_empty(world: LedgerWorld) -> None:
    """It has no groups, no rows and no places."""
    await world.follow(WEEKLY)
    await world.swim("ann", 1)
    empty = run_on(WEEKLY, "2026-03-10")
    assert list(await world.ledger.groups(1, empty)) == []
    assert await world.ledger.size(1, empty, [()]) == 0
    assert await world.ledger.page(1, empty, [()], 0, 10) == []
    assert await world.place(WEEKLY, "ann", on="2026-03-10") is None


async def test_the_users_own_date_decides(world: LedgerWorld) -> None:
    """At noon UTC on Sunday it is Monday in Kiritimati already, and the next run has begun there."""
    await world.follow(WEEKLY)
    world.at("2026-03-08T12:00:00Z")
    await world.record(*(swim(tz, 1, tz=tz) for tz in ZONES))
    assert sorted(await world.order(WEEKLY, on="2026-03-08")) == sorted(ZONES[1:])
    assert await world.order(WEEKLY, on="2026-03-09") == ["Pacific/Kiritimati"]


async def test_two_runs_are_live_at_once(world: LedgerWorld) -> None:
    """One entry after another may count in different runs, each with its own ranks."""
    await world.follow(DAILY)
    world.at("2026-03-05T06:00:00Z")
    outcomes = await world.record(swim("west", 5, tz="Pacific/Honolulu"), swim("east", 3, tz="Asia/Tokyo"))
    assert [(board.run.start, board.rank) for one in outcomes for board in one.boards] == [
        (day("2026-03-04"), 1),
        (day("2026-03-05"), 1),
    ]


async def test_a_change_of_zone_moves_no_old_event(world: LedgerWorld) -> None:
    """Events keep the date that they had; the next one has the new zone's."""
    await world.follow(DAILY)
    world.at("2026-03-04T20:00:00Z")
    await world.swim("ann", 1, tz="America/New_York")
    await world.swim("ann", 2, tz="Asia/Tokyo")
    assert await world.standings(DAILY, on="2026-03-04") == [(1, "ann", MICROS)]
    assert await world.standings(DAILY, on="2026-03-05") == [(1, "ann", 2 * MICROS)]


async def test_one_user_may_go_back_to_an_earlier_run(world: LedgerWorld) -> None:
    """Flying east to west over the date line, the same date comes twice."""
    await world.follow(DAILY)
    world.at("2026-03-04T20:00:00Z")
    await world.swim("ann", 1, tz="Pacific/Kiritimati")
    world.at("2026-03-04T21:00:00Z")
    await world.swim("ann", 2, tz="Etc/GMT+12")
    world.at("2026-03-05T12:30:00Z")
    await world.swim("ann", 4)
    assert await world.standings(DAILY, on="2026-03-04") == [(1, "ann", 2 * MICROS)]
    assert await world.standings(DAILY, on="2026-03-05") == [(1, "ann", 5 * MICROS)]


async def test_days_outside_the_board_count_on_totals_only(world: LedgerWorld) -> None:
    """First and last day are included."""
    board = make_board(3, "days", start=day("2026-03-03"), end=day("2026-03-04"))
    await world.follow(board)
    for date in ("2026-03-02", "2026-03-03", "2026-03-04"):
        await world.swim("ann", 1, at=f"{date}T00:00:00Z")
        await world.swim("ann", 10, at=f"{date}T23:59:59.999999Z")
    world.at("2026-03-05T00:00:00Z")
    outcome = await world.swim("ann", 100)
    assert (outcome.total, list(outcome.boards)) == (133 * MICROS, [])
    assert await world.standings(board) == [(1, "ann", 22 * MICROS)]


@pytest.mark.parametrize(
    ("start_time", "end_time", "counted"),
    [
        (None, None, "abcdef"),
        ("09:00", None, "cdef"),
        (None, "17:30:30", "abcd"),
        ("09:00", "17:30:30", "cd"),
        ("08:59:59", "09:00", "b"),
    ],
)
async def test_the_daily_window_includes_its_start_and_excludes_its_end(
    world: LedgerWorld, start_time: str | None, end_time: str | None, counted: str
) -> None:
    """By the user's clock; outside of it only the total grows."""
    board = make_board(start_time=start_time, end_time=end_time)
    await world.follow(board)
    times = ["00:00:00", "08:59:59.999999", "09:00:00", "17:30:29.999999", "17:30:30", "23:59:59.999999"]
    world.at("2026-03-05T12:00:00Z")
    for user_id, time in zip("abcdef", times, strict=True):
        outcome = await world.swim(user_id, 1, at=f"2026-03-04T{time}-05:00", tz="America/New_York")
        assert outcome.total == MICROS
    assert "".join(sorted(await world.order(board))) == counted


async def test_a_user_outside_the_window_keeps_the_value_of_before(world: LedgerWorld) -> None:
    """And the outcome does not mention the board."""
    board = make_board(start_time="09:00", end_time="13:00")
    await world.follow(board)
    await world.swim("ann", 1)
    world.at("2026-03-04T13:00:00Z")
    assert list((await world.swim("ann", 5)).boards) == []
    assert await world.standings(board) == [(1, "ann", MICROS)]


@pytest.mark.parametrize(
    ("unit", "start", "expected"),
    [
        ("month", "2026-01-31", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]),
        ("year", "2024-02-29", ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
    ],
)
async def test_months_and_years_are_added_to_the_first_day(
    world: LedgerWorld, unit: str, start: str, expected: list[str]
) -> None:
    """Clamped to the month, and never drifting."""
    board = make_board(3, "calendar", run_unit=unit, run_interval=1, start=day(start))
    await world.follow(board)
    world.at("2028-12-31T00:00:00Z")
    for first in expected:
        await world.swam("ann", 1, f"{first}T00:00:00Z")
    assert [run.start for run in await world.ledger.runs(3)] == [day(first) for first in expected]


async def test_only_active_boards_are_told(world: LedgerWorld) -> None:
    """An event may count before the opening and after the end; its answer tells of neither."""
    scheduled = make_board(3, "scheduled", start=day("2026-03-10"))
    ended = make_board(4, "ended", end=day("2026-03-05"), late_events="revise")
    await world.follow(scheduled, ended)
    world.at("2026-03-07T12:00:00Z")
    outcome = await world.swim("ann", 1, at="2026-03-05T12:00:00Z")
    assert list(outcome.boards) == []
    await world.ledger.settle()
    assert await world.order(ended) == ["ann"]
    world.at("2026-03-09T10:00:00Z")
    assert [board.board.key for board in (await world.swim("ann", 1, tz="Pacific/Kiritimati")).boards] == ["scheduled"]


async def test_runs_survive_a_restart(world: LedgerWorld) -> None:
    """Each with its own values."""
    await world.follow(WEEKLY, DAILY)
    for at in ("2026-03-03T12:00:00Z", "2026-03-04T12:00:00Z"):
        await world.swim("ann", 1, at=at)
    before = [await world.ledger.runs(number) for number in (1, 2)]
    await world.restart()
    assert [await world.ledger.runs(number) for number in (1, 2)] == before
    assert await world.standings(WEEKLY) == [(1, "ann", 2 * MICROS)]
    assert await world.standings(DAILY) == [(1, "ann", MICROS)]
