"""Setting a user's total: an event of what is missing to it, worked out where it is recorded."""

import asyncio
from dataclasses import replace

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.value import LEAST, MICROS, MOST, parse
from palmares.ledger.contract import Entry, void
from tests.ledger_world import LedgerWorld, placed, swim
from tests.world import LAPS, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()


def reach(user_id: str, laps: str | int, key: str | None = None) -> Entry:
    """The entry that sets a total of laps."""
    return replace(swim(user_id, 0, key=key), total=parse(str(laps)), must_exist=True)


@pytest.mark.parametrize(("before", "wanted", "added"), [(5, 8, 3), (5, 2, -3), (5, 0, -5), (-5, 5, 10)])
async def test_a_total_is_reached_by_one_event(world: LedgerWorld, before: int, wanted: int, added: int) -> None:
    """Of what is missing; boards that sum agree with the total."""
    await world.follow(BOARD)
    await world.swim("ann", before)
    [outcome] = await world.record(reach("ann", wanted))
    event = (await world.ledger.records(0, 100))[-1]
    assert (event.kind, event.amount, event.total) == ("event", added * MICROS, wanted * MICROS)
    assert outcome.total == await world.total("ann") == wanted * MICROS
    assert placed(outcome) == {BOARD.key: (1, 1)}
    assert await world.standings(BOARD) == [(1, "ann", wanted * MICROS)]


async def test_a_total_that_is_there_needs_no_event(world: LedgerWorld) -> None:
    """It is told all the same; also that of one who has done nothing on the metric."""
    await world.follow(BOARD)
    await world.swim("ann", 5)
    await world.change("bob")
    log = await world.ledger.records(0, 100)
    for user_id, total in (("ann", 5), ("bob", 0)):
        [outcome] = await world.record(reach(user_id, total, key="once"))
        assert (outcome.event_id, outcome.total, list(outcome.boards)) == (None, total * MICROS, [])
    assert await world.ledger.records(0, 100) == log
    assert await world.order(BOARD) == ["ann"]


async def test_a_key_that_came_with_nothing_missing_is_not_used(world: LedgerWorld) -> None:
    """It can still make something happen, once."""
    await world.swim("ann", 5)
    await world.record(reach("ann", 5, key="fix"))
    [first] = await world.record(reach("ann", 6, key="fix"))
    await world.swim("ann", 1)
    [again] = await world.record(reach("ann", 6, key="fix"))
    assert (first.replayed, again.replayed, again.event_id) == (False, True, first.event_id)
    assert again.total == await world.total("ann") == 7 * MICROS


async def test_what_comes_before_in_a_list_is_in_the_total(world: LedgerWorld) -> None:
    """Events, voids and other totals."""
    await world.swim("ann", 5)
    position = (await world.ledger.records(0, 1000))[-1].position
    outcomes = await world.record(
        swim("ann", 2), reach("ann", 10), void(DEFAULT_SCOPE, position), reach("ann", 10), swim("ann", 1)
    )
    assert [outcome.total // MICROS for outcome in outcomes] == [7, 10, 5, 10, 11]


async def test_totals_that_are_set_at_the_same_time_are_reached_one_after_the_other(world: LedgerWorld) -> None:
    """Whatever else comes between, the last one to be recorded holds."""
    await world.swim("ann", 5)
    told = await asyncio.gather(*(world.record(reach("ann", total), swim("ann", 1)) for total in range(10)))
    assert sorted(outcomes[0].total // MICROS for outcomes in told) == list(range(10))
    last = max(line.total or 0 for line in (await world.ledger.records(0, 1000))[-1:])
    assert await world.total("ann") == last


async def test_a_total_survives_opening_again(world: LedgerWorld) -> None:
    """It is an event like any other."""
    await world.follow(BOARD)
    await world.swim("ann", 5)
    await world.record(reach("ann", "2.5"))
    await world.crash()
    assert await world.total("ann") == 2_500_000
    assert await world.standings(BOARD) == [(1, "ann", 2_500_000)]


async def test_what_cannot_be_a_total_is_refused(world: LedgerWorld) -> None:
    """One beyond the range, or so far away that no event can lead there; and nobody is made by mistake."""
    await world.swim("ann", 1)
    log = await world.ledger.records(0, 100)
    with pytest.raises(Invalid):
        await world.record(replace(reach("ann", 0), total=MOST + 1))
    with pytest.raises(Invalid):
        await world.record(replace(reach("ann", 0), total=LEAST))
    with pytest.raises(NotFound):
        await world.record(reach("zoe", 1))
    assert await world.ledger.records(0, 100) == log
    assert await world.total("ann", LAPS) == MICROS
