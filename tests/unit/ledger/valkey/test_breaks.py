"""Users leave boards when their streaks break: once, whichever worker lets them, and by the same settings for all."""

import asyncio

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.local_time import parse_instant
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.value import MICROS
from palmares.ledger.valkey import breaks
from palmares.ledger.valkey.leaving import decode_leaving
from palmares.ledger.valkey.ledger import ValkeyLedger
from tests.ledger_world import Clock, run_on, swim
from tests.plain_archive import PlainArchive
from tests.unit.ledger.valkey.conftest import Open
from tests.valkey_servers import Address, fresh_name
from tests.world import HOURS, LAPS, POOL, day, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board(1, "streaks", rank_by="streak", metric=None)
RUN = run_on(BOARD, "2026-03-04")
USERS = [f"user-{number}" for number in range(20)]
MIDNIGHT_IN_TOKYO = "2026-03-05T15:00:00Z"


async def lengths(ledger: ValkeyLedger) -> dict[str, int]:
    """The streaks on the board, best first."""
    return {row.user_id: row.value // MICROS for row in await ledger.page(1, RUN, [()], 0, 100)}


async def test_who_leaves_does_so_once_whichever_worker_lets_them(
    open_worker: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers are at it at once, a few users at a time; nothing is recorded, and the days before are right."""
    monkeypatch.setattr(breaks, "_LEAVING_AT_ONCE", 3)
    archive = PlainArchive()
    one, other = [await open_worker([BOARD], shards=2, archive=archive) for _ in range(2)]
    await one.record([swim(user, 1) for user in USERS])
    clock.set("2026-03-05T12:00:00Z")
    await one.record([swim("user-0", 1)])
    lines = await one.records(0, 100)
    clock.set("2026-03-07T13:00:00Z")
    await asyncio.gather(one.advance(clock()), other.advance(clock()))

    assert await lengths(one) == await lengths(other) == {}
    assert await other.records(0, 100) == lines
    ranks = {}
    for user_id in ("user-0", "user-1", "user-19"):
        user = await one.user(DEFAULT_SCOPE, user_id)
        assert user is not None
        days = await other.history(1, RUN, user, day("2026-03-04"), day("2026-03-06"))
        ranks[user_id] = [found.rank for found in days]
    assert ranks == {"user-0": [1, 1, 1], "user-1": [2, 2, None], "user-19": [12, 12, None]}


async def test_the_next_midnight_of_anybody_is_due(open_worker: Open, clock: Clock) -> None:
    """A worker that is opened later knows of it, too."""
    worker = await open_worker([BOARD])
    await worker.record([swim("ann", 1, tz="Asia/Tokyo"), swim("bob", 1)])
    clock.set("2026-03-05T13:00:00Z")
    await worker.advance(clock())
    later = await open_worker([BOARD])

    due = parse_instant(MIDNIGHT_IN_TOKYO, "due")
    assert worker.next_due() == later.next_due() == due
    clock.now = due
    await worker.advance(due)
    assert worker.next_due() > due
    assert await lengths(later) == {"bob": 1}


async def test_who_leaves_at_another_worker_changes_a_ranking(open_worker: Open, clock: Clock) -> None:
    """Those who watch are told by both."""
    one, other = await open_worker([BOARD]), await open_worker([BOARD])
    await one.record([swim("ann", 1, tz="Asia/Tokyo"), swim("bob", 1)])
    for worker in (one, other):
        worker.changed_rankings()
        await worker.advance(clock())
        worker.changed_rankings()
    clock.set(MIDNIGHT_IN_TOKYO)
    await one.advance(clock())
    await other.advance(clock())

    assert one.changed_rankings() == other.changed_rankings() == [(1, RUN, ())]


@pytest.mark.parametrize("how", ["let go", "finished by hand"])
async def test_nothing_is_left_of_who_would_leave_a_board_that_ends_first(
    open_worker: Open, clock: Clock, how: str
) -> None:
    """There are ids in it."""
    other = make_board(2, "pools", rank_by="streak", metric=None, breakdown=(POOL,))
    worker = await open_worker([BOARD, other], archive=PlainArchive())
    await worker.record([swim("ann", 1), swim("bob", 1, attributes={"pool": "east"})])
    if how == "let go":
        worker.forget(1)
    else:
        await worker.freeze(1)
    await worker.groups(2, RUN)

    keys = worker._shards.all[0].keys
    [left] = await worker._store.read([[b"ZRANGE", keys.breaks, b"0", b"-1"]])
    assert sorted(decode_leaving(raw).member[16:] for raw in left) == [b"ann", b"bob"]
    clock.set("2026-03-07T12:00:00Z")
    await worker.advance(clock())
    assert await worker._store.read([[b"EXISTS", keys.breaks]]) == [0]


async def test_a_worker_that_has_not_heard_of_other_settings_counts_like_all(open_worker: Open, clock: Clock) -> None:
    """The board says by which it is made."""
    one, other = await open_worker([BOARD]), await open_worker([BOARD])
    await one.record([swim("ann", 1)])
    await one.set_streaks(DEFAULT_SCOPE, StreakSettings(frequency="weekly", version=1))
    clock.set("2026-03-05T12:00:00Z")
    await other.record([swim("ann", 1), swim("bob", 1)])
    clock.set("2026-03-08T12:00:00Z")
    await other.record([swim("cat", 1)])

    assert await lengths(one) == await lengths(other) == {"ann": 1, "bob": 1, "cat": 1}
    await other.set_streaks(DEFAULT_SCOPE, StreakSettings(frequency="weekly", version=1))
    assert await lengths(other) == {"ann": 1, "bob": 1, "cat": 1}


async def test_a_worker_that_has_not_heard_of_a_metric_counts_it_for_streaks(open_worker: Open, clock: Clock) -> None:
    """The event that it takes for nothing makes a streak on the board, though the user's own is as it was."""
    by_laps = StreakSettings(metrics=((LAPS.number, MICROS),), version=1)
    by_both = StreakSettings(metrics=((LAPS.number, MICROS), (HOURS.number, MICROS)), evaluation_mode="OR", version=2)
    one, other = [await open_worker() for _ in range(2)]
    for worker in (one, other):
        await worker.set_streaks(DEFAULT_SCOPE, by_laps)
    await one.follow(BOARD)
    await one.record([swim("ann", 1)])
    clock.set("2026-03-08T12:00:00Z")
    await one.set_streaks(DEFAULT_SCOPE, by_both)
    await other.record([swim("ann", 1, metric=HOURS)])

    assert await lengths(one) == await lengths(other) == {"ann": 1}


async def test_a_log_that_is_recorded_once_more_breaks_streaks_between_its_lines(
    valkey: list[Address], open_worker: Open, clock: Clock
) -> None:
    """Those too of which it is known only by lines of the same half of a day."""
    first = await open_worker([BOARD])
    for time, entry in (
        ("13:00", swim("ann", 1, "2026-03-04T12:00:00Z", tz="Asia/Tokyo")),
        ("16:00", swim("bob", 1)),
        ("17:00", swim("ann", 1)),
        ("18:00", swim("cat", 1, "2026-03-04T12:00:00Z", tz="Asia/Tokyo")),
    ):
        clock.set(f"2026-03-05T{time}:00Z")
        await first.record([entry])
    clock.set("2026-03-05T12:30:00Z")
    again = await ValkeyLedger.open(valkey, [BOARD], clock, "again", name=fresh_name())
    try:
        await again.replay().add(0, await first.stream.lines(0, 0, 100))
        assert await again.records(0, 100) == await first.records(0, 100)
        assert await lengths(again) == await lengths(first) == {"bob": 1, "ann": 1}
    finally:
        await again.close()


async def test_ranks_of_an_earlier_moment_are_by_the_streaks_of_then(open_worker: Open, clock: Clock) -> None:
    """Of those that are broken by now, too; up to the last line that counted."""
    worker = await open_worker([BOARD], shards=2, archive=PlainArchive())
    await worker.record([swim("ann", 1), swim("bob", 1, tz="Asia/Tokyo")])
    clock.set("2026-03-05T12:00:00Z")
    await worker.record([swim("ann", 1)])
    position = worker.position()
    clock.set("2026-03-07T12:00:00Z")
    await worker.record([swim("cat", 1)])

    told = []
    for time in ("2026-03-05T14:00:00Z", MIDNIGHT_IN_TOKYO):
        [(run, group, ranks)] = await worker.ranks_as_of(BOARD, position, parse_instant(time, "time"))
        users = await worker.users(list(ranks.participants))
        told.append((run, group, sorted(zip((user.id for user in users), ranks.ranks, strict=True))))
    assert told == [(RUN, (), [("ann", 1), ("bob", 2)]), (RUN, (), [("ann", 1)])]
    assert await lengths(worker) == {"cat": 1}
