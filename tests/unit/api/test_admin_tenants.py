"""Tenants over the Admin API: the bulk shape, and that they are those of the key's environment."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palmares.service.environments import switch_multi_tenancy
from tests.admin_client import UNKNOWN, Admin, named, open_admin

pytestmark = pytest.mark.anyio

ACME = {"customerId": "acme", "name": "Acme Inc."}
CREATED = "2026-03-04T10:00:00.000Z"


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path) as admin:
        yield admin


async def test_a_tenant_is_created_listed_read_changed_and_archived(admin: Admin) -> None:
    """Always in the same form, which has all fields."""
    [acme, globex] = await admin.create("/tenants", ACME, {"customerId": "globex", "name": "Globex"})
    assert acme == ACME | {"id": acme["id"], "status": "active", "created": CREATED, "updated": CREATED}

    assert await admin.call("GET", "/tenants") == [acme, globex]
    assert await admin.call("GET", "/tenants?skip=1&limit=1") == [globex]
    assert await admin.call("GET", f"/tenants/{acme['id'].upper()}") == acme

    admin.desk.clock.set("2026-03-05 10:00")
    answer = await admin.call("PATCH", "/tenants", [{"id": acme["id"], "name": "Acme"}])
    acme = acme | {"name": "Acme", "updated": "2026-03-05T10:00:00.000Z"}
    assert answer == {"updated": [acme], "issues": []}

    answer = await admin.call("DELETE", f"/tenants?ids={acme['id']},{UNKNOWN}")
    assert answer["deleted"] == [{"id": acme["id"]}]
    assert named(answer["issues"]) == [(UNKNOWN, "id")]
    assert await admin.call("GET", "/tenants") == [globex]
    await admin.refused("GET", f"/tenants/{acme['id']}", status=404)
    await admin.create("/tenants", ACME)


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"name": "Acme"}, "customerId"),
        ({"customerId": "acme"}, "name"),
        ({"customerId": None, "name": "Acme"}, "customerId"),
        ({"customerId": "", "name": "Acme"}, "customerId"),
        ({"customerId": 7, "name": "Acme"}, "customerId"),
        ({"customerId": "x" * 256, "name": "Acme"}, "customerId"),
        ({"customerId": "a\tb", "name": "Acme"}, "customerId"),
        ({"customerId": "acme", "name": ""}, "name"),
    ],
)
async def test_a_wrong_field_is_an_issue_that_names_it(admin: Admin, item: Any, field: str) -> None:
    """Nothing is created."""
    answer = await admin.call("POST", "/tenants", [item])

    assert (answer["created"], named(answer["issues"])) == ([], [(0, field)])


async def test_an_update_that_gives_nothing_is_an_issue(admin: Admin) -> None:
    """At least one of the two; null is not given."""
    [acme] = await admin.create("/tenants", ACME)

    for item in ({"id": acme["id"]}, {"id": acme["id"], "name": None}):
        answer = await admin.call("PATCH", "/tenants", [item])
        assert (answer["updated"], answer["issues"][0]["id"]) == ([], acme["id"])


@pytest.mark.parametrize("tenant", [None, "", "acme", "nobody"])
async def test_the_tenant_header_is_ignored_with_multi_tenancy_too(admin: Admin, tenant: str | None) -> None:
    """Else the first tenant could never be made."""
    await switch_multi_tenancy(admin.desk.context, "production", on=True)
    if tenant is not None:
        admin.client.headers["Tenant-ID"] = tenant

    [made] = await admin.create("/tenants", ACME)

    assert await admin.call("GET", "/tenants") == [made]
    assert await admin.call("GET", "/environments") == [{"name": "Production", "key": "production", "priority": 1}]
    await admin.call("GET", "/settings")


async def test_an_id_that_is_no_uuid_is_refused(admin: Admin) -> None:
    await admin.refused("GET", "/tenants/acme")
