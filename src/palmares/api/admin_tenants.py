"""Tenants for administrators: list, get, create, update, archive. They are those of the key's environment."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import Decoder

from palmares.api.resource import Resource, Write
from palmares.api.wire import Instant, Uuid
from palmares.api.wire_admin import Issue, Name, given
from palmares.catalog.contract import Tenant
from palmares.domain.errors import Invalid
from palmares.domain.local_time import format_instant
from palmares.service.define_tenants import archive_tenants, create_tenants, tenants_of, update_tenants

CustomerId = Annotated[
    str, Meta(min_length=1, max_length=255, description="What the Tenant-ID header of the tenant's requests says.")
]
_NOTHING_GIVEN = "expected customerId or name"


class NewTenant(Struct, rename="camel", kw_only=True):
    """A tenant to create."""

    customer_id: CustomerId
    name: Name


class TenantUpdate(Struct, rename="camel", kw_only=True):
    """The given fields of a tenant, at least one."""

    id: Uuid
    customer_id: CustomerId | UnsetType | None = UNSET
    name: Name | UnsetType | None = UNSET


class AdminTenant(Struct, rename="camel", kw_only=True):
    """A tenant. Archived ones are in no answer."""

    id: Uuid
    customer_id: str
    name: str
    status: Literal["active", "archived"]
    created: Instant
    updated: Instant


class CreatedTenants(Struct):
    """The tenants that were created, and why the rest were not."""

    created: list[AdminTenant]
    issues: list[Issue]


class UpdatedTenants(Struct):
    """The tenants that were updated, and why the rest were not."""

    updated: list[AdminTenant]
    issues: list[Issue]


def tenant_fields(request: NewTenant | TenantUpdate) -> dict[str, Any]:
    """The given fields as `service/define_tenants.py` takes them; `Invalid` when there are none."""
    fields = {name: value for name, value in given(request).items() if name != "id"}
    if not fields:
        raise Invalid(_NOTHING_GIVEN)
    return fields


def admin_tenant(tenant: Tenant) -> AdminTenant:
    """The wire form of a tenant."""
    return AdminTenant(
        id=tenant.id,
        customer_id=tenant.customer_id,
        name=tenant.name,
        status="active",
        created=format_instant(tenant.created),
        updated=format_instant(tenant.updated),
    )


TENANTS = Resource(
    name="tenant",
    source=lambda call: tenants_of(call.context, call.scope),
    things=lambda tenants: tenants.all,
    by_id=lambda tenants: tenants.by_id,
    form=AdminTenant,
    show=lambda tenant, now: admin_tenant(tenant),
    creating=Write(Decoder(NewTenant), tenant_fields, create_tenants, CreatedTenants),
    updating=Write(Decoder(TenantUpdate), tenant_fields, update_tenants, UpdatedTenants),
    deleting=archive_tenants,
)

ENDPOINTS = tuple(replace(endpoint, spans_tenants=True) for endpoint in TENANTS.endpoints())
