"""Events as they were recorded: found by user, metric, time and idempotency key, newest first."""

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.local_time import parse_instant
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry, StoredEvent, VoidNote, WantedEvents, void
from tests.ledger_world import LedgerWorld, swim
from tests.world import HOURS, LAPS

pytestmark = pytest.mark.anyio


async def found(world: LedgerWorld, limit: int = 100, **wanted: object) -> list[StoredEvent]:
    """All events that fit, page after page; every page but the last says where to go on."""
    events: list[StoredEvent] = []
    before: int | None = None
    while True:
        page = await world.ledger.events(WantedEvents(DEFAULT_SCOPE, limit, before, **wanted))  # type: ignore[arg-type]
        assert len(page.events) <= limit
        events += page.events
        if page.before is None:
            return events
        before = page.before


async def amounts(world: LedgerWorld, limit: int = 100, **wanted: object) -> list[int]:
    return [event.amount // MICROS for event in await found(world, limit, **wanted)]


async def fill(world: LedgerWorld) -> None:
    """Eight events on four days, of two users on two metrics, with changes of users between."""
    for number in range(8):
        world.at(f"2026-03-{4 + number // 2:02}T{12 + number % 2}:00:00Z")
        metric = HOURS if number in (2, 5) else LAPS
        await world.record(
            swim(["ann", "bob", "bob"][number % 3], number, key=f"key-{number % 4}", metric=metric),
            Entry(DEFAULT_SCOPE, "ann", {"name": f"Ann {number}"}),
        )


async def test_an_event_is_shown_as_it_was_recorded(world: LedgerWorld) -> None:
    """With everything that was sent, and the total right behind it."""
    await world.swim("ann", 2)
    entry = swim("ann", "1.5", at="2026-03-04T08:00:00Z", key="upload", tz="Asia/Tokyo")
    entry.attributes, entry.history = {"style": "crawl"}, True
    [outcome] = await world.record(entry)
    await world.swim("ann", 4)
    event = (await found(world))[1]
    assert event == StoredEvent(
        id=outcome.event_id or "",
        position=event.position,
        user_id="ann",
        metric=LAPS.number,
        amount=1_500_000,
        total=3_500_000,
        attributes={"style": "crawl"},
        idempotency_key="upload",
        occurred_at=parse_instant("2026-03-04T08:00:00Z", "at"),
        recorded_at=world.clock(),
        history=True,
        void=None,
    )


async def test_a_void_event_is_shown_with_when_and_why(world: LedgerWorld) -> None:
    """It is as it was; the void is no event."""
    await world.record(swim("ann", 1), swim("ann", 2))
    newer, older = await found(world)
    world.at("2026-03-05T12:00:00Z")
    await world.record(void(DEFAULT_SCOPE, older.position, "a robot"), void(DEFAULT_SCOPE, newer.position))
    assert await found(world) == [
        newer._replace(void=VoidNote(world.clock(), None)),
        older._replace(void=VoidNote(world.clock(), "a robot")),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_events_are_found_by_what_is_asked_for(world: LedgerWorld, limit: int) -> None:
    """Newest first, alone and together, however small the pages."""
    await fill(world)
    ann, bob = await world.user("ann"), await world.user("bob")
    day, later = (parse_instant(f"2026-03-0{date}T12:00:00Z", "at") for date in (5, 6))
    assert await amounts(world, limit) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert await amounts(world, limit, user=ann) == [6, 3, 0]
    assert await amounts(world, limit, user=bob, metric=HOURS) == [5, 2]
    assert await amounts(world, limit, metric=LAPS) == [7, 6, 4, 3, 1, 0]
    assert await amounts(world, limit, recorded_from=day, recorded_before=later) == [3, 2]
    assert await amounts(world, limit, recorded_from=later) == [7, 6, 5, 4]
    assert await amounts(world, limit, recorded_before=day) == [1, 0]
    assert await amounts(world, limit, idempotency_key="key-1") == [5, 1]
    assert await amounts(world, limit, user=bob, idempotency_key="key-1") == [5, 1]
    assert await amounts(world, limit, user=bob, metric=LAPS, idempotency_key="key-1") == [1]
    assert await amounts(world, limit, user=bob, recorded_from=day, recorded_before=later) == [2]
    assert await amounts(world, limit, user=ann, metric=HOURS) == []


async def test_events_recorded_at_one_instant_are_all_found(world: LedgerWorld) -> None:
    """From the instant on, and none before it."""
    await world.record(*(swim("ann", laps) for laps in range(5)))
    now = world.clock()
    assert await amounts(world, 2, recorded_from=now, recorded_before=now + 1) == [4, 3, 2, 1, 0]
    assert await amounts(world, 2, recorded_before=now) == []
    assert await amounts(world, 2, recorded_from=now + 1) == []


async def test_without_events_nothing_is_found(world: LedgerWorld) -> None:
    """In a new ledger, and in another scope than where they are."""
    assert await found(world) == []
    await world.swim("ann", 1)
    [event] = await found(world)
    other = DEFAULT_SCOPE + 1
    assert await world.ledger.events(WantedEvents(other, 10)) == ([], None)
    assert await world.ledger.events_with(other, [event.id]) == [None]


async def test_events_are_found_by_their_ids(world: LedgerWorld) -> None:
    """In the order of the question, in either case of letters, each as often as it is asked for."""
    await fill(world)
    events = await found(world)
    ids = [events[2].id, "00000000-0000-7000-8000-000000000001", events[0].id.upper(), events[2].id]
    assert await world.ledger.events_with(DEFAULT_SCOPE, ids) == [events[2], None, events[0], events[2]]


async def test_only_the_whole_id_names_an_event(world: LedgerWorld) -> None:
    """Not one that is nearly right, and nothing that is no id."""
    await fill(world)
    [event] = (await found(world))[:1]
    wrong = [f"0{event.id[1:]}"[:-1] + "f", event.id[:-1], "", "no id", f"{event.id}0", "ü" * 36, "f" * 36]
    assert await world.ledger.events_with(DEFAULT_SCOPE, wrong) == [None] * len(wrong)


async def test_what_was_answered_is_found_after_opening_again(world: LedgerWorld) -> None:
    """The same events with the same ids."""
    await fill(world)
    events = await found(world)
    await world.crash()
    assert await found(world) == events
