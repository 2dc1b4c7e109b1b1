"""The metrics of one user: totals, and how they came about over time."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from palmares.api.endpoint import Answer, Call, Endpoint, Own, read_query
from palmares.api.wire import Day, MetricState, PeriodSummary, metric_state
from palmares.domain.local_time import format_day, parse_day
from palmares.domain.period import Period
from palmares.domain.value import exact
from palmares.service.read_summary import read_summary
from palmares.service.read_user import read_total, read_totals


class SummaryQuery(Struct, rename="camel", frozen=True):
    """The query of an event summary."""

    aggregation: Annotated[Period, Meta(description="The length of a period; weeks begin on Sunday.")]
    start_date: Annotated[Day, Meta(description="The first day, in the user's time zone.")]
    end_date: Annotated[Day, Meta(description="The last day, included; at most 400 days after the first.")]


async def list_metrics(call: Call) -> Answer:
    """All metrics with the user's totals."""
    totals = await read_totals(call.context, call.scope, call.path["id"])
    return Answer(200, [metric_state(metric, total) for metric, total in totals])


async def get_metric(call: Call) -> Answer:
    """One metric with the user's total."""
    metric, total = await read_total(call.context, call.scope, call.path["id"], call.path["key"])
    return Answer(200, metric_state(metric, total))


async def summarize_events(call: Call) -> Answer:
    """The user's total of one metric over time."""
    query = read_query(call, SummaryQuery)
    first, last = parse_day(query.start_date, "startDate"), parse_day(query.end_date, "endDate")
    rows = await read_summary(
        call.context, call.scope, call.path["id"], call.path["key"], query.aggregation, first, last
    )
    return Answer(200, [PeriodSummary(format_day(row.start), exact(row.total), exact(row.change)) for row in rows])


# The longer paths first: a user's id may span several segments and would swallow the rest.
ENDPOINTS = (
    Endpoint(
        "GET",
        "/users/{id:path}/metrics/{key}/event-summary",
        summarize_events,
        "Get a user's total of a metric over time",
        answers={200: list[PeriodSummary]},
        query=SummaryQuery,
        own=Own.PATH,
    ),
    Endpoint(
        "GET",
        "/users/{id:path}/metrics/{key}",
        get_metric,
        "Get a metric with a user's total",
        answers={200: MetricState},
        own=Own.PATH,
    ),
    Endpoint(
        "GET",
        "/users/{id:path}/metrics",
        list_metrics,
        "List all metrics with a user's totals",
        answers={200: list[MetricState]},
        own=Own.PATH,
    ),
)
