"""An HTTP client for a world's application, in process, that checks every answer against the OpenAPI document."""

from typing import Any

import httpx
import jsonschema_rs

from palmares.api.health import BoardName, Distribution, LedgerFigures
from palmares.api.meter import Meter
from palmares.api.openapi import document
from palmares.api.routes import ADMIN, ADMIN_BASE, APPLICATION, APPLICATION_BASE, build_app
from tests.world import ADMIN_KEY, World

FIGURES = LedgerFigures(
    events=7,
    replays=1,
    refused=2,
    failed_flushes=0,
    queued_entries=3,
    flush_seconds=Distribution((0.001, 0.01), (2, 1, 0), 0.007),
    batch_entries=Distribution((1, 100), (1, 1, 1), 250.0),
    participants_by_board={BoardName("production", "pool-9", "weekly-laps"): 12},
)

DOCUMENTS = {
    APPLICATION_BASE: document("Application", APPLICATION_BASE, APPLICATION),
    ADMIN_BASE: document("Admin", ADMIN_BASE, ADMIN),
}


def make_app(world: World, obstacle: str | None = None, max_body_bytes: int = 10_000) -> Any:
    """The whole application over a world."""
    timer = iter(range(10**9))
    return build_app(
        world.context,
        Meter(lambda: next(timer) / 1000),
        max_body_bytes=max_body_bytes,
        readiness=lambda: obstacle,
        ledger_figures=lambda: FIGURES,
    )


def client(world: World, base: str = APPLICATION_BASE, **options: Any) -> httpx.AsyncClient:
    """A client that carries the admin key. An application that fails answers, as it does behind a server."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(make_app(world, **options), raise_app_exceptions=False),
        base_url=f"http://test{base}",
        headers={"X-API-KEY": ADMIN_KEY},
    )


def check_documented(answer: httpx.Response, method: str, path: str, base: str = APPLICATION_BASE) -> None:
    """Fails unless the document of the API has this status for the operation and the body fits its schema."""
    described = DOCUMENTS[base]
    responses = described["paths"][path][method.lower()]["responses"]
    assert str(answer.status_code) in responses, f"{answer.status_code} is not documented"
    assert answer.headers["content-type"] == "application/json"
    schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
    whole = schema | {"components": described["components"], "$schema": "https://json-schema.org/draft/2020-12/schema"}
    jsonschema_rs.validator_for(whole, validate_formats=True).validate(answer.json())
