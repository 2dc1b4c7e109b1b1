"""Who asks, and what a key opens: the text of a key in, a scope out."""

import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palmares.catalog.contract import ApplicationKey
from palmares.domain.errors import Forbidden, Invalid, Unauthorized
from palmares.service.application_keys import create_application_keys, delete_application_keys
from palmares.service.authenticate import Proven, authenticate, opened_scope, own_scope
from palmares.service.define_tenants import archive_tenants, create_tenants
from palmares.service.environments import create_environment, find_environment, switch_multi_tenancy
from palmares.service.keys import activate_key, create_key, list_keys, revoke_key, rotate_key
from tests.definitions import SCOPE, Desk, items, open_desk

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def make_application_key(desk: Desk, scope: int = SCOPE, user: str = "ann") -> str:
    bulk = await create_application_keys(desk.context, scope, items({"user_id": user}))
    return bulk.things[0].text


async def make_tenant(desk: Desk, customer_id: str) -> int:
    """The scope of a new tenant of the production environment."""
    bulk = await create_tenants(desk.context, SCOPE, items({"customer_id": customer_id, "name": customer_id}))
    return bulk.things[0].scope


async def opened(desk: Desk, text: str, tenant: str | None = None) -> int:
    return opened_scope(desk.catalog, await authenticate(desk.context, text), tenant)


# From text to key


async def test_an_application_key_is_of_its_user_and_scope(desk: Desk) -> None:
    """Both halves must match, those of the same key."""
    one, two = await make_application_key(desk, user="ann"), await make_application_key(desk, user="bob")

    key = await authenticate(desk.context, two)

    assert isinstance(key, ApplicationKey)
    assert (key.user_id, key.scope) == ("bob", SCOPE)
    for text in (
        one[:9] + two[9:],
        one[:9],
        one[:10],
        f"{one}x",
        one.replace("app_", "App_"),
        "app_.x",
        "app_xxxxxx.x",
    ):
        with pytest.raises(Unauthorized):
            await authenticate(desk.context, text)


async def test_a_deleted_application_key_opens_nothing_more(desk: Desk) -> None:
    """At once, though it was in use."""
    text = await make_application_key(desk)
    key = await authenticate(desk.context, text)

    await delete_application_keys(desk.context, SCOPE, [key.id])

    with pytest.raises(Unauthorized):
        await authenticate(desk.context, text)


@pytest.mark.parametrize("text", ["wrongPre.secret", "app_wrong.secret", "wrongPre", "app_", ".", "é.x"])
async def test_a_prefix_that_nobody_has_is_compared_all_the_same(
    desk: Desk, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the time to the answer would tell which prefixes there are. Hashes of one length are compared."""
    lengths = []
    compare = hmac.compare_digest

    def noting(one: bytes, other: bytes) -> bool:
        lengths.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noting)

    with pytest.raises(Unauthorized):
        await authenticate(desk.context, text)

    assert lengths == [(32, 32)]


async def test_a_wrong_secret_a_wrong_prefix_and_a_revoked_key_are_told_in_the_same_words(desk: Desk) -> None:
    """Nothing is to be learned from the difference."""
    key, text = await create_key(desk.context, "server")
    await revoke_key(desk.context, key.id)
    messages = set()

    for tried in (text, f"{text}x", "wrongPre.secret", "app_wrong.secret"):
        with pytest.raises(Unauthorized) as refused:
            await authenticate(desk.context, tried)
        messages.add(refused.value.message)

    assert len(messages) == 1


async def test_the_use_of_a_key_is_noted_only_when_it_opens(desk: Desk) -> None:
    """Who guesses leaves no trace on somebody's key; an application key is noted once a minute."""
    text = await make_application_key(desk)
    key = await authenticate(desk.context, text)
    first = desk.clock()
    for now in ("2026-03-04 10:00:59", "2026-03-04 10:01", "2026-03-04 10:01:30"):
        await desk.catalog.refresh()
        desk.clock.set(now)
        await authenticate(desk.context, text)
    with pytest.raises(Unauthorized):
        await authenticate(desk.context, f"{text}x")
    await desk.catalog.refresh()

    [stored] = await desk.catalog.application_keys(SCOPE, [key.id])
    assert stored.last_used == first + 60_000_000


# From key to scope


async def test_without_multi_tenancy_the_tenant_is_not_looked_at(desk: Desk) -> None:
    """Whether it exists or not."""
    _, text = await create_key(desk.context, "server")
    await make_tenant(desk, "acme")

    for tenant in (None, "", "acme", "nobody"):
        assert await opened(desk, text, tenant) == SCOPE
        assert await opened(desk, await make_application_key(desk), tenant) == SCOPE


async def test_with_multi_tenancy_an_admin_key_opens_each_tenant_of_its_environment(desk: Desk) -> None:
    """By the customer's own id, in which letters count."""
    _, text = await create_key(desk.context, "server")
    acme, globex = await make_tenant(desk, "acme"), await make_tenant(desk, "globex")
    await switch_multi_tenancy(desk.context, "production", on=True)

    assert len({SCOPE, acme, globex}) == 3
    assert [await opened(desk, text, tenant) for tenant in ("acme", "globex")] == [acme, globex]
    for tenant in (None, "", "Acme", "nobody"):
        with pytest.raises(Invalid, match=r"^Tenant-ID: "):
            await opened(desk, text, tenant)
    assert own_scope(desk.catalog, await authenticate(desk.context, text)) == SCOPE


async def test_a_tenant_of_another_environment_is_unknown(desk: Desk) -> None:
    """Equal customer ids are different tenants."""
    acme = await make_tenant(desk, "acme")
    staging = await create_environment(desk.context, "staging", "Staging", None, multi_tenancy=True)
    _, text = await create_key(desk.context, "staging", staging.scope)

    with pytest.raises(Invalid):
        await opened(desk, text, "acme")
    bulk = await create_tenants(desk.context, staging.scope, items({"customer_id": "acme", "name": "Acme"}))

    assert await opened(desk, text, "acme") == bulk.things[0].scope != acme


async def test_an_application_key_opens_the_scope_it_was_made_in_and_no_other(desk: Desk) -> None:
    """Other tenants are told in the same words as tenants that are not there."""
    acme, _ = await make_tenant(desk, "acme"), await make_tenant(desk, "globex")
    of_tenant, of_environment = await make_application_key(desk, acme), await make_application_key(desk)

    assert await opened(desk, of_environment) == SCOPE
    with pytest.raises(Forbidden):
        await opened(desk, of_tenant, "acme")

    await switch_multi_tenancy(desk.context, "production", on=True)
    assert await opened(desk, of_tenant, "acme") == acme
    with pytest.raises(Invalid, match="'globex' that this key opens"):
        await opened(desk, of_tenant, "globex")
    with pytest.raises(Invalid, match="'nobody' that this key opens"):
        await opened(desk, of_tenant, "nobody")
    with pytest.raises(Invalid):
        await opened(desk, of_environment, "acme")


async def test_an_archived_tenant_is_reached_by_nobody(desk: Desk) -> None:
    """Neither by its own keys, nor by its customer id when that is used again."""
    _, admin = await create_key(desk.context, "server")
    before = await make_tenant(desk, "acme")
    text = await make_application_key(desk, before)
    await switch_multi_tenancy(desk.context, "production", on=True)
    environment = find_environment(desk.context, "production")
    tenant = desk.catalog.tenants(environment.id).by_customer_id["acme"]

    await archive_tenants(desk.context, SCOPE, [tenant.id])
    for key in (admin, text):
        with pytest.raises(Invalid):
            await opened(desk, key, "acme")

    after = await make_tenant(desk, "acme")
    assert await opened(desk, admin, "acme") == after != before
    with pytest.raises(Invalid):
        await opened(desk, text, "acme")
    await switch_multi_tenancy(desk.context, "production", on=False)
    with pytest.raises(Forbidden):
        await opened(desk, text)


# Keys that were proven


async def proven(desk: Desk, text: str) -> Proven:
    """What remembers that this text was found right."""
    remembered = Proven(desk.context)
    remembered.note(text, await authenticate(desk.context, text))
    return remembered


async def test_a_proven_text_is_the_key_and_no_other_text_is(desk: Desk) -> None:
    key, text = await create_key(desk.context, "server")
    _, other = await create_key(desk.context, "other")

    remembered = await proven(desk, text)

    assert remembered.key(text) == key
    assert [remembered.key(wrong) for wrong in (other, text[:-1], f"{text}x", text.upper(), "")] == [None] * 5


async def test_a_proven_key_is_noted_as_used(desk: Desk) -> None:
    _, text = await create_key(desk.context, "server")
    remembered = await proven(desk, text)
    desk.clock.set("2026-03-05 12:00")

    remembered.key(text)
    await desk.catalog.refresh()

    assert list_keys(desk.context)[0].last_used == desk.clock()


async def test_what_changes_about_a_key_has_it_proven_again(desk: Desk) -> None:
    """A revoked key opens nothing from that instant on, and one that is active again was never proven as such."""
    key, text = await create_key(desk.context, "server")
    remembered = await proven(desk, text)

    await revoke_key(desk.context, key.id)
    assert remembered.key(text) is None
    await activate_key(desk.context, key.id)
    assert remembered.key(text) is None
    remembered.note(text, await authenticate(desk.context, text))
    await rotate_key(desk.context, key.id)
    assert remembered.key(text) is None


async def test_application_keys_are_always_proven_anew(desk: Desk) -> None:
    """They come and go by the thousand, each seldom used."""
    text = await make_application_key(desk)

    remembered = await proven(desk, text)

    assert remembered.key(text) is None


async def test_only_so_many_proven_keys_are_remembered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palmares.service.authenticate.MOST_PROVEN", 2)
    remembered = Proven(desk.context)
    texts = [(await create_key(desk.context, f"key {number}"))[1] for number in range(3)]

    for text in texts:
        remembered.note(text, await authenticate(desk.context, text))

    assert [remembered.key(text) is not None for text in texts] == [False, False, True]
