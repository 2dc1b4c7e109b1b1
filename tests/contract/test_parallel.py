"""Many at once: as if they had come one after another."""

import asyncio

import pytest

from palmares.domain.errors import Invalid, PalmaresError
from palmares.domain.points import Scheme
from palmares.domain.value import MICROS
from palmares.ledger.contract import Outcome
from tests.ledger_world import LedgerWorld, swim
from tests.world import POOL, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()


async def test_200_parallel_events_of_one_user_all_count_in_some_order(world: LedgerWorld) -> None:
    """Each answer is of its own moment: the totals are those of one order, and no two are of the same."""
    await world.follow(BOARD)
    outcomes = await asyncio.gather(*(world.swim("ann", 1) for _ in range(200)))
    assert sorted(outcome.total for outcome in outcomes) == [count * MICROS for count in range(1, 201)]
    assert len({outcome.event_id for outcome in outcomes}) == 200
    assert sum(outcome.created for outcome in outcomes) == 1
    assert await world.standings(BOARD) == [(1, "ann", 200 * MICROS)]


async def test_answers_in_parallel_agree_with_the_order_of_the_log(world: LedgerWorld) -> None:
    """Ranks before and after are those of the place that the event has in the log."""
    await world.follow(BOARD)
    await world.record(*(swim(f"rival-{number}", 10 * number) for number in range(1, 21)))
    world.at("2026-03-04T12:00:01Z")
    outcomes = await asyncio.gather(*(world.swim("ann", 1) for _ in range(200)))
    told = {outcome.total // MICROS: outcome.boards[0] for outcome in outcomes}
    for total, board in told.items():
        assert (board.previous_rank, board.rank) == (expected_rank(total - 1), expected_rank(total))


def expected_rank(total: int) -> int | None:
    """Behind all rivals with at least as much: they were there before."""
    return 1 + sum(10 * number >= total for number in range(1, 21)) if total else None


async def test_parallel_events_of_many_users_give_each_rank_once(world: LedgerWorld) -> None:
    """In the end everybody is there, with everything."""
    await world.follow(BOARD)
    await asyncio.gather(*(world.swim(f"user-{number % 20:02}", number) for number in range(100)))
    rows = await world.rows(BOARD)
    assert [row.rank for row in rows] == list(range(1, 21))
    expected = {f"user-{start:02}": sum(range(start, 100, 20)) * MICROS for start in range(20)}
    assert {row.user_id: row.value for row in rows} == expected


async def test_the_first_events_after_a_change_of_points_are_told_in_the_order_in_which_they_came(
    world: LedgerWorld,
) -> None:
    """Wherever nobody was recorded before, all is ready nevertheless."""
    await world.follow(BOARD)
    await world.swim("ann", 5)
    await world.set_points(Scheme(1, "gold", None, ()))
    rivals = [world.swim(f"rival-{number}", 10 + number) for number in range(8)]
    *_, outcome = await asyncio.gather(*rivals, world.swim("ann", 1))
    assert (outcome.boards[0].previous_rank, outcome.boards[0].rank) == (9, 9)


async def test_a_refusal_among_parallel_requests_touches_no_other(world: LedgerWorld) -> None:
    """Requests share a flush, never a fate."""
    await world.follow(BOARD)
    requests = [world.swim("ann", 1, tz="nowhere") if place % 3 == 0 else world.swim("ann", 1) for place in range(30)]
    answers = await asyncio.gather(*requests, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, PalmaresError)]
    taken = [answer for answer in answers if isinstance(answer, Outcome)]
    assert (len(refused), len(taken)) == (10, 20)
    assert {type(error) for error in refused} == {Invalid}
    assert sorted(outcome.total // MICROS for outcome in taken) == list(range(1, 21))
    assert await world.total("ann") == 20 * MICROS


async def test_parallel_lists_do_not_mix(world: LedgerWorld) -> None:
    """A list is recorded in one piece: nothing comes between its entries."""
    await asyncio.gather(*(world.record(*[swim(f"user-{place}", 1)] * 5) for place in range(10)))
    events = [line.user for line in await world.ledger.records(0, 1000) if line.kind == "event"]
    pieces = [events[start : start + 5] for start in range(0, 50, 5)]
    assert all(len(set(piece)) == 1 for piece in pieces)


async def test_a_reader_sees_all_of_a_list_or_nothing(world: LedgerWorld) -> None:
    """All the boards of one event, and all the events of one list, change together."""
    pools = make_board(2, "pools", breakdown=(POOL,))
    await world.follow(BOARD, pools)
    await world.swim("ann", 1, attributes={"pool": "east"})
    recording = asyncio.ensure_future(world.record(*[swim("ann", 1)] * 50))
    seen = set()
    while not recording.done():
        [in_all], [in_pool] = await world.standings(BOARD), await world.standings(pools, ("east",))
        seen.add((in_all.value // MICROS, in_pool.value // MICROS, await world.total("ann") // MICROS))
        await asyncio.sleep(0)
    assert seen <= {(1, 1, 1), (51, 51, 51)}
    await recording
    assert await world.total("ann") == 51 * MICROS


async def test_a_request_whose_caller_went_away_is_recorded_all_the_same_or_not_at_all(world: LedgerWorld) -> None:
    """Going away is no fault of the ledger, and it goes on."""
    waiting = asyncio.ensure_future(world.swim("ann", 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await world.swim("bob", 1)
    found = await world.ledger.user(1, "ann")
    assert found is None or await world.total("ann") == MICROS
    assert await world.total("bob") == MICROS
