"""Erased users: unknown at once, gone from what is live, anonymous in what was final; nothing of others changes."""

from dataclasses import replace

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.erased import anonymous_id
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry, WantedEvents
from tests.ledger_world import LedgerWorld, placed, run_on, swim
from tests.world import LEVEL, POOL, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board(1, "laps")
DAILY = make_board(2, "daily", run_unit="day", run_interval=1)
POOLS = make_board(3, "pools", run_unit="day", run_interval=1, breakdown=(POOL,), late_events="revise")
STREAKS = make_board(4, "streaks", rank_by="streak", metric=None)
BOARDS = (BOARD, DAILY, POOLS, STREAKS)
EAST, WEST = ("east",), ("west",)
NEXT_DAY, DAY_AFTER = "2026-03-05T13:00:00Z", "2026-03-06T13:00:00Z"


async def anonymous(world: LedgerWorld, user_id: str) -> str:
    """What a user is called from the erasure on."""
    return anonymous_id((await world.user(user_id)).number)


async def swim_in_turn(world: LedgerWorld, **laps: int) -> None:
    """One event each in the east, a minute apart."""
    for user_id, amount in laps.items():
        await world.swim(user_id, amount, attributes={"pool": "east"}, name=user_id.title())
        world.clock.now += 60 * MICROS


async def test_an_erased_user_is_unknown_and_gone_from_what_is_live(world: LedgerWorld) -> None:
    """Ranks close up; the total of others is what it was."""
    await world.follow(*BOARDS)
    await swim_in_turn(world, ann=9, bob=7, cat=5)
    await world.erase("bob")

    assert await world.ledger.user(DEFAULT_SCOPE, "bob") is None
    assert await world.standings(BOARD) == [(1, "ann", 9 * MICROS), (2, "cat", 5 * MICROS)]
    assert await world.order(POOLS, EAST) == await world.order(STREAKS) == ["ann", "cat"]
    assert [row.user_id for row in await world.ledger.streak_rankings(1, "longest", 10)] == ["ann", "cat"]
    assert await world.total("cat") == 5 * MICROS


async def test_the_same_id_is_a_new_user_with_nothing_of_the_old(world: LedgerWorld) -> None:
    """Neither total nor value nor streak, and idempotency keys count anew; a restart makes no difference."""
    await world.follow(*BOARDS)
    await world.swim("ann", 9, key="once", name="Ann", attributes={"pool": "east"})
    first = await world.user("ann")
    await world.erase("ann")
    again = await world.swim("ann", 2, key="once")

    assert (again.created, again.replayed, again.total) == (True, False, 2 * MICROS)
    assert (again.user.number > first.number, again.user.name, again.user.attributes) == (True, None, {})
    assert placed(again)["laps"] == (None, 1)
    await world.reopen("restart")
    await world.reopen("crash")
    assert await world.standings(BOARD) == [(1, "ann", 2 * MICROS)]
    assert (await world.user("ann")).number == again.user.number


async def test_a_run_that_was_final_keeps_its_ranks_with_an_anonymous_row(world: LedgerWorld) -> None:
    """Which resolves to nobody; the run that is live has none."""
    await world.follow(*BOARDS)
    await swim_in_turn(world, ann=9, bob=7, cat=5)
    await world.advance(NEXT_DAY)
    await swim_in_turn(world, ann=1, bob=3)
    bob, cat = await world.user("bob"), await world.user("cat")
    await world.erase("bob")
    await world.advance(DAY_AFTER)

    erased = anonymous_id(bob.number)
    expected = [(1, "ann", 9 * MICROS), (2, erased, 7 * MICROS), (3, "cat", 5 * MICROS)]
    for board, group in ((DAILY, ()), (POOLS, EAST)):
        assert await world.standings(board, group) == expected
        assert [row.user_name for row in await world.rows(board, group)] == ["Ann", None, "Cat"]
        assert await world.order(board, group, on="2026-03-05") == ["ann"]
    assert await world.ledger.user(DEFAULT_SCOPE, erased) is None
    assert [user.id for user in await world.ledger.users([bob.number, cat.number])] == [erased, "cat"]


async def test_events_of_an_erased_user_are_not_told(world: LedgerWorld) -> None:
    """At once, and when nothing is left any more; neither by looking for them nor by their ids."""
    outcomes = await world.record(swim("ann", 3), swim("bob", 5))
    ids = [outcome.event_id or "" for outcome in outcomes]
    await world.erase("ann")
    for _ in range(2):
        page = await world.ledger.events(WantedEvents(DEFAULT_SCOPE, 10))
        assert [event.user_id for event in page.events] == ["bob"]
        told = await world.ledger.events_with(DEFAULT_SCOPE, ids)
        assert [event and event.user_id for event in told] == [None, "bob"]
        await world.ledger.compact([erasure.number for erasure in await world.ledger.unfinished_erasures()])


async def test_nobody_can_take_the_id_of_an_erased_user(world: LedgerWorld) -> None:
    """It would be their row."""
    with pytest.raises(Invalid, match="erased-2"):
        await world.swim("erased-2", 1)
    with pytest.raises(NotFound):
        await world.ledger.record([Entry(DEFAULT_SCOPE, "erased-2", {"name": "x"}, must_exist=True)])


async def test_nobody_unknown_is_erased(world: LedgerWorld) -> None:
    """Nor anybody twice, and what goes with it is not done either."""
    await world.follow(BOARD)
    await swim_in_turn(world, ann=9)
    for names in (("ann", "eve"), ("ann", "ann")):
        with pytest.raises(NotFound):
            await world.erase(*names)
    assert await world.order(BOARD) == ["ann"]
    assert len(await world.ledger.records(0, 10)) == 2


async def test_what_comes_together_happens_in_order(world: LedgerWorld) -> None:
    """An event before the erasure is the old user's, one behind it a new one's."""
    await world.follow(BOARD)
    outcomes = await world.record(
        swim("ann", 3), Entry(DEFAULT_SCOPE, "ann", erase=True, must_exist=True), swim("ann", 5)
    )
    first, erased, again = [outcome.user for outcome in outcomes]
    assert (first.number, again.number > first.number) == (erased.number, True)
    assert [first.id, erased.id, again.id] == ["ann", anonymous_id(first.number), "ann"]
    assert await world.standings(BOARD) == [(1, "ann", 5 * MICROS)]


async def test_an_erased_user_leaves_whatever_hidden_group(world: LedgerWorld) -> None:
    """Of who takes no part, and of who is hidden."""
    pros = make_board(5, "pros", filters=((LEVEL, "pro"),))
    await world.follow(BOARD, pros)
    await swim_in_turn(world, ann=9, bob=7)
    await world.hide("ann")
    await world.erase("ann")
    assert await world.order(BOARD) == ["bob"]
    await world.reopen("restart")
    assert await world.order(BOARD) == ["bob"]
    assert await world.ledger.runs(5) == [run_on(pros, "2026-03-04")]


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_an_erasure_holds_over_a_restart(world: LedgerWorld, how: str, compacted: bool) -> None:
    """For live and final runs, with groups and without, whether or not the files were compacted."""
    await world.follow(*BOARDS)
    await swim_in_turn(world, ann=9, bob=7, cat=5)
    await world.advance(NEXT_DAY)
    await swim_in_turn(world, bob=3, cat=2)
    erased = await anonymous(world, "bob")
    await world.erase("bob")
    if compacted:
        await world.compact()
    await world.reopen(how)
    await swim_in_turn(world, cat=1)

    for board, group in ((DAILY, ()), (POOLS, EAST)):
        assert await world.order(board, group) == ["ann", erased, "cat"]
        assert await world.standings(board, group, on="2026-03-05") == [(1, "cat", 3 * MICROS)]
    assert await world.order(BOARD) == ["ann", "cat"]
    assert await world.order(STREAKS) == ["cat", "ann"]


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_run_that_is_revised_keeps_the_anonymous_row(world: LedgerWorld, compacted: bool) -> None:
    """In the group in which it stood."""
    await world.follow(*BOARDS)
    await swim_in_turn(world, ann=9, bob=7, cat=5)
    await world.advance(NEXT_DAY)
    erased = await anonymous(world, "bob")
    await world.erase("bob")
    if compacted:
        await world.compact()
    await world.swim("cat", 3, at="2026-03-04T20:00:00Z")
    await world.ledger.settle()
    assert await world.standings(POOLS, EAST) == [
        (1, "ann", 9 * MICROS), (2, "cat", 8 * MICROS), (3, erased, 7 * MICROS),
    ]  # fmt: skip


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_board_that_is_followed_later_has_the_anonymous_row_where_no_attributes_matter(
    world: LedgerWorld, compacted: bool
) -> None:
    """In runs that were final before, and on days; who was hidden then stays out."""
    await world.follow(DAILY)
    await swim_in_turn(world, ann=9, bob=7, cat=5, dee=4)
    await world.hide("dee")
    await world.advance(NEXT_DAY)
    await swim_in_turn(world, bob=3, cat=2)
    await world.advance("2026-03-06T01:00:00Z")
    erased = await anonymous(world, "bob")
    await world.erase("bob", "dee")
    await world.advance(DAY_AFTER)
    if compacted:
        await world.compact()
    expected = [await world.rows(DAILY, on=day) for day in ("2026-03-04", "2026-03-05")]
    later = replace(DAILY, number=9, key="later")
    await world.follow(later)

    assert [row.user_id for row in expected[0]] == ["ann", erased, "cat"]
    assert [await world.rows(later, on=day) for day in ("2026-03-04", "2026-03-05")] == expected
    assert await world.history(later, "cat", "2026-03-05") == await world.history(DAILY, "cat", "2026-03-05")


async def test_a_board_that_was_finished_by_hand_keeps_the_anonymous_row(world: LedgerWorld) -> None:
    """It is final."""
    await world.follow(BOARD)
    await swim_in_turn(world, ann=9, bob=7)
    position = await world.ledger.freeze(1)
    world.redefine(replace(BOARD, asked_status="finished", finished_position=position))
    erased = await anonymous(world, "ann")
    await world.erase("ann")
    assert await world.order(BOARD) == [erased, "bob"]
    await world.reopen("restart")
    assert await world.order(BOARD) == [erased, "bob"]


async def test_rankings_change_by_erasing(world: LedgerWorld) -> None:
    """Whoever watches them hears of it."""
    await world.follow(BOARD)
    await swim_in_turn(world, ann=9, bob=7)
    world.ledger.changed_rankings()
    await world.erase("ann")
    assert world.ledger.changed_rankings() == [(1, run_on(BOARD, "2026-03-04"), ())]


async def test_compacting_changes_nothing_that_is_told(world: LedgerWorld) -> None:
    """And is done when it is done."""
    await world.follow(*BOARDS)
    await swim_in_turn(world, ann=9, bob=7, cat=5)
    await world.advance(NEXT_DAY)
    known = [(await world.user(user_id)).number for user_id in ("ann", "bob", "cat")]
    await world.erase("bob")
    before = [await world.rows(board, group) for board, group in ((DAILY, ()), (POOLS, EAST), (BOARD, ()))]
    await world.compact()
    assert await world.ledger.unfinished_erasures() == []
    await world.compact()
    assert [await world.rows(board, group) for board, group in ((DAILY, ()), (POOLS, EAST), (BOARD, ()))] == before
    await swim_in_turn(world, bob=1)
    assert (await world.user("bob")).number not in known
