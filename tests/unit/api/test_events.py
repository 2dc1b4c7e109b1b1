"""Events over HTTP."""

import pytest

from palmares.api.routes import ADMIN_BASE
from palmares.catalog.contract import DEFAULT_SCOPE
from tests.http import check_documented, client
from tests.world import LAPS, World

pytestmark = pytest.mark.anyio


async def test_an_empty_timestamp_is_refused() -> None:
    """It is no time, and not the same as none given: an import must not move events to now."""
    world = World()
    item = {"key": LAPS.key, "user": {"id": "a"}, "value": 1, "timestamp": ""}
    async with client(world, ADMIN_BASE) as http:
        answer = await http.post("/metrics/events", json=[item])
    check_documented(answer, "POST", "/metrics/events", ADMIN_BASE)

    assert answer.status_code == 422
    assert "timestamp" in answer.json()["error"]
    assert await world.ledger.user(DEFAULT_SCOPE, "a") is None
