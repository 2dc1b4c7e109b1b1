"""The test clock over HTTP, there only on a server that has one."""

import asyncio
from typing import Any

import httpx
import jsonschema_rs
import pytest

from palmares.api.health import Distribution, LedgerFigures
from palmares.api.meter import Meter
from palmares.api.routes import build_app
from palmares.domain.local_time import parse_instant
from palmares.service.test_clock import ClockMover, StandingClock
from palmares.service.timekeeper import Timekeeper
from tests.http import client
from tests.world import ADMIN_KEY, World

pytestmark = pytest.mark.anyio
PATH = "/admin/v1/test-clock"


async def nothing(*_: Any) -> None:
    """There is nothing to save and nothing to settle."""


def clocked() -> httpx.AsyncClient:
    """A client of a server whose clock stands at the beginning of 2026-03-04."""
    world = World()
    clock = StandingClock(parse_instant("2026-03-04T00:00:00Z", "now"), nothing)
    timekeeper = Timekeeper([], clock, lambda: 0.0, asyncio.sleep)
    none = Distribution((), (0,), 0.0)
    app = build_app(
        world.context,
        Meter(lambda: 0.0),
        max_body_bytes=10_000,
        readiness=lambda: None,
        ledger_figures=lambda: LedgerFigures(0, 0, 0, 0, 0, none, none, {}),
        clock_mover=ClockMover(clock, timekeeper, nothing),
    )
    headers = {"X-API-KEY": ADMIN_KEY}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=headers)


async def test_it_tells_where_it_stands_and_is_moved() -> None:
    async with clocked() as http:
        before = await http.get(PATH)
        moved = await http.put(PATH, json={"now": "2026-03-05T13:00:00+01:00"})
        after = await http.get(PATH)

    assert (before.status_code, before.json()) == (200, {"now": "2026-03-04T00:00:00.000Z"})
    assert (moved.status_code, moved.json()) == (200, {"now": "2026-03-05T12:00:00.000Z"})
    assert after.json() == moved.json()


async def test_what_it_answers_can_be_sent_back() -> None:
    async with clocked() as http:
        moved = await http.put(PATH, json={"now": "2026-03-04T00:00:00.123456Z"})
        again = await http.put(PATH, json=moved.json())

    assert (again.status_code, again.json()) == (200, {"now": "2026-03-04T00:00:00.123Z"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"now": "2026-03-03T23:59:59Z"}', "now: the clock stands at 2026-03-04T00:00:00.000Z"),
        (b'{"now": "2026-03-05"}', "now: expected a date-time"),
        (b'{"now": 1772582400}', "now: expected string"),
        (b'{"now": null}', "now: expected string"),
        (b"{}", "now: required"),
        (b"[]", "expected object"),
        (b"now", "the body is not valid JSON"),
        (b"", "the body is not valid JSON"),
    ],
)
async def test_what_is_malformed_or_has_passed_is_422(body: bytes, field: str) -> None:
    async with clocked() as http:
        answer = await http.put(PATH, content=body)
        stands = await http.get(PATH)

    assert answer.status_code == 422
    assert answer.json()["error"].startswith(field)
    assert stands.json() == {"now": "2026-03-04T00:00:00.000Z"}


async def test_it_needs_an_admin_key() -> None:
    async with clocked() as http:
        del http.headers["X-API-KEY"]
        answers = [await http.get(PATH), await http.put(PATH, json={"now": "2026-03-05T00:00:00Z"})]

    assert [answer.status_code for answer in answers] == [401, 401]


async def test_a_server_without_one_has_no_such_route() -> None:
    """Nor has its OpenAPI document."""
    async with client(World(), "") as http:
        answers = [await http.get(PATH), await http.put(PATH, json={"now": "2026-03-05T00:00:00Z"})]
        document = (await http.get("/admin/v1/openapi")).json()

    assert [answer.status_code for answer in answers] == [404, 404]
    assert "/test-clock" not in document["paths"]
    assert "TestClock" not in document["components"]["schemas"]


async def test_a_server_that_has_one_describes_it() -> None:
    """The answers fit what the document says of them."""
    async with clocked() as http:
        document = (await http.get("/admin/v1/openapi")).json()
        answers = {
            "get": await http.get(PATH),
            "put": await http.put(PATH, json={"now": "2026-03-05T00:00:00Z"}),
        }

    for method, answer in answers.items():
        described = document["paths"]["/test-clock"][method]["responses"]["200"]["content"]["application/json"]
        whole = described["schema"] | {"components": document["components"]}
        jsonschema_rs.validator_for(whole, validate_formats=True).validate(answer.json())
    assert "/leaderboards" in document["paths"]


async def test_the_application_api_has_no_such_route() -> None:
    async with clocked() as http:
        assert (await http.get("/v1/test-clock")).status_code == 404
