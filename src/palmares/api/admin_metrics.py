"""Metrics for administrators: list, get, create, update, delete."""

from __future__ import annotations

from msgspec.json import Decoder

from palmares.api.resource import Resource, Write
from palmares.api.wire_admin import (
    AdminMetric,
    CreatedMetrics,
    MetricUpdate,
    NewMetric,
    UpdatedMetrics,
    admin_metric,
    metric_fields,
)
from palmares.service.define_metrics import create_metrics, delete_metrics, update_metrics

METRICS = Resource(
    name="metric",
    things=lambda definitions: definitions.metrics,
    by_id=lambda definitions: definitions.metric_by_id,
    form=AdminMetric,
    show=lambda metric, now: admin_metric(metric),
    creating=Write(Decoder(NewMetric), metric_fields, create_metrics, CreatedMetrics),
    updating=Write(Decoder(MetricUpdate), metric_fields, update_metrics, UpdatedMetrics),
    deleting=delete_metrics,
)

ENDPOINTS = METRICS.endpoints()
