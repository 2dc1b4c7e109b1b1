"""Environments, tenants and their scopes in the catalog."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from palmares.catalog.contract import Environment, Tenant, Tenants
from palmares.catalog.sql import SqlCatalog
from palmares.domain.errors import Unavailable
from palmares.domain.metric import Metric
from tests.databases import Place
from tests.definitions import SCOPE, Clock

pytestmark = pytest.mark.anyio

STAGING = Environment(0, "staging", "Staging", 2, 7, multi_tenancy=True)
ACME = Tenant("tenant-1", 1, "acme", "Acme", 5, 6)
GLOBEX = Tenant("tenant-2", 1, "globex", "Globex", 5, 6)


@pytest.fixture
async def catalog(place: Place) -> AsyncIterator[SqlCatalog]:
    catalog = await open_at(place)
    yield catalog
    await catalog.close()


@pytest.fixture
async def other(place: Place, catalog: SqlCatalog) -> AsyncIterator[SqlCatalog]:
    """A second process on the same database."""
    other = await open_at(place)
    yield other
    await other.close()


async def open_at(place: Place) -> SqlCatalog:
    return await SqlCatalog.open(place.url, Clock("2026-03-04 10:00"))


async def test_what_was_saved_is_there_when_it_is_opened_again(place: Place) -> None:
    """Environments and tenants get scopes in the order in which they are made."""
    first = await open_at(place)
    staging = await first.save_environment(STAGING)
    acme, beta = await first.save_tenants([ACME, replace(ACME, id="tenant-3", environment=2)])
    await first.close()

    second = await open_at(place)
    await second.close()

    assert (staging.id, staging.scope, acme.scope, beta.scope) == (2, 2, 3, 4)
    assert second.environments()[1:] == (staging,) == (replace(STAGING, id=2, scope=2),)
    assert second.tenants(1) == Tenants((acme,), {"tenant-1": acme}, {"acme": acme})
    assert second.tenants(2) == Tenants((beta,), {"tenant-3": beta}, {"acme": beta})
    assert second.scopes() == (1, 2, 3, 4)
    assert [second.environment(scope).key for scope in second.scopes()] == [
        "production",
        "staging",
        "production",
        "staging",
    ]
    assert [second.tenant(scope) for scope in second.scopes()] == [None, None, acme, beta]


async def test_what_another_process_makes_is_seen_after_a_refresh(catalog: SqlCatalog, other: SqlCatalog) -> None:
    """The command line makes environments while the server runs."""
    await other.save_environment(STAGING)
    [acme] = await other.save_tenants([ACME])

    assert await catalog.refresh()

    assert [environment.key for environment in catalog.environments()] == ["production", "staging"]
    assert catalog.tenants(1).by_customer_id == {"acme": acme}


async def test_equal_keys_may_be_in_all_scopes(catalog: SqlCatalog) -> None:
    """Each scope knows its own only."""
    staging = await catalog.save_environment(STAGING)
    [acme] = await catalog.save_tenants([ACME])
    scopes = [SCOPE, staging.scope, acme.scope]

    await catalog.save_metrics([Metric(0, f"metric-{scope}", scope, "laps", f"Laps {scope}") for scope in scopes])

    assert [catalog.definitions(scope).metric_by_key["laps"].name for scope in scopes] == ["Laps 1", "Laps 2", "Laps 3"]


async def test_an_archived_tenant_keeps_its_scope_from_others(catalog: SqlCatalog) -> None:
    """Its definitions are reached no more; the customer id may be given again, the number of the scope never is."""
    acme, globex = await catalog.save_tenants([ACME, GLOBEX])
    await catalog.save_metrics([Metric(0, "metric-1", globex.scope, "laps", "Laps")])

    await catalog.archive_tenants([globex.id], 9)
    [again] = await catalog.save_tenants([replace(GLOBEX, id="tenant-3")])

    assert (acme.scope, globex.scope, again.scope) == (2, 3, 4)
    assert catalog.tenants(1).all == (acme, again)
    assert catalog.scopes() == (SCOPE, 2, 4)
    assert catalog.definitions(globex.scope).metrics == ()
    assert (catalog.tenant(globex.scope), catalog.environment(globex.scope).key) == (None, "production")


async def test_two_processes_cannot_give_the_same_name_twice(catalog: SqlCatalog, other: SqlCatalog) -> None:
    """The database keeps them apart; nothing of the later one is stored."""
    await other.save_environment(STAGING)
    await other.save_tenants([ACME])

    with pytest.raises(Unavailable):
        await catalog.save_environment(STAGING)
    with pytest.raises(Unavailable):
        await catalog.save_tenants([GLOBEX, replace(ACME, id="tenant-3")])
    await catalog.refresh()

    assert len(catalog.environments()) == 2
    assert [tenant.customer_id for tenant in catalog.tenants(1).all] == ["acme"]
    assert len(catalog.scopes()) == 3
