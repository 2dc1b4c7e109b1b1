"""The door: what a client sent only in part is not done."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Receive

from palmares.catalog.contract import DEFAULT_SCOPE
from tests.http import make_app
from tests.world import ADMIN_KEY, World

pytestmark = pytest.mark.anyio
EVENT = b'{"user": {"id": "noor"}, "value": 12}'


async def sent_to(world: World, parts: Sequence[dict[str, Any]]) -> list[Any]:
    """What an application sends to a client of which it receives these parts of an event."""
    coming, answer = iter(parts), list[Any]()

    async def receive() -> Any:
        return next(coming)

    await ask(world, receive, answer)
    return answer


async def ask(world: World, receive: Receive, answer: list[Any]) -> None:
    """Send an event, and collect what is answered."""

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


async def test_a_request_that_is_cut_off_is_answered_as_unavailable() -> None:
    """A server that stops waits for some seconds only; then nobody knows what became of what is still going on."""
    reached, never, answer = asyncio.Event(), asyncio.Event(), list[Any]()

    async def receive() -> Any:
        reached.set()
        await never.wait()

    going_on = asyncio.ensure_future(ask(World(), receive, answer))
    await reached.wait()
    going_on.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going_on

    assert answer[0]["status"] == 503
    assert b"retry-after" in dict(answer[0]["headers"])
    assert json.loads(answer[1]["body"])["error"].startswith("the server is stopping")
