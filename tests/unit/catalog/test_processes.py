"""Several processes with one catalog on PostgreSQL: each catalog here has connections of its own, as theirs would."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from palmares.catalog.sql import SqlCatalog
from palmares.domain.errors import Invalid, Unavailable
from palmares.domain.metric import Metric
from palmares.service.environments import create_environment
from tests.databases import Postgres
from tests.definitions import SCOPE, Clock

pytestmark = pytest.mark.anyio

LAPS = Metric(0, "metric-1", SCOPE, "laps", "Laps", "number", "laps")


@dataclass
class Process:
    """What an action needs of a process."""

    catalog: SqlCatalog
    clock: Clock
    new_id: Any = None
    new_secret: Any = None


@pytest.fixture
async def processes(postgres: Postgres) -> AsyncIterator[list[Process]]:
    clock = Clock("2026-03-04 10:00")
    with postgres.database() as place:
        opened = [Process(await SqlCatalog.open(place.url, clock), clock) for _ in range(3)]
        yield opened
        for process in opened:
            await process.catalog.close()


async def test_of_those_that_give_one_key_at_once_one_wins(processes: list[Process]) -> None:
    """The others are told that the key is taken, as if they had come later."""
    creating = [create_environment(process, "staging", "Staging", None, False) for process in processes]
    outcomes = await asyncio.gather(*creating, return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, Invalid)]
    assert [error.message for error in refused] == ["key: another environment has the key 'staging'"] * 2
    for process in processes:
        await process.catalog.refresh()
        assert [environment.key for environment in process.catalog.environments()] == ["production", "staging"]


async def test_no_change_is_made_to_what_another_process_changes(processes: list[Process]) -> None:
    """Each reads, and writes what it read with one more letter; none of the letters is lost."""
    await processes[0].catalog.save_metrics([LAPS])

    async def lengthen(catalog: SqlCatalog) -> None:
        for _ in range(5):
            async with catalog.changing():
                [metric] = catalog.definitions(SCOPE).metrics
                await catalog.save_metrics([replace(metric, name=metric.name + "!")])

    await asyncio.gather(*[lengthen(process.catalog) for process in processes])

    await processes[0].catalog.refresh()
    assert processes[0].catalog.definitions(SCOPE).metrics[0].name == "Laps" + "!" * 15


async def test_who_gives_up_waiting_for_the_turn_does_not_keep_it(processes: list[Process]) -> None:
    """Nor does one whose change fails."""
    one, other, third = [process.catalog for process in processes]
    waiting: asyncio.Task[None]

    async def change(catalog: SqlCatalog) -> None:
        async with catalog.changing():
            raise Invalid("no")

    async with one.changing():
        waiting = asyncio.create_task(change(other))
        await third.refresh()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    for catalog in (one, other, third):
        with pytest.raises(Invalid):
            await change(catalog)


async def test_reads_and_other_writes_do_not_wait_for_whoever_has_the_turn(processes: list[Process]) -> None:
    """Authentication and the times of last use go on."""
    one, other, _ = [process.catalog for process in processes]
    async with one.changing():
        await other.save_metrics([LAPS])
        assert await one.refresh()
    assert one.definitions(SCOPE).metric_by_key.keys() == {"laps"}


async def test_a_change_goes_on_after_its_connection_broke(processes: list[Process], postgres: Postgres) -> None:
    """What was saved meanwhile is refused; the next change finds the server again."""
    catalog = processes[0].catalog
    async with catalog.changing():
        with postgres.away(), pytest.raises(Unavailable):
            await catalog.save_metrics([LAPS])
    async with catalog.changing():
        await catalog.save_metrics([LAPS])

    assert catalog.definitions(SCOPE).metric_by_key.keys() == {"laps"}
