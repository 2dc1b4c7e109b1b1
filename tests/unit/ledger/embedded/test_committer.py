"""The committer: a bounded queue, one batch at a time, and an answer for everybody."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from palmares.databases import open_archive
from palmares.domain.errors import Invalid, NotAllowed, Overloaded, Unavailable
from palmares.domain.value import MICROS
from palmares.ledger.contract import Outcome
from palmares.ledger.embedded import committer
from palmares.ledger.embedded.committer import Committer
from palmares.ledger.embedded.ledger import EmbeddedLedger, Limits
from palmares.ledger.embedded.rankings import Rankings
from tests.faults import faulty_log
from tests.ledger_world import Clock, open_embedded, swim
from tests.world import make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()


@pytest.fixture
async def ledger(folder: Path) -> AsyncIterator[EmbeddedLedger]:
    """One that takes ten entries at a time."""
    made = await open_embedded(folder, Clock(), [BOARD], Limits(queued_entries=10))
    yield made
    await made.close()


def checkpoint_exists(folder: Path) -> bool:
    return (folder / "standings.checkpoint").exists()


async def settled(*requests: Any) -> list[Any]:
    """What became of requests that arrive together."""
    return await asyncio.gather(*requests, return_exceptions=True)


def by_kind(answers: list[Any]) -> dict[str, int]:
    kinds = [type(answer).__name__ for answer in answers]
    return {kind: kinds.count(kind) for kind in kinds}


async def test_what_does_not_fit_the_queue_is_refused_before_anything_is_stored(ledger: EmbeddedLedger) -> None:
    """The others are not touched by it."""
    answers = await settled(*(ledger.record([swim("ann", 1)]) for _ in range(15)))
    assert by_kind(answers) == {"list": 10, "Overloaded": 5}
    assert len(await ledger.records(0, 100)) == 11
    assert ledger.queued_entries == 0
    assert by_kind(await settled(ledger.record([swim("ann", 1)]))) == {"list": 1}


async def test_a_list_longer_than_the_queue_is_taken_when_nothing_waits(ledger: EmbeddedLedger) -> None:
    """Else it could never be recorded."""
    assert len(await ledger.record([swim("ann", 1)] * 25)) == 25
    answers = await settled(ledger.record([swim("ann", 1)]), ledger.record([swim("ann", 1)] * 25))
    assert by_kind(answers) == {"list": 1, "Overloaded": 1}


async def test_requests_that_arrive_together_share_one_flush(ledger: EmbeddedLedger) -> None:
    """That is where the speed comes from."""
    await settled(*(ledger.record([swim(f"user-{place}", 1)]) for place in range(8)))
    figures = ledger.figures
    assert sum(figures.flush_seconds.counts) < 8
    assert (figures.events, figures.batch_entries.total) == (8, 16)


async def test_a_flush_that_fails_refuses_its_batch_and_nothing_else(ledger: EmbeddedLedger) -> None:
    """Nothing is half there, and the next batch is taken."""
    await ledger.record([swim("ann", 1)])
    connection = faulty_log(ledger)
    connection.failing = ("COMMIT",)
    answers = await settled(*(ledger.record([swim("ann", 1), swim("new", 1)]) for _ in range(3)))
    assert by_kind(answers) == {"Unavailable": 3}
    assert ledger.obstacle == "the last flush to the disk failed"
    assert (ledger.figures.failed_flushes, connection.failures) == (1, 1)
    assert await ledger.user(1, "new") is None
    connection.failing = ()
    [outcome] = await ledger.record([swim("new", 1)])
    assert (outcome.created, outcome.user.number, outcome.total) == (True, 2, MICROS)
    assert ledger.obstacle is None
    assert len(await ledger.records(0, 100)) == 4


async def test_a_stopping_ledger_takes_nothing_new_and_answers_what_waits(ledger: EmbeddedLedger) -> None:
    """Everybody hears, one way or the other."""
    waiting = [asyncio.ensure_future(ledger.record([swim("ann", 1)])) for _ in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(ledger._committer.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="stopping"):
        await ledger.record([swim("ann", 1)])
    assert by_kind(await settled(*waiting)) == {"list": 5}
    await closing


async def test_a_ledger_that_lost_its_way_stops_and_answers_everybody(folder: Path) -> None:
    """What is in memory may be wrong, so nothing more is recorded; a restart reads the log, which is right."""
    ledger = await open_embedded(folder, Clock(), [BOARD])
    await ledger.record([swim("ann", 1)])
    with patch.object(Rankings, "count", side_effect=ZeroDivisionError):
        answers = await settled(*(ledger.record([swim("ann", 1)]) for _ in range(20)))
    assert by_kind(answers) == {"Unavailable": 20}
    assert ledger.obstacle == "the ledger needs a restart"
    assert by_kind(await settled(ledger.record([swim("ann", 1)]))) == {"Unavailable": 1}
    await ledger.close()
    assert not checkpoint_exists(folder)
    ledger = await open_embedded(folder, Clock(), [BOARD])
    user = await ledger.user(1, "ann")
    assert user is not None
    assert BOARD.metric is not None
    assert await ledger.total(user, BOARD.metric) == 21 * MICROS
    assert (await ledger.record([swim("ann", 1)]))[0].total == 22 * MICROS
    await ledger.close()


async def test_an_entry_that_breaks_the_draft_hurts_nobody_else(ledger: EmbeddedLedger) -> None:
    """An error that has no name is told to who brought it; the batch goes on without."""
    broken = swim("ann", 1, device_tokens={object()})
    answers = await settled(
        ledger.record([swim("ann", 1)]), ledger.record([swim("ann", 1), broken]), ledger.record([swim("ann", 1)])
    )
    assert [type(answer) for answer in answers] == [list, TypeError, list]
    assert answers[2][0].total == 2 * MICROS


async def test_refusals_keep_their_kind_and_name_the_place() -> None:
    """The same error, told of one item of a list."""
    for kind in (Invalid, NotAllowed, Unavailable, Overloaded):
        error = kind("name: too long").at(3)
        assert (type(error), error.message) == (kind, "[3] name: too long")


async def test_a_long_queue_is_taken_in_bounded_batches(folder: Path) -> None:
    """So that the first does not wait for the last; a list stays in one piece."""
    ledger = await open_embedded(folder, Clock(), [BOARD])
    taken: list[int] = []
    commit = Committer._commit

    async def noting(self: Committer, batch: list[Any]) -> None:
        taken.append(sum(len(request.entries) for request in batch))
        await commit(self, batch)

    with (
        patch("palmares.ledger.embedded.committer._MOST_ENTRIES_PER_BATCH", 10),
        patch.object(Committer, "_commit", noting),
    ):
        answers = await settled(*(ledger.record([swim("ann", 1)] * length) for length in (4, 4, 4, 30, 1)))
    assert taken == [8, 4, 30, 1] or taken[-4:] == [8, 4, 30, 1]
    outcomes: list[Outcome] = [outcome for answer in answers for outcome in answer]
    assert [outcome.total // MICROS for outcome in outcomes] == list(range(1, 44))
    await ledger.close()


async def test_however_much_waits_nothing_is_recorded_behind_a_step_that_could_not_be_applied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the numbers of its users would be given a second time."""
    monkeypatch.setattr(committer, "_MOST_ENTRIES_PER_BATCH", 2)
    ledger = await open_embedded(folder, Clock(), [BOARD])
    with patch.object(Rankings, "count", side_effect=[ZeroDivisionError, *[None] * 8]):
        answers = await settled(*(ledger.record([swim(f"user-{number}", 1)]) for number in range(9)))
    await ledger.close()

    assert by_kind(answers) == {"Unavailable": 9}
    ledger = await open_embedded(folder, Clock(), [BOARD])
    assert [await ledger.user(1, f"user-{number}") is not None for number in range(3)] == [True, True, False]
    await ledger.close()


async def test_a_failed_flush_is_an_obstacle_for_some_seconds_only(folder: Path) -> None:
    """A server that gets no events because it is said to be unwell would never be found well again."""
    now = 0.0
    ledger = await EmbeddedLedger.open(folder, [], Clock(), lambda: now, open_archive=partial(open_archive, folder))
    faulty_log(ledger).failing = ("COMMIT",)
    await settled(ledger.record([swim("ann", 1)]))
    assert ledger.obstacle is not None
    now = 10.0
    assert ledger.obstacle is None
    await ledger.close()
