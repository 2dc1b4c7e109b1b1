"""Define tenants: create, change, archive. They belong to the environment, whatever tenant a request names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from palmares.catalog.contract import Tenant, Tenants
from palmares.domain.errors import Invalid
from palmares.domain.metric import check_name
from palmares.service.bulk import Bulk, Finder, Item, judge_and_save, named
from palmares.service.context import Context
from palmares.service.define_boards import let_go


def tenants_of(context: Context, scope: int) -> Tenants:
    """The tenants of the environment that a scope is part of."""
    return context.catalog.tenants(context.catalog.environment(scope).id)


async def create_tenants(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Tenant]:
    """Make tenants of items with the fields customer_id and name; each gets a scope of its own."""
    async with context.catalog.changing():
        environment, now = context.catalog.environment(scope).id, context.clock()
        taken = set(tenants_of(context, scope).by_customer_id)

        def judge(item: Item) -> Tenant:
            tenant = _checked(Tenant(context.new_id(), environment, created=now, updated=now, **item.fields))
            _take(tenant.customer_id, taken)
            return tenant

        return await judge_and_save(items, judge, context.catalog.save_tenants)


async def update_tenants(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Tenant]:
    """Change the customer_id and name of tenants; a request that names the old customer id finds nothing then."""
    async with context.catalog.changing():
        known, now = tenants_of(context, scope), context.clock()
        tenants, taken = Finder("tenant", known.by_id), set(known.by_customer_id)

        def judge(item: Item) -> Tenant:
            present = tenants.find(item)
            tenant = _checked(replace(present, **item.fields))
            if tenant.customer_id != present.customer_id:
                _take(tenant.customer_id, taken)
                taken.remove(present.customer_id)
            return tenant if tenant == present else replace(tenant, updated=now)

        return await judge_and_save(items, judge, context.catalog.save_tenants)


async def archive_tenants(context: Context, scope: int, ids: Sequence[str]) -> Bulk[Tenant]:
    """Archive tenants: nothing reaches their data any more, and their rankings leave memory. The events stay."""
    async with context.catalog.changing():
        tenants = Finder("tenant", tenants_of(context, scope).by_id)
        bulk = Bulk[Tenant]()
        bulk.judge(named(ids), tenants.find)
        boards = [board for tenant in bulk.things for board in context.catalog.definitions(tenant.scope).boards]
        await context.catalog.archive_tenants([tenant.id for tenant in bulk.things], context.clock())
        await let_go(context, boards)
        return bulk


def _checked(tenant: Tenant) -> Tenant:
    check_name(tenant.name)
    _check_customer_id(tenant.customer_id)
    return tenant


def _check_customer_id(customer_id: str) -> None:
    """Every request to the tenant carries it in a header, so it must be one that a header can carry."""
    check_name(customer_id, "customerId")
    if customer_id != customer_id.strip() or any(letter < " " or letter == "\x7f" for letter in customer_id):
        raise Invalid("customerId: must not begin or end with a space, or hold control characters")


def _take(customer_id: str, taken: set[str]) -> None:
    if customer_id in taken:
        raise Invalid(f"customerId: another tenant has {customer_id!r}")
    taken.add(customer_id)
