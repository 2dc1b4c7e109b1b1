"""Webhooks: defined one by one or many at once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from palmares.domain.webhook import CHANGED, FINISHED, STARTED, Webhook
from palmares.service.bulk import Bulk
from palmares.service.webhooks import create_webhooks, delete_webhooks, update_webhooks
from tests.definitions import SCOPE, Desk, complaints, items, open_desk

pytestmark = pytest.mark.anyio
HOOK = {"name": "Shop", "url": "https://example.org/hook", "events": [STARTED]}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def make(desk: Desk, *fields: dict[str, object]) -> list[Webhook]:
    return (await create_webhooks(desk.context, SCOPE, items(*fields))).things


async def change(desk: Desk, webhook: Webhook, **fields: object) -> Bulk[Webhook]:
    return await update_webhooks(desk.context, SCOPE, items({"id": webhook.id, **fields}))


async def test_a_created_webhook_is_active_and_has_a_secret_of_its_own(desk: Desk) -> None:
    """A long one that says what it is, unless one is given."""
    one, other, given = await make(desk, HOOK, HOOK, {**HOOK, "secret": "whs_7Qm2", "status": "paused"})

    assert one.secret.startswith("whs_")
    assert len(one.secret) == 36
    assert one.secret != other.secret
    assert (one.status, one.created, one.number) == ("active", desk.clock.now, 1)
    assert (given.secret, given.status) == ("whs_7Qm2", "paused")
    assert desk.definitions.webhooks == (one, other, given)


async def test_a_type_that_is_named_twice_counts_once(desk: Desk) -> None:
    """In the order in which they were named."""
    [webhook] = await make(desk, {**HOOK, "events": [FINISHED, STARTED, FINISHED]})

    assert webhook.events == (FINISHED, STARTED)


async def test_bad_items_do_not_stop_good_ones(desk: Desk) -> None:
    """Each is told of by its place and field."""
    wrong = [{"name": " "}, {"url": "ftp://example.org"}, {"url": "http://10.0.0.1/"}, {"events": []}, {"secret": ""}]
    bulk = await create_webhooks(desk.context, SCOPE, items(*[HOOK | one for one in wrong], HOOK))

    assert complaints(bulk) == [(0, "name"), (1, "url"), (2, "url"), (3, "events"), (4, "secret")]
    assert len(bulk.things) == len(desk.definitions.webhooks) == 1


async def test_private_addresses_are_taken_where_that_is_allowed(desk: Desk) -> None:
    """And can be paused later also where it is not allowed any more."""
    allowing = replace(desk, context=replace(desk.context, allow_private_webhooks=True))
    [webhook] = await make(allowing, {**HOOK, "url": "http://127.0.0.1:9000/"})

    assert not (await change(desk, webhook, status="paused")).issues
    assert complaints(await change(desk, webhook, url="http://127.0.0.1:9001/")) == [(webhook.id, "url")]


async def test_an_update_changes_what_is_given(desk: Desk) -> None:
    """And leaves the rest, the secret too."""
    [webhook] = await make(desk, HOOK)
    bulk = await change(desk, webhook, events=[CHANGED], status="paused")

    assert bulk.things == [replace(webhook, events=(CHANGED,), status="paused")]
    assert desk.definitions.webhooks == tuple(bulk.things)


async def test_a_secret_can_be_replaced_by_a_new_or_a_given_one(desk: Desk) -> None:
    """But not by both."""
    [webhook] = await make(desk, HOOK)
    [rotated] = (await change(desk, webhook, rotate_secret=True)).things
    [given] = (await change(desk, webhook, secret="mine", rotate_secret=False)).things

    assert len({webhook.secret, rotated.secret, given.secret}) == 3
    assert given.secret == "mine"
    assert complaints(await change(desk, webhook, secret="mine", rotate_secret=True)) == [(webhook.id, "rotateSecret")]


async def test_a_deleted_webhook_is_gone_with_its_secret(desk: Desk) -> None:
    """Others stay."""
    [webhook, other] = await make(desk, {**HOOK, "secret": "whs_forgetMeWhenIAmGone"}, HOOK)
    bulk = await delete_webhooks(desk.context, SCOPE, [webhook.id, webhook.id, "nonsense"])

    assert [thing.id for thing in bulk.things] == [webhook.id]
    assert complaints(bulk) == [(webhook.id, "id"), ("nonsense", "id")]
    assert desk.definitions.webhooks == (other,)
    assert desk.definitions.webhook_by_id.keys() == {other.id}


async def test_announcements_begin_at_once(desk: Desk) -> None:
    """With what was just defined, before the answer."""
    seen: list[int] = []

    async def note() -> None:
        seen.append(len(desk.definitions.webhooks))

    noting = replace(desk, context=replace(desk.context, take_note=note))
    [webhook] = await make(noting, HOOK)
    await change(noting, webhook, status="paused")

    assert seen == [1, 1]
