"""Points behind a void: a user has earned what the events that are left earn, by the triggers of their time."""

from dataclasses import replace
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.points import PointsSystem, schemes_of
from palmares.domain.value import MICROS
from palmares.ledger.contract import void
from tests.contract.conftest import EmbeddedHome
from tests.ledger_world import CALM, Clock, LedgerWorld, everything, memory_folder, swim
from tests.world import HOURS, LAPS, POOL, STROKE, make_board, make_system, make_trigger

pytestmark = pytest.mark.anyio

GOLD = make_system(make_trigger())
ONE_A_LAP = make_system(make_trigger(points=1, threshold=1))
USERS = ["ann", "bob"]
BEST = make_board(21, "best", rank_by="points", metric=None, points_system=GOLD.counter)
WEEKLY = replace(BEST, number=22, key="weekly", run_unit="day", run_interval=7)
REVISING = replace(WEEKLY, number=23, key="revising", late_events="revise")


async def pay_by(world: LedgerWorld, *systems: PointsSystem) -> None:
    await world.set_points(*schemes_of(systems))


async def swim_then(world: LedgerWorld, user_id: str, laps: int, **given: Any) -> int:
    """Record an event; its position."""
    [outcome] = await world.record(replace(swim(user_id, laps), **given))
    [event] = await world.ledger.events_with(DEFAULT_SCOPE, [outcome.event_id or ""])
    assert event is not None
    return event.position


async def take_back(world: LedgerWorld, *positions: int) -> None:
    await world.record(*(void(DEFAULT_SCOPE, position) for position in positions))
    await world.ledger.settle()


async def awards(world: LedgerWorld, user_id: str) -> list[int]:
    """What each award that stands has given, oldest event first."""
    found = await world.ledger.awards(await world.user(user_id), GOLD.counter, 100)
    return [award.amount // MICROS for award in reversed(found)]


async def points(world: LedgerWorld, user_id: str) -> int:
    return await world.total(user_id, GOLD.counter) // MICROS


@pytest.mark.parametrize(
    ("laps", "place", "left"),
    [
        ([10], 0, []),
        ([10, 10], 0, [5]),
        ([10, 10], 1, [5]),
        # Without the first, the second crosses no multiple of ten, and the third the first one only.
        ([6, 6, 9], 0, [5]),
        ([6, 6, 28], 0, [15]),
        # What had crossed nothing crosses one now.
        ([-4, 10, 4], 0, [5]),
        ([25, -9, 3], 0, [-5]),
        ([9, 30, -30], 1, [-15]),
    ],
)
async def test_points_are_those_of_the_events_that_are_left(
    world: LedgerWorld, laps: list[int], place: int, left: list[int]
) -> None:
    await pay_by(world, GOLD)
    positions = []
    for minute, amount in enumerate(laps):
        world.at(f"2026-03-04T12:{minute:02}:00Z")
        positions.append(await swim_then(world, "ann", amount))
    await take_back(world, positions[place])

    assert await awards(world, "ann") == left
    assert await points(world, "ann") == sum(left)


async def test_what_was_cut_by_the_limit_is_earned_by_others(world: LedgerWorld) -> None:
    await pay_by(world, replace(GOLD, max_points=12))
    first = await swim_then(world, "ann", 20)
    await world.swim("ann", 20)
    assert await points(world, "ann") == 12
    await take_back(world, first)

    assert await awards(world, "ann") == [10]


async def test_each_event_is_paid_by_the_triggers_of_its_time(world: LedgerWorld) -> None:
    """One pays no more, another pays twice as much since; neither changes what came before."""
    await pay_by(world, GOLD)
    first = await swim_then(world, "ann", 3)
    await world.swim("ann", 10)
    await pay_by(world, make_system(make_trigger(2, points=7)))
    await world.swim("ann", 10)
    await pay_by(world)
    await world.swim("ann", 50)
    assert await awards(world, "ann") == [5, 7]
    await take_back(world, first)

    assert await awards(world, "ann") == [5, 7]
    await take_back(world, await swim_then(world, "ann", 10))
    assert await awards(world, "ann") == [5, 7]


async def test_a_system_that_never_paid_for_the_metric_is_left_alone(world: LedgerWorld) -> None:
    """Though its user would not earn the same today."""
    await pay_by(world, make_system(make_trigger(metric=HOURS, user_filters=((POOL, "east"),))))
    await world.record(swim("ann", 10, metric=HOURS, attributes={"pool": "east"}))
    position = await swim_then(world, "ann", 1)
    await world.change("ann", attributes={"pool": "west"})
    await take_back(world, position)

    assert await awards(world, "ann") == [5]


async def test_events_are_judged_by_their_attributes_and_users_by_those_of_now(world: LedgerWorld) -> None:
    """What came before the void event stays as it was paid."""
    await pay_by(world, make_system(make_trigger(points=1, threshold=1, event_filters=((STROKE, "free"),))))
    before = await swim_then(world, "ann", 1, attributes={"stroke": "free"})
    await world.record(replace(swim("ann", 2), attributes={"stroke": "back"}))
    await world.record(replace(swim("ann", 4), attributes={"stroke": "free"}))
    assert await awards(world, "ann") == [1, 4]
    await take_back(world, before)

    assert await awards(world, "ann") == [4]


async def test_what_blocks_events_does_not_block_a_void(world: LedgerWorld) -> None:
    """The events behind it have happened."""
    spending = make_trigger(2, metric=HOURS, points=-5, threshold=1, block_if_out_of_points=True)
    await pay_by(world, make_system(make_trigger(), spending))
    earning = await swim_then(world, "ann", 10)
    await world.record(swim("ann", 1, metric=HOURS))
    assert await points(world, "ann") == 0
    await take_back(world, earning)

    assert await awards(world, "ann") == [-5]


async def test_several_voids_in_one_list_see_each_other(world: LedgerWorld) -> None:
    await pay_by(world, GOLD)
    positions = [await swim_then(world, "ann", laps) for laps in (6, 6, 6, 6)]
    await take_back(world, *positions[:2])

    assert await awards(world, "ann") == [5]
    await take_back(world, *positions[2:])
    assert await awards(world, "ann") == []
    assert await points(world, "ann") == 0


async def test_an_award_is_no_event_that_can_be_void(world: LedgerWorld) -> None:
    """It goes with the event that earned it."""
    await pay_by(world, GOLD)
    await world.swim("ann", 10)
    [award] = [line.position for line in await world.ledger.records(0, 100) if (line.metric or 0) < 0]

    with pytest.raises(Exception, match="there is no such event"):
        await take_back(world, award)


async def test_boards_that_rank_by_points_follow(world: LedgerWorld) -> None:
    """A live run at once; a final one where late events revise it."""
    await pay_by(world, ONE_A_LAP)
    for board in (BEST, WEEKLY, REVISING):
        await world.follow(board)
    position = await swim_then(world, "ann", 7)
    await world.swim("ann", 2)
    await world.swim("bob", 5)
    await world.advance("2026-03-20T12:00:00Z")
    await take_back(world, position)

    assert await world.order(BEST) == ["bob", "ann"]
    assert [(row.user_id, row.value // MICROS) for row in await world.rows(WEEKLY)] == [("ann", 9), ("bob", 5)]
    assert [(row.user_id, row.value // MICROS) for row in await world.rows(REVISING)] == [("bob", 5), ("ann", 2)]


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_points_survive_opening_again(world: LedgerWorld, how: str) -> None:
    """Also when the schemes of then were forgotten since."""
    await pay_by(world, GOLD)
    await world.follow(BEST)
    first = await swim_then(world, "ann", 6)
    await swim_then(world, "ann", 6)
    second = await swim_then(world, "ann", 9)
    await pay_by(world)
    await world.reopen(how)
    await take_back(world, first)
    assert await awards(world, "ann") == [5]
    await world.reopen(how)

    assert await awards(world, "ann") == [5]
    assert [(row.user_id, row.value // MICROS) for row in await world.rows(BEST)] == [("ann", 5)]
    await take_back(world, second)
    assert (await awards(world, "ann"), await world.rows(BEST)) == ([], [])


async def test_a_ledger_with_voids_is_equal_to_one_without_the_events(world: LedgerWorld) -> None:
    """Rankings, runs, totals and points, told by a ledger that never heard of them."""
    story = [(f"2026-03-{day:02}T{day:02}:30:00Z", USERS[day * day % 3], day * 7 % 11 - 2) for day in range(4, 20)]
    left_out = {2, 3, 7, 12}
    boards = [BEST, REVISING, make_board(24, "laps", run_unit="day", run_interval=3, late_events="revise")]

    async def tell(one: LedgerWorld, places: set[int]) -> list[int]:
        await pay_by(one, replace(GOLD, max_points=35, triggers=(make_trigger(threshold=3),)))
        await one.follow(*boards)
        positions = []
        for place, (instant, user_id, laps) in enumerate(story):
            await one.advance(instant)
            if place in places:
                positions.append(await swim_then(one, user_id, laps))
        return positions

    positions = await tell(world, set(range(len(story))))
    await take_back(world, *(positions[place] for place in sorted(left_out)))
    with memory_folder() as folder:
        clock = Clock()
        other = LedgerWorld(EmbeddedHome(CALM, folder, clock), clock)
        await other.open()
        await tell(other, set(range(len(story))) - left_out)
        await other.ledger.settle()
        assert await present(world, boards) == await present(other, boards)
        await other.ledger.close()


async def present(world: LedgerWorld, boards: list[Any]) -> dict[Any, Any]:
    """What is true now; when awards were paid, and so what histories say of their days, is another thing."""
    await world.ledger.advance(world.clock())
    found = await everything(world.ledger, boards, USERS, [LAPS])
    return {key: told for key, told in found.items() if "rankings" in key} | {
        user_id: (await world.total(user_id), await points(world, user_id), await awards(world, user_id))
        for user_id in USERS
    }
