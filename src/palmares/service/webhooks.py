"""Define webhooks: create, change, pause, delete. And read the log of what was delivered to them.

A webhook hears of what happens from its creation on, and not of what happens while it is paused; what already waits
to be delivered goes on waiting until it is resumed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from palmares.catalog.contract import Catalog
from palmares.domain.errors import Invalid
from palmares.domain.webhook import SECRET_PREFIX, Webhook, check
from palmares.outbox.contract import Delivery, Wanted
from palmares.service.bulk import Bulk, Finder, Item, judge_and_save, named
from palmares.service.context import Context

_SECRET_LENGTH = 32


class WebhookContext(Protocol):
    """What these actions are given: a `Context`, or less where no ledger is open, as on the command line."""

    @property
    def catalog(self) -> Catalog:
        """Where webhooks are kept."""

    @property
    def clock(self) -> Callable[[], int]:
        """Tells the instant."""

    @property
    def new_id(self) -> Callable[[], str]:
        """Makes a UUID."""

    @property
    def new_secret(self) -> Callable[[int], str]:
        """Makes a random text of letters and digits of a length."""

    @property
    def allow_private_webhooks(self) -> bool:
        """Whether private addresses may be told."""

    @property
    def take_note(self) -> Callable[[], Awaitable[None]]:
        """Lets announcements begin at once with webhooks that were just defined."""


async def create_webhooks(context: WebhookContext, scope: int, items: Sequence[Item]) -> Bulk[Webhook]:
    """Make webhooks of items with the fields name, url, events and possibly secret and status."""
    async with context.catalog.changing():
        now = context.clock()

        def judge(item: Item) -> Webhook:
            fields = {"secret": _new_secret(context), **item.fields}
            webhook = Webhook(number=0, id=context.new_id(), scope=scope, created=now, **_tidied(fields))
            return check(webhook, context.allow_private_webhooks)

        bulk = await judge_and_save(items, judge, context.catalog.save_webhooks)
    await context.take_note()
    return bulk


async def update_webhooks(context: WebhookContext, scope: int, items: Sequence[Item]) -> Bulk[Webhook]:
    """Change webhooks: any of name, url, events, status and secret; `rotate_secret` gives another secret."""
    async with context.catalog.changing():
        webhooks = Finder("webhook", context.catalog.definitions(scope).webhook_by_id)

        def judge(item: Item) -> Webhook:
            fields = _tidied(item.fields)
            if fields.pop("rotate_secret", False):
                if "secret" in fields:
                    raise Invalid("rotateSecret: a secret is given too")
                fields["secret"] = _new_secret(context)
            # What was allowed when it was given need not be allowed now, for example to pause it.
            allow_private = context.allow_private_webhooks or "url" not in fields
            return check(replace(webhooks.find(item), **fields), allow_private)

        bulk = await judge_and_save(items, judge, context.catalog.save_webhooks)
    await context.take_note()
    return bulk


async def delete_webhooks(context: WebhookContext, scope: int, ids: Sequence[str]) -> Bulk[Webhook]:
    """Delete webhooks. What still waits to be delivered fails; the log stays."""
    async with context.catalog.changing():
        webhooks = Finder("webhook", context.catalog.definitions(scope).webhook_by_id)
        bulk = Bulk[Webhook]()
        bulk.judge(named(ids), webhooks.find)
        await context.catalog.delete_webhooks([webhook.id for webhook in bulk.things])
        return bulk


async def read_deliveries(context: Context, wanted: Wanted) -> list[Delivery]:
    """Lines of the log of deliveries."""
    return await context.outbox.deliveries(wanted)


def _new_secret(context: WebhookContext) -> str:
    return SECRET_PREFIX + context.new_secret(_SECRET_LENGTH)


def _tidied(fields: Any) -> dict[str, Any]:
    """The fields, with each type of event once."""
    tidied = dict(fields)
    if "events" in tidied:
        tidied["events"] = tuple(dict.fromkeys(tidied["events"]))
    return tidied
