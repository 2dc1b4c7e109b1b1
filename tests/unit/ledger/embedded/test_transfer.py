"""A folder whose log was put together from others: ids of events stay what they were."""

from pathlib import Path

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.value import MICROS
from palmares.ledger.contract import void
from palmares.ledger.embedded.transfer import FolderLog
from palmares.ledger.event_id import event_id
from palmares.ledger.whole_line import WholeLine
from tests.ledger_world import Clock, open_embedded, swim
from tests.world import LAPS

pytestmark = pytest.mark.anyio
PROFILE = '{"attributes":{},"created":1,"updated":1}'


def lines(at: int) -> list[WholeLine]:
    """Two users and an event of each, the first with a key."""
    event = WholeLine(
        2, "event", at, DEFAULT_SCOPE, 1, "ann", LAPS.number, 3 * MICROS, at, at, total=3 * MICROS,
        idempotency_key="one",
    )  # fmt: skip
    return [
        WholeLine(1, "user", at, DEFAULT_SCOPE, 1, "ann", body=PROFILE),
        event,
        WholeLine(3, "user", at, DEFAULT_SCOPE, 6, "ben", body=PROFILE),
        event._replace(position=4, user=6, user_id="ben", idempotency_key=None),
    ]


def put_together(folder: Path, at: int) -> None:
    log = FolderLog(folder)
    log.append(lines(at), [(1, 5), (2, 9), (3, 2), (4, 6)])
    assert (log.is_put_together, log.position_of_origin(9), log.position_of_origin(4)) == (True, 2, None)
    log.close()


async def test_an_id_is_found_by_where_the_event_was(folder: Path) -> None:
    """Though another one has that place now; who takes it back, or sends it again, is told the same id."""
    clock = Clock()
    put_together(folder, clock())
    old = [event_id(clock(), 9), event_id(clock(), 6)]
    clock.now += MICROS
    for _ in range(2):
        ledger = await open_embedded(folder, clock)
        outcomes = await ledger.record([swim("cat", 1), *[swim("ben", number) for number in range(6)]])
        new = [outcome.event_id or "" for outcome in outcomes]
        found = await ledger.events_with(DEFAULT_SCOPE, [*old, *new, event_id(clock(), 2), event_id(clock(), 900)])
        assert [event and event.id for event in found] == [*old, *new, None, None]
        [first, second, *_] = [event for event in found if event is not None]
        assert (first.position, first.user_id, second.position, second.user_id) == (2, "ann", 4, "ben")
        [again] = await ledger.record([swim("ann", 3, key="one")])
        assert (again.event_id, again.replayed) == (old[0], True)
        [taken_back] = await ledger.record([void(DEFAULT_SCOPE, 4)])
        assert taken_back.event_id == old[1]
        await ledger.close()


async def test_users_are_told_though_there_are_gaps_between_their_numbers(folder: Path) -> None:
    clock = Clock()
    put_together(folder, clock())
    ledger = await open_embedded(folder, clock)
    [outcome] = await ledger.record([swim("cat", 1)])
    assert [(user.number, user.id) for user in await ledger.users(range(1, 9))] == [(1, "ann"), (6, "ben"), (7, "cat")]
    assert outcome.user.number == 7
    await ledger.close()
