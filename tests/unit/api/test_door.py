"""The door: what a client sent only in part is not done."""

from collections.abc import Sequence
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from tests.http import make_app
from tests.world import ADMIN_KEY, World

pytestmark = pytest.mark.anyio
EVENT = b'{"user": {"id": "noor"}, "value": 12}'


async def sent_to(world: World, parts: Sequence[dict[str, Any]]) -> list[Any]:
    """What an application sends to a client of which it receives these parts of an event."""
    coming, answer = iter(parts), []

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        answer.append(message)

    path = "/v1/metrics/laps-swum/event"
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"x-api-key", ADMIN_KEY.encode())],
    }
    await make_app(world)(scope, receive, send)
    return answer


async def test_a_body_in_parts_is_one_body() -> None:
    world = World()
    answer = await sent_to(
        world,
        [
            {"type": "http.request", "body": EVENT[:9], "more_body": True},
            {"type": "http.request", "body": EVENT[9:], "more_body": False},
        ],
    )

    assert answer[0]["status"] == 201


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "http.disconnect"}],
        [{"type": "http.request", "body": EVENT, "more_body": True}, {"type": "http.disconnect"}],
    ],
)
async def test_a_client_that_goes_away_in_the_middle_has_asked_for_nothing(parts: list[dict[str, Any]]) -> None:
    """What came of the body may look whole."""
    world = World()

    assert await sent_to(world, parts) == []
    assert await world.ledger.user(DEFAULT_SCOPE, "noor") is None
