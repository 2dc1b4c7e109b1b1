"""What ends is kept as it was at its instant, once, by one worker of many, whatever fails in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from threading import Event
from typing import Any

import pytest

from palmares.domain.board import Board
from palmares.domain.errors import Unavailable
from palmares.domain.snapshot import DayEnd, DayStanding
from palmares.domain.value import MICROS
from palmares.ledger.valkey import moment, notes
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.store import Lost
from tests.ledger_world import Clock, run_on, swim
from tests.plain_archive import PlainArchive
from tests.unit.ledger.valkey.conftest import Open
from tests.world import POOL, day, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
WEEKLY = make_board(2, "weekly", run_unit="day", run_interval=7, breakdown=(POOL,))
BOARDS = [BOARD, WEEKLY]
USERS = [f"user-{number}" for number in range(9)]


class FailingArchive(PlainArchive):
    """Counts what is written, and calls `before` with its name first."""

    def __init__(self, before: Callable[[str], None] = lambda name: None) -> None:
        super().__init__()
        self.written: list[str] = []
        self.before = before

    def keep_days(self, edition: int, run_start: int, ends: Sequence[DayEnd]) -> None:
        self.before("keep_days")
        super().keep_days(edition, run_start, ends)
        self.written += ["keep_days"] * len(ends)

    def keep_run(self, *arguments: Any, **named: Any) -> None:
        self.before("keep_run")
        super().keep_run(*arguments, **named)
        self.written.append("keep_run")


async def begin(ledger: ValkeyLedger) -> None:
    await ledger.record([swim(user, place + 1, attributes={"pool": "east"}) for place, user in enumerate(USERS)])


async def days_of(ledger: ValkeyLedger, board: Board, user_id: str) -> list[DayStanding]:
    user = await ledger.user(1, user_id)
    assert user is not None
    return await ledger.history(board.number, run_on(board, "2026-03-04"), user, 0, day("2030-01-01"))


async def all_that_is_over(ledger: ValkeyLedger) -> dict[Any, Any]:
    """Everybody's days and places in the runs of 4 March."""
    found: dict[Any, Any] = {}
    for board in BOARDS:
        run = run_on(board, "2026-03-04")
        groups = sorted(await ledger.groups(board.number, run))
        found[board.key, "rows"] = await ledger.page(board.number, run, groups, 0, 100)
        found[board.key, "state"] = await ledger.run_state(board.number, run)
        for user_id in USERS:
            user = await ledger.user(1, user_id)
            assert user is not None
            found[board.key, user_id] = (
                await days_of(ledger, board, user_id),
                await ledger.place(board.number, run, groups, user),
                await ledger.group(board.number, run, user),
            )
    return found


class FailNextStep:
    """Lets the first step of a worker fail, then the second of the next attempt, and so on; `stop` lets none fail."""

    def __init__(self) -> None:
        self._steps, self._fails_at = 0, 1

    def __call__(self, name: str) -> None:
        self._steps += 1
        if self._steps == self._fails_at:
            self._steps, self._fails_at = 0, self._fails_at + 1
            raise Lost("the worker has crashed")

    def stop(self) -> None:
        self._fails_at = 0


def fail_next_step(ledger: ValkeyLedger, archive: FailingArchive) -> FailNextStep:
    """Let scripts and what is written to the archive fail in turn."""
    fail = FailNextStep()
    fail_scripts(ledger, fail)
    archive.before = fail
    return fail


def fail_scripts(ledger: ValkeyLedger, before: Callable[[str], None]) -> None:
    """Call something before each script that the ledger sends to Valkey."""
    script = ledger._store.script

    async def watched(name: str, *arguments: Any) -> Any:
        before(name)
        return await script(name, *arguments)

    ledger._store.script = watched  # type: ignore[method-assign]


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize(("members", "remembered"), [(2, 0), (100, 0), (100, 100)])
async def test_who_moves_while_a_day_is_kept_is_kept_where_they_stood(
    open_worker: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch, shards: int, members: int, remembered: int
) -> None:
    """Though everybody moves all the time, between groups too; with orders in pieces or at once, and notes that are
    remembered or too many for that."""
    monkeypatch.setattr(moment, "_MEMBERS_AT_ONCE", members)
    monkeypatch.setattr(notes, "_MOST_REMEMBERED", remembered)
    ledger = await open_worker(BOARDS, shards, PlainArchive())
    other = await open_worker((), shards, PlainArchive())
    await begin(ledger)
    clock.set("2026-03-05T00:00:00Z")
    stopped = False

    async def move() -> None:
        step = 0
        while not stopped:
            step += 1
            pool = ["east", "west", None][step % 3]
            await other.record([swim(USERS[step * step % 9], step * 7 % 5 - 1, attributes={"pool": pool})])

    moving = asyncio.create_task(move())
    await other.record([swim("user-0", 50)])
    await ledger.advance(clock())
    stopped = True
    await moving
    for board in BOARDS:
        for place, user in enumerate(USERS):
            kept = DayStanding(day("2026-03-04"), 9 - place, (place + 1) * MICROS)
            assert await days_of(ledger, board, user) == [kept]


async def test_several_days_wait_while_the_archive_is_away(
    open_worker: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events go on, and in the end each day is as it was at its end."""

    def is_away(name: str) -> None:
        raise Unavailable("the archive is away")

    archive = FailingArchive(is_away)
    ledger = await open_worker(BOARDS, 4, archive)
    scanned: list[bytes] = []
    scan_hash = ledger._store.scan_hash

    def scan(key: bytes, pattern: bytes) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        scanned.append(key)
        return scan_hash(key, pattern)

    monkeypatch.setattr(ledger._store, "scan_hash", scan)
    await begin(ledger)
    for date in (5, 6, 7):
        clock.set(f"2026-03-{date:02}T00:00:00Z")
        if date != 6:
            with pytest.raises(Unavailable, match="away"):
                await ledger.advance(clock())
        await ledger.record([swim("user-0", 10, attributes={"pool": "west" if date == 6 else "east"})])
    archive.before = lambda name: None
    await ledger.advance(clock())
    # The notes behind the first two midnights are read once by each attempt that got so far, for both boards.
    assert sorted(Counter(scanned).values())[:2] == [2, 2]
    expected = [(4, 9, 1), (5, 1, 11), (6, 1, 21)]
    assert await days_of(ledger, WEEKLY, "user-0") == [
        DayStanding(day(f"2026-03-{date:02}"), rank, laps * MICROS) for date, rank, laps in expected
    ]
    assert [found.rank for found in await days_of(ledger, WEEKLY, "user-1")] == [8, 9, 8]


async def test_many_workers_keep_everything_once(open_worker: Open, clock: Clock) -> None:
    """And all of them see it, when their `advance` returns."""
    archive = FailingArchive()
    workers = [await open_worker(BOARDS if not place else (), 4, archive) for place in range(3)]
    await begin(workers[0])
    clock.set("2026-03-09T12:00:00Z")
    await asyncio.gather(*(worker.advance(clock()) for worker in workers))
    # Five midnights of two boards, and the last day of one.
    assert (archive.written.count("keep_days"), archive.written.count("keep_run")) == (11, 1)
    first, *others = [await all_that_is_over(worker) for worker in workers]
    assert others == [first, first]
    assert first["weekly", "state"] == (True, 0, 0)
    assert workers[1].next_due() > clock()


@pytest.mark.parametrize("shards", [1, 4])
async def test_a_crash_at_any_moment_is_made_up_for(open_worker: Open, clock: Clock, shards: int) -> None:
    """One after another, each step of a worker is the one before which it dies; the next one goes on."""
    archive = FailingArchive()
    ledger = await open_worker(BOARDS, shards, archive)
    await begin(ledger)
    clock.set("2026-03-09T10:00:00Z")
    await ledger.record([swim("user-3", 20, tz="Etc/GMT+12")])
    clock.set("2026-03-09T12:00:00Z")
    fail = fail_next_step(ledger, archive)
    crashes = 0
    while True:
        try:
            await ledger.advance(clock())
        except Unavailable:
            crashes += 1
            # A worker that died gives nothing back; here, what runs out is taken away.
            await ledger._store.read([[b"DEL", ledger._keeper._keys.lease]])  # type: ignore[union-attr]
        else:
            break
    fail.stop()
    assert crashes > 15
    rows = (await all_that_is_over(ledger))["weekly", "rows"]
    assert [(row.user_id, row.value // MICROS) for row in rows][:2] == [("user-3", 24), ("user-8", 9)]
    assert [found.rank for found in await days_of(ledger, WEEKLY, "user-3")] == [6, 6, 6, 6, 6, 1]
    assert await left_of_runs(ledger) == {day("2026-03-02")}


async def left_of_runs(ledger: ValkeyLedger) -> set[int]:
    """The first days of the runs of which there are orders in Valkey."""
    found: set[int] = set()
    for board in BOARDS:
        found.update(start for start, _ in await ledger._reader.run_groups(board.number))
    return found


async def test_who_wakes_up_when_the_lease_is_gone_changes_nothing(open_worker: Open, clock: Clock) -> None:
    """Another one has done it, and more has happened since."""
    archive, asleep, awake = FailingArchive(), asyncio.Event(), Event()
    loop = asyncio.get_running_loop()
    first, second = await open_worker(BOARDS, 4, archive), await open_worker((), 4, archive)
    await begin(first)
    clock.set("2026-03-05T00:00:00Z")

    def sleep(name: str) -> None:
        archive.before = lambda name: None
        loop.call_soon_threadsafe(asleep.set)
        awake.wait()

    archive.before = sleep
    sleeping = asyncio.create_task(first.advance(clock()))
    await asleep.wait()
    await second._store.read([[b"DEL", second._keeper._keys.lease]])  # type: ignore[union-attr]
    clock.set("2026-03-06T00:00:00Z")
    await second.record([swim("user-0", 100)])
    await second.advance(clock())
    written, kept = list(archive.written), await days_of(second, BOARD, "user-0")
    awake.set()
    await sleeping
    # The one that was on its way is what was kept already.
    assert archive.written == [*written, "keep_days"]
    assert await days_of(second, BOARD, "user-0") == kept
    assert [found.rank for found in kept] == [9, 9]


async def test_what_others_change_is_told_from_the_next_instant_on(open_worker: Open, clock: Clock) -> None:
    """Once, and what nobody changed is not told."""
    first, second = await open_worker(BOARDS, 4), await open_worker((), 4)
    await begin(first)
    first.changed_rankings()
    await first.advance(clock())
    first.changed_rankings()
    await second.record([swim("user-0", 1)])
    assert first.changed_rankings() == []
    await first.advance(clock())
    expected = [(1, run_on(BOARD, "2026-03-04"), ()), (2, run_on(WEEKLY, "2026-03-04"), ("east",))]
    assert first.changed_rankings() == expected
    await first.advance(clock())
    assert first.changed_rankings() == []
