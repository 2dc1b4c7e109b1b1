"""Several workers on the same shards, and workers that do not get to the end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.errors import Invalid, NotFound, Overloaded, Unavailable
from palmares.domain.value import MICROS
from palmares.ledger.contract import Outcome, Record
from palmares.ledger.valkey.draft import EventsNeeded, Picture
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.store import Glide, Lost
from tests.ledger_world import Clock, run_on, swim
from tests.unit.ledger.valkey.conftest import Open
from tests.valkey_servers import Address, fresh_name
from tests.world import LAPS, POOL, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
POOLS = make_board(2, "pools", breakdown=(POOL,), numbering="dense")
RUN = run_on(BOARD, "2026-03-04")


async def laps_of(ledger: ValkeyLedger, user_id: str) -> int:
    user = await ledger.user(1, user_id)
    assert user is not None
    return await ledger.total(user, LAPS) // MICROS


async def standings(ledger: ValkeyLedger) -> list[tuple[int, str, int]]:
    rows = await ledger.page(1, RUN, [()], 0, 1000)
    return [(row.rank, row.user_id, row.value // MICROS) for row in rows]


async def event_lines(ledger: ValkeyLedger) -> list[Record]:
    return [line for line in await ledger.records(0, 10_000) if line.kind == "event"]


@pytest.mark.parametrize("shards", [1, 4])
async def test_200_events_of_one_user_at_two_workers_all_count(open_worker: Open, shards: int) -> None:
    """Each total is told once, and the stream has each event once."""
    first, second = await open_worker([BOARD], shards), await open_worker([BOARD], shards)
    outcomes: list[list[Outcome]] = await asyncio.gather(
        *([first, second][number % 2].record([swim("ann", 1)]) for number in range(200))
    )
    assert sorted(outcome.total for [outcome] in outcomes) == [count * MICROS for count in range(1, 201)]
    assert sum(outcome.created for [outcome] in outcomes) == 1
    lines = await event_lines(first)
    assert sorted(line.total or 0 for line in lines) == [count * MICROS for count in range(1, 201)]
    assert await standings(second) == [(1, "ann", 200)]


async def test_one_key_at_two_workers_counts_once(open_worker: Open) -> None:
    """Exactly one is processed; the others tell of it."""
    workers = [await open_worker([BOARD]), await open_worker([BOARD])]
    outcomes = await asyncio.gather(*(workers[number % 2].record([swim("ann", 3, key="k")]) for number in range(40)))
    assert sorted(outcome.replayed for [outcome] in outcomes) == [False] + [True] * 39
    assert len({outcome.event_id for [outcome] in outcomes}) == 1
    assert {outcome.total for [outcome] in outcomes} == {3 * MICROS}
    assert len(await event_lines(workers[0])) == 1


async def test_numbers_of_users_are_given_once(open_worker: Open) -> None:
    """By two workers, in four shards; who has one is found by it."""
    workers = [await open_worker(shards=4), await open_worker(shards=4)]
    outcomes = await asyncio.gather(*(workers[place % 2].record([swim(f"user-{place}", 1)]) for place in range(60)))
    numbers = [outcome.user.number for [outcome] in outcomes]
    assert len(set(numbers)) == 60
    assert [user.id for user in await workers[0].users(numbers)] == [f"user-{place}" for place in range(60)]


async def test_a_board_that_is_heard_of_while_events_are_read_has_the_event(
    open_worker: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was drafted for the boards before is not sent as if it had been for those of now."""
    latest = make_board(3, "latest", aggregation="last")
    first, second = await open_worker([latest]), await open_worker([latest])
    await first.record([swim("ann", 5, at="2026-03-04T11:00:00Z")])
    shards = first._shards
    add_events = shards.add_events

    async def hear_meanwhile(*needed: Any) -> None:
        await add_events(*needed)
        monkeypatch.undo()
        await second.follow(BOARD)
        await shards.refresh()

    monkeypatch.setattr(shards, "add_events", hear_meanwhile)
    late = swim("ann", 3, at="2026-03-04T10:00:00Z")
    await asyncio.gather(first.record([late]), first.record([swim("bob", 1)]))
    assert await standings(first) == [(1, "ann", 8), (2, "bob", 1)]


async def test_the_events_of_many_users_are_read_at_once(open_worker: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of a batch are late. What comes behind them is taken or refused by what they will have done, not by
    what is known while they lack their events."""
    latest = make_board(3, "latest", aggregation="last")
    ledger = await open_worker([latest], 4)
    users = [f"user-{place}" for place in range(30)]
    await ledger.record([swim(user, 5, at="2026-03-04T11:00:00Z") for user in users])
    needs: list[EventsNeeded] = []
    add_events = ledger._shards.add_events

    async def count(picture: Picture, needed: EventsNeeded) -> None:
        needs.append(needed)
        await add_events(picture, needed)

    monkeypatch.setattr(ledger._shards, "add_events", count)
    late = [swim(user, place, at="2026-03-04T10:00:00Z") for place, user in enumerate(users, 1)]
    here = replace(swim("new", 2), must_exist=True)
    *taken, refused = await asyncio.gather(
        ledger.record([*late, swim("new", 1)]),
        ledger.record([here]),
        ledger.record([swim(user, 1, at="2026-03-04T10:30:00Z") for user in users[::2]]),
        ledger.record([swim("user-0", 2, at="2026-03-04T10:45:00Z"), *[swim("user-1", 9 * 10**12)] * 2]),
        return_exceptions=True,
    )
    assert [len(needed.events) for needed in needs] == [len(users)]
    assert isinstance(refused, Invalid)
    assert [outcome.total for outcome in taken[0]] == [(5 + place) * MICROS for place in range(1, 31)] + [MICROS]
    assert [outcome.total for outcome in taken[1]] == [3 * MICROS]
    assert [outcome.total for outcome in taken[2]] == [(5 + place + 1) * MICROS for place in range(1, 31, 2)]
    rows = await ledger.page(3, RUN, [()], 0, 100)
    assert {row.user_id: row.value for row in rows} == {**dict.fromkeys(users, 5 * MICROS), "new": 2 * MICROS}


async def test_each_shard_has_a_log_without_gaps(open_worker: Open) -> None:
    """Together they have each line once, whatever piece is asked for."""
    ledger = await open_worker(shards=4)
    await asyncio.gather(*(ledger.record([swim(f"user-{place}", 1)]) for place in range(30)))
    lines = await ledger.records(0, 1000)
    for shard in range(4):
        own = [line.position for line in lines if (line.position - 1) % 4 == shard]
        assert own == list(range(shard + 1, shard + 1 + 4 * len(own), 4))
    assert len(lines) == ledger.position() == 60
    pieces, after = [], 0
    while piece := await ledger.records(after, 7):
        pieces += piece
        after = piece[-1].position
    assert pieces == lines


async def test_what_one_worker_follows_the_other_counts_on(open_worker: Open) -> None:
    """Though nobody told it."""
    first, second = await open_worker(shards=4), await open_worker(shards=4)
    await second.record([swim("ann", 1)])
    await first.follow(BOARD)
    [outcome] = await second.record([swim("ann", 1)])
    assert [(board.board.key, board.rank) for board in outcome.boards] == [("weekly-laps", 1)]
    assert await standings(second) == await standings(first) == [(1, "ann", 2)]


async def test_what_one_worker_forgets_is_gone_for_the_other(open_worker: Open) -> None:
    first, second = await open_worker([BOARD]), await open_worker([BOARD])
    await second.record([swim("ann", 1)])
    first.forget(1)
    await first.settle()
    with pytest.raises(NotFound):
        await standings(second)
    assert (await second.record([swim("ann", 1)]))[0].boards == []


async def test_a_worker_forgets_what_only_another_has_followed(open_worker: Open) -> None:
    """Though it has not heard of it."""
    first, second = await open_worker(), await open_worker()
    await first.follow(BOARD)
    second.forget(1)
    await second.settle()
    assert (await first.record([swim("ann", 1)]))[0].boards == []


async def test_what_one_worker_redefines_the_other_shows(open_worker: Open) -> None:
    """A cap is nothing that is stored, so it holds at once."""
    first, second = await open_worker([BOARD]), await open_worker([BOARD])
    await first.record([swim("ann", 1), swim("bob", 2)])
    first.redefine(replace(BOARD, max_participants=1))
    await first.settle()
    assert await standings(second) == [(1, "bob", 2)]


async def test_recording_goes_on_while_a_board_is_made(open_worker: Open) -> None:
    """Whoever comes in between brings along what was there before."""
    workers = [await open_worker(shards=4), await open_worker(shards=4)]
    await asyncio.gather(*(workers[0].record([swim(f"user-{place}", 1)]) for place in range(40)))
    await asyncio.gather(
        workers[0].follow(BOARD),
        *(workers[place % 2].record([swim(f"user-{place % 40}", 1)]) for place in range(80)),
    )
    assert {laps for _, _, laps in await standings(workers[1])} == {3}
    assert len(await standings(workers[1])) == 40


async def test_a_union_shows_nobody_twice_while_they_move(open_worker: Open) -> None:
    """And a reader sees all of a list or nothing: each read is of one moment."""
    ledger = await open_worker([POOLS])
    await ledger.record([swim(f"user-{place}", 1, attributes={"pool": "east"}) for place in range(10)])
    pools = ["east", "west"]

    async def move() -> None:
        for number in range(20):
            changes = {"pool": pools[number % 2 == 0]}
            await ledger.record([swim(f"user-{place}", 1, attributes=changes) for place in range(10)])

    moving = asyncio.ensure_future(move())
    looked = 0
    while not moving.done():
        rows = await ledger.page(2, RUN, [("east",), ("west",)], 0, 100)
        assert sorted(row.user_id for row in rows) == [f"user-{place}" for place in range(10)]
        assert len({row.value for row in rows}) == 1
        looked += 1
    await moving
    assert looked > 5


async def test_a_place_is_never_behind_oneself(open_worker: Open) -> None:
    """Somebody alone is first, also while the value grows."""
    ledger = await open_worker([BOARD])
    [outcome] = await ledger.record([swim("ann", 1)])
    recording = asyncio.gather(*(ledger.record([swim("ann", 1)]) for _ in range(100)))
    while not recording.done():
        place = await ledger.place(1, RUN, [()], outcome.user)
        assert place is not None
        assert (place.row, place.rank) == (0, 1)
    await recording


# Workers that do not get to the end


class Unreliable:
    """A store that loses answers, refuses, or holds answers back until the test says so."""

    def __init__(self, store: Glide) -> None:
        self._store = store
        self.lose = 0
        self.refuse = 0
        self.held: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.before: Callable[[], Awaitable[Any]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def script(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        if self.refuse:
            self.refuse -= 1
            raise Unavailable("out of memory")
        before, self.before = self.before, None
        if before is not None:
            await before()
        answer = await self._store.script(name, keys, arguments)
        if self.held is not None:
            self.reached.set()
            await self.held.wait()
        if self.lose:
            self.lose -= 1
            raise Lost("the connection broke")
        return answer


def unreliable(ledger: ValkeyLedger) -> Unreliable:
    store = Unreliable(ledger._store)
    ledger._shards.store = store
    return store


async def test_who_was_overtaken_works_all_of_it_out_again(open_worker: Open) -> None:
    """Also what came behind in the same commit, though the version that it expects is there: another made it."""
    first, second = await open_worker([BOARD]), await open_worker([BOARD])
    unreliable(first).before = lambda: second.record([swim("ann", 10), swim("bob", 1)])
    outcomes = await asyncio.gather(first.record([swim("cat", 1)]), *(first.record([swim("ann", 1)]) for _ in range(3)))
    assert [outcome.total // MICROS for [outcome] in outcomes] == [1, 11, 12, 13]
    unreliable(first).before = lambda: second.record([swim("ann", 10), swim("ann", 10)])
    outcomes = await asyncio.gather(*(first.record([swim("ann", 1)]) for _ in range(3)))
    assert [outcome.total // MICROS for [outcome] in outcomes] == [34, 35, 36]
    assert await standings(second) == [(1, "ann", 36), (2, "bob", 1), (3, "cat", 1)]


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_commit_whose_answer_got_lost_is_sent_again_and_counts_once(open_worker: Open, lost: int) -> None:
    """The answer is what the first sending did, also when others have come since."""
    first, second = await open_worker([BOARD]), await open_worker([BOARD])
    await second.record([swim("bob", 5)])
    unreliable(first).lose = lost
    [outcome] = await first.record([swim("ann", 7)])
    assert (outcome.created, outcome.total, outcome.boards[0].rank) == (True, 7 * MICROS, 1)
    assert await standings(second) == [(1, "ann", 7), (2, "bob", 5)]
    assert len(await event_lines(second)) == 2


async def test_a_commit_that_gets_no_answer_at_all_is_told_to_be_doubtful(open_worker: Open) -> None:
    """It may be stored. With its key, it can be sent again and counts once."""
    ledger = await open_worker([BOARD])
    unreliable(ledger).lose = 3
    with pytest.raises(Unavailable, match="broke"):
        await ledger.record([swim("ann", 7, key="k")])
    [outcome] = await ledger.record([swim("ann", 7, key="k")])
    assert (outcome.replayed, outcome.total) == (True, 7 * MICROS)


@pytest.mark.parametrize("shards", [1, 4])
async def test_a_worker_that_is_cut_off_in_the_middle_leaves_nothing_half_done(open_worker: Open, shards: int) -> None:
    """Its commit was taken or not; another worker goes on from there."""
    first, second = await open_worker([BOARD], shards), await open_worker([BOARD], shards)
    store = unreliable(first)
    store.held = asyncio.Event()
    waiting = asyncio.ensure_future(first.record([swim(f"user-{place}", 1, key="k") for place in range(8)]))
    await store.reached.wait()
    first._worker._task.cancel()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await first._worker._task
    first._worker._task = asyncio.create_task(asyncio.sleep(0))
    outcomes = await second.record([swim(f"user-{place}", 1, key="k") for place in range(8)])
    assert {outcome.total for outcome in outcomes} == {MICROS}
    assert {laps for _, _, laps in await standings(second)} == {1}
    assert len(await event_lines(second)) == len(await standings(second)) == 8


async def test_a_list_is_stored_to_its_end_though_its_caller_has_gone(open_worker: Open) -> None:
    """One shard had to be asked again when the caller was gone already."""
    first, second = await open_worker([BOARD], 4), await open_worker([BOARD], 4)
    users = [f"user-{place}" for place in range(8)]

    async def overtake_and_go() -> None:
        await second.record([swim(users[0], 1)])
        waiting.cancel()

    unreliable(first).before = overtake_and_go
    waiting = asyncio.ensure_future(first.record([swim(user_id, 1) for user_id in users]))
    with suppress(asyncio.CancelledError):
        await waiting
    await first.record([swim("last", 1)])
    assert [laps for _, _, laps in await standings(second)] == [2] + [1] * 8


async def test_a_shard_that_is_lost_is_told_to_have_left_a_part(open_worker: Open) -> None:
    """With keys, sending the list again stores the rest, and nothing twice."""
    ledger = await open_worker([BOARD], 4)
    entries = [swim(f"user-{place}", 1, key="k") for place in range(12)]
    unreliable(ledger).refuse = 1
    with pytest.raises(Unavailable, match="a part of the list was stored"):
        await ledger.record(entries)
    outcomes = await ledger.record(entries)
    assert {outcome.replayed for outcome in outcomes} == {False, True}
    assert [laps for _, _, laps in await standings(ledger)] == [1] * 12
    assert len(await event_lines(ledger)) == 12


# What is settled when the data is made


async def test_the_number_of_shards_cannot_change(open_worker: Open) -> None:
    await open_worker(shards=4)
    with pytest.raises(Invalid, match="4"):
        await open_worker(shards=1)


async def test_time_does_not_go_back_though_the_clocks_of_workers_differ(open_worker: Open, clock: Clock) -> None:
    """Lines of a shard are recorded in order."""
    ledger = await open_worker([BOARD])
    await ledger.record([swim("ann", 1)])
    clock.set("2026-03-04T11:59:00Z")
    late = await open_worker([BOARD])
    await late.record([swim("bob", 1)])
    times = [line.recorded_at for line in await ledger.records(0, 10)]
    assert times == sorted(times)


async def test_what_does_not_fit_the_queue_is_refused_before_anything_is_stored(
    valkey: list[Address], clock: Clock
) -> None:
    ledger = await ValkeyLedger.open(valkey, [BOARD], clock, "worker", name=fresh_name(), most_queued=10)
    requests = (ledger.record([swim("ann", 1)]) for _ in range(15))
    answers = await asyncio.gather(*requests, return_exceptions=True)
    assert [isinstance(answer, Overloaded) for answer in answers] == [False] * 10 + [True] * 5
    assert await laps_of(ledger, "ann") == 10
    await ledger.close()


async def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(Unavailable):
        await ValkeyLedger.open([("127.0.0.1", 1)], [], Clock(), "worker")
