"""How the server is: alive, ready, and its figures for Prometheus. No key is needed for any of these.

The figures are counted elsewhere, in plain counters; they are put into Prometheus' words only when it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.api.meter import BOUNDS, Meter
from palmares.domain.errors import Unavailable

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# What keeps the server from its work, in words; None when nothing does.
Readiness = Callable[[], str | None]


class Distribution(NamedTuple):
    """Observations by class: one count per upper bound and one for what lies above; `total` is their sum."""

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float


class BoardName(NamedTuple):
    """Keys tell a leaderboard from others only in its environment and tenant, who is empty where there is none."""

    environment: str
    tenant: str
    leaderboard: str


class LedgerFigures(NamedTuple):
    """What a ledger counted since the start of the process, and what it holds now."""

    events: int
    replays: int
    refused: int
    failed_flushes: int
    queued_entries: int
    flush_seconds: Distribution
    batch_entries: Distribution
    participants_by_board: Mapping[BoardName, int]


class Health(msgspec.Struct):
    """The server does what it should."""

    status: Literal["ok", "ready"]


def health_endpoints(readiness: Readiness) -> tuple[Endpoint, ...]:
    """`/healthz`: the process is up. `/readyz`: all boards are followed and events can be written, else 503."""

    async def get_health(call: Call) -> Answer:
        return Answer(200, Health("ok"))

    async def get_readiness(call: Call) -> Answer:
        if (obstacle := readiness()) is not None:
            raise Unavailable(obstacle)
        return Answer(200, Health("ready"))

    return (
        Endpoint("GET", "/healthz", get_health, "Whether the process is up", {200: Health}, public=True),
        Endpoint(
            "GET", "/readyz", get_readiness, "Whether events are taken", {200: Health}, errors=(503,), public=True
        ),
    )


class Exposition:
    """`/metrics`: all figures in the text format of Prometheus, as a plain ASGI application.

    A ledger that counts nothing, as the one on Valkey, has no lines there.
    """

    def __init__(self, meter: Meter, ledger_figures: Callable[[], LedgerFigures | None]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(meter, ledger_figures))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the figures of this moment."""
        text = generate_latest(self._registry)
        await Response(text, headers={"content-type": _CONTENT_TYPE})(scope, receive, send)


class _Figures(Collector):
    def __init__(self, meter: Meter, ledger_figures: Callable[[], LedgerFigures | None]) -> None:
        self._meter = meter
        self._ledger_figures = ledger_figures

    def collect(self) -> Iterator[Metric]:
        yield from _requests(self._meter)
        figures = self._ledger_figures()
        if figures is not None:
            yield from _ledger(figures)


def _requests(meter: Meter) -> Iterator[Metric]:
    answered = CounterMetricFamily("palmares_requests", "Requests answered.", labels=["route", "status"])
    for label, route in meter.routes.items():
        for status, count in route.statuses.items():
            answered.add_metric([label, str(status)], count)
    yield answered
    seconds = HistogramMetricFamily("palmares_request_seconds", "Time from request to answer.", labels=["route"])
    for label, route in meter.routes.items():
        if route.statuses:
            seconds.add_metric([label], _buckets(BOUNDS, route.classes), route.seconds)
    yield seconds


def _ledger(figures: LedgerFigures) -> Iterator[Metric]:
    yield CounterMetricFamily("palmares_events", "Events recorded.", figures.events)
    yield CounterMetricFamily("palmares_replays", "Events that were known by their idempotency key.", figures.replays)
    yield CounterMetricFamily("palmares_refused", "Requests to record that were refused.", figures.refused)
    yield CounterMetricFamily("palmares_failed_flushes", "Flushes that failed.", figures.failed_flushes)
    yield GaugeMetricFamily("palmares_queued_entries", "Entries that wait for the disk.", figures.queued_entries)
    yield _histogram("palmares_flush_seconds", "Time of one flush to the disk.", figures.flush_seconds)
    yield _histogram("palmares_batch_entries", "Entries that shared one flush.", figures.batch_entries)
    participants = GaugeMetricFamily(
        "palmares_participants",
        "Users with a value on a leaderboard, ranked or not, over all its runs.",
        labels=BoardName._fields,
    )
    for board, count in figures.participants_by_board.items():
        participants.add_metric(board, count)
    yield participants


def _histogram(name: str, text: str, distribution: Distribution) -> Metric:
    buckets = _buckets(distribution.bounds, distribution.counts)
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=distribution.total)


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Prometheus wants each class to hold all below it too."""
    names = [*(str(float(bound)) for bound in bounds), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))
