"""Looking for events, and one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from palmares.catalog.contract import Definitions
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.metric import Metric
from palmares.ledger.contract import StoredEvent, WantedEvents
from palmares.service.context import Context
from palmares.service.read_user import metric_with, read_user


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What the events are to fit. They were recorded at `recorded_from` or later, and before `recorded_before`."""

    user_id: str | None = None
    metric_key: str | None = None
    recorded_from: int | None = None
    recorded_before: int | None = None
    idempotency_key: str | None = None


class ShownEvent(NamedTuple):
    """An event and its metric, which is None when that was deleted since."""

    event: StoredEvent
    metric: Metric | None


class ShownEvents(NamedTuple):
    """A part of the events, newest first, and the position in front of which to go on; None when that was all."""

    events: Sequence[ShownEvent]
    before: int | None


async def read_events(
    context: Context, scope: int, wanted: EventFilter, limit: int, before: int | None = None
) -> ShownEvents:
    """The newest events that fit, in front of a position if one is given; maybe fewer than there are.

    Raises `NotFound` for an unknown user or metric, so that a misspelt one is not taken for one without events, and
    `Invalid` for a stretch of time that ends before it begins. Bounded, however many events there are.
    """
    first, past = wanted.recorded_from, wanted.recorded_before
    if first is not None and past is not None and past < first:
        raise Invalid("to: lies before from")
    definitions = context.catalog.definitions(scope)
    metric = None if wanted.metric_key is None else metric_with(definitions, wanted.metric_key)
    user = None if wanted.user_id is None else await read_user(context, scope, wanted.user_id)
    query = WantedEvents(scope, limit, before, user, metric, first, past, wanted.idempotency_key)
    page = await context.ledger.events(query)
    return ShownEvents(_shown(definitions, page.events), page.before)


async def read_event(context: Context, scope: int, event_id: str) -> ShownEvent:
    """The event with that id, or `NotFound`."""
    [found] = await context.ledger.events_with(scope, [event_id])
    if found is None:
        raise NotFound(f"event {event_id[:64]!r} was not found")
    [shown] = _shown(context.catalog.definitions(scope), [found])
    return shown


def _shown(definitions: Definitions, events: Sequence[StoredEvent]) -> list[ShownEvent]:
    metrics = {metric.number: metric for metric in definitions.metrics}
    return [ShownEvent(event, metrics.get(event.metric)) for event in events]
