"""What those are told who watch rankings: which changed, who stands where, and how it was."""

from collections.abc import AsyncIterator

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.group import Group
from palmares.ledger.contract import Ranks, void
from palmares.ledger.embedded.ledger import EmbeddedLedger
from tests.ledger_world import Clock, memory_folder, open_embedded, run_on, swim
from tests.world import POOL, make_board

pytestmark = pytest.mark.anyio
WEEKLY = make_board(1, "weekly", run_unit="day", run_interval=7)
POOLS = make_board(2, "pools", breakdown=(POOL,), max_participants=2, numbering="dense")


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(clock: Clock) -> AsyncIterator[EmbeddedLedger]:
    with memory_folder() as folder:
        ledger = await open_embedded(folder, clock, [WEEKLY, POOLS])
        yield ledger
        await ledger.close()


async def fill(ledger: EmbeddedLedger) -> None:
    for number, (user, pool) in enumerate([("ann", "e"), ("ben", "w"), ("cid", "e"), ("dan", "e"), ("eva", "w")]):
        await ledger.record([swim(user, 10 + number % 3, attributes={"pool": pool})])


def rows(ranks: Ranks) -> list[tuple[int, int, int]]:
    return [*zip(ranks.participants, ranks.ranks, ranks.values, strict=True)]


async def paged(ledger: EmbeddedLedger, board: int, on: str, group: Group) -> list[tuple[int, int, int]]:
    """The same from a page, row by row."""
    found = []
    run = run_on(WEEKLY if board == 1 else POOLS, on)
    for row in await ledger.page(board, run, [group], 0, 100):
        user = await ledger.user(1, row.user_id)
        assert user is not None
        found.append((user.number, row.rank, row.value))
    return sorted(found)


async def test_everybodys_rank_is_that_of_the_page_also_when_the_run_is_final(
    ledger: EmbeddedLedger, clock: Clock
) -> None:
    """Live, and read from the archive; a group in which nobody stands is empty."""
    await fill(ledger)
    run = run_on(WEEKLY, "2026-03-04")
    live = await ledger.ranks(1, run, ())
    assert rows(live) == await paged(ledger, 1, "2026-03-04", ())
    for group in (("e",), ("w",)):
        ranks = await ledger.ranks(2, run_on(POOLS, "2026-03-04"), group)
        assert rows(ranks) == await paged(ledger, 2, "2026-03-04", group)
    clock.set("2026-03-20T12:00:00Z")
    await ledger.advance(clock())

    assert (await ledger.run_state(1, run)).final
    assert await ledger.ranks(1, run, ()) == live
    assert rows(await ledger.ranks(1, run, ("nobody",))) == []


async def test_the_first_question_begins_the_watch_and_each_change_is_told_once(ledger: EmbeddedLedger) -> None:
    """By board, run and group."""
    await fill(ledger)
    assert ledger.changed_rankings() == []
    await ledger.record([swim("ann", 5)])
    first = ledger.changed_rankings()

    assert first == [(1, run_on(WEEKLY, "2026-03-04"), ()), (2, run_on(POOLS, "2026-03-04"), ("e",))]
    assert ledger.changed_rankings() == []


async def test_rankings_that_were_made_anew_count_as_changed(ledger: EmbeddedLedger) -> None:
    """Nobody compared them with the former ones."""
    await fill(ledger)
    ledger.changed_rankings()
    await ledger.follow(POOLS)

    assert {(board, group) for board, _, group in ledger.changed_rankings()} == {(2, ("e",)), (2, ("w",))}


async def test_rankings_are_known_as_they_were_at_a_place_of_the_log(ledger: EmbeddedLedger, clock: Clock) -> None:
    """Whatever came later, moves between groups and the end of the run included; nothing else is changed by it."""
    await fill(ledger)
    position, instant = ledger.position(), clock()
    before = {group: await ledger.ranks(2, run_on(POOLS, "2026-03-04"), group) for group in (("e",), ("w",))}
    whole = await ledger.ranks(1, run_on(WEEKLY, "2026-03-04"), ())
    clock.set("2026-03-05T12:00:00Z")
    await ledger.record([swim("ben", 50, attributes={"pool": "e"}), swim("new", 1), swim("cid", -9)])
    clock.set("2026-03-20T12:00:00Z")
    await ledger.advance(clock())
    pools = await ledger.ranks_as_of(POOLS, position, instant)
    weekly = await ledger.ranks_as_of(WEEKLY, position, instant)

    assert {group: ranks for _, group, ranks in pools} == before
    assert [(run, group, ranks) for run, group, ranks in weekly] == [(run_on(WEEKLY, "2026-03-04"), (), whole)]
    assert rows(await ledger.ranks(1, run_on(WEEKLY, "2026-03-04"), ())) != rows(whole)
    assert ledger.progress(1) is None


async def test_rankings_as_they_were_know_nothing_of_later_voids(ledger: EmbeddedLedger, clock: Clock) -> None:
    """Though a void takes effect when its event did: who asks what was is told what was."""
    await fill(ledger)
    position, instant = ledger.position(), clock()
    before = await ledger.ranks(1, run_on(WEEKLY, "2026-03-04"), ())
    events = [line.position for line in await ledger.records(0, position) if line.kind == "event"]
    await ledger.record([void(DEFAULT_SCOPE, event) for event in events])
    weekly = await ledger.ranks_as_of(WEEKLY, position, instant)

    assert weekly == [(run_on(WEEKLY, "2026-03-04"), (), before)]
    assert await ledger.ranks_as_of(WEEKLY, ledger.position(), instant) == []


async def test_users_are_found_by_their_numbers(ledger: EmbeddedLedger) -> None:
    """In the order of the question."""
    await fill(ledger)

    assert [user.id for user in await ledger.users([3, 1])] == ["cid", "ann"]
