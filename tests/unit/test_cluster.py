"""The parts of a worker: put together on real servers, in this process."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.cluster import Pulse, catalog_key
from palmares.config import load
from palmares.databases import OtherDatabase
from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.store import Glide
from palmares.server import Server
from palmares.service.streak_settings import change_settings
from palmares.sql.claim import DatabaseInUse
from tests.databases import Place, Postgres
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


async def test_the_pulse_tells_when_valkey_is_gone_or_has_lost_the_ledger(valkey: list[Address]) -> None:
    """All shards are asked, since each may be on a node of its own."""
    store, name = await Glide.connect(valkey), fresh_name()
    pulse = Pulse(store, name, 3)
    await store.read([[b"SET", catalog_key(name), b"3"]])
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
