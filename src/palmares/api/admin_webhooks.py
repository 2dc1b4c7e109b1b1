"""Webhooks for administrators: list, get, create, update, delete; and the log of deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.json import Decoder

from palmares.api import bulk
from palmares.api.endpoint import Answer, Call, Endpoint, read_query
from palmares.api.resource import Resource, Write
from palmares.api.wire import Instant, Uuid
from palmares.api.wire_admin import Issue, Name, given
from palmares.domain.local_time import format_instant
from palmares.domain.webhook import LONGEST_URL, DeliveryStatus, EventType, Webhook, WebhookStatus
from palmares.outbox.contract import Delivery, Wanted
from palmares.service.webhooks import create_webhooks, delete_webhooks, read_deliveries, update_webhooks

Url = Annotated[str, Meta(max_length=LONGEST_URL, extra_json_schema={"format": "uri"})]
Events = Annotated[list[EventType], Meta(min_length=1, max_length=100)]
Secret = Annotated[str, Meta(min_length=1, max_length=255, description="What signs; left out, one is made.")]


class NewWebhook(Struct, rename="camel", kw_only=True):
    """A webhook to create."""

    name: Name
    url: Url
    events: Events
    secret: Secret | UnsetType | None = UNSET
    status: WebhookStatus | UnsetType | None = UNSET


class WebhookUpdate(Struct, rename="camel", kw_only=True):
    """The given fields of a webhook. `rotateSecret` gives it another secret, which the answer shows."""

    id: Uuid
    name: Name | UnsetType | None = UNSET
    url: Url | UnsetType | None = UNSET
    events: Events | UnsetType | None = UNSET
    secret: Secret | UnsetType | None = UNSET
    status: WebhookStatus | UnsetType | None = UNSET
    rotate_secret: bool | UnsetType | None = UNSET


class AdminWebhook(Struct, rename="camel", kw_only=True):
    """A webhook. The secret is there only in the answer to the request that made it."""

    id: Uuid
    name: str
    url: str
    events: list[EventType]
    status: WebhookStatus
    created: Instant
    secret: str | UnsetType = UNSET


class CreatedWebhooks(Struct):
    """The webhooks that were created, and why the rest were not."""

    created: list[AdminWebhook]
    issues: list[Issue]


class UpdatedWebhooks(Struct):
    """The webhooks that were updated, and why the rest were not."""

    updated: list[AdminWebhook]
    issues: list[Issue]


class DeliveryAnswer(Struct, rename="camel", kw_only=True):
    """A line of the log: one message to one webhook. `id` is sent as the Idempotency-Key of every attempt."""

    id: str
    webhook_id: Uuid
    url: str
    type: EventType
    created: Instant
    status: DeliveryStatus
    attempts: int
    last_attempt: Instant | None
    next_attempt: Instant | None
    response_code: int | None
    problem: str | None
    body: Annotated[Raw, Meta(extra_json_schema={"type": "object"})]


class DeliveriesQuery(Struct, rename="camel", frozen=True):
    """Which lines of the log."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Most lines to return.")] = 10
    skip: Annotated[int, Meta(ge=0, le=2**63 - 1, description="Lines to skip.")] = 0
    order: Annotated[Literal["oldest", "newest"], Meta(description="Which end to begin at.")] = "oldest"
    webhook_id: Annotated[str, Meta(description="Only those to this webhook.")] | UnsetType = UNSET
    type: EventType | UnsetType = UNSET
    status: DeliveryStatus | UnsetType = UNSET


def webhook_fields(request: NewWebhook | WebhookUpdate) -> dict[str, Any]:
    """The given fields as `service/webhooks.py` takes them."""
    return {name: value for name, value in given(request).items() if name != "id"}


def admin_webhook(webhook: Webhook, secret: str | UnsetType = UNSET) -> AdminWebhook:
    """The wire form of a webhook."""
    return AdminWebhook(
        id=webhook.id,
        name=webhook.name,
        url=webhook.url,
        events=list(webhook.events),
        status=webhook.status,
        created=format_instant(webhook.created),
        secret=secret,
    )


def delivery_answer(delivery: Delivery) -> DeliveryAnswer:
    """The wire form of a line of the log."""
    return DeliveryAnswer(
        id=delivery.id,
        webhook_id=delivery.webhook,
        url=delivery.url,
        type=delivery.event,
        created=format_instant(delivery.created),
        status=delivery.status,
        attempts=delivery.attempts,
        last_attempt=_instant(delivery.last_attempt),
        next_attempt=_instant(delivery.due),
        response_code=delivery.code,
        problem=delivery.problem,
        body=Raw(delivery.body),
    )


def _instant(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


@dataclass(frozen=True, slots=True)
class WebhookResource(Resource[Webhook]):
    """As other resources, but that a secret is shown to whoever has it made."""

    async def create(self, call: Call) -> Answer:
        """Create webhooks."""
        items = bulk.read_items(call, self.creating.decoder, self.creating.fields)
        done = await self.creating.action(call.context, call.scope, items)
        return bulk.created(done, CreatedWebhooks, lambda webhook: admin_webhook(webhook, webhook.secret))

    async def update(self, call: Call) -> Answer:
        """Update webhooks."""
        items = bulk.read_items(call, self.updating.decoder, self.updating.fields)
        rotated = {item.id.lower() for item in items if item.id is not None and item.fields.get("rotate_secret")}
        done = await self.updating.action(call.context, call.scope, items)
        return bulk.updated(
            done,
            UpdatedWebhooks,
            lambda webhook: admin_webhook(webhook, webhook.secret if webhook.id in rotated else UNSET),
        )


WEBHOOKS = WebhookResource(
    name="webhook",
    things=lambda definitions: definitions.webhooks,
    by_id=lambda definitions: definitions.webhook_by_id,
    form=AdminWebhook,
    show=lambda webhook, now: admin_webhook(webhook),
    creating=Write(Decoder(NewWebhook), webhook_fields, create_webhooks, CreatedWebhooks),
    updating=Write(Decoder(WebhookUpdate), webhook_fields, update_webhooks, UpdatedWebhooks),
    deleting=delete_webhooks,
)


async def list_deliveries(call: Call) -> Answer:
    """A part of the log of deliveries."""
    query = read_query(call, DeliveriesQuery)
    wanted = Wanted(
        scope=call.scope,
        limit=query.limit,
        skip=query.skip,
        newest_first=query.order == "newest",
        webhook=None if query.webhook_id is UNSET else query.webhook_id.lower(),
        event=None if query.type is UNSET else query.type,
        status=None if query.status is UNSET else query.status,
    )
    return Answer(200, [delivery_answer(delivery) for delivery in await read_deliveries(call.context, wanted)])


ENDPOINTS = (
    Endpoint(
        "GET",
        "/webhooks/deliveries",
        list_deliveries,
        "List deliveries to webhooks",
        answers={200: list[DeliveryAnswer]},
        query=DeliveriesQuery,
    ),
    *WEBHOOKS.endpoints(),
)
