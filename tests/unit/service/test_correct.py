"""Taking events back and setting totals, and looking for events."""

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.value import MICROS
from palmares.ledger.contract import StoredEvent
from palmares.service.bulk import Bulk
from palmares.service.correct import set_total, void_events
from palmares.service.read_events import EventFilter, read_event, read_events
from tests.world import LAPS, World

pytestmark = pytest.mark.anyio

UNKNOWN = "00000000-0000-4000-8000-00000000ffff"


async def take_back(world: World, *ids: str | None, reason: str | None = None) -> Bulk[StoredEvent]:
    return await void_events(world.context, DEFAULT_SCOPE, [one or "" for one in ids], reason)


async def test_events_that_are_there_are_taken_back_at_once_and_the_others_are_issues() -> None:
    """In the order of the request."""
    world = World()
    first, second = [(await world.swim("ann", laps)).event_id for laps in ("5", "2")]
    done = await take_back(world, second, UNKNOWN, first, "nonsense", reason="robot")

    assert [event.id for event in done.things] == [second, first]
    assert [(issue.severity, issue.id) for issue in done.issues] == [("error", UNKNOWN), ("error", "nonsense")]
    shown = await read_event(world.context, DEFAULT_SCOPE, first or "")
    assert shown.event.void is not None
    assert (shown.event.void.reason, shown.metric) == ("robot", LAPS)


async def test_what_was_void_already_is_done_with_a_warning() -> None:
    """Once, though it is named twice."""
    world = World()
    event = (await world.swim("ann", "5")).event_id
    await take_back(world, event)
    done = await take_back(world, event, event)

    assert [one.id for one in done.things] == [event]
    assert [issue.severity for issue in done.issues] == ["error", "warning"]


async def test_nothing_is_recorded_where_nothing_is_there() -> None:
    """Only issues come back."""
    world = World()
    done = await take_back(world, UNKNOWN)

    assert done.things == []
    assert world.ledger.position() == 0


@pytest.mark.parametrize("reason", ["", "r" * 256, "a\0b"])
async def test_a_reason_has_to_be_a_short_text(reason: str) -> None:
    """Before anything is looked for."""
    with pytest.raises(Invalid, match=r"^reason: "):
        await take_back(World(), UNKNOWN, reason=reason)


async def test_a_total_is_set_for_users_and_metrics_that_exist() -> None:
    """By an event of what is missing."""
    world = World()
    await world.swim("ann", "5")
    metric, outcome = await set_total(world.context, DEFAULT_SCOPE, "ann", "laps-swum", 7 * MICROS, "k")

    assert (metric, outcome.total) == (LAPS, 7 * MICROS)
    page = await read_events(world.context, DEFAULT_SCOPE, EventFilter("ann", idempotency_key="k"), 10)
    assert [shown.event.amount for shown in page.events] == [2 * MICROS]
    with pytest.raises(NotFound, match="metric"):
        await set_total(world.context, DEFAULT_SCOPE, "ann", "lapz", 0)
    with pytest.raises(NotFound, match="user"):
        await set_total(world.context, DEFAULT_SCOPE, "zoe", "laps-swum", 0)
    with pytest.raises(Invalid, match=r"^idempotencyKey: "):
        await set_total(world.context, DEFAULT_SCOPE, "ann", "laps-swum", 0, "")


async def test_events_are_looked_for_by_what_exists() -> None:
    """Else a misspelt name would look like one without events."""
    world = World()
    for wanted in (EventFilter(user_id="zoe"), EventFilter(metric_key="lapz")):
        with pytest.raises(NotFound):
            await read_events(world.context, DEFAULT_SCOPE, wanted, 10)
    with pytest.raises(NotFound):
        await read_event(world.context, DEFAULT_SCOPE, UNKNOWN)
    with pytest.raises(Invalid, match=r"^to: "):
        await read_events(world.context, DEFAULT_SCOPE, EventFilter(recorded_from=2, recorded_before=1), 10)
