"""Events: one with everything it did in the answer, and batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from palmares.api.board_json import event_board_json
from palmares.api.endpoint import Answer, Call, Endpoint, Own, read_body, read_query
from palmares.api.wire import (
    BATCH_DECODER,
    ENCODER,
    EVENT_DECODER,
    Batch,
    BatchAnswer,
    BatchItem,
    EventRequest,
    amount,
    profile_changes,
)
from palmares.api.wire_event import EventAnswer
from palmares.api.wire_points import event_points
from palmares.api.wire_streak import streak_json
from palmares.domain.errors import PalmaresError
from palmares.domain.local_time import parse_instant
from palmares.domain.value import exact
from palmares.ledger.contract import BoardOutcome
from palmares.service.read_points import UserPoints, earned_points
from palmares.service.read_streak import ShownStreak, shown_streak
from palmares.service.record import NewEvent, Recorded, record


class BatchQuery(Struct, frozen=True):
    """The query of a batch."""

    history: Annotated[
        bool, Meta(description="Whether the events take effect when they happened, also in final runs.")
    ] = False


async def post_event(call: Call) -> Answer:
    """Contract: an event is on disk, counted and ranked when this answers."""
    key = idempotency_key_of(call)
    event = _event(read_body(call, EVENT_DECODER), call.path["key"], key)
    [recorded] = await record(call.context, call.scope, [event])
    outcome = recorded.outcome
    streak = shown_streak(call.context, outcome.user, outcome.streak)
    points = earned_points(call.context, call.scope, outcome.awards) if outcome.awards else ()
    return Answer(202 if outcome.replayed else 201, event_json(recorded, streak, points, key))


async def post_events(call: Call) -> Answer:
    """All events of the list, or none when one of them cannot be accepted."""
    history = read_query(call, BatchQuery).history
    items = read_body(call, BATCH_DECODER)
    events = [_numbered(place, item, history) for place, item in enumerate(items)]
    await record(call.context, call.scope, events)
    return Answer(202, BatchAnswer(len(events)))


def event_json(
    recorded: Recorded, streak: ShownStreak, points: Sequence[UserPoints], idempotency_key: str | None
) -> bytes:
    """`EventAnswer` as JSON, with what each board gives taken from where it is kept."""
    outcome = recorded.outcome
    answer: dict[str, Any] = {
        "eventId": outcome.event_id,
        "metricId": recorded.metric.id,
        "total": exact(outcome.total),
        "achievements": [],
        "currentStreak": streak_json(streak, outcome.streak_extended),
        "points": {earned.system.key: event_points(earned) for earned in points},
        "leaderboards": {counted.board.key: msgspec.Raw(_board_json(counted)) for counted in outcome.boards},
    }
    if idempotency_key is not None:
        answer["idempotencyKey"] = idempotency_key
        answer["idempotentReplayed"] = outcome.replayed
    return ENCODER.encode(answer)


def _board_json(counted: BoardOutcome) -> bytes:
    # Only active boards are among an event's outcomes. Three integers are faster written than encoded.
    return b'%b,"rank":%b,"previousRank":%b,"threshold":%d}' % (
        event_board_json(counted.board, "active", counted.run, counted.group),
        b"null" if counted.rank is None else b"%d" % counted.rank,
        b"null" if counted.previous_rank is None else b"%d" % counted.previous_rank,
        counted.threshold,
    )


def idempotency_key_of(call: Call) -> str | None:
    """The text of the header Idempotency-Key; an empty one counts as absent."""
    raw = call.headers.get(b"idempotency-key")
    if not raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _event(request: EventRequest, metric_key: str, idempotency_key: str | None) -> NewEvent:
    return NewEvent(
        metric_key,
        request.user.id,
        amount(request.value),
        profile_changes(request.user),
        request.attributes or None,
        idempotency_key,
    )


def _numbered(place: int, item: BatchItem, history: bool) -> NewEvent:
    """An item as an event; what is wrong with it is told with its place in the list."""
    try:
        event = _event(item, item.key, item.idempotency_key or None)
        event.history = history
        if isinstance(item.timestamp, str):
            event.occurred_at = parse_instant(item.timestamp, "timestamp")
        return event
    except PalmaresError as error:
        raise error.at(place) from None


ENDPOINTS = (
    Endpoint(
        "POST",
        "/metrics/{key}/event",
        post_event,
        "Record an event",
        {201: EventAnswer, 202: EventAnswer},
        body=EventRequest,
        errors=(400, 404, 429, 503),
        headers={"Idempotency-Key": "Events of one user and metric with the same key count once."},
        own=Own.BODY_USER,
        rate="events",
    ),
)

ADMIN_ENDPOINTS = (
    Endpoint(
        "POST",
        "/metrics/events",
        post_events,
        "Record up to 1,000 events",
        {202: BatchAnswer},
        body=Batch,
        query=BatchQuery,
        errors=(400, 404, 429, 503),
    ),
)
