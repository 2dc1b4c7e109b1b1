"""Looking for events: bounded, however much there is."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.ledger.contract import EventPage, WantedEvents
from palmares.ledger.embedded import explorer
from palmares.ledger.embedded.ledger import EmbeddedLedger
from tests.ledger_world import Clock, memory_folder, open_embedded, swim
from tests.world import HOURS, LAPS

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ledger() -> AsyncIterator[EmbeddedLedger]:
    """Thirty events of three users, who come after each other."""
    with memory_folder() as folder:
        made = await open_embedded(folder, Clock())
        for user_id in ("ann", "bob", "cat"):
            await made.record([swim(user_id, number, metric=HOURS if number % 5 else LAPS) for number in range(10)])
        yield made
        await made.close()


async def pages(ledger: EmbeddedLedger, **wanted: Any) -> list[EventPage]:
    found = [await ledger.events(WantedEvents(DEFAULT_SCOPE, 4, **wanted))]
    while found[-1].before is not None:
        found.append(await ledger.events(WantedEvents(DEFAULT_SCOPE, 4, found[-1].before, **wanted)))
    return found


async def test_a_page_looks_through_so_many_lines_only(ledger: EmbeddedLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be empty; the pages together have everything, each event once."""
    whole = [event for page in await pages(ledger, metric=LAPS) for event in page.events]
    monkeypatch.setattr(explorer, "MOST_LOOKED_AT", 3)
    found = await pages(ledger, metric=LAPS)

    assert [event for page in found for event in page.events] == whole
    assert len(whole) == 6
    assert any(not page.events for page in found)
    # Thirty events and three users, three lines at a time.
    assert len(found) == 11


async def test_a_user_with_too_many_events_is_looked_for_in_the_log(
    ledger: EmbeddedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same events, on more pages; one with few is found at once."""
    [ann] = await ledger.users([1])
    few = await pages(ledger, user=ann)
    laps = await pages(ledger, user=ann, metric=LAPS)
    monkeypatch.setattr(explorer, "MOST_LOOKED_AT", 5)
    many = await pages(ledger, user=ann)

    assert [len(page.events) for page in few] == [4, 4, 2]
    assert [event for page in many for event in page.events] == [event for page in few for event in page.events]
    assert len(many) > len(few)
    assert await pages(ledger, user=ann, metric=LAPS) == laps
