"""Who is erased is gone from Valkey: at once from whatever is read by the id, and after compacting from every byte."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import NotAllowed, NotFound, Unavailable
from palmares.domain.points import schemes_of
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry, Erasure, Outcome, WantedEvents, void
from palmares.ledger.valkey.erasing import anonymous_content
from palmares.ledger.valkey.keys import shard_of
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.state import Line, decode_line, encode_line
from tests.ledger_world import Clock, placed, run_on, swim
from tests.unit.ledger.valkey.conftest import Open
from tests.valkey_servers import READ
from tests.world import LAPS, POOL, make_board, make_system, make_trigger

pytestmark = pytest.mark.anyio

BOARD = make_board(1, "laps")
POOLS = make_board(2, "pools", breakdown=(POOL,), numbering="dense")
WHO = "somebody-to-forget"
BOTH = pytest.mark.parametrize("shards", [1, 4])


async def erase(ledger: ValkeyLedger, user_id: str = WHO) -> Outcome:
    [outcome] = await ledger.record([Entry(DEFAULT_SCOPE, user_id, erase=True, must_exist=True)])
    return outcome


async def compact(ledger: ValkeyLedger) -> None:
    await ledger.compact([erasure.number for erasure in await ledger.unfinished_erasures()])


async def lived(open_worker: Open, clock: Clock, shards: int) -> ValkeyLedger:
    """One who has done a little of everything, among others."""
    ledger = await open_worker([BOARD, POOLS], shards)
    await ledger.set_points(DEFAULT_SCOPE, schemes_of([make_system(make_trigger())]))
    east = {"attributes": {"pool": "east"}}
    await ledger.record([swim("ann", 9, **east), swim("bob", 5, **east)])
    mine = {**east, "name": f"{WHO} in person"}
    first = replace(swim(WHO, 4, key=f"{WHO}-1", **mine), attributes={"style": f"the style of {WHO}"})
    await ledger.record([first, swim(WHO, 30, key=f"{WHO}-2"), swim("cat", 3, **east)])
    user = await ledger.user(DEFAULT_SCOPE, WHO)
    newest, *_ = (await ledger.events(WantedEvents(DEFAULT_SCOPE, 1, user=user))).events
    await ledger.record([void(DEFAULT_SCOPE, newest.position, f"{WHO} never did"), swim(WHO, 3)])
    clock.now += MICROS
    return ledger


async def every_byte(ledger: ValkeyLedger) -> bytes:
    """All keys of the ledger, and everything in them."""
    store, found = ledger._store, []
    for shard in ledger._shards.all:
        tag = shard.keys.head.removesuffix(b"head")
        [keys] = await store.read([[b"KEYS", tag + b"*"]])
        for key in keys:
            [kind] = await store.read([[b"TYPE", key]])
            command, *rest = READ[bytes(kind)]
            [value] = await store.read([[command, key, *rest]])
            found += [key, repr(value).encode()]
    return b"\n".join(found)


@BOTH
async def test_an_erased_user_is_unknown_and_ranks_close_up(open_worker: Open, clock: Clock, shards: int) -> None:
    ledger = await lived(open_worker, clock, shards)
    before = await ledger.user(DEFAULT_SCOPE, WHO)
    assert before is not None
    outcome = await erase(ledger)

    assert (outcome.user.id, outcome.user.name, outcome.user.attributes) == (f"erased-{before.number}", None, {})
    assert await ledger.user(DEFAULT_SCOPE, WHO) is None
    assert await ledger.user(DEFAULT_SCOPE, outcome.user.id) is None
    assert [user.id for user in await ledger.users([before.number])] == [outcome.user.id]
    for board, group in ((BOARD, ()), (POOLS, ("east",))):
        rows = await ledger.page(board.number, run_on(board, "2026-03-04"), [group], 0, 10)
        assert [(row.rank, row.user_id) for row in rows] == [(1, "ann"), (2, "bob"), (3, "cat")]
    with pytest.raises(NotFound):
        await erase(ledger)
    told = await ledger.streak_rankings(DEFAULT_SCOPE, "longest", 10)
    assert [row.user_id for row in told] == ["ann", "bob", "cat"]
    erasures = await ledger.unfinished_erasures()
    assert erasures == [Erasure(DEFAULT_SCOPE, before.number, WHO, clock.now)]


@BOTH
@pytest.mark.parametrize("compacted", [False, True])
async def test_the_same_id_is_somebody_new(open_worker: Open, clock: Clock, shards: int, compacted: bool) -> None:
    """With keys, totals, days, points and a place of their own; also after what was left is removed."""
    ledger = await lived(open_worker, clock, shards)
    await erase(ledger)
    if compacted:
        await compact(ledger)
    [again] = await ledger.record([swim(WHO, 12, key=f"{WHO}-1")])
    if not compacted:
        await compact(ledger)
    [replayed] = await ledger.record([swim(WHO, 12, key=f"{WHO}-1")])

    assert (again.created, again.replayed, again.total, len(again.awards)) == (True, False, 12 * MICROS, 1)
    assert (placed(again)["laps"], replayed.replayed, replayed.event_id) == ((None, 1), True, again.event_id)
    assert [day.change for day in await ledger.days(again.user, LAPS, 739_000, 740_000)] == [12 * MICROS]
    shown = await ledger.events(WantedEvents(DEFAULT_SCOPE, 10, user=again.user))
    assert [event.amount for event in shown.events] == [12 * MICROS]


@BOTH
async def test_lives_may_follow_each_other_in_one_list(open_worker: Open, shards: int) -> None:
    """Each with its own key, and nothing of the one before."""
    ledger = await open_worker([BOARD], shards)
    gone = Entry(DEFAULT_SCOPE, WHO, erase=True, must_exist=True)
    outcomes = await ledger.record(
        [swim(WHO, 1, key="k"), gone, swim(WHO, 2, key="k"), swim(WHO, 2, key="k"), gone, swim(WHO, 4, key="k")]
    )
    assert [(outcome.total // MICROS, outcome.replayed) for outcome in outcomes] == [
        (1, False), (0, False), (2, False), (2, True), (0, False), (4, False),
    ]  # fmt: skip
    assert len({outcome.user.number for outcome in outcomes}) == 3
    assert len(await ledger.unfinished_erasures()) == 2
    assert [row.value for row in await ledger.page(1, run_on(BOARD, "2026-03-04"), [()], 0, 5)] == [4 * MICROS]


@BOTH
async def test_nothing_of_a_person_is_left_in_any_key(open_worker: Open, clock: Clock, shards: int) -> None:
    """And what is left of the log is what it was."""
    ledger = await lived(open_worker, clock, shards)
    others = [record for record in await ledger.records(0, 1000) if not await _is_of(ledger, record.user)]
    before = await ledger.records(0, 1000)
    assert WHO.encode() in await every_byte(ledger)
    await erase(ledger)
    await compact(ledger)

    assert WHO.encode() not in await every_byte(ledger)
    assert await ledger.unfinished_erasures() == []
    after = await ledger.records(0, 1000)
    assert [record for record in after if record in others] == others
    kept = [record._replace(body=None, idempotency_key=None) for record in before]
    positions = {record.position for record in before}
    assert [one._replace(body=None, idempotency_key=None) for one in after if one.position in positions] == kept


async def _is_of(ledger: ValkeyLedger, number: int) -> bool:
    user = await ledger.user(DEFAULT_SCOPE, WHO)
    return user is not None and user.number == number


@BOTH
async def test_recording_goes_on_while_the_log_is_copied(open_worker: Open, clock: Clock, shards: int) -> None:
    """By others too; no line is lost, and none told twice."""
    ledger, other = await lived(open_worker, clock, shards), await open_worker([BOARD, POOLS], shards)
    await erase(ledger)

    async def go_on() -> None:
        for number in range(20):
            await other.record([swim(f"swimmer-{number % 5}", 1)])

    await asyncio.gather(compact(ledger), go_on(), go_on())
    records = [record for record in await ledger.records(0, 1000) if record.kind == "event"]
    assert sum(record.amount == MICROS for record in records) == 40
    assert len({record.position for record in records}) == len(records)
    await other.record([swim("ann", 1)])


async def test_of_two_copies_the_one_that_knows_less_is_thrown_away(
    open_worker: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made before another user was erased, of whom the other copy holds nothing."""
    ledger, other = await lived(open_worker, clock, 1), await open_worker([BOARD, POOLS])
    await erase(ledger)
    copy = ledger._erasing._copy

    async def copy_and_be_overtaken(*arguments: Any) -> tuple[int, int]:
        found = await copy(*arguments)
        await erase(other, "bob")
        await compact(other)
        return found

    monkeypatch.setattr(ledger._erasing, "_copy", copy_and_be_overtaken)
    before = len(await ledger.records(0, 1_000))
    with pytest.raises(Unavailable, match="another copy"):
        await compact(ledger)
    for name in (WHO, "bob"):
        assert name.encode() not in await every_byte(ledger)
    assert len(await ledger.records(0, 1_000)) == before + 1
    assert await ledger.unfinished_erasures() == []


@BOTH
async def test_who_knows_only_the_former_user_with_an_id_is_overtaken(
    open_worker: Open, clock: Clock, shards: int
) -> None:
    """Two workers that erase and record at the same time never mix two lives."""
    ledger, other = await lived(open_worker, clock, shards), await open_worker([BOARD, POOLS], shards)
    for _ in range(5):
        gone = Entry(DEFAULT_SCOPE, WHO, erase=True)
        answers = await asyncio.gather(
            ledger.record([gone]),
            *(other.record([swim(WHO, 1)]) for _ in range(5)),
            ledger.record([swim(WHO, 1)]),
        )
        [last] = await other.record([swim(WHO, 1)])
        since = [one for [one] in answers if one.user.number == last.user.number and one.event_id is not None]
        assert last.total == (len(since) + 1) * MICROS


async def test_nobody_is_erased_while_runs_that_are_over_have_ids_in_them(open_worker: Open, clock: Clock) -> None:
    """It is refused, and the user stays whole."""
    daily = make_board(3, "daily", run_unit="day", run_interval=1)
    ledger = await open_worker([daily])
    await ledger.record([swim(WHO, 5)])
    clock.set("2026-03-06T12:00:00Z")
    await ledger.advance(clock())
    with pytest.raises(NotAllowed, match="daily"):
        await erase(ledger)
    assert (await ledger.record([swim(WHO, 1)]))[0].total == 6 * MICROS


def test_an_anonymous_user_stays_in_the_shard_that_gave_the_number() -> None:
    """Whoever only looks like one does not."""
    assert [shard_of(b"1:erased-%d" % number, 4) for number in (1, 2, 4, 5, 400)] == [0, 1, 3, 0, 3]
    assert {shard_of(b"1:me:erased-%d" % number, 4) for number in range(1, 400, 4)} == {0, 1, 2, 3}


def test_a_line_keeps_what_the_past_needs() -> None:
    """Amounts, times and what an award was for; of a profile, zone and preferences."""
    event = Line(1, "ann", '{"a":"b"}', 1, 5, 10, 20, 5, "key", True, "streak")
    award = Line(1, "ann", '{"trigger":"t"}', -1, 5, 10, 20, 5)
    profile = Line(1, "ann", '{"name":"Ann","tz":"Asia/Tokyo"}', kind="user")
    left = [
        decode_line(anonymous_content(7, bytes(7) + b"\x03" + encode_line(line))) for line in (event, award, profile)
    ]

    assert [target for _, target in left] == [3, 3, 3]
    assert left[0][0] == Line(1, "erased-7", None, 1, 5, 10, 20, 5, None, True, "streak")
    assert left[1][0] == Line(1, "erased-7", '{"trigger":"t"}', -1, 5, 10, 20, 5)
    assert left[2][0] == Line(1, "erased-7", '{"tz":"Asia/Tokyo"}', kind="user")
