"""The parts of a worker: put together on real servers, in this process."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.cluster import Pulse, catalog_key
from palmares.config import load
from palmares.databases import OtherDatabase
from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.keys import ShardKeys
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.store import Glide
from palmares.log_archive.sql import SqlLogArchive
from palmares.server import Server
from palmares.service.archive_log import LogArchiver
from palmares.service.streak_settings import change_settings
from palmares.sql.claim import DatabaseInUse
from tests.databases import Place, Postgres, end_sessions
from tests.ledger_world import swim
from tests.valkey_servers import Address, fresh_name, one_server

pytestmark = pytest.mark.anyio

Open = Callable[..., Awaitable[Server]]


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Place]:
    with postgres.database() as place:
        yield place


@pytest.fixture
async def open_worker(valkey: list[Address], database: Place) -> AsyncIterator[Open]:
    """Opens a worker of the test's cluster, with other settings if some are given; all are closed in the end."""
    [(host, port)] = valkey
    usual = {"valkey_url": f"valkey://{host}:{port}", "database_url": database.url, "valkey_name": fresh_name()}
    async with AsyncExitStack() as opened:

        async def open_one(**settings: str) -> Server:
            server = await Server.open(load({}, **(usual | settings)))
            opened.push_async_callback(server.close)
            return server

        yield open_one


async def test_all_workers_have_the_key_that_the_first_one_made(open_worker: Open) -> None:
    first, second = await open_worker(), await open_worker()

    assert first.first_key is not None
    assert second.first_key is None
    assert first.context.catalog.keys() == second.context.catalog.keys()


async def test_a_worker_says_what_its_answers_promise(open_worker: Open) -> None:
    """The Valkey of the tests keeps everything in memory."""
    assert (await open_worker()).promise == (
        "a crash of Valkey loses what was answered; appendonly yes with appendfsync always would keep it"
    )


async def test_how_streaks_count_is_followed_by_every_worker(open_worker: Open) -> None:
    first, second = await open_worker(), await open_worker()
    await second._look()

    await change_settings(first.context, DEFAULT_SCOPE, {"frequency": "weekly"})
    await second._look()

    assert second.context.ledger._streaks[DEFAULT_SCOPE].frequency == "weekly"  # type: ignore[attr-defined]


async def test_a_ledger_is_not_opened_with_the_catalog_of_another(open_worker: Open, postgres: Postgres) -> None:
    """Its events would be counted on whatever metrics have the same numbers there."""
    await open_worker()

    with postgres.database() as another:
        with pytest.raises(OtherDatabase, match=r"was begun with another catalog.* another valkey_name"):
            await open_worker(database_url=another.url)
        await open_worker(database_url=another.url, valkey_name=fresh_name())


async def test_a_database_is_had_by_workers_or_by_a_server_with_a_folder(
    open_worker: Open, database: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await open_worker()

    with pytest.raises(DatabaseInUse):
        await Server.open(load({}, data=tmp_path_factory.mktemp("data"), database_url=database.url))


CLOCK = {"test_clock": "2026-03-04T12:00:00Z"}


async def test_a_worker_with_a_test_clock_is_alone_and_leads_from_the_start(open_worker: Open) -> None:
    """Nobody beside it could know what time it is."""
    worker = await open_worker(**CLOCK)

    assert worker.context.leads()
    assert worker.context.clock() == worker.context.ledger.now == 1_772_625_600_000_000  # type: ignore[attr-defined]
    with pytest.raises(DatabaseInUse, match="with test_clock, one worker has it for itself"):
        await open_worker(**CLOCK)
    with pytest.raises(DatabaseInUse):
        await open_worker()


async def test_a_worker_with_a_test_clock_waits_for_no_lease_of_one_that_died(open_worker: Open) -> None:
    """It would last for half a minute."""
    worker = await open_worker(**CLOCK)
    lease = worker.context.ledger._keeper._lease  # type: ignore[attr-defined]
    token = await lease.take()
    await worker.close()

    other = await open_worker(**CLOCK)
    assert await other.context.ledger._keeper._lease.take() == token + 1  # type: ignore[attr-defined]


async def test_the_first_worker_leads_from_the_start(open_worker: Open) -> None:
    """What users do before anybody leads would be told to nobody."""
    first, second = await open_worker(), await open_worker()

    assert (first.context.leads(), second.context.leads()) == (True, False)


async def test_one_worker_leads_and_another_takes_over_when_its_session_ends(
    open_worker: Open, database: Place
) -> None:
    """What goes on in the background is the leader's."""
    first, second = await open_worker(), await open_worker()
    for worker in (first, second):
        # Nobody looks but the test.
        worker._looking.cancel()
    await first._look()
    await second._look()
    leads = [worker.context.leads() for worker in (first, second)]
    assert sorted(leads) == [False, True]
    leader, other = (first, second) if leads[0] else (second, first)

    end_sessions(database)
    await other._look()
    await leader._look()

    assert (leader.context.leads(), other.context.leads()) == (False, True)


async def test_a_ledger_that_went_on_without_lines_that_are_kept_is_not_ready(
    open_worker: Open, database: Place
) -> None:
    """As after a failover, or when Valkey lost everything: no worker is, until it is rebuilt."""
    worker = await open_worker()
    worker._looking.cancel()
    ledger, log = worker.context.ledger, await SqlLogArchive.open(database.url)
    assert isinstance(ledger, ValkeyLedger)
    await ledger.record([swim("ann", 1), swim("ben", 2)])
    await LogArchiver(ledger.stream, log).drain()
    await log.close()
    await worker._look()
    assert worker._parts.obstacle() is None
    [keys] = await ledger._store.read([[b"KEYS", ledger._shards.all[0].keys.head.replace(b"head", b"*")]])
    await ledger._store.read([[b"DEL", *keys]])
    await ledger.record([swim("cat", 1), swim("dan", 2), swim("eve", 3)])
    for _ in range(20):
        await worker._look()
    assert "run `palmares rebuild`" in str(worker._parts.obstacle())


async def test_the_pulse_tells_when_valkey_is_gone_or_has_lost_the_ledger(valkey: list[Address]) -> None:
    """All shards are asked, since each may be on a node of its own."""
    store, name = await Glide.connect(valkey), fresh_name()
    pulse = Pulse(store, name, 3)
    await store.read([[b"SET", catalog_key(name), b"3"]])
    await pulse.look()
    assert pulse.obstacle is None
    await store.read([[b"HSET", ShardKeys(name, 2).head, b"position", b"7"]])
    with pytest.raises(Unavailable, match="shard 2 has lost a part"):
        await pulse.look()
    await store.read([[b"XADD", ShardKeys(name, 2).log, b"7-0", b"n", b"1"]])
    await pulse.look()
    assert pulse.obstacle is None
    await store.read([[b"DEL", catalog_key(name)]])
    with pytest.raises(Unavailable, match="gone from Valkey"):
        await pulse.look()
    await store.close()

    with one_server() as addresses:
        store = await Glide.connect(addresses, timeout_seconds=0.2)
    pulse = Pulse(store, name, 3)
    with pytest.raises(Unavailable):
        await pulse.look()
    assert pulse.obstacle is not None
    assert "Valkey does not answer" in pulse.obstacle
    await store.close()
