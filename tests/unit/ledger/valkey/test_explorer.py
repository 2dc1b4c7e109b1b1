"""Looking for events in several logs at once: bounded, however much there is, and each event told once."""

from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.value import MICROS
from palmares.ledger.contract import EventPage, WantedEvents
from palmares.ledger.valkey import explorer
from palmares.ledger.valkey.ledger import ValkeyLedger
from tests.ledger_world import Clock, swim
from tests.unit.ledger.valkey.conftest import Open
from tests.world import HOURS, LAPS

pytestmark = pytest.mark.anyio


async def filled(open_worker: Open, clock: Clock, shards: int) -> ValkeyLedger:
    """Thirty events of three users, three at each of ten instants."""
    ledger = await open_worker(shards=shards)
    for number in range(10):
        clock.now += MICROS
        metric = HOURS if number % 5 else LAPS
        await ledger.record([swim(user_id, number, metric=metric) for user_id in ("ann", "bob", "cat")])
    return ledger


async def pages(ledger: ValkeyLedger, **wanted: Any) -> list[EventPage]:
    found = [await ledger.events(WantedEvents(DEFAULT_SCOPE, 4, **wanted))]
    while found[-1].before is not None:
        found.append(await ledger.events(WantedEvents(DEFAULT_SCOPE, 4, found[-1].before, **wanted)))
    return found


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("at_once", [1, 2, 5])
async def test_a_page_looks_through_so_many_lines_only(
    open_worker: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch, shards: int, at_once: int
) -> None:
    """It may be empty; the pages together have everything, each event once, newest first."""
    ledger = await filled(open_worker, clock, shards)
    wanted: list[dict[str, Any]] = [{}, {"metric": LAPS}, {"recorded_before": clock.now - 2 * MICROS}]
    whole = [[event for page in await pages(ledger, **one) for event in page.events] for one in wanted]
    monkeypatch.setattr(explorer, "MOST_LOOKED_AT", 3)
    monkeypatch.setattr(explorer, "LINES_AT_ONCE", at_once)
    found = [await pages(ledger, **one) for one in wanted]

    assert [[event for page in one for event in page.events] for one in found] == whole
    assert list(map(len, whole)) == [30, 6, 21]
    for events in whole:
        instants = [event.recorded_at for event in events]
        assert instants == sorted(instants, reverse=True)
    assert any(not page.events for page in found[1])


@pytest.mark.parametrize("shards", [1, 4])
async def test_a_time_is_found_among_many_lines(open_worker: Open, clock: Clock, shards: int) -> None:
    """Every stretch between two of the instants has what was recorded there."""
    ledger = await filled(open_worker, clock, shards)
    [ann] = [user for user in [await ledger.user(DEFAULT_SCOPE, "ann")] if user is not None]
    for first in range(11):
        for past in range(first, 11):
            start, end = (clock.now + (one - 9) * MICROS for one in (first, past))
            stretch = {"recorded_from": start, "recorded_before": end}
            told = [event.amount // MICROS for page in await pages(ledger, **stretch) for event in page.events]
            assert sorted(told) == sorted(3 * list(range(first, min(past, 10))))
            own = [event.amount // MICROS for page in await pages(ledger, user=ann, **stretch) for event in page.events]
            assert own == list(range(first, min(past, 10)))[::-1]
