"""Setting a user's total of a metric."""

from __future__ import annotations

from msgspec import Struct
from msgspec.json import Decoder

from palmares.api.endpoint import Answer, Call, Endpoint, read_body
from palmares.api.events import idempotency_key_of
from palmares.api.wire import MetricState, NumberText, Uuid, amount, metric_state
from palmares.service.correct import set_total


class TotalRequest(Struct):
    """The total to set."""

    total: NumberText


class TotalAnswer(MetricState, rename="camel", kw_only=True):
    """A metric with the user's total, and the event that led to it; none where the total was that already."""

    event_id: Uuid | None


_DECODER = Decoder(TotalRequest)


async def put_total(call: Call) -> Answer:
    """Give a user a total."""
    total, key = amount(read_body(call, _DECODER).total, "total"), idempotency_key_of(call)
    metric, outcome = await set_total(call.context, call.scope, call.path["id"], call.path["key"], total, key)
    state = metric_state(metric, outcome.total)
    answer = TotalAnswer(
        state.id, state.key, state.name, state.status, state.current, state.achievements, event_id=outcome.event_id
    )
    return Answer(202 if outcome.replayed else 200, answer)


ENDPOINTS = (
    Endpoint(
        "PUT",
        "/users/{id:path}/metrics/{key}",
        put_total,
        "Set a user's total of a metric",
        {200: TotalAnswer, 202: TotalAnswer},
        body=TotalRequest,
        headers={"Idempotency-Key": "Events of one user and metric with the same key count once."},
    ),
)
