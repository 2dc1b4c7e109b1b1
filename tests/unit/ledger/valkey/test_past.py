"""What is over is made anew from the logs while events go on and days end, by any of the workers, whatever fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.errors import Invalid, NotFound, Unavailable
from palmares.domain.local_time import HOUR
from palmares.domain.value import MICROS, MOST
from palmares.ledger.contract import Entry, Ranks
from palmares.ledger.valkey import past
from palmares.ledger.valkey.keys import shard_of
from palmares.ledger.valkey.ledger import ValkeyLedger
from tests.ledger_world import Clock, everything_of_boards, run_on, swam, swim
from tests.plain_archive import PlainArchive
from tests.unit.ledger.valkey.conftest import Open
from tests.unit.ledger.valkey.test_time import FailingArchive, fail_next_step
from tests.world import POOL, make_board

pytestmark = pytest.mark.anyio

WEEKLY = make_board(1, "weekly", run_unit="day", run_interval=7, breakdown=(POOL,), late_events="revise")
DAILY = make_board(2, "daily", run_unit="day", run_interval=1, numbering="competition", late_events="revise")
ALL_TIME = make_board(3, "all-time", aggregation="last")
BOARDS = [WEEKLY, DAILY, ALL_TIME]
USERS = [f"user-{number}" for number in range(7)]
RUN = run_on(WEEKLY, "2026-03-04")


async def step(ledger: ValkeyLedger, clock: Clock, number: int) -> None:
    """Something happens, some of it late, some of it as history."""
    entry = swim(USERS[number * number % 7], number % 6 - 1, attributes={"pool": ["east", "west", None][number % 3]})
    if number % 3 == 1:
        entry.occurred_at = clock() - number * 7 % 90 * HOUR
        entry.history = number % 4 == 1
    await ledger.record([entry])


async def told_of(ledger: ValkeyLedger, boards: Sequence[Board]) -> dict[Any, Any]:
    """All about the boards, under the name of none."""
    users = [user for user_id in USERS if (user := await ledger.user(1, user_id)) is not None]
    found: dict[Any, Any] = {}
    for place, board in enumerate(boards):
        told = await everything_of_boards(ledger, [board], users)
        found.update({(place, *name[1:]): value for name, value in told.items()})
    return found


@pytest.mark.parametrize("shards", [1, 4])
async def test_days_end_and_events_come_while_boards_are_made(
    open_worker: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    """They end up like those that were there from the start."""
    monkeypatch.setattr(past, "_LINES_AT_ONCE", 3)
    archive = PlainArchive()
    ledger, other = await open_worker(BOARDS, shards, archive), await open_worker((), shards, archive)
    late = [replace(board, number=board.number + 10, key=f"late-{board.key}") for board in BOARDS]
    for number in range(40):
        clock.now += 5 * HOUR
        await step(ledger, clock, number)
    following = [asyncio.create_task(ledger.follow(board)) for board in late]
    number = 40
    while not all(task.done() for task in following):
        number += 1
        clock.now += 5 * HOUR
        await step(other, clock, number)
        if number % 3 == 0:
            await other.advance(clock())
    await asyncio.gather(*following)
    await other.advance(clock())
    await asyncio.gather(ledger.settle(), other.settle())
    assert number > 41
    assert await told_of(ledger, late) == await told_of(ledger, BOARDS)
    assert not ledger.revising(1)


async def test_what_revises_fails_at_every_step_and_goes_on(open_worker: Open, clock: Clock) -> None:
    """What it makes is read all at once or not at all, and in the end each run is revised."""
    archive = FailingArchive()
    ledger = await open_worker([WEEKLY], 4, archive)
    await ledger.record([swim(user, place, attributes={"pool": "east"}) for place, user in enumerate(USERS)])
    clock.set("2026-03-10T13:00:00Z")
    await ledger.advance(clock())
    before = await ledger.page(1, RUN, [("east",)], 0, 10)
    await ledger.record([swam("user-0", 50, "2026-03-06T12:00:00Z"), swim("user-1", 40, at="2026-03-05T12:00:00Z")])
    assert ledger.revising(1)
    fail = fail_next_step(ledger, archive)
    failures = 0
    while True:
        try:
            await ledger.settle()
        except Unavailable:
            failures += 1
            if (await ledger.run_state(1, RUN)).revision == 0:
                assert await ledger.page(1, RUN, [("east",)], 0, 10) == before
            await ledger._store.read([[b"DEL", ledger._keeper._keys.lease]])  # type: ignore[union-attr]
        else:
            break
    fail.stop()
    assert failures > 5
    rows = await ledger.page(1, RUN, [("east",)], 0, 2)
    assert [(row.user_id, row.value // MICROS) for row in rows] == [("user-0", 50), ("user-1", 41)]
    assert await ledger.run_state(1, RUN) == (True, 1, 0)
    assert not ledger.revising(1)
    # Nothing is left of what was not installed.
    assert len(archive.editions) == 1


async def test_a_board_that_cannot_be_made_leaves_nothing_behind(open_worker: Open, clock: Clock) -> None:
    """Neither rankings on which anything would count, nor an edition."""
    archive = PlainArchive()
    ledger = await open_worker((), 4, archive)
    await ledger.record([swim("ann", 1)])
    clock.set("2026-03-20T12:00:00Z")
    await ledger.record([swim("bob", 2)])
    await ledger.follow(WEEKLY)
    editions = set(archive.editions)

    def away(*arguments: Any, **named: Any) -> None:
        raise Unavailable("the archive is away")

    keep_run, archive.keep_run = archive.keep_run, away  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="away"):
        await ledger.follow(DAILY)
    archive.keep_run = keep_run  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        await ledger.runs(DAILY.number)
    assert set(archive.editions) == editions
    assert ledger.progress(DAILY.number) is None
    await ledger.follow(DAILY)
    assert len(await ledger.runs(DAILY.number)) == 2


async def test_a_sum_that_leads_out_of_range_leaves_the_final_run_as_it_is(open_worker: Open, clock: Clock) -> None:
    """Nobody could refuse the event for it; and it is not tried again and again."""
    ledger = await open_worker([WEEKLY], 1, PlainArchive())
    [outcome] = await ledger.record([swim("ann", 0, attributes={"pool": "east"})])
    entry = swim("ann", 0)
    entry.amount = MOST
    await ledger.record([entry])
    clock.set("2026-03-10T13:00:00Z")
    entry = swim("ann", 0)
    entry.amount = -MOST
    await ledger.record([entry])
    await ledger.record([swim("ann", 1, at="2026-03-05T12:00:00Z")])
    await ledger.settle()
    assert await ledger.run_state(1, RUN) == (True, 0, 0)
    assert not ledger.revising(1)
    place = await ledger.place(1, RUN, [("east",)], outcome.user)
    assert place is not None
    assert place.value == MOST
    with pytest.raises(Invalid):
        await ledger.follow(replace(WEEKLY, number=9, key="again"))


class RefusingArchive(PlainArchive):
    """An archive that takes nothing anew of a board."""

    def begin_edition(self, board: int, current: bool = False) -> int:
        if board == WEEKLY.number and not current:
            raise Unavailable("not this one")
        return super().begin_edition(board, current)


async def test_a_board_that_cannot_be_revised_does_not_hold_up_the_others(open_worker: Open, clock: Clock) -> None:
    """It is told, and waits."""
    archive = PlainArchive()
    ledger = await open_worker([WEEKLY, DAILY], 1, archive)
    await ledger.record([swim("ann", 3, attributes={"pool": "east"}), swim("ben", 5)])
    clock.set("2026-03-10T13:00:00Z")
    await ledger.advance(clock())
    archive.__class__ = RefusingArchive
    await ledger.record([swim("ann", 4, at="2026-03-04T13:00:00Z")])
    with pytest.raises(Unavailable, match="not this one"):
        await ledger.settle()
    assert (ledger.revising(WEEKLY.number), ledger.revising(DAILY.number)) == (True, False)
    assert (await ledger.run_state(DAILY.number, run_on(DAILY, "2026-03-04"))).revision == 1
    archive.__class__ = PlainArchive
    await ledger.settle()
    assert (await ledger.run_state(WEEKLY.number, RUN)).revision == 1


@pytest.mark.parametrize("shards", [1, 4])
async def test_who_is_erased_while_the_past_is_read_keeps_the_own_events(
    open_worker: Open, clock: Clock, shards: int
) -> None:
    """And none of somebody new who has the id."""
    ledger = await open_worker([ALL_TIME], shards, PlainArchive())
    [outcome, _] = await ledger.record([swim("ann", 3), swim("ann", 4, at="2026-03-04T11:00:00Z")])
    user = outcome.user.number
    read = past.Past(ledger._shards, ledger.stream, Plan(ALL_TIME), await ledger._builder.positions())  # type: ignore[union-attr]
    await read.survey()
    await ledger.record([Entry(DEFAULT_SCOPE, "ann", erase=True), swim("ann", 50)])
    await read.until(clock() + 1)
    [shard] = ledger._shards.numbering.shards_of_number(user)
    run = run_on(ALL_TIME, "2026-03-04")
    read.ids[user] = "ann"
    assert sorted(effect.amount // MICROS for effect in await read.all_of(shard, user, run)) == [3, 4]


@pytest.mark.parametrize("shards", [1, 4])
async def test_rankings_are_known_as_they_were_at_a_place_of_the_log(
    open_worker: Open, clock: Clock, shards: int
) -> None:
    """Whatever came later, moves between groups and the end of the run included."""
    archive = PlainArchive()
    ledger = await open_worker(BOARDS, shards, archive)
    for number in range(30):
        clock.now += HOUR
        await step(ledger, clock, number)
    await ledger.advance(clock())
    position, instant = ledger.position(), clock()
    run = run_on(WEEKLY, "2026-03-05")
    groups = sorted(await ledger.groups(1, run))
    before: list[tuple[Any, Ranks]] = [(group, await ledger.ranks(1, run, group)) for group in groups]
    for number in range(30, 70):
        clock.now += 5 * HOUR
        await step(ledger, clock, number)
    await ledger.advance(clock())
    await ledger.settle()
    found = await ledger.ranks_as_of(WEEKLY, position, instant)
    assert [(group, ranks) for _, group, ranks in found] == before
    assert {one for one, _, _ in found} == {run}
    # Nothing is left of it in the archive.
    assert len(archive.editions) == len(BOARDS)


async def test_a_shard_that_is_far_behind_the_others_moves_the_position_too(open_worker: Open, clock: Clock) -> None:
    """And what it recorded at the very instant, but later, is not in the rankings of before."""
    ledger = await open_worker(BOARDS, 4, PlainArchive())
    assert shard_of(b"1:ann", 4) != shard_of(b"1:bob", 4)
    for number in range(10):
        await ledger.record([swim("ann", number)])
    clock.now += HOUR
    position, instant = ledger.position(), clock()

    await ledger.record([swim("bob", 1)])

    assert ledger.position() > position
    [(_, _, ranks)] = await ledger.ranks_as_of(ALL_TIME, position, instant)
    [ann] = await ledger.users(list(ranks.participants))
    assert (ann.id, list(ranks.values)) == ("ann", [9 * MICROS])
