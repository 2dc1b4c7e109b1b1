"""Points as a ledger pays and keeps them: by the schemes in force, once, and ranked like anything else.

What an event earns is told in `tests/unit/domain/test_points.py`; here it is that the ledger does so, and remembers.
"""

from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.board import Board
from palmares.domain.errors import Invalid, NotAllowed
from palmares.domain.points import PointsSystem, schemes_of
from palmares.domain.streak import at
from palmares.domain.value import MICROS
from palmares.ledger.contract import Award, Outcome
from tests.ledger_world import LedgerWorld, placed, swam, swim
from tests.world import HOURS, LAPS, LEVEL, POOL, STROKE, day, make_board, make_system, make_trigger

pytestmark = pytest.mark.anyio

GOLD = make_system(make_trigger())
GOLD_AND_SILVER = [GOLD, make_system(make_trigger(2, points=1, threshold=4), number=2, key="silver")]


def board_of(system: PointsSystem, number: int = 1, **fields: Any) -> Board:
    made: dict[str, Any] = {"rank_by": "points", "metric": None, "points_system": system.counter}
    return make_board(number, f"best-{number}", **made | fields)


async def pay_by(world: LedgerWorld, *systems: PointsSystem) -> None:
    await world.set_points(*schemes_of(systems))


async def points(world: LedgerWorld, user_id: str, system: PointsSystem = GOLD) -> int:
    """The user's points, which are whole."""
    total, rest = divmod(await world.total(user_id, system.counter), MICROS)
    assert not rest
    return total


def gained(found: Outcome | list[Award]) -> list[tuple[int, int]]:
    """What each award gave, and the points after it."""
    awards = found.awards if isinstance(found, Outcome) else found
    return [(award.amount // MICROS, award.total // MICROS) for award in awards]


async def newest(world: LedgerWorld, user_id: str, limit: int = 100, system: PointsSystem = GOLD) -> list[Award]:
    return await world.ledger.awards(await world.user(user_id), system.counter, limit)


# Earning


async def test_each_threshold_that_a_total_crosses_is_paid_for(world: LedgerWorld) -> None:
    await pay_by(world, GOLD)
    outcomes = [await world.swim("ann", laps) for laps in ("9", "0.5", "0.5", "35", "-15", "0")]

    assert [gained(outcome) for outcome in outcomes] == [[], [], [(5, 5)], [(15, 20)], [(-5, 15)], []]
    assert await points(world, "ann") == 15
    assert await world.total("ann") == 30 * MICROS


async def test_an_award_tells_its_system_its_trigger_and_when_it_was(world: LedgerWorld) -> None:
    await pay_by(world, GOLD)
    outcome = await world.swim("ann", 10, "2026-03-03T08:00:00Z")

    [award] = outcome.awards
    occurred_at = world.clock() - 28 * 3600 * MICROS
    assert award._replace(id="") == Award(
        "", GOLD.counter.number, GOLD.triggers[0].id, 5 * MICROS, 5 * MICROS, occurred_at
    )
    assert award.id not in ("", outcome.event_id)
    assert await newest(world, "ann") == [award]


async def test_all_triggers_of_all_systems_are_paid_by(world: LedgerWorld) -> None:
    """In the order in which they are given, each on what the one before has left."""
    gold = replace(GOLD, triggers=(make_trigger(), make_trigger(2, points=-1, threshold=5)))
    silver = make_system(make_trigger(3, points=2, threshold=1), make_trigger(4, metric=HOURS), number=2, key="silver")
    await pay_by(world, gold, silver)
    outcome = await world.swim("ann", 11)

    assert [award.trigger for award in outcome.awards] == [
        trigger.id for trigger in (*gold.triggers, silver.triggers[0])
    ]
    assert gained(outcome) == [(5, 5), (-2, 3), (22, 22)]
    assert [await points(world, "ann", system) for system in (gold, silver)] == [3, 22]


async def test_only_events_and_users_that_match_every_filter_are_paid_for(world: LedgerWorld) -> None:
    """The user's attributes are those behind the event, which may bring them itself."""
    trigger = make_trigger(user_filters=((POOL, "east"), (LEVEL, "pro")), event_filters=((STROKE, "free"),))
    await pay_by(world, make_system(trigger))
    east = {"attributes": {"pool": "east"}}
    stories = [
        ({}, None),
        (east, {"stroke": "free"}),
        ({"attributes": {"level": "pro"}}, {"stroke": "back"}),
        ({}, None),
    ]
    for changes, attributes in stories:
        [outcome] = await world.record(replace(swim("ann", 10), changes=changes, attributes=attributes))
        assert outcome.awards == []
    [outcome] = await world.record(replace(swim("ann", 10), attributes={"stroke": "free", "other": "x"}))
    assert gained(outcome) == [(5, 5)]


async def test_the_limit_of_a_system_caps_the_points_of_a_user(world: LedgerWorld) -> None:
    await pay_by(world, replace(GOLD, max_points=12))
    outcomes = [await world.swim("ann", laps) for laps in (20, 20, 20, -10, 20)]

    assert [gained(outcome) for outcome in outcomes] == [[(10, 10)], [(2, 12)], [], [(-5, 7)], [(5, 12)]]


async def test_events_of_one_request_see_the_points_of_those_before(world: LedgerWorld) -> None:
    await pay_by(world, replace(GOLD, max_points=12))
    board = board_of(GOLD)
    await world.follow(board)
    outcomes = await world.record(swim("ann", 10), swim("bob", 10), swim("ann", 15), swim("ann", 5))

    assert [gained(outcome) for outcome in outcomes] == [[(5, 5)], [(5, 5)], [(5, 10)], [(2, 12)]]
    assert await world.standings(board) == [(1, "ann", 12 * MICROS), (2, "bob", 5 * MICROS)]


async def test_a_replayed_event_is_not_paid_for_again(world: LedgerWorld) -> None:
    await pay_by(world, GOLD)
    await world.follow(board_of(GOLD))
    first, second = await world.swim("ann", 10, key="k"), await world.swim("ann", 10, key="k")

    assert (gained(first), second.replayed, gained(second), list(second.boards)) == ([(5, 5)], True, [], [])
    assert await points(world, "ann") == 5


async def test_a_refused_request_leaves_no_points(world: LedgerWorld) -> None:
    await pay_by(world, GOLD)
    with pytest.raises(Invalid):
        await world.record(swim("ann", 10), swim("ann", 10), swim("bob", 1, tz="nowhere"))

    assert await world.ledger.user(1, "ann") is None
    assert gained(await world.swim("ann", 10)) == [(5, 5)]


async def test_an_event_that_leads_points_out_of_range_is_refused(world: LedgerWorld) -> None:
    await pay_by(world, make_system(make_trigger(points=2**31 - 1, threshold=1)))
    with pytest.raises(Invalid, match="out of range"):
        await world.swim("ann", 9_000_000)

    assert gained(await world.swim("ann", 1)) == [(2**31 - 1, 2**31 - 1)]


async def test_a_trigger_may_block_who_is_out_of_points(world: LedgerWorld) -> None:
    """Another one takes the points below zero."""
    costs = make_trigger(2, metric=HOURS, points=-3, threshold=1)
    await pay_by(world, replace(GOLD, triggers=(make_trigger(), replace(costs, block_if_out_of_points=True))))
    await world.swim("ann", 10)
    [outcome] = await world.record(swim("ann", 1, metric=HOURS))
    assert gained(outcome) == [(-3, 2)]
    with pytest.raises(NotAllowed):
        await world.record(swim("ann", 1, metric=HOURS))
    assert (await world.total("ann", HOURS), await points(world, "ann")) == (MICROS, 2)

    await pay_by(world, replace(GOLD, triggers=(costs,)))
    [outcome] = await world.record(swim("ann", 1, metric=HOURS))
    assert gained(outcome) == [(-3, -1)]


# The schemes in force


async def test_what_was_paid_stays_when_others_are_paid_by(world: LedgerWorld) -> None:
    """Totals go on counting while nothing pays for them."""
    await pay_by(world, GOLD)
    await world.swim("ann", 12)
    await pay_by(world)
    assert (await world.swim("ann", 12)).awards == []
    await pay_by(world, make_system(make_trigger(points=7)))

    assert gained(await world.swim("ann", 6)) == [(7, 12)]
    assert gained(await newest(world, "ann")) == [(7, 12), (5, 5)]


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_the_schemes_in_force_survive(world: LedgerWorld, how: str) -> None:
    """With what was paid by them, and by those before."""
    await pay_by(world, GOLD)
    await world.swim("ann", 12)
    await pay_by(world, *GOLD_AND_SILVER)
    await world.reopen(how)

    assert gained(await world.swim("ann", 10)) == [(5, 10), (2, 2)]
    await world.reopen(how)
    assert gained(await newest(world, "ann")) == [(5, 10), (5, 5)]
    assert [await points(world, "ann", system) for system in GOLD_AND_SILVER] == [10, 2]


async def test_the_log_tells_which_schemes_held_when(world: LedgerWorld) -> None:
    """Only changes are told; and of every award what earned it."""
    for systems in ([GOLD], [GOLD], GOLD_AND_SILVER, [], []):
        await pay_by(world, *systems)
        await world.swim("ann", 10)
    records = await world.ledger.records(0, 100)

    kinds = "".join(record.kind[0] if record.metric != -1 and record.metric != -2 else "a" for record in records)
    assert kinds == "p" + "uea" + "ea" + "p" + "eaa" + "p" + "e" + "e"
    changes = [record for record in records if record.kind == "points"]
    assert [(record.scope, record.user) for record in changes] == [(1, 0)] * 3
    assert ["silver" in (record.body or "") for record in changes] == [False, True, False]
    assert '"trigger"' in (records[3].body or "")


async def test_scopes_pay_by_schemes_of_their_own(world: LedgerWorld) -> None:
    await pay_by(world, GOLD)
    await world.ledger.set_points(2, schemes_of([make_system(make_trigger(metric=replace(LAPS, number=7)), number=2)]))
    await pay_by(world)

    assert (await world.swim("ann", 10)).awards == []
    [outcome] = await world.ledger.record([replace(swim("ann", 10, metric=replace(LAPS, number=7)), scope=2)])
    assert gained(outcome) == [(5, 5)]


# What is kept


async def test_the_newest_awards_come_first(world: LedgerWorld) -> None:
    """Newest by when they happened on the user's clock, in whatever order they came."""
    await pay_by(world, GOLD)
    for at_hour in ("08", "10", "09", "10"):
        await world.swim("ann", 10, f"2026-03-04T{at_hour}:00:00Z")
    await world.swim("bob", 10)

    assert gained(await newest(world, "ann")) == [(5, 20), (5, 10), (5, 15), (5, 5)]
    assert gained(await newest(world, "ann", 2)) == [(5, 20), (5, 10)]
    await world.restart()
    await world.swim("ann", 10, "2026-03-04T09:30:00Z")
    assert gained(await newest(world, "ann", 3)) == [(5, 20), (5, 10), (5, 25)]
    assert await newest(world, "ann", 3, make_system(number=2)) == []


async def test_days_tell_what_points_they_gave(world: LedgerWorld) -> None:
    await pay_by(world, GOLD)
    for laps, instant in ((20, "2026-03-03T08:00:00Z"), (-5, "2026-03-03T20:00:00Z"), (25, "2026-03-04T08:00:00Z")):
        await world.swim("ann", laps, instant)
    found = await world.ledger.days(await world.user("ann"), GOLD.counter, day("2026-03-01"), day("2026-03-04"))

    assert [(one.day, one.change // MICROS) for one in found] == [(day("2026-03-03"), 5), (day("2026-03-04"), 15)]


async def test_awards_count_for_no_streak(world: LedgerWorld) -> None:
    """An event that takes laps is none that counts, though it earns points."""
    await pay_by(world, make_system(make_trigger(points=-5)))
    board = make_board(1, rank_by="streak", metric=None)
    await world.follow(board)
    outcome = await world.swim("ann", -1)

    assert gained(outcome) == [(5, 5)]
    assert (outcome.streak.length, outcome.streak_extended) == (0, False)
    for change in ({"customization_enabled": True}, {"frequency": "weekly"}, {"frequency": "daily"}):
        await world.set_streaks(**change)
        await world.change("ann", tz="Asia/Tokyo")
        await world.change("ann", tz=None)
        assert at(await world.ledger.streak(await world.user("ann")), world.clock()).length == 0
        assert await world.ledger.counted_periods(await world.user("ann")) == []
        assert await world.standings(board) == []
    assert await world.ledger.streak_rankings(1, "longest", 10) == []


# Boards by points


async def test_a_board_by_points_ranks_who_earned_any(world: LedgerWorld) -> None:
    """From the first award on, whatever its sign; the outcome of the event tells the ranks."""
    board = board_of(GOLD, run_unit="day", run_interval=7)
    await world.follow(board)
    await pay_by(world, GOLD)
    outcomes = [await world.swim(user, laps) for user, laps in (("ann", 10), ("bob", 9), ("bob", 11), ("cat", -1))]

    assert [placed(outcome) for outcome in outcomes] == [
        {"best-1": (None, 1)}, {}, {"best-1": (None, 1)}, {"best-1": (None, 3)},
    ]  # fmt: skip
    assert await world.standings(board) == [(1, "bob", 10 * MICROS), (2, "ann", 5 * MICROS), (3, "cat", -5 * MICROS)]


async def test_several_awards_of_one_event_are_one_step_up(world: LedgerWorld) -> None:
    """The rank before is that before the event; each award still counts by itself."""
    system = replace(GOLD, triggers=(make_trigger(), make_trigger(2, points=-1, threshold=5)))
    boards = [board_of(system, 1), board_of(system, 2, aggregation="min"), board_of(system, 3, aggregation="count")]
    await world.follow(*boards)
    await pay_by(world, system)
    await world.swim("bob", 20)
    await world.swim("ann", 10)
    outcome = await world.swim("ann", 30)

    assert placed(outcome) == {"best-1": (2, 1), "best-2": (1, 2), "best-3": (1, 1)}
    values = [{row.user_id: row.value // MICROS for row in await world.standings(board)} for board in boards]
    assert values == [{"ann": 12, "bob": 6}, {"ann": -6, "bob": -4}, {"ann": 4, "bob": 2}]


@pytest.mark.parametrize("aggregation", ["sum", "last", "max"])
async def test_a_board_by_points_may_come_after_its_events(world: LedgerWorld, aggregation: str) -> None:
    """Groups, runs, late events and days are those of a board that was there from the start."""
    fields: dict[str, Any] = {
        "breakdown": (POOL,), "run_unit": "day", "run_interval": 1, "late_events": "revise", "aggregation": aggregation,
    }  # fmt: skip
    early, late = board_of(GOLD, 1, **fields), board_of(GOLD, 2, **fields)
    await world.follow(early)
    await pay_by(world, replace(GOLD, triggers=(make_trigger(), make_trigger(2, points=-1, threshold=7))))
    await world.swim("ann", 25, "2026-03-03T09:00:00Z", attributes={"pool": "east"})
    await world.swim("bob", 15, attributes={"pool": "west"})
    await world.swim("ann", 30, attributes={"pool": "west"})
    await world.advance("2026-03-06T12:00:00Z")
    await world.swim("ann", 10, "2026-03-04T08:00:00Z")
    await world.record(swam("bob", 50, "2026-03-03T08:00:00Z"))
    await world.ledger.settle()
    await world.follow(late)

    for on in ("2026-03-03", "2026-03-04", "2026-03-06"):
        groups = [("east",), ("west",)]
        assert await world.standings(late, *groups, on=on) == await world.standings(early, *groups, on=on)
        for user in ("ann", "bob"):
            assert await world.history(late, user, on) == await world.history(early, user, on)
    found = [(row.user_id, row.value // MICROS) for row in await world.standings(early, ("west",), on="2026-03-04")]
    if aggregation == "sum":
        assert found == [("ann", 14), ("bob", 3)]


async def test_late_awards_are_ignored_and_counted_where_a_board_says_so(world: LedgerWorld) -> None:
    board = board_of(GOLD, run_unit="day", run_interval=1)
    await world.follow(board)
    await pay_by(world, GOLD)
    await world.swim("ann", 10)
    await world.advance("2026-03-06T12:00:00Z")
    outcome = await world.swim("ann", 10, "2026-03-04T10:00:00Z")

    assert (gained(outcome), placed(outcome)) == ([(5, 10)], {})
    assert (await world.state(board)).ignored_late_events == 1
    assert await world.standings(board) == [(1, "ann", 5 * MICROS)]


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_a_board_by_points_survives(world: LedgerWorld, how: str) -> None:
    """Whether it is read from a checkpoint or made from the log."""
    board = board_of(GOLD, breakdown=(POOL,))
    await world.follow(board)
    await pay_by(world, *GOLD_AND_SILVER)
    for user, laps in (("ann", 10), ("bob", 40), ("ann", 60)):
        await world.swim(user, laps, attributes={"pool": "east"})
    before = await world.rows(board, ("east",))
    assert [row.user_id for row in before] == ["ann", "bob"]
    for _ in range(2):
        await world.reopen(how)
        assert await world.rows(board, ("east",)) == before


async def test_the_window_of_a_board_leaves_awards_out_but_not_points(world: LedgerWorld) -> None:
    board = board_of(GOLD, start_time="13:00")
    await world.follow(board)
    await pay_by(world, GOLD)

    assert (gained(await world.swim("ann", 10)), await world.standings(board)) == ([(5, 5)], [])
    world.at("2026-03-04T13:00:00Z")
    await world.swim("ann", 10)
    assert await world.standings(board) == [(1, "ann", 5 * MICROS)]
