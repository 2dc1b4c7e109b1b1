"""Exactly once per scope, metric, user and key."""

import asyncio
from dataclasses import replace

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from tests.ledger_world import LedgerWorld, placed, swim
from tests.world import HOURS, LAPS, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()


async def test_a_key_that_was_used_counts_no_second_time(world: LedgerWorld) -> None:
    """The replay names the first event and changes neither totals nor rankings nor the log."""
    await world.follow(BOARD)
    first = await world.swim("ann", 3, key="k")
    log = await world.ledger.records(0, 10)
    again = await world.swim("ann", 3, key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.event_id == first.event_id
    assert again.total == 3 * MICROS
    assert await world.standings(BOARD) == [(1, "ann", 3 * MICROS)]
    assert await world.ledger.records(0, 10) == log


async def test_a_replay_compares_no_values(world: LedgerWorld) -> None:
    """The key alone decides."""
    first = await world.swim("ann", 3, key="k")
    again = await world.swim("ann", 99, key="k")
    assert (again.replayed, again.event_id, again.total) == (True, first.event_id, 3 * MICROS)


async def test_a_replay_changes_nothing_of_its_user(world: LedgerWorld) -> None:
    """Not even fields that would be refused."""
    await world.swim("ann", 3, key="k", name="Ann", attributes={"pool": "east"})
    before = await world.user("ann")
    world.at("2026-03-05T12:00:00Z")
    again = await world.swim("ann", 3, key="k", name="Other", tz="nowhere", attributes={"pool": "west"})
    assert again.replayed
    assert again.user == before == await world.user("ann")


async def test_a_replay_tells_the_present_state(world: LedgerWorld) -> None:
    """Total and ranks are those of now; there is no step, so the rank before is the rank."""
    await world.follow(BOARD)
    await world.swim("ann", 3, key="k")
    await world.swim("bob", 5)
    await world.swim("ann", 1)
    again = await world.swim("ann", 3, key="k")
    assert again.total == 4 * MICROS
    assert placed(again) == {"weekly-laps": (2, 2)}


async def test_a_replay_tells_the_boards_that_such_an_event_would_feed_now(world: LedgerWorld) -> None:
    """The run is the one of now, in which the user may have no value yet."""
    weekly = make_board(run_unit="day", run_interval=7)
    await world.follow(weekly)
    await world.swim("ann", 3, key="k")
    world.at("2026-03-10T12:00:00Z")
    [board] = (await world.swim("ann", 3, key="k")).boards
    assert (board.run.start, board.rank, board.previous_rank) == (weekly.start + 7, None, None)


async def test_a_key_belongs_to_its_metric_and_its_user(world: LedgerWorld) -> None:
    """The same key on another metric, or of another user, is another event."""
    outcomes = [
        await world.swim("ann", 1, key="k"),
        await world.swim("bob", 1, key="k"),
        *await world.record(swim("ann", 1, key="k", metric=HOURS)),
    ]
    assert [outcome.replayed for outcome in outcomes] == [False, False, False]
    assert len({outcome.event_id for outcome in outcomes}) == 3


async def test_a_key_belongs_to_its_scope(world: LedgerWorld) -> None:
    """Two scopes may have users, metrics and keys with the same names."""
    elsewhere = replace(LAPS, number=11, scope=2)
    await world.swim("ann", 1, key="k")
    [other] = await world.record(Entry(2, "ann", metric=elsewhere, amount=5 * MICROS, idempotency_key="k"))
    assert (other.replayed, other.created, other.total) == (False, True, 5 * MICROS)
    assert await world.total("ann") == MICROS


async def test_keys_have_no_expiry(world: LedgerWorld) -> None:
    """Not after years, and not by a restart."""
    first = await world.swim("ann", 3, key="k")
    world.at("2031-03-04T12:00:00Z")
    await world.restart()
    for number in range(10):
        await world.swim(f"other-{number}", 1, key="k")
    again = await world.swim("ann", 3, key="k")
    assert (again.replayed, again.event_id) == (True, first.event_id)


async def test_a_key_twice_in_one_list_counts_once(world: LedgerWorld) -> None:
    """The second is a replay of the first, also of a user who was new."""
    first, second = await world.record(swim("new", 2, key="k"), swim("new", 2, key="k"))
    assert (first.replayed, second.replayed) == (False, True)
    assert (first.created, second.created) == (True, False)
    assert (second.event_id, second.total) == (first.event_id, 2 * MICROS)


async def test_twenty_at_once_with_one_key_count_once(world: LedgerWorld) -> None:
    """Exactly one is processed; the others tell of it."""
    await world.follow(BOARD)
    outcomes = await asyncio.gather(*(world.swim("ann", 3, key="k") for _ in range(20)))
    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * 19
    assert len({outcome.event_id for outcome in outcomes}) == 1
    assert {outcome.total for outcome in outcomes} == {3 * MICROS}
    assert await world.total("ann") == 3 * MICROS


async def test_a_refused_event_does_not_use_its_key_up(world: LedgerWorld) -> None:
    """The client may mend the request and try again with the same key."""
    await world.swim("ann", 1)
    with pytest.raises(Invalid):
        await world.record(swim("ann", 1, key="k"), swim("bob", 1, tz="nowhere"))
    assert not (await world.swim("ann", 1, key="k")).replayed


async def test_a_refused_list_leaves_its_keys_to_those_who_come_with_it(world: LedgerWorld) -> None:
    """Also when they are recorded by the same flush."""
    await world.change("ann")
    refused, taken = await asyncio.gather(
        world.record(swim("ann", 1, key="k"), swim("bob", 1, tz="nowhere")),
        world.swim("ann", 2, key="k"),
        return_exceptions=True,
    )
    assert isinstance(refused, Invalid)
    assert not isinstance(taken, BaseException)
    assert (taken.replayed, taken.total) == (False, 2 * MICROS)


async def test_a_list_may_mix_replays_and_news(world: LedgerWorld) -> None:
    """Each entry is judged by itself."""
    await world.swim("ann", 1, key="a")
    outcomes = await world.record(swim("ann", 1, key="a"), swim("ann", 1, key="b"), swim("ann", 1))
    assert [(outcome.replayed, outcome.total // MICROS) for outcome in outcomes] == [(True, 1), (False, 2), (False, 3)]


async def test_a_change_of_a_user_ignores_a_key(world: LedgerWorld) -> None:
    """Keys are of events; a user's fields can be set twice without harm."""
    for name in ("Ann", "Anna"):
        [outcome] = await world.record(Entry(DEFAULT_SCOPE, "ann", {"name": name}, idempotency_key="k"))
        assert (outcome.replayed, outcome.user.name) == (False, name)
