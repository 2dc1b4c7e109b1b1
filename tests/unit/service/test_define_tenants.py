"""Tenants: made, changed and archived, each with a scope of its own."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palmares.catalog.contract import Tenant
from palmares.service.define_boards import create_boards
from palmares.service.define_tenants import archive_tenants, create_tenants, tenants_of, update_tenants
from tests.definitions import SCOPE, Desk, complaints, items, open_desk

pytestmark = pytest.mark.anyio

UNKNOWN = "00000000-0000-4000-8000-00000000ffff"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def create(desk: Desk, *customer_ids: str) -> list[Tenant]:
    asked = items(*({"customer_id": customer_id, "name": customer_id} for customer_id in customer_ids))
    bulk = await create_tenants(desk.context, SCOPE, asked)
    assert bulk.issues == []
    return bulk.things


async def test_each_tenant_has_a_scope_of_its_own_with_nothing_in_it(desk: Desk) -> None:
    """Scopes count on from the environment's."""
    acme, globex = await create(desk, "acme", "globex")

    assert (acme.scope, globex.scope) == (2, 3)
    assert (acme.created, acme.updated) == (desk.clock(), desk.clock())
    assert desk.catalog.scopes() == (SCOPE, 2, 3)
    assert [desk.catalog.tenant(scope) for scope in (SCOPE, 2, 3)] == [None, acme, globex]
    assert desk.catalog.environment(3) == desk.catalog.environment(SCOPE)
    assert desk.catalog.definitions(2).metrics == ()
    # Also as seen from a tenant's own scope.
    assert tenants_of(desk.context, 3) == tenants_of(desk.context, SCOPE)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"customer_id": "acme", "name": "Another"}, "customerId"),
        ({"customer_id": " ", "name": "Blank"}, "customerId"),
        ({"customer_id": " padded", "name": "Padded"}, "customerId"),
        ({"customer_id": "two\nlines", "name": "Lines"}, "customerId"),
        ({"customer_id": "x" * 256, "name": "Long"}, "customerId"),
        ({"customer_id": "new", "name": " "}, "name"),
        ({"customer_id": "new", "name": "x" * 256}, "name"),
    ],
)
async def test_what_a_header_cannot_carry_or_another_tenant_has_is_an_issue(
    desk: Desk, fields: dict[str, Any], field: str
) -> None:
    """And the other items are made; of two with one id, the first wins."""
    await create(desk, "acme")
    good = {"customer_id": "good é", "name": "Good"}

    bulk = await create_tenants(desk.context, SCOPE, items(fields, good, good))

    assert [tenant.customer_id for tenant in bulk.things] == ["good é"]
    assert complaints(bulk) == [(0, field), (2, "customerId")]


async def test_a_tenant_that_changes_its_customer_id_keeps_its_scope(desk: Desk) -> None:
    """The old id finds nothing then, and may go to another, even in the same request."""
    acme, globex = await create(desk, "acme", "globex")
    desk.clock.set("2026-03-05 10:00")

    asked = items({"id": acme.id, "customer_id": "acme-2"}, {"id": globex.id, "customer_id": "acme", "name": "Globex"})
    bulk = await update_tenants(desk.context, SCOPE, asked)

    now = desk.clock()
    assert bulk.things == [
        replace(acme, customer_id="acme-2", updated=now),
        replace(globex, customer_id="acme", name="Globex", updated=now),
    ]
    assert set(tenants_of(desk.context, SCOPE).by_customer_id) == {"acme-2", "acme"}


async def test_an_update_with_nothing_to_change_succeeds_and_moves_no_time(desk: Desk) -> None:
    """The tenant is returned as it is."""
    [acme] = await create(desk, "acme")
    desk.clock.set("2026-03-05 10:00")

    bulk = await update_tenants(desk.context, SCOPE, items({"id": acme.id, "customer_id": "acme", "name": "acme"}))

    assert (bulk.things, bulk.issues) == ([acme], [])


async def test_an_update_that_clashes_or_names_nobody_is_an_issue(desk: Desk) -> None:
    """Nothing of the item is applied."""
    acme, globex = await create(desk, "acme", "globex")

    asked = items({"id": globex.id, "customer_id": "acme", "name": "New"}, {"id": UNKNOWN, "name": "Nobody"})
    bulk = await update_tenants(desk.context, SCOPE, asked)

    assert complaints(bulk) == [(globex.id, "customerId"), (UNKNOWN, "id")]
    assert tenants_of(desk.context, SCOPE).all == (acme, globex)


async def test_an_archived_tenant_is_gone_and_its_customer_id_free(desk: Desk) -> None:
    """Whoever gets the id next begins with nothing, in a scope that nobody had."""
    acme, globex = await create(desk, "acme", "globex")

    bulk = await archive_tenants(desk.context, SCOPE, [globex.id, UNKNOWN])
    [again] = await create(desk, "globex")

    assert (bulk.things, complaints(bulk)) == ([globex], [(UNKNOWN, "id")])
    assert tenants_of(desk.context, SCOPE).all == (acme, again)
    assert again.scope not in (SCOPE, acme.scope, globex.scope)
    assert desk.catalog.scopes() == (SCOPE, acme.scope, again.scope)


async def test_the_rankings_of_an_archived_tenant_leave_the_ledger(desk: Desk) -> None:
    """Those of its boards that count; other tenants keep theirs."""
    acme, globex = await create(desk, "acme", "globex")
    for tenant in (acme, globex):
        fields = {"name": "Streaks", "rank_by": "streak"}
        asked = items(fields | {"key": "on", "status": "active"}, fields | {"key": "off"})
        assert (await create_boards(desk.context, tenant.scope, asked)).issues == []
    [counting, _] = desk.catalog.definitions(acme.scope).boards
    desk.ledger.told.clear()

    await archive_tenants(desk.context, SCOPE, [acme.id])

    assert desk.ledger.told == [("forget", counting.number)]
    assert desk.catalog.definitions(acme.scope).boards == ()
    assert len(desk.catalog.definitions(globex.scope).boards) == 2
