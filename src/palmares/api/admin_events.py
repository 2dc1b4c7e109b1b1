"""Events for administrators: look for them, and take them back."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from palmares.api import bulk
from palmares.api.endpoint import Answer, Call, Endpoint, read_query, read_values
from palmares.api.wire import Exact, Instant, Text, UserId, Uuid
from palmares.api.wire_admin import Deleted
from palmares.domain.errors import Invalid
from palmares.domain.local_time import format_instant, parse_instant
from palmares.domain.value import exact
from palmares.service.correct import void_events
from palmares.service.read_events import EventFilter, ShownEvent, read_event, read_events

_POSITION = re.compile(r"[1-9][0-9]{0,17}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CURSOR = Meta(description="What the page before gave as its cursor.", extra_json_schema={"pattern": _POSITION.pattern})


class EventsQuery(Struct, rename="camel", frozen=True, kw_only=True):
    """Which events."""

    user_id: Annotated[UserId, Meta(description="Only those of this user.")] | UnsetType = UNSET
    metric_key: Annotated[str, Meta(description="Only those of this metric.")] | UnsetType = UNSET
    recorded_from: Annotated[Instant, Meta(description="Only those recorded then or later.")] | UnsetType = field(
        default=UNSET, name="from"
    )
    recorded_before: Annotated[Instant, Meta(description="Only those recorded earlier.")] | UnsetType = field(
        default=UNSET, name="to"
    )
    idempotency_key: Annotated[Text, Meta(description="Only those with this key.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=100, description="Most events to return.")] = 10
    cursor: Annotated[str, _CURSOR] | UnsetType = UNSET


class VoidQuery(Struct, frozen=True):
    """What to take back, and why."""

    ids: Annotated[
        list[str], Meta(min_length=1, max_length=bulk.MOST_ITEMS, description="Repeated or joined by commas.")
    ]
    reason: Annotated[Text, Meta(min_length=1, description="Is shown with the events.")] | UnsetType = UNSET


class Voided(Struct):
    """When an event was taken back, and why."""

    at: Instant
    reason: str | None


class AdminEvent(Struct, rename="camel", kw_only=True):
    """An event as it was recorded. The total is the user's behind it; `history` says that it was imported as such.

    A metric that was deleted since is null. One that is `voided` has never been, as far as rankings know.
    """

    id: Uuid
    user_id: str
    metric_id: Uuid | None
    metric_key: str | None
    value: Exact
    total: Exact
    attributes: dict[str, str]
    idempotency_key: str | None
    occurred_at: Instant
    recorded_at: Instant
    history: bool
    voided: Voided | None


class AdminEvents(Struct):
    """Some events, newest first. With a cursor there may be more, even where there are few or none here."""

    events: list[AdminEvent]
    cursor: str | None


async def list_events(call: Call) -> Answer:
    """The events that fit, newest first."""
    query = read_query(call, EventsQuery)
    shown = await read_events(call.context, call.scope, _filter(query), query.limit, _position(query.cursor))
    cursor = None if shown.before is None else str(shown.before)
    return Answer(200, AdminEvents([admin_event(one) for one in shown.events], cursor))


async def get_event(call: Call) -> Answer:
    """One event."""
    event_id = call.path["id"].lower()
    if not _UUID.fullmatch(event_id):
        raise Invalid("id: expected a UUID")
    return Answer(200, admin_event(await read_event(call.context, call.scope, event_id)))


async def delete_events(call: Call) -> Answer:
    """Take events back."""
    ids, reasons = bulk.read_ids(call), [reason for reason in read_values(call, "reason") if reason]
    return bulk.deleted(await void_events(call.context, call.scope, ids, reasons[-1] if reasons else None))


def admin_event(shown: ShownEvent) -> AdminEvent:
    """The wire form of an event."""
    event, metric = shown
    return AdminEvent(
        id=event.id,
        user_id=event.user_id,
        metric_id=None if metric is None else metric.id,
        metric_key=None if metric is None else metric.key,
        value=exact(event.amount),
        total=exact(event.total),
        attributes=dict(event.attributes),
        idempotency_key=event.idempotency_key,
        occurred_at=format_instant(event.occurred_at),
        recorded_at=format_instant(event.recorded_at),
        history=event.history,
        voided=None if event.void is None else Voided(format_instant(event.void.at), event.void.reason),
    )


def _filter(query: EventsQuery) -> EventFilter:
    return EventFilter(
        _or_none(query.user_id),
        _or_none(query.metric_key),
        _instant(query.recorded_from, "from"),
        _instant(query.recorded_before, "to"),
        _or_none(query.idempotency_key),
    )


def _or_none(text: str | UnsetType) -> str | None:
    return None if text is UNSET else text


def _instant(text: str | UnsetType, name: str) -> int | None:
    return None if text is UNSET else parse_instant(text, name)


def _position(cursor: str | UnsetType) -> int | None:
    if cursor is UNSET:
        return None
    if not _POSITION.fullmatch(cursor):
        raise Invalid("cursor: expected the cursor of another page")
    return int(cursor)


ENDPOINTS = (
    Endpoint("GET", "/events", list_events, "Look for events", {200: AdminEvents}, query=EventsQuery, errors=(404,)),
    Endpoint("GET", "/events/{id}", get_event, "Get an event", {200: AdminEvent}),
    Endpoint("DELETE", "/events", delete_events, "Take events back", {200: Deleted}, query=VoidQuery),
)
