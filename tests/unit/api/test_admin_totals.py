"""Setting a user's total over the Admin API."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin_client import Admin, open_admin

pytestmark = pytest.mark.anyio

PATH = "/users/org/a/metrics/laps"


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path, recording=True) as admin:
        await admin.create("/metrics", {"name": "Laps", "key": "laps"})
        await admin.call("POST", "/metrics/events", [{"key": "laps", "user": {"id": "org/a"}, "value": 1.5}], 202)
        yield admin


async def events(admin: Admin) -> list[Any]:
    answer = await admin.call("GET", "/events")
    return [(one["id"], one["value"], one["total"]) for one in answer["events"]]


async def test_a_total_is_set_by_an_event_of_what_is_missing(admin: Admin) -> None:
    """The answer is the metric with the new total, and the event."""
    answer = await admin.call("PUT", PATH, {"total": 0.3})
    [metric] = await admin.call("GET", "/metrics")

    assert answer == {
        "id": metric["id"],
        "key": "laps",
        "name": "Laps",
        "status": "active",
        "current": 0.3,
        "achievements": [],
        "eventId": answer["eventId"],
    }
    assert (await events(admin))[0] == (answer["eventId"], -1.2, 0.3)


async def test_a_total_that_is_there_needs_no_event(admin: Admin) -> None:
    """So setting it again does nothing."""
    before = await events(admin)
    answer = await admin.call("PUT", PATH, {"total": 1.5})

    assert (answer["current"], answer["eventId"]) == (1.5, None)
    assert await events(admin) == before


async def test_a_key_makes_it_happen_once(admin: Admin) -> None:
    """Though the total has changed since; the answer tells the present one."""
    admin.client.headers["Idempotency-Key"] = "correction"
    first = await admin.call("PUT", PATH, {"total": 10})
    await admin.call("POST", "/metrics/events", [{"key": "laps", "user": {"id": "org/a"}, "value": 1}], 202)
    again = await admin.call("PUT", PATH, {"total": 10}, 202)

    assert again == first | {"current": 11}


async def test_a_user_and_a_metric_have_to_exist(admin: Admin) -> None:
    """A total is set for nobody by mistake."""
    assert "user" in await admin.refused("PUT", "/users/zoe/metrics/laps", {"total": 1}, 404)
    assert "metric 'lapz'" in await admin.refused("PUT", "/users/org/a/metrics/lapz", {"total": 1}, 404)


@pytest.mark.parametrize(
    "body", [{}, {"total": None}, {"total": "1"}, {"total": 9223372036855}, {"total": True}, [], b"{"]
)
async def test_what_is_no_total_is_refused(admin: Admin, body: Any) -> None:
    """And changes nothing."""
    before = await events(admin)
    refusal = await admin.refused("PUT", PATH, body)

    assert "total" in refusal or "body" in refusal or "expected" in refusal
    assert await events(admin) == before


async def test_a_key_that_is_none_is_refused(admin: Admin) -> None:
    """As with events."""
    admin.client.headers["Idempotency-Key"] = "k" * 256

    assert (await admin.refused("PUT", PATH, {"total": 1})).startswith("idempotencyKey: ")
