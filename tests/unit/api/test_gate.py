"""Who comes in, where the generated tests of `test_isolation.py` do not look: odd requests, and how often."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from palmares import config
from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.local_time import parse_instant
from palmares.server import Server
from palmares.service.application_keys import create_application_keys
from palmares.service.bulk import Item
from palmares.service.environments import switch_multi_tenancy
from palmares.service.rate_limit import Buckets
from tests.http import DOCUMENTS

pytestmark = pytest.mark.anyio

ADMIN_KEY = "gateTest.secretOfTheseTests"


@dataclass
class Gate:
    """A server with a metric, a board and two users; `key` is the application key of the user `a`."""

    server: Server
    client: httpx.AsyncClient
    key: str = ""
    now: int = parse_instant("2026-03-04T12:00:00.250000Z", "now")

    async def send(self, method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        return await self.client.request(method, path, content=content, headers={"X-API-KEY": key or self.key})

    async def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.send(method, path, body, ADMIN_KEY)

    def limited(self, events: int, reads: int) -> httpx.AsyncClient:
        """A client of the same server with limits."""
        limiter = Buckets({"events": events, "reads": reads}, lambda: self.now)
        transport = httpx.ASGITransport(self.server.app(1_000_000, limiter))
        return httpx.AsyncClient(transport=transport, base_url="http://test", headers={"X-API-KEY": ADMIN_KEY})


@pytest.fixture(scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    holder: list[Gate] = []
    folder = tmp_path_factory.mktemp("gate") / "data"
    settings = config.load({}, data=str(folder), admin_key=ADMIN_KEY)
    server = await Server.open(settings, lambda: holder[0].now if holder else Gate.now)
    transport = httpx.ASGITransport(server.app(1_000_000))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            gate = Gate(server, client)
            holder.append(gate)
            await fill(gate)
            yield gate
    finally:
        await server.close()


async def fill(gate: Gate) -> None:
    [metric] = (await gate.admin("POST", "/admin/v1/metrics", [{"name": "Laps", "key": "laps"}])).json()["created"]
    board = {"name": "All", "key": "all", "rankBy": "metric", "metricId": metric["id"], "status": "active"}
    assert (await gate.admin("POST", "/admin/v1/leaderboards", [board])).status_code == 201
    for user in ("a", "b", "a/metrics"):
        assert (await gate.admin("POST", "/v1/users", {"id": user})).status_code == 201
    bulk = await create_application_keys(gate.server.context, DEFAULT_SCOPE, [Item(0, None, {"user_id": "a"})])
    gate.key = bulk.things[0].text


# One user only


@pytest.mark.parametrize(
    "body",
    [
        b'{"user": {"id": "a"}, "user": {"id": "b"}, "value": 1}',
        b'{"user": {"id": "a", "id": "b"}, "value": 1}',
        b'{"user": {"\\u0069d": "b"}, "value": 1}',
        b'{"us\\u0065r": {"id": "b"}, "user": {"id": "a"}, "us\\u0065r": {"id": "b"}, "value": 1}',
        b'{"user": {"id": "\\u0062"}, "value": 1}',
        b'{"user": {"id": "A"}, "value": 1}',
        b'{"user": {"id": "a "}, "value": 1}',
        b'{"user": {"id": ""}, "value": 1}',
    ],
)
async def test_a_user_who_is_named_in_an_odd_way_is_still_another_one(gate: Gate, body: bytes) -> None:
    """The id that is checked is the one that the event would count for."""
    before = await gate.server.context.ledger.records(0, 100)

    answer = await gate.send("POST", "/v1/metrics/laps/event", body)

    assert answer.status_code == 403
    assert await gate.server.context.ledger.records(0, 100) == before


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"user": {}, "value": 1}', b'{"user": {"id": 7}, "value": 1}'])
async def test_a_body_that_names_nobody_is_malformed(gate: Gate, body: bytes) -> None:
    """As it is with an admin key."""
    answers = [await gate.send("POST", "/v1/metrics/laps/event", body, key) for key in (gate.key, ADMIN_KEY)]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?userId=a", 200),
        ("?userId=a&userId=a", 200),
        ("?userId=%61", 200),
        ("?userid=b", 200),
        ("?userId=b", 403),
        ("?userId=a&userId=b", 403),
        ("?userId=b&userId=a", 403),
        ("?userId=a,b", 403),
        ("?userId=", 403),
        ("?user%49d=b", 403),
        ("?userId=%ff", 422),
    ],
)
@pytest.mark.parametrize("path", ["/v1/leaderboards", "/v1/leaderboards/all"])
async def test_a_page_is_anchored_at_the_own_user_or_nowhere(gate: Gate, path: str, query: str, status: int) -> None:
    """Everybody may see who else is ranked, but look around nobody else."""
    assert (await gate.send("GET", path + query)).status_code == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/users/a", 200),
        ("/v1/users/%61", 200),
        ("/v1//users/a/", 200),
        ("/api/users/a", 200),
        ("/v1/users/a/metrics", 200),
        ("/v1/users/a%2Fmetrics", 403),
        ("/v1/users/a/x", 403),
        ("/v1/users/A", 403),
        ("/v1/users/a%20", 403),
        ("/v1/users/a%00", 403),
        ("/v1/users/b%2F..%2Fa", 403),
        ("/v1/users/nobody", 403),
        ("/api/users/b", 403),
        ("/v1/streaks?userIds=a", 403),
        ("/admin/v1/metrics", 401),
        ("/admin/v1/openapi", 200),
        ("/v1/nothing", 404),
    ],
)
async def test_paths_open_to_an_application_key_what_is_its_users(gate: Gate, path: str, status: int) -> None:
    """However the path is written: users who are not known are no different from those who are."""
    assert (await gate.send("GET", path)).status_code == status


async def test_a_batch_of_one_is_not_for_application_keys(gate: Gate) -> None:
    """Not even of the own user: the Admin API knows them not."""
    event = {"key": "laps", "user": {"id": "a"}, "value": 1}

    assert (await gate.send("POST", "/admin/v1/metrics/events", [event])).status_code == 401


# Tenants


@pytest.fixture
async def tenants(gate: Gate) -> AsyncIterator[Gate]:
    """The server while its environment has multi-tenancy, with one tenant."""
    await switch_multi_tenancy(gate.server.context, "production", on=True)
    await gate.admin("POST", "/admin/v1/tenants", [{"customerId": "Zoë", "name": "Zoë"}])
    yield gate
    await switch_multi_tenancy(gate.server.context, "production", on=False)


async def test_a_tenant_that_is_missing_is_told_after_the_key_and_before_the_body(tenants: Gate) -> None:
    """Whoever has no key learns nothing of tenants."""
    wrong = await tenants.send("POST", "/v1/users", b"nonsense", "wrongKey.x")
    missing = await tenants.admin("POST", "/v1/users", b"nonsense")

    assert (wrong.status_code, missing.status_code) == (401, 422)
    assert missing.json()["error"].startswith("Tenant-ID: required")


@pytest.mark.parametrize("sent", ["Zoë".encode(), "Zoë".encode("latin-1")])
async def test_a_customer_id_may_come_in_either_encoding_of_headers(tenants: Gate, sent: bytes) -> None:
    """UTF-8 from most programs, Latin-1 from browsers."""
    headers = {b"X-API-KEY": ADMIN_KEY.encode(), b"Tenant-ID": sent}
    answer = await tenants.client.get("/v1/leaderboards", headers=list(headers.items()))

    assert (answer.status_code, answer.json()) == (200, [])


# How often


async def test_too_many_requests_of_a_class_are_429_with_both_headers_that_clients_look_at(gate: Gate) -> None:
    """Events and the Admin API share one limit, everything else has the other; the body says how many may be sent."""
    async with gate.limited(events=2, reads=3) as client:
        event = {"user": {"id": "a"}, "value": 1}
        for _ in range(2):
            assert (await client.post("/v1/metrics/laps/event", json=event)).status_code == 201
        for refused in (
            await client.post("/v1/metrics/laps/event", json=event),
            await client.get("/admin/v1/metrics"),
        ):
            assert (refused.status_code, list(refused.json())) == (429, ["error"])
            assert refused.headers["retry-after"] == "1"
            # Rounded up: at this second the wait of one second is over.
            assert int(refused.headers["x-ratelimit-reset"]) == gate.now // 1_000_000 + 2
        answers = [(await client.get("/v1/leaderboards")).status_code for _ in range(4)]
        assert answers == [200, 200, 200, 429]

        gate.now += 1_000_000
        assert (await client.post("/v1/metrics/laps/event", json=event)).status_code == 201


async def test_a_request_that_is_refused_for_its_number_changes_nothing(gate: Gate) -> None:
    async with gate.limited(events=1, reads=1) as client:
        await client.get("/v1/leaderboards")
        before = await gate.server.context.ledger.records(0, 100)

        assert (await client.post("/v1/users", json={"id": "new"})).status_code == 429

    assert await gate.server.context.ledger.records(0, 100) == before


async def test_one_key_does_not_use_up_the_requests_of_another(gate: Gate) -> None:
    """A wrong key uses up nobody's, and what needs no key is not counted."""
    async with gate.limited(events=1, reads=1) as client:
        wrong, own = {"X-API-KEY": f"{ADMIN_KEY}x"}, {"X-API-KEY": gate.key}
        assert [(await client.get("/v1/leaderboards", headers=wrong)).status_code for _ in range(3)] == [401] * 3
        assert [(await client.get("/v1/leaderboards")).status_code for _ in range(2)] == [200, 429]
        assert [(await client.get("/v1/leaderboards", headers=own)).status_code for _ in range(2)] == [200, 429]
        assert [(await client.get(path)).status_code for path in ("/v1/openapi", "/healthz") for _ in "ab"] == [200] * 4


def test_every_endpoint_that_needs_a_key_may_be_limited() -> None:
    """So every one has 429 among its statuses."""
    for document in DOCUMENTS.values():
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert ("429" in operation["responses"]) == (path != "/openapi")
