"""The whole HTTP surface on one page.

Two APIs share path names, so each has a base of its own. Within a base the hot endpoints come first, because paths
are tried in order, and longer paths come before those that would swallow them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from starlette.types import ASGIApp

from palmares.api import (
    admin_attributes,
    admin_boards,
    admin_metrics,
    admin_streaks,
    admin_test_clock,
    events,
    leaderboards,
    streaks,
    user_metrics,
    users,
)
from palmares.api.endpoint import Door, Endpoint
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

APPLICATION = described(
    "Palmares Application API",
    APPLICATION_BASE,
    (
        *events.ENDPOINTS,
        *leaderboards.ENDPOINTS,
        *user_metrics.ENDPOINTS,
        *streaks.ENDPOINTS,
        *users.ENDPOINTS,
    ),
)


def admin(*others: Endpoint) -> tuple[Endpoint, ...]:
    """The Admin API, with endpoints that only some servers have."""
    return described(
        "Palmares Admin API",
        ADMIN_BASE,
        (
            *events.ADMIN_ENDPOINTS,
            *admin_boards.ENDPOINTS,
            *admin_metrics.ENDPOINTS,
            *admin_attributes.ENDPOINTS,
            *admin_streaks.ENDPOINTS,
            *others,
        ),
    )


ADMIN = admin()


def build_app(
    context: Context,
    meter: Meter,
    *,
    max_body_bytes: int,
    readiness: Readiness,
    ledger_figures: Callable[[], LedgerFigures],
    clock_mover: ClockMover | None = None,
) -> ASGIApp:
    """The HTTP application.

    `readiness` says what keeps the ledger from its work, None when nothing does; `ledger_figures` are shown to
    Prometheus; `clock_mover` moves the clock of a server that has one for tests.
    """
    admin_endpoints = ADMIN if clock_mover is None else admin(*admin_test_clock.endpoints_of(clock_mover))

    def doors(base: str, endpoints: Sequence[Endpoint], *aliases: str) -> Iterator[tuple[str, str, ASGIApp]]:
        # The meter counts by the path as it is served, since both APIs have endpoints of the same name.
        served = [
            (endpoint, Door(replace(endpoint, path=base + endpoint.path), context, meter, max_body_bytes))
            for endpoint in endpoints
        ]
        for prefix in (base, *aliases):
            for endpoint, door in served:
                yield endpoint.method, prefix + endpoint.path, door

    return application(
        [
            # Some clients join a base that ends with a slash and a path that begins with one.
            *doors(APPLICATION_BASE, APPLICATION, APPLICATION_BASE + "/", LEGACY_BASE, LEGACY_BASE + "/"),
            *doors(ADMIN_BASE, admin_endpoints, ADMIN_BASE + "/"),
            *doors("", health_endpoints(readiness)),
            ("GET", "/metrics", Exposition(meter, ledger_figures)),
        ]
    )
