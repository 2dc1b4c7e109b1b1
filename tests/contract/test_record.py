"""Recording: durable, in order, exact, all or none."""

from collections.abc import Sequence
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid, NotAllowed, NotFound
from palmares.domain.value import LEAST, MICROS, MOST
from palmares.ledger.contract import Entry
from tests.ledger_world import LedgerWorld, everything, swim, told
from tests.world import HOURS, LAPS, POOL, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
MONTHLY = make_board(2, "monthly", run_unit="month", run_interval=1)
USERS = ("ann", "bob", "new")


async def state(world: LedgerWorld) -> tuple[Any, ...]:
    """All there is, log included."""
    log = await world.ledger.records(0, 1000)
    return await everything(world.ledger, world.boards.values(), USERS, [LAPS, HOURS]), log


async def test_recorded_events_are_there_after_a_restart(world: LedgerWorld) -> None:
    """An answer means: on disk."""
    await world.follow(BOARD)
    await world.swim("ann", 3, name="Ann")
    await world.swim("bob", 5)
    before = await state(world)
    await world.restart()
    assert await state(world) == before
    assert await world.order(BOARD) == ["bob", "ann"]


async def test_the_next_read_sees_what_was_recorded(world: LedgerWorld) -> None:
    """No reader has to wait for anything after the answer."""
    await world.follow(BOARD)
    for laps in range(1, 6):
        await world.swim("ann", 1)
        assert await world.total("ann") == laps * MICROS
        assert await world.standings(BOARD) == [(1, "ann", laps * MICROS)]


async def test_a_list_is_recorded_in_its_order(world: LedgerWorld) -> None:
    """Later entries of a list see what earlier ones did, and each outcome is of its own moment."""
    await world.follow(BOARD)
    outcomes = await world.record(swim("ann", 1), swim("bob", 2), swim("ann", 3), swim("bob", 1))
    assert [outcome.total // MICROS for outcome in outcomes] == [1, 2, 4, 3]
    assert [(found.previous_rank, found.rank) for one in outcomes for found in one.boards] == [
        (None, 1),
        (None, 1),
        (2, 1),
        (2, 2),
    ]
    events = [line for line in await world.ledger.records(0, 100) if line.kind == "event"]
    amounts = {
        user_id: [line.amount for line in events if line.user == (await world.user(user_id)).number]
        for user_id in ("ann", "bob")
    }
    assert amounts == {"ann": [1 * MICROS, 3 * MICROS], "bob": [2 * MICROS, 1 * MICROS]}


async def test_one_event_changes_all_boards_of_its_metric_and_no_other(world: LedgerWorld) -> None:
    """The outcome tells of each board that the event counts on."""
    await world.follow(BOARD, MONTHLY, make_board(3, "hours", metric=HOURS))
    outcome = await world.swim("ann", 7)
    assert sorted(found.board.key for found in outcome.boards) == ["monthly", "weekly-laps"]
    assert await world.standings(make_board(3, "hours", metric=HOURS)) == []


async def test_totals_are_kept_per_metric(world: LedgerWorld) -> None:
    """One metric knows nothing of another."""
    await world.record(swim("ann", 7), swim("ann", "0.5", metric=HOURS), swim("ann", 1))
    assert await world.total("ann", LAPS) == 8 * MICROS
    assert await world.total("ann", HOURS) == MICROS // 2


@pytest.mark.parametrize(
    ("amounts", "total"),
    [
        (["5", "-7"], -2 * MICROS),
        (["0"], 0),
        (["0.1"] * 10, MICROS),
        (["0.0000015", "-0.0000015"], 0),
        (["-0.000001"], -1),
        (["9223372036854.775807"], MOST),
        (["-9223372036854.775807"], LEAST),
    ],
    ids=["negative", "zero", "tenths", "rounded", "least step", "most", "least"],
)
async def test_totals_and_values_are_exact(world: LedgerWorld, amounts: Sequence[str], total: int) -> None:
    """Sums are of exact decimals, whatever the sign."""
    await world.follow(BOARD)
    outcomes = [await world.swim("ann", amount) for amount in amounts]
    assert outcomes[-1].total == total
    assert await world.total("ann") == total
    assert await world.standings(BOARD) == [(1, "ann", total)]


async def test_an_event_of_value_zero_enters_its_user(world: LedgerWorld) -> None:
    """Who did something takes part, whatever the sign of the value."""
    await world.follow(BOARD)
    await world.record(swim("ann", 0), swim("bob", -1))
    assert await world.standings(BOARD) == [(1, "ann", 0), (2, "bob", -MICROS)]


@pytest.mark.parametrize("direction", [1, -1])
async def test_a_total_that_does_not_fit_is_refused_and_changes_nothing(world: LedgerWorld, direction: int) -> None:
    """The total stays what it was, and so does the user whose fields the same request would have changed."""
    await world.follow(BOARD)
    await world.swim("ann", "9223372036854.775807" if direction > 0 else "-9223372036854.775807", name="Ann")
    before = await state(world)
    with pytest.raises(Invalid, match="total"):
        await world.swim("ann", f"{direction}e-6", name="Changed")
    assert await state(world) == before
    assert (await world.swim("ann", -direction)).total == (MOST - MICROS if direction > 0 else LEAST + MICROS)


async def test_a_value_of_a_run_that_does_not_fit_is_refused_though_the_total_would(world: LedgerWorld) -> None:
    """Values have the same range as totals, run by run."""
    await world.follow(MONTHLY)
    most = "9223372036854"
    await world.swim("ann", most, at="2026-03-03T10:00:00Z")
    await world.swim("ann", f"-{most}", at="2026-04-10T10:00:00Z")
    before = await state(world)
    with pytest.raises(Invalid, match="value"):
        await world.swim("ann", most, at="2026-03-03T11:00:00Z")
    assert await state(world) == before


async def test_an_amount_that_does_not_fit_is_refused_though_the_total_would(world: LedgerWorld) -> None:
    """A single amount has the range of values."""
    await world.swim("ann", "-9223372036854")
    with pytest.raises(Invalid):
        await world.record(Entry(DEFAULT_SCOPE, "ann", metric=LAPS, amount=MOST + 1))
    assert await world.total("ann") == -9223372036854 * MICROS


BAD_ENTRIES = {
    "total": (swim("ann", "9223372036854.775807"), Invalid),
    "zone": (swim("ann", 1, tz="Mars/Olympus"), Invalid),
    "sign-up day": (Entry(DEFAULT_SCOPE, "bob", {"sign_up_date": 800_000}), Invalid),
    "email": (swim("bob", 1, subscribe_to_emails=True), NotAllowed),
    "unknown user": (Entry(DEFAULT_SCOPE, "nobody", {"name": "N"}, must_exist=True), NotFound),
}


@pytest.mark.parametrize("kind", BAD_ENTRIES)
@pytest.mark.parametrize("place", [0, 2, 4])
async def test_a_list_with_one_bad_entry_is_refused_as_a_whole(world: LedgerWorld, kind: str, place: int) -> None:
    """All or none: no entry before or after the bad one leaves a trace, and the message tells its place."""
    await world.follow(BOARD, make_board(2, "pools", breakdown=(POOL,)))
    await world.swim("ann", 1, attributes={"pool": "east"})
    before = await state(world)
    bad, error = BAD_ENTRIES[kind]
    good = [swim("ann", 1, attributes={"pool": "west"}), swim("new", 2, key="k"), swim("bob", 3), swim("ann", 4)]
    with pytest.raises(error) as refused:
        await world.record(*good[:place], bad, *good[place:])
    assert refused.value.message.startswith(f"[{place}] ")
    assert await state(world) == before
    after = await world.record(*good)
    assert [outcome.total // MICROS for outcome in after] == [2, 2, 3, 6]


async def test_a_refused_request_leaves_no_gap(world: LedgerWorld) -> None:
    """Positions in the log and numbers of users go on as if it had never been."""
    await world.swim("ann", 1)
    with pytest.raises(Invalid):
        await world.record(swim("new", 1), swim("ann", 1, tz="nowhere"))
    await world.swim("bob", 1)
    assert [(line.position, line.user) for line in await world.ledger.records(0, 10)] == [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 2),
    ]


async def test_a_refusal_of_a_single_entry_names_no_place(world: LedgerWorld) -> None:
    """Where there is one entry only, there is nothing to tell apart."""
    with pytest.raises(Invalid) as refused:
        await world.swim("ann", 1, tz="nowhere")
    assert not refused.value.message.startswith("[")


async def test_recording_nothing_does_nothing(world: LedgerWorld) -> None:
    """An empty list is answered by an empty list."""
    assert await world.record() == []
    assert await world.ledger.records(0, 10) == []


async def test_a_clock_that_goes_back_does_not_turn_the_log_around(world: LedgerWorld) -> None:
    """Records are never older than the one before, also after a restart."""
    await world.swim("ann", 1)
    world.at("2026-03-01T00:00:00Z")
    await world.swim("ann", 1)
    await world.restart()
    await world.swim("ann", 1)
    times = [line.recorded_at for line in await world.ledger.records(0, 10)]
    assert times == sorted(times)


async def test_event_ids_are_all_different(world: LedgerWorld) -> None:
    """Also of one instant, and after a restart."""
    first = await world.record(*(swim("ann", 1) for _ in range(20)))
    await world.restart()
    second = await world.record(*(swim("ann", 1) for _ in range(20)))
    assert len({outcome.event_id for outcome in first + second}) == 40


async def test_a_change_of_a_user_alone_is_no_event(world: LedgerWorld) -> None:
    """It has neither id nor total nor boards."""
    await world.follow(BOARD)
    outcome = await world.change("ann", name="Ann")
    assert told(outcome)[1:6] == (True, True, 0, False, [])
    assert await world.standings(BOARD) == []
