"""Events that come later than they happened: in a run that is live the outcome is that of the order in which they
happened, and one that is final ignores them or is revised, as its board says."""

import asyncio
from dataclasses import replace
from itertools import permutations
from typing import Any, get_args

import pytest

from palmares.domain.board import Aggregation
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.value import MICROS
from palmares.ledger.contract import Outcome
from tests.ledger_world import LedgerWorld, placed, run_on, swim
from tests.world import HOURS, LAPS, LEVEL, POOL, day, make_board

pytestmark = pytest.mark.anyio

AGGREGATIONS = get_args(Aggregation)
BOARDS = [make_board(number, key, aggregation=key) for number, key in enumerate(AGGREGATIONS, 1)]
# (minute, laps): a standstill, a return to zero, the same peak twice, and at the end a value that was there before.
HAPPENED = [(1, 2), (2, -2), (3, 0), (4, 3), (5, 3)]


def time(minute: int) -> str:
    return f"2026-03-04T11:{minute:02}:00Z"


async def test_any_order_of_arrival_gives_the_same_standings(world: LedgerWorld) -> None:
    """For all aggregations, times of ties included: each rival equals one order of arrival."""
    await world.follow(*BOARDS)
    arrivals = list(permutations(HAPPENED))[::7]
    for place, arrival in enumerate(arrivals):
        for minute, laps in arrival:
            await world.swim(f"user-{place:02}", laps, at=time(minute))
    for board in BOARDS:
        standings = await world.standings(board)
        assert len({standing.value for standing in standings}) == 1
        # Equal values reached at equal times are in the order of ids.
        assert [standing.user_id for standing in standings] == sorted(standing.user_id for standing in standings)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
async def test_the_time_of_the_value_is_when_it_happened(world: LedgerWorld, aggregation: str) -> None:
    """Between two with the same value, the one who reached it earlier stands higher, whoever's events came first."""
    board = make_board(aggregation=aggregation)
    await world.follow(board)
    await world.swim("later", 5, at=time(2))
    await world.swim("earlier", 5, at=time(1))
    assert await world.order(board) == ["earlier", "later"]


async def test_the_last_value_is_that_of_the_latest_time(world: LedgerWorld) -> None:
    """What comes late does not overwrite what happened after it."""
    board = make_board(aggregation="last")
    await world.follow(board)
    await world.swim("ann", 5, at=time(9))
    outcome = await world.swim("ann", 7, at=time(3))
    assert await world.standings(board) == [(1, "ann", 5 * MICROS)]
    assert outcome.total == 12 * MICROS


async def test_events_of_one_instant_are_in_the_order_of_the_log(world: LedgerWorld) -> None:
    """The last recorded is the last."""
    board = make_board(aggregation="last")
    await world.follow(board)
    await world.record(swim("ann", 5, at=time(1)), swim("ann", 6, at=time(1)))
    await world.swim("ann", 7, at=time(1))
    assert await world.standings(board) == [(1, "ann", 7 * MICROS)]


async def test_a_late_event_lands_in_the_run_in_which_it_happened(world: LedgerWorld) -> None:
    """Not in that of today, as long as the run is not final."""
    weekly = make_board(run_unit="day", run_interval=7)
    await world.follow(weekly)
    world.at("2026-03-09T11:59:59Z")
    await world.swim("ann", 1)
    outcome = await world.swim("ann", 5, at="2026-03-04T12:00:00Z")
    assert outcome.boards[0].run.start == weekly.start
    assert placed(outcome) == {weekly.key: (None, 1)}
    assert await world.standings(weekly, on="2026-03-09") == [(1, "ann", MICROS)]
    assert await world.standings(weekly, on="2026-03-04") == [(1, "ann", 5 * MICROS)]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
async def test_late_events_within_one_list(world: LedgerWorld, aggregation: str) -> None:
    """A list may be in any order too, and entries before in the list count like recorded ones."""
    board = make_board(aggregation=aggregation)
    await world.follow(board)
    await world.record(*(swim("listed", laps, at=time(minute)) for minute, laps in reversed(HAPPENED)))
    for minute, laps in HAPPENED:
        await world.swim("single", laps, at=time(minute))
    listed, single = await world.standings(board)
    assert (listed.user_id, single.user_id) == ("listed", "single")
    assert listed.value == single.value


async def test_late_events_are_the_same_after_a_restart(world: LedgerWorld) -> None:
    """What was recorded before the restart counts for what comes late behind it."""
    await world.follow(*BOARDS)
    for minute, laps in HAPPENED[1:4:2]:
        await world.swim("ann", laps, at=time(minute))
    await world.restart()
    for minute, laps in reversed(HAPPENED[::2]):
        await world.swim("ann", laps, at=time(minute))
    for minute, laps in HAPPENED:
        await world.swim("zoe", laps, at=time(minute))
    for board in BOARDS:
        ann, zoe = await world.standings(board)
        assert (ann.user_id, ann.value) == ("ann", zoe.value)


async def test_a_late_event_of_one_who_takes_no_part_counts_all_the_same(world: LedgerWorld) -> None:
    """The value is whole when the user joins."""
    board = make_board(aggregation="last", filters=((LEVEL, "pro"),))
    await world.follow(board)
    await world.swim("ann", 5, at=time(9))
    await world.swim("ann", 7, at=time(3))
    await world.change("ann", attributes={"level": "pro"})
    assert await world.standings(board) == [(1, "ann", 5 * MICROS)]


async def test_a_late_event_outside_the_daily_window_is_left_out(world: LedgerWorld) -> None:
    """Also when all events of the run have to be taken together again."""
    board = make_board(aggregation="last", start_time="09:00", end_time="13:00")
    await world.follow(board)
    await world.swim("ann", 5, at="2026-03-04T10:00:00Z")
    await world.swim("ann", 6, at="2026-03-04T08:00:00Z")
    await world.swim("ann", 7, at="2026-03-04T09:30:00Z")
    assert await world.standings(board) == [(1, "ann", 5 * MICROS)]


# Too late: the week from 2026-03-02 is final at noon on the 9th.

IGNORING = make_board(11, "ignoring", run_unit="day", run_interval=7)
REVISING = make_board(12, "revising", run_unit="day", run_interval=7, late_events="revise")
WHOLE = make_board(13, "whole")
GROUPED = make_board(14, "grouped", run_unit="day", run_interval=7, late_events="revise", breakdown=(POOL,))
EAST, WEST = ("east",), ("west",)
IN_TIME, CLOSING, LATE = "2026-03-04T12:00:00Z", "2026-03-09T12:00:00Z", "2026-03-10T12:00:00Z"


async def swim_late(world: LedgerWorld, user_id: str, laps: int, **changes: Any) -> Outcome:
    """Something of the first day is uploaded when the week is final."""
    world.at(LATE)
    outcome = await world.swim(user_id, laps, at=IN_TIME, **changes)
    await world.ledger.settle()
    return outcome


async def test_an_event_is_late_from_the_instant_on_at_which_its_run_is_final(world: LedgerWorld) -> None:
    """Up to the microsecond before, it is none."""
    await world.follow(IGNORING)
    world.at("2026-03-09T11:59:59.999999Z")
    await world.swim("ann", 1, at=IN_TIME)
    world.at(CLOSING)
    await world.swim("ann", 2, at=IN_TIME)
    assert await world.standings(IGNORING) == [(1, "ann", MICROS)]
    assert await world.state(IGNORING) == (True, 0, 1)


async def test_an_ignored_event_counts_in_totals_only(world: LedgerWorld) -> None:
    """It is stored like any other, and its answer does not mention the board."""
    await world.follow(IGNORING)
    await world.swim("ann", 3)
    outcome = await swim_late(world, "ann", 4)
    assert (outcome.total, list(outcome.boards)) == (7 * MICROS, [])
    assert await world.total("ann") == 7 * MICROS
    ann = await world.user("ann")
    assert await world.ledger.days(ann, LAPS, day("2026-03-04"), day("2026-03-04")) == [(day("2026-03-04"), 7 * MICROS)]
    assert await world.standings(IGNORING) == [(1, "ann", 3 * MICROS)]
    assert [line.laps for line in await world.history(IGNORING, "ann")] == [3] * 6


async def test_ignored_events_are_counted_by_run(world: LedgerWorld) -> None:
    """Those of everybody, but only those that would have counted."""
    morning = replace(IGNORING, number=15, start_time="06:00", end_time="11:00")
    await world.follow(IGNORING, morning)
    await world.swim("ann", 3)
    world.at("2026-03-20T12:00:00Z")
    for user_id, at in [("ann", "03-04"), ("ben", "03-08"), ("ben", "03-01"), ("ann", "03-11"), ("ben", "03-18")]:
        await world.swim(user_id, 1, at=f"2026-{at}T12:00:00Z")
    await world.record(swim("ann", 1, at=IN_TIME, metric=HOURS))
    await world.ledger.settle()
    dates = ["2026-03-04", "2026-03-11", "2026-03-18"]
    assert [(await world.state(IGNORING, on=date)).ignored_late_events for date in dates] == [2, 1, 0]
    assert [(await world.state(morning, on=date)).ignored_late_events for date in dates] == [0, 0, 0]
    assert await world.order(IGNORING, on="2026-03-18") == ["ben"]


async def test_a_revised_run_counts_what_came_late(world: LedgerWorld) -> None:
    """All of its ranks are right again, and it says that it was revised."""
    await world.follow(REVISING)
    await world.record(swim("ann", 3), swim("bob", 2), swim("cat", 1))
    await world.advance(CLOSING)
    assert await world.state(REVISING) == (True, 0, 0)
    outcome = await swim_late(world, "cat", 2, name="Cat")
    assert list(outcome.boards) == []
    assert await world.standings(REVISING) == [(1, "ann", 3 * MICROS), (2, "cat", 3 * MICROS), (3, "bob", 2 * MICROS)]
    assert await world.place(REVISING, "bob") == (2, 3, 2 * MICROS)
    assert await world.state(REVISING) == (True, 1, 0)
    await swim_late(world, "bob", 2)
    assert await world.order(REVISING) == ["bob", "ann", "cat"]
    assert await world.state(REVISING) == (True, 2, 0)


async def test_late_events_that_come_together_are_all_counted(world: LedgerWorld) -> None:
    """In however many revisions."""
    await world.follow(REVISING)
    await world.swim("ann", 3)
    world.at(LATE)
    requests = [
        [swim(f"user-{number}", 1, at=f"2026-03-04T{hour:02}:00:00Z") for hour in range(3)] for number in range(5)
    ]
    await asyncio.gather(*(world.record(*request) for request in requests))
    await world.ledger.settle()
    assert {standing.value for standing in await world.standings(REVISING)} == {3 * MICROS}
    assert len(await world.standings(REVISING)) == 6
    assert 1 <= (await world.state(REVISING)).revision <= 15


async def test_other_runs_stay_when_one_is_revised(world: LedgerWorld) -> None:
    """Those that are final and those that go on."""
    await world.follow(REVISING)
    for at in ("2026-03-04T12:00:00Z", "2026-03-11T12:00:00Z", "2026-03-18T12:00:00Z"):
        world.at(at)
        await world.swim("ann", 3)
    await world.swim("ann", 4, at="2026-03-11T13:00:00Z")
    await world.ledger.settle()
    dates = ["2026-03-04", "2026-03-11", "2026-03-18"]
    assert [await world.standings(REVISING, on=date) for date in dates] == [
        [(1, "ann", laps * MICROS)] for laps in (3, 7, 3)
    ]
    assert [await world.state(REVISING, on=date) for date in dates] == [(True, 0, 0), (True, 1, 0), (False, 0, 0)]
    await world.swim("ann", 1)
    assert await world.standings(REVISING, on="2026-03-18") == [(1, "ann", 4 * MICROS)]


async def test_an_event_may_be_late_here_and_in_time_there(world: LedgerWorld) -> None:
    """Its answer tells of the boards on which it counted at once."""
    await world.follow(IGNORING, REVISING, WHOLE)
    await world.swim("ann", 3)
    outcome = await swim_late(world, "ann", 4)
    assert placed(outcome) == {"whole": (1, 1)}
    assert [(await world.standings(board))[0].value for board in (IGNORING, REVISING, WHOLE)] == [
        3 * MICROS,
        7 * MICROS,
        7 * MICROS,
    ]


async def test_a_late_event_counts_in_the_group_of_the_end(world: LedgerWorld) -> None:
    """Wherever its user is now."""
    await world.follow(GROUPED)
    await world.record(swim("ann", 3, attributes={"pool": "east"}), swim("bob", 4, attributes={"pool": "east"}))
    world.at(CLOSING)
    await world.change("ann", attributes={"pool": "west"})
    await swim_late(world, "ann", 2, attributes={"pool": None})
    assert await world.standings(GROUPED, EAST) == [(1, "ann", 5 * MICROS), (2, "bob", 4 * MICROS)]
    assert await world.standings(GROUPED, WEST) == []


async def test_who_came_after_the_end_is_taken_as_first_known(world: LedgerWorld) -> None:
    """Also when the event comes long after that."""
    await world.follow(GROUPED)
    await world.swim("ann", 3, attributes={"pool": "east"})
    world.at(CLOSING)
    await world.change("bob", attributes={"pool": "west"})
    await world.change("bob", attributes={"pool": "east"})
    await swim_late(world, "bob", 9)
    await swim_late(world, "cat", 1, attributes={"pool": "west"})
    assert await world.standings(GROUPED, EAST) == [(1, "ann", 3 * MICROS)]
    assert await world.standings(GROUPED, WEST) == [(1, "bob", 9 * MICROS), (2, "cat", MICROS)]
    assert sorted(await world.ledger.groups(14, run_on(GROUPED, "2026-03-04"))) == [EAST, WEST]


async def test_a_run_that_nobody_had_joined_can_be_revised(world: LedgerWorld) -> None:
    """From then on it is among the runs."""
    await world.follow(REVISING)
    await swim_late(world, "ann", 3)
    assert await world.ledger.runs(12) == [run_on(REVISING, "2026-03-04")]
    assert await world.standings(REVISING) == [(1, "ann", 3 * MICROS)]
    assert await world.history(REVISING, "ann") == [("03-09", 1, 3)]


async def test_days_that_were_over_stay_and_the_last_shows_the_revised_end(world: LedgerWorld) -> None:
    """The late event counts as if it had come in the last moment."""
    await world.follow(REVISING)
    await world.record(swim("ann", 3), swim("bob", 2))
    await swim_late(world, "bob", 2)
    days = [f"03-{date:02}" for date in range(4, 9)]
    assert await world.history(REVISING, "bob") == [*((date, 2, 2) for date in days), ("03-09", 1, 4)]
    assert await world.history(REVISING, "ann") == [*((date, 1, 3) for date in days), ("03-09", 2, 3)]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
async def test_a_late_event_is_taken_where_it_happened(world: LedgerWorld, aggregation: str) -> None:
    """Between the others, for every aggregation, with the time that ties go by."""
    board = replace(REVISING, aggregation=aggregation)
    await world.follow(board)
    for minute, laps in HAPPENED:
        await world.swim("whole", laps, at=time(minute))
    for minute, laps in HAPPENED[::2]:
        await world.swim("late", laps, at=time(minute))
    world.at(LATE)
    for minute, laps in reversed(HAPPENED[1::2]):
        await world.swim("late", laps, at=time(minute))
    await world.ledger.settle()
    late, whole = await world.standings(board)
    assert (late.user_id, whole.user_id) == ("late", "whole")
    assert late.value == whole.value


async def test_who_was_outside_the_cap_comes_in_with_everything(world: LedgerWorld) -> None:
    """What was earned in time and late together, and somebody else falls out."""
    capped = replace(REVISING, max_participants=2)
    await world.follow(capped)
    await world.record(swim("ann", 5), swim("bob", 4), swim("cat", 3))
    await swim_late(world, "cat", 3)
    assert await world.standings(capped) == [(1, "cat", 6 * MICROS), (2, "ann", 5 * MICROS)]
    assert await world.place(capped, "bob") is None


async def test_a_late_event_counts_once_however_often_it_is_sent(world: LedgerWorld) -> None:
    """By its idempotency key, ignored or not."""
    await world.follow(IGNORING, REVISING)
    await world.swim("ann", 3)
    world.at(LATE)
    for _ in range(3):
        outcome = await world.swim("ann", 4, at=IN_TIME, key="upload")
    assert outcome.replayed
    await world.ledger.settle()
    assert await world.standings(REVISING) == [(1, "ann", 7 * MICROS)]
    assert (await world.state(IGNORING)).ignored_late_events == 1


async def test_what_is_refused_revises_nothing(world: LedgerWorld) -> None:
    """A late event in a list with one that is refused was never there."""
    await world.follow(IGNORING, REVISING)
    await world.swim("ann", 3)
    world.at(LATE)
    with pytest.raises(Invalid):
        await world.record(swim("ann", 4, at=IN_TIME), swim("bob", 4, at=IN_TIME, tz="nowhere"))
    await world.ledger.settle()
    assert await world.state(REVISING) == await world.state(IGNORING) == (True, 0, 0)
    assert await world.standings(REVISING) == [(1, "ann", 3 * MICROS)]


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_revisions_survive_opening_again(world: LedgerWorld, how: str) -> None:
    """What they brought, that they were, and how many events were ignored."""
    await world.follow(IGNORING, REVISING, GROUPED)
    await world.swim("ann", 3, attributes={"pool": "east"})
    await swim_late(world, "bob", 4, attributes={"pool": "east"})
    for _ in range(2):
        await world.reopen(how)
        await world.ledger.settle()
        assert await world.order(REVISING) == await world.order(GROUPED, EAST) == ["bob", "ann"]
        assert await world.order(IGNORING) == ["ann"]
        assert await world.state(REVISING) == await world.state(GROUPED) == (True, 1, 0)
        assert await world.state(IGNORING) == (True, 0, 1)


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_a_revision_that_was_not_done_yet_is_done_after_opening_again(world: LedgerWorld, how: str) -> None:
    """The event was answered, so it counts."""
    await world.follow(REVISING)
    await world.swim("ann", 3)
    world.at(LATE)
    await world.swim("bob", 4, at=IN_TIME)
    await world.reopen(how)
    await world.ledger.settle()
    assert await world.standings(REVISING) == [(1, "bob", 4 * MICROS), (2, "ann", 3 * MICROS)]
    assert await world.state(REVISING) == (True, 1, 0)


async def test_a_board_that_is_forgotten_before_it_is_revised_is_gone(world: LedgerWorld) -> None:
    """And comes back whole."""
    await world.follow(REVISING)
    await world.swim("ann", 3)
    world.at(LATE)
    await world.swim("bob", 4, at=IN_TIME)
    world.forget(REVISING)
    await world.ledger.settle()
    with pytest.raises(NotFound):
        await world.ledger.runs(12)
    await world.follow(REVISING)
    assert await world.order(REVISING) == ["bob", "ann"]
