"""Pages, days, totals and the log."""

import json

import pytest

from palmares.domain.local_time import parse_instant
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from tests.ledger_world import LedgerWorld, run_on, swim
from tests.world import HOURS, LAPS, day, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, 3, [0, 1, 2]),
        (3, 5, [3, 4]),
        (3, 100, [3, 4]),
        (5, 10, []),
        (100, 200, []),
        (2, 2, []),
        (3, 2, []),
    ],
)
async def test_a_page_is_cut_to_what_exists(world: LedgerWorld, start: int, stop: int, expected: list[int]) -> None:
    """Beyond the end there is nothing, and that is no error."""
    await world.follow(BOARD)
    await world.record(*(swim(f"user-{number}", 10 - number) for number in range(5)))
    rows = await world.ledger.page(1, run_on(BOARD, "2026-03-04"), [()], start, stop)
    assert [row.row for row in rows] == expected
    assert [row.user_id for row in rows] == [f"user-{row}" for row in expected]


async def test_rows_carry_the_present_names(world: LedgerWorld) -> None:
    """None for who has none."""
    await world.follow(BOARD)
    await world.swim("ann", 2, name="Ann")
    await world.swim("bob", 1)
    assert [row.user_name for row in await world.rows(BOARD)] == ["Ann", None]
    await world.change("ann", name="Anna")
    assert [row.user_name for row in await world.rows(BOARD)] == ["Anna", None]


async def test_days_add_up_by_local_date(world: LedgerWorld) -> None:
    """Only the days of the range, ascending, each with what its events added."""
    world.at("2026-03-10T12:00:00Z")
    for at, laps in [("03-04", 1), ("03-05", 2), ("03-05", -5), ("03-07", 4), ("03-09", 8)]:
        await world.swim("ann", laps, at=f"2026-{at}T23:30:00Z", tz="Europe/Berlin")
    await world.record(swim("ann", 100, metric=HOURS), swim("bob", 100))
    ann = await world.user("ann")
    assert await world.ledger.days(ann, LAPS, day("2026-03-06"), day("2026-03-08")) == [
        (day("2026-03-06"), -3 * MICROS),
        (day("2026-03-08"), 4 * MICROS),
    ]
    await world.restart()
    days = await world.ledger.days(ann, LAPS, day("2026-03-01"), day("2026-03-31"))
    assert [change for _, change in days] == [MICROS, -3 * MICROS, 4 * MICROS, 8 * MICROS]


async def test_days_before_1970_are_days_too(world: LedgerWorld) -> None:
    """Imports may bring old events."""
    await world.swim("ann", 1, at="1969-12-31T23:59:59Z")
    await world.swim("ann", 2, at="1900-01-01T00:00:00Z")
    await world.restart()
    days = await world.ledger.days(await world.user("ann"), LAPS, day("1800-01-01"), day("2026-12-31"))
    assert days == [(day("1900-01-01"), 2 * MICROS), (day("1969-12-31"), MICROS)]


async def test_a_user_without_events_has_no_days_and_no_total(world: LedgerWorld) -> None:
    """Nothing recorded is 0."""
    user = (await world.change("ann")).user
    assert await world.ledger.total(user, LAPS) == 0
    assert await world.ledger.days(user, LAPS, day("2026-01-01"), day("2026-12-31")) == []


async def test_a_user_read_earlier_may_ask_for_the_total_of_now(world: LedgerWorld) -> None:
    """Totals are of the present, whatever copy of the user asks."""
    user = (await world.swim("ann", 1)).user
    await world.swim("ann", 2, name="Ann")
    assert await world.ledger.total(user, LAPS) == 3 * MICROS


async def test_the_log_is_told_in_order_and_in_pieces(world: LedgerWorld) -> None:
    """Behind a position, at most so many; positions count from 1 without gaps."""
    for number in range(5):
        await world.swim(f"user-{number}", number)
    whole = await world.ledger.records(0, 100)
    assert [line.position for line in whole] == list(range(1, 11))
    assert [line.kind for line in whole] == ["user", "event"] * 5
    pieces = [await world.ledger.records(after, 3) for after in range(0, 12, 3)]
    assert [line for piece in pieces for line in piece] == whole
    assert await world.ledger.records(10, 3) == []


async def test_a_line_of_the_log_tells_all_of_its_event(world: LedgerWorld) -> None:
    """When, who, what, how much, and the total behind it."""
    at = parse_instant("2026-03-04T08:00:00Z", "at")
    entry = Entry(1, "ann", {"tz": "Asia/Tokyo"}, LAPS, 3 * MICROS, {"stroke": "crawl"}, "key", at)
    await world.record(entry, swim("ann", 1))
    _, first, second = await world.ledger.records(0, 10)
    assert (first.recorded_at, first.occurred_at, first.local_at) == (world.clock(), at, at + 9 * 3600 * MICROS)
    ann = (await world.user("ann")).number
    assert (first.scope, first.user, first.metric, first.amount, first.total) == (1, ann, 1, 3 * MICROS, 3 * MICROS)
    assert (first.idempotency_key, json.loads(first.body or "")) == ("key", {"stroke": "crawl"})
    assert (second.idempotency_key, second.body, second.total) == (None, None, 4 * MICROS)


async def test_a_line_of_the_log_tells_all_of_its_user(world: LedgerWorld) -> None:
    """The whole profile behind each change."""
    await world.change("ann", name="Ann", attributes={"pool": "east"})
    await world.change("ann", email="ann@example.org", attributes={"pool": "west"})
    bodies = [json.loads(line.body or "") for line in await world.ledger.records(0, 10)]
    assert [(body["name"], body["email"], body["attributes"]) for body in bodies] == [
        ("Ann", None, {"pool": "east"}),
        ("Ann", "ann@example.org", {"pool": "west"}),
    ]
