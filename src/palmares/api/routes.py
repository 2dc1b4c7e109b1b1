"""The whole HTTP surface on one page.

Two APIs share path names, so each has a base of its own. Within a base the hot endpoints come first, because paths
are tried in order. Ids of users may span several segments, so of two paths that fit, the one with more behind the id
comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from starlette.types import ASGIApp

from palmares.api import (
    admin_application_keys,
    admin_attributes,
    admin_boards,
    admin_environments,
    admin_events,
    admin_metrics,
    admin_points,
    admin_settings,
    admin_streaks,
    admin_tenants,
    admin_test_clock,
    admin_totals,
    admin_users,
    admin_webhooks,
    events,
    leaderboards,
    points,
    points_stubs,
    preferences,
    streaks,
    stubs,
    user_metrics,
    users,
)
from palmares.api.cors import BY_DEFAULT, Cors, Origins
from palmares.api.door import Door
from palmares.api.endpoint import Endpoint
from palmares.api.gate import Gate
from palmares.api.health import Exposition, LedgerFigures, Readiness, health_endpoints
from palmares.api.meter import Meter
from palmares.api.openapi import described
from palmares.api.paths import application
from palmares.service.context import Context
from palmares.service.test_clock import ClockMover

APPLICATION_BASE = "/v1"
ADMIN_BASE = "/admin/v1"
# An older name of the Application API, which the first clients use.
LEGACY_BASE = "/api"


def _segments_behind_id(endpoint: Endpoint) -> tuple[bool, int]:
    """What sorts endpoints: those without such an id stay where they are, before the others."""
    _, spanning, ending = endpoint.path.partition(":path}")
    return bool(spanning), -ending.count("/")


APPLICATION = described(
    "Palmares Application API",
    APPLICATION_BASE,
    sorted(
        (
            *events.ENDPOINTS,
            *leaderboards.ENDPOINTS,
            *user_metrics.ENDPOINTS,
            *streaks.ENDPOINTS,
            *users.ENDPOINTS,
            *preferences.ENDPOINTS,
            *points.ENDPOINTS,
            *stubs.ENDPOINTS,
            *points_stubs.ENDPOINTS,
        ),
        key=_segments_behind_id,
    ),
)


def admin(*others: Endpoint) -> tuple[Endpoint, ...]:
    """The Admin API, with endpoints that only some servers have."""
    endpoints = (
        *events.ADMIN_ENDPOINTS,
        *admin_boards.ENDPOINTS,
        *admin_metrics.ENDPOINTS,
        *admin_attributes.ENDPOINTS,
        *admin_webhooks.ENDPOINTS,
        *admin_streaks.ENDPOINTS,
        *admin_settings.ENDPOINTS,
        *admin_points.ENDPOINTS,
        *stubs.ADMIN_ENDPOINTS,
        *points_stubs.ADMIN_ENDPOINTS,
        *admin_application_keys.ENDPOINTS,
        *admin_tenants.ENDPOINTS,
        *admin_environments.ENDPOINTS,
        *admin_events.ENDPOINTS,
        *admin_users.ENDPOINTS,
        *admin_totals.ENDPOINTS,
        *others,
    )
    # No application key opens any of it, and its routes count together.
    whole = [replace(endpoint, admin=True, rate="events") for endpoint in sorted(endpoints, key=_segments_behind_id)]
    return described("Palmares Admin API", ADMIN_BASE, whole)


ADMIN = admin()


def build_app(
    context: Context,
    meter: Meter,
    *,
    max_body_bytes: int,
    readiness: Readiness,
    ledger_figures: Callable[[], LedgerFigures | None],
    clock_mover: ClockMover | None = None,
    gate: Gate | None = None,
    origins: Origins = BY_DEFAULT,
) -> ASGIApp:
    """The HTTP application.

    `readiness` says what keeps the ledger from its work, None when nothing does; `ledger_figures` are shown to
    Prometheus; `clock_mover` moves the clock of a server that has one for tests. Without a `gate`, keys decide who
    comes in, and may send as much as they like. Pages of the `origins` may call from browsers.
    """
    gate = gate or Gate(context)
    admin_endpoints = ADMIN if clock_mover is None else admin(*admin_test_clock.endpoints_of(clock_mover))

    def doors(base: str, endpoints: Sequence[Endpoint], *aliases: str) -> Iterator[tuple[str, str, ASGIApp]]:
        # The meter counts by the path as it is served, since both APIs have endpoints of the same name.
        served = [
            (endpoint, Door(replace(endpoint, path=base + endpoint.path), context, gate, meter, max_body_bytes))
            for endpoint in endpoints
        ]
        for prefix in (base, *aliases):
            for endpoint, door in served:
                yield endpoint.method, prefix + endpoint.path, door

    table = application(
        [
            # Some clients join a base that ends with a slash and a path that begins with one.
            *doors(APPLICATION_BASE, APPLICATION, APPLICATION_BASE + "/", LEGACY_BASE, LEGACY_BASE + "/"),
            *doors(ADMIN_BASE, admin_endpoints, ADMIN_BASE + "/"),
            *doors("", health_endpoints(readiness)),
            ("GET", "/metrics", Exposition(meter, ledger_figures)),
        ]
    )
    return Cors(table, origins, (APPLICATION_BASE, LEGACY_BASE), ADMIN_BASE)
