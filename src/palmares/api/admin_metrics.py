"""Metrics for administrators: list, get, create, update, delete."""

from __future__ import annotations

from typing import Annotated

import msgspec

from palmares.api import bulk
from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.api.wire_admin import (
    AdminMetric,
    CreatedMetrics,
    Deleted,
    MetricUpdate,
    NewMetric,
    UpdatedMetrics,
    admin_metric,
    metric_fields,
)
from palmares.service.define_metrics import create_metrics, delete_metrics, update_metrics

_NEW = msgspec.json.Decoder(NewMetric)
_UPDATE = msgspec.json.Decoder(MetricUpdate)


async def get_list(call: Call) -> Answer:
    """A part of the metrics, oldest first."""
    metrics = bulk.read_part(call, call.context.catalog.definitions(call.scope).metrics)
    return Answer(200, [admin_metric(metric) for metric in metrics])


async def get_one(call: Call) -> Answer:
    """One metric."""
    metric = bulk.find(call, "metric", call.context.catalog.definitions(call.scope).metric_by_id)
    return Answer(200, admin_metric(metric))


async def create(call: Call) -> Answer:
    """Create metrics."""
    items = bulk.read_items(call, _NEW, metric_fields)
    done = await create_metrics(call.context, call.scope, items)
    return bulk.created(done, CreatedMetrics, admin_metric)


async def update(call: Call) -> Answer:
    """Update metrics."""
    items = bulk.read_items(call, _UPDATE, metric_fields)
    done = await update_metrics(call.context, call.scope, items)
    return bulk.updated(done, UpdatedMetrics, admin_metric)


async def delete(call: Call) -> Answer:
    """Delete metrics."""
    return bulk.deleted(await delete_metrics(call.context, call.scope, bulk.read_ids(call)))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/metrics",
        get_list,
        "List metrics",
        {200: list[AdminMetric]},
        query=bulk.ListQuery,
    ),
    Endpoint(
        "GET",
        "/metrics/{id}",
        get_one,
        "Get a metric",
        {200: AdminMetric},
        errors=(422,),
    ),
    Endpoint(
        "POST",
        "/metrics",
        create,
        "Create metrics",
        {200: CreatedMetrics, 201: CreatedMetrics},
        body=Annotated[list[NewMetric], bulk.Many],
    ),
    Endpoint(
        "PATCH",
        "/metrics",
        update,
        "Update metrics",
        {200: UpdatedMetrics},
        body=Annotated[list[MetricUpdate], bulk.Many],
    ),
    Endpoint(
        "DELETE",
        "/metrics",
        delete,
        "Delete metrics",
        {200: Deleted},
        query=bulk.IdsQuery,
    ),
)
