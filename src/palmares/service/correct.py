"""Correcting what was recorded: taking events back, and setting a user's total."""

from __future__ import annotations

from collections.abc import Sequence

from palmares.domain.errors import Invalid
from palmares.domain.metric import LONGEST_TEXT, check_text
from palmares.ledger.contract import Entry, StoredEvent, void
from palmares.service.bulk import Bulk, Finder, named
from palmares.service.context import Context
from palmares.service.read_user import metric_with
from palmares.service.record import Recorded, check_idempotency_key


async def void_events(context: Context, scope: int, ids: Sequence[str], reason: str | None) -> Bulk[StoredEvent]:
    """Let the events with these ids be void, as if they had not been; all of those that are there, at once.

    An id that no event has becomes an issue. One that was void already stays so, with a warning: a request may be sent
    again. Raises `Invalid` for a reason that is too long, and where a total would not fit without the events; then
    nothing has changed.
    """
    if reason is not None:
        _check_reason(reason)
    items, bulk = named(ids), Bulk[StoredEvent]()
    found = await context.ledger.events_with(scope, ids)
    bulk.judge(items, Finder("event", {event.id: event for event in found if event is not None}).find)
    if not bulk.things:
        return bulk
    outcomes = await context.ledger.record([void(scope, event.position, reason) for event in bulk.things])
    already = {event.id for event, outcome in zip(bulk.things, outcomes, strict=True) if outcome.replayed}
    for item in items:
        if item.id is not None and item.id.lower() in already:
            already.remove(item.id.lower())
            bulk.warn(item, "id: this event was void already")
    return bulk


async def set_total(
    context: Context, scope: int, user_id: str, metric_key: str, total: int, idempotency_key: str | None = None
) -> Recorded:
    """Give a user this total of a metric, by an event of what is missing to it; by none where nothing is.

    Raises `NotFound` for an unknown metric or user, and `Invalid` for a total, or what is missing, that does not fit.
    """
    metric = metric_with(context.catalog.definitions(scope), metric_key)
    if idempotency_key is not None:
        check_idempotency_key(idempotency_key)
    entry = Entry(
        scope, user_id, metric=metric, total=total, idempotency_key=idempotency_key, must_exist=True
    )  # fmt: skip
    [outcome] = await context.ledger.record([entry])
    return Recorded(metric, outcome)


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason) <= LONGEST_TEXT:
        raise Invalid(f"reason: expected 1 to {LONGEST_TEXT} characters")
    check_text(reason, "reason")
