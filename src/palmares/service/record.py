"""Recording events: one, or many that stand or fall together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from palmares.catalog.contract import Definitions
from palmares.domain.errors import Invalid, PalmaresError
from palmares.domain.local_time import DAY, format_instant
from palmares.domain.metric import LONGEST_TEXT, Metric, check_text
from palmares.domain.settings import in_control_group
from palmares.domain.user import check_id
from palmares.ledger.contract import Entry, Outcome
from palmares.service.attributes import check_attributes
from palmares.service.context import Context
from palmares.service.read_user import metric_with


@dataclass(slots=True)
class NewEvent:
    """An event as asked for. `changes` are as `domain.user.changed` takes them, the amount is in micros.

    With `history` it takes effect as if it had been recorded when it happened.
    """

    metric_key: str
    user_id: str
    amount: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, str] | None = None
    idempotency_key: str | None = None
    occurred_at: int | None = None
    history: bool = False


class Recorded(NamedTuple):
    """An event's metric, and what recording it did."""

    metric: Metric
    outcome: Outcome


async def record(context: Context, scope: int, events: Sequence[NewEvent]) -> list[Recorded]:
    """Record events in order, all or none; durable and ranked on return.

    Everything is checked before anything is recorded. Raises `NotFound` for an unknown metric, `NotAllowed` for an
    undefined attribute, `Invalid` for a time in the future, and what `Ledger.record` raises. In a list of several,
    the message begins with the place of the event, such as `[3]`.
    """
    definitions = context.catalog.definitions(scope)
    now = context.clock()
    entries = []
    for place, event in enumerate(events):
        try:
            entries.append(_entry(definitions, scope, event, now))
        except PalmaresError as error:
            raise error.at(place) if len(events) > 1 else error from None
    outcomes = await context.ledger.record(entries)
    metrics = [definitions.metric_by_key[event.metric_key] for event in events]
    return [Recorded(metric, outcome) for metric, outcome in zip(metrics, outcomes, strict=True)]


def _entry(definitions: Definitions, scope: int, event: NewEvent, now: int) -> Entry:
    metric = metric_with(definitions, event.metric_key)
    check_attributes(definitions, event.changes.get("attributes"), event.attributes)
    if event.idempotency_key is not None:
        check_idempotency_key(event.idempotency_key)
    for key, text in (event.attributes or {}).items():
        check_text(text, f"attributes.{key}")
    if event.occurred_at is not None:
        _check_time(event.occurred_at, now)
    control = in_control_group(check_id(event.user_id), definitions.settings.control_ratio)
    return Entry(
        scope, event.user_id, event.changes, metric, event.amount, event.attributes, event.idempotency_key,
        event.occurred_at, history=event.history, control=control,
    )  # fmt: skip


def check_idempotency_key(key: str) -> None:
    """`Invalid` for what cannot be an idempotency key."""
    if not 1 <= len(key) <= LONGEST_TEXT:
        raise Invalid("idempotencyKey: expected 1 to 255 characters")
    check_text(key, "idempotencyKey")


def _check_time(occurred_at: int, now: int) -> None:
    if occurred_at > now:
        raise Invalid(f"timestamp: {format_instant(occurred_at)} lies in the future")
    # Local dates before the first day of the calendar do not exist.
    if occurred_at < -719_000 * DAY:
        raise Invalid("timestamp: lies before the calendar of time zones begins")
