"""Four scopes that look alike: two environments with two tenants each, and equal ids and keys in all of them.

Requests to every endpoint are made from its line of the route table. What a path, a query or a body has to hold is in
three tables here; an endpoint that needs more than they know fails its tests with a word on what to add.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from palmares import config
from palmares.api import admin_events, bulk, leaderboards, streaks, user_metrics
from palmares.api.endpoint import Endpoint
from palmares.api.routes import ADMIN, ADMIN_BASE, APPLICATION, APPLICATION_BASE
from palmares.domain.local_time import parse_instant
from palmares.server import Server
from palmares.service.environments import create_environment, find_environment, switch_multi_tenancy
from palmares.service.keys import create_key

NOON = parse_instant("2026-03-04T12:00:00Z", "now")
ENVIRONMENTS, TENANTS = ("production", "staging"), ("acme", "globex")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclass(eq=False)
class Place:
    """One scope, seen from outside: the key and the tenant that open it, and what is in it.

    `mark` stands in every name and value given here, and nowhere else. `ids` are those of definitions, by the last
    word of their path; `spare` are others of the same kinds, to be deleted.
    """

    environment: str
    tenant: str
    key: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    spare: dict[str, str] = field(default_factory=dict)
    application_keys: dict[str, str] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        return f"only-{self.environment}-{self.tenant}"

    @property
    def headers(self) -> dict[str, str]:
        return {"X-API-KEY": self.key, "Tenant-ID": self.tenant}

    def key_of(self, user: str) -> dict[str, str]:
        """The headers of a user's application key."""
        return self.headers | {"X-API-KEY": self.application_keys[user]}


class Request(NamedTuple):
    """A request to an endpoint, whose path has its base."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any


class Gap(AssertionError):
    """Nothing here says how to call an endpoint."""


# What to send. The user is given apart: it may be a stranger to the key.

KEYS = {"metrics": "laps", "leaderboards": "weekly", "achievements": "first", "points": "gold"}

QUERIES: dict[Any, Callable[[Place, str, str], Mapping[str, str]]] = {
    bulk.IdsQuery: lambda place, things, user: {
        "ids": "spare" if things == "users" else place.spare.get(things, UNKNOWN)
    },
    admin_events.VoidQuery: lambda place, things, user: {"ids": place.spare["events"], "reason": place.mark},
    admin_events.EventsQuery: lambda place, things, user: {"userId": user, "metricKey": "laps"},
    user_metrics.SummaryQuery: lambda place, things, user: {
        "aggregation": "daily",
        "startDate": "2026-03-03",
        "endDate": "2026-03-04",
    },
    streaks.StreaksQuery: lambda place, things, user: {"userIds": user},
    leaderboards.ListQuery: lambda place, things, user: {"includeFinished": "true", "userId": user},
    leaderboards.PageQuery: lambda place, things, user: {"userId": user},
}

BODIES: dict[tuple[str, str], Callable[[Place, str], Any]] = {
    ("POST", "/v1/metrics/{key}/event"): lambda place, user: {"user": {"id": user, "name": place.mark}, "value": 2},
    ("POST", "/v1/users"): lambda place, user: {"id": user, "name": f"{place.mark} made"},
    ("PUT", "/v1/users/{id}"): lambda place, user: {"name": f"{place.mark} told"},
    ("PATCH", "/v1/users/{id}"): lambda place, user: {"attributes": {"pool": f"{place.mark} west"}},
    ("PATCH", "/v1/users/{id}/preferences"): lambda place, user: {"notifications": {"recap": ["email"]}},
    ("POST", "/v1/achievements/{key}/complete"): lambda place, user: {"user": {"id": user}},
    ("POST", "/admin/v1/metrics/events"): lambda place, user: [{"key": "laps", "user": {"id": user}, "value": 3}],
    ("PUT", "/admin/v1/users/{id}/metrics/{key}"): lambda place, user: {"total": 7},
    ("POST", "/admin/v1/leaderboards"): lambda place, user: [
        {
            "name": place.mark,
            "key": "new",
            "rankBy": "metric",
            "metricId": place.ids["metrics"],
            "breakdownAttributes": [place.ids["attributes"]],
        }
    ],
    ("PATCH", "/admin/v1/leaderboards"): lambda place, user: [
        {"id": place.ids["leaderboards"], "name": f"{place.mark}!"}
    ],
    ("POST", "/admin/v1/metrics"): lambda place, user: [{"name": place.mark, "key": "new"}],
    ("PATCH", "/admin/v1/metrics"): lambda place, user: [{"id": place.ids["metrics"], "units": place.mark}],
    ("POST", "/admin/v1/attributes"): lambda place, user: [{"name": place.mark, "key": "new", "type": "user"}],
    ("PATCH", "/admin/v1/attributes"): lambda place, user: [{"id": place.ids["attributes"], "name": f"{place.mark}!"}],
    # No message is sent to an address of tests.
    ("POST", "/admin/v1/webhooks"): lambda place, user: [
        {"name": place.mark, "url": "https://example.org/", "events": ["leaderboard.finished"], "status": "paused"}
    ],
    ("PATCH", "/admin/v1/webhooks"): lambda place, user: [{"id": place.ids["webhooks"], "name": f"{place.mark}!"}],
    ("POST", "/admin/v1/points"): lambda place, user: [{"name": place.mark, "key": "new"}],
    ("PATCH", "/admin/v1/points"): lambda place, user: [{"id": place.ids["points"], "description": place.mark}],
    ("POST", "/admin/v1/points/{system_id}/triggers"): lambda place, user: [
        {"type": "metric", "points": 3, "metricId": place.ids["metrics"], "metricThreshold": 2}
    ],
    ("PATCH", "/admin/v1/points/{system_id}/triggers"): lambda place, user: [
        {"id": place.ids["triggers"], "points": 7}
    ],
    ("PATCH", "/admin/v1/streaks/settings"): lambda place, user: {"metrics": [{"key": "laps", "threshold": 1}]},
    ("PATCH", "/admin/v1/settings"): lambda place, user: {"branding": {"appName": f"only-{place.environment}"}},
    ("POST", "/admin/v1/application-api-keys"): lambda place, user: [{"userId": user}],
    ("PATCH", "/admin/v1/users"): lambda place, user: [{"id": user, "hidden": True}],
    ("POST", "/admin/v1/tenants"): lambda place, user: [{"customerId": place.mark, "name": place.mark}],
    ("PATCH", "/admin/v1/tenants"): lambda place, user: [{"id": place.ids["tenants"], "name": f"{place.mark}!"}],
    ("POST", "/admin/v1/streaks/pauses"): lambda place, user: {"pauses": [{"userId": user}]},
    ("POST", "/admin/v1/streaks/freezes"): lambda place, user: {"freezes": [{"userId": user}]},
    ("POST", "/admin/v1/streaks/restore"): lambda place, user: {"users": [{"id": user}]},
    ("POST", "/admin/v1/streaks/reset"): lambda place, user: {"users": [{"id": user}]},
}


def endpoints() -> Iterator[tuple[str, Endpoint]]:
    """Every line of the route table that needs a key, with its base; what deletes comes last."""
    table = [(APPLICATION_BASE, one) for one in APPLICATION] + [(ADMIN_BASE, one) for one in ADMIN]
    yield from sorted((line for line in table if not line[1].public), key=lambda line: line[1].method == "DELETE")


def name_of(base: str, endpoint: Endpoint) -> str:
    return f"{endpoint.method} {base}{endpoint.path.replace(':path', '')}"


def is_stub(endpoint: Endpoint) -> bool:
    """Whether an endpoint is there only to say that it has nothing."""
    return endpoint.summary.startswith("Refuse ") or endpoint.summary.endswith((": none", ": not found"))


def request_to(base: str, endpoint: Endpoint, place: Place, user: str) -> Request:
    """A request with the ids of a place, about a user where it is about one."""
    path = base + endpoint.path.replace(":path", "")
    things = re.findall(r"/([a-z-]+)", endpoint.path)[-1]
    query = QUERIES.get(endpoint.query, lambda *_: {})(place, things, user)
    return Request(endpoint.method, _filled(endpoint, path, place, user), query, _body(endpoint, path, place, user))


def _filled(endpoint: Endpoint, path: str, place: Place, user: str) -> str:
    about_user = endpoint.path.startswith("/users/")

    def value(found: re.Match[str]) -> str:
        things, parameter = found[1], found[2]
        if parameter == "key":
            return f"{things}/{_known(KEYS, things, endpoint, 'KEYS')}"
        if things == "users" and about_user:
            return f"{things}/{quote(user, safe='')}"
        return f"{things}/{UNKNOWN if is_stub(endpoint) else _known(place.ids, things, endpoint, 'fill')}"

    return re.sub(r"([a-z-]+)/{(\w+)}", value, path)


def _body(endpoint: Endpoint, path: str, place: Place, user: str) -> Any:
    if endpoint.method in ("GET", "DELETE"):
        return None
    if is_stub(endpoint) and (endpoint.method, path) not in BODIES:
        return [{"name": place.mark}]
    make: Callable[[Place, str], Any] = _known(BODIES, (endpoint.method, path), endpoint, "BODIES")
    return make(place, user)


def _known(table: Mapping[Any, Any], name: Any, endpoint: Endpoint, where: str) -> Any:
    if name not in table:
        raise Gap(f"{endpoint.method} {endpoint.path} is new: add {name!r} to {where} of tests/scopes.py")
    return table[name]


@dataclass
class FourScopes:
    """The server with its four scopes, and requests to it."""

    server: Server
    client: httpx.AsyncClient
    places: list[Place]

    async def send(self, request: Request, headers: Mapping[str, str]) -> httpx.Response:
        body = {} if request.body is None else {"json": request.body}
        return await self.client.request(
            request.method, request.path, params=dict(request.query), headers=dict(headers), **body
        )

    async def everything(self, place: Place, *, of_tenant_only: bool = False) -> dict[str, str]:
        """All that can be read of a place: of both users, every answer of every reading endpoint."""
        answers = {}
        for user in ("a", "b"):
            for base, endpoint in endpoints():
                if endpoint.method != "GET" or (of_tenant_only and endpoint.spans_tenants):
                    continue
                answer = await self.send(request_to(base, endpoint, place, user), place.headers)
                answers[f"{name_of(base, endpoint)} {user}"] = f"{answer.status_code} {answer.text}"
            answer = await self.client.get("/v1/leaderboards", headers=place.key_of(user))
            answers[f"application key {user}"] = f"{answer.status_code} {answer.text}"
        return answers


@asynccontextmanager
async def open_four_scopes(folder: Path) -> AsyncIterator[FourScopes]:
    """A server on a new folder, at noon of 2026-03-04 UTC, that stands still."""
    settings = config.load({}, data=str(folder), multi_tenancy="true")
    server = await Server.open(settings, lambda: NOON)
    transport = httpx.ASGITransport(server.app(1_000_000))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            four = FourScopes(server, client, [Place(one, other) for one in ENVIRONMENTS for other in TENANTS])
            await _make_environments(four)
            for number, place in enumerate(four.places, start=1):
                await fill(four, place, number)
            yield four
    finally:
        await server.close()


async def _make_environments(four: FourScopes) -> None:
    context = four.server.context
    await create_environment(context, "staging", "Staging", None, multi_tenancy=False)
    await switch_multi_tenancy(context, "staging", on=True)
    for key in ENVIRONMENTS:
        _, text = await create_key(context, "test", find_environment(context, key).scope)
        for place in four.places:
            if place.environment == key:
                place.key = text


async def fill(four: FourScopes, place: Place, number: int) -> None:
    """The same in all scopes, but for marks and values."""
    mark = place.mark

    async def create(things: str, item: dict[str, Any], to: dict[str, str]) -> dict[str, Any]:
        answer = await four.client.post(f"{ADMIN_BASE}/{things}", json=[item], headers=place.headers)
        assert answer.status_code == 201, answer.text
        [made] = answer.json()["created"]
        to[things] = made["id"]
        return dict(made)

    spare = {"customerId": f"{mark}-spare", "name": mark}
    await create("tenants", {"customerId": place.tenant, "name": mark}, place.ids)
    await create("tenants", spare, place.spare)
    board = {"rankBy": "metric", "start": "2026-03-02", "status": "active"}
    hook = {"url": "https://example.org/", "events": ["leaderboard.finished"], "status": "paused"}
    for key, to in (("laps", place.ids), ("spare", place.spare)):
        await create("metrics", {"name": mark, "key": key}, to)
        await create("webhooks", hook | {"name": mark}, to)
    await create("attributes", {"name": mark, "key": "pool", "type": "user"}, place.ids)
    await create("attributes", {"name": mark, "key": "spare", "type": "user"}, place.spare)
    trigger = {"type": "metric", "points": 1, "status": "active", "metricThreshold": 1}
    for key, to in (("gold", place.ids), ("spare", place.spare)):
        await create("points", {"name": mark, "key": key}, to)
        triggers = f"points/{place.ids['points']}/triggers"
        await create(triggers, trigger | {"metricId": place.ids["metrics"]}, to)
        to["triggers"] = to.pop(triggers)
    for key, to in (("weekly", place.ids), ("spare", place.spare)):
        await create("leaderboards", board | {"name": mark, "key": key, "metricId": place.ids["metrics"]}, to)
    for user in ("a", "b", "spare"):
        to = place.spare if user == "spare" else place.ids
        place.application_keys[user] = (await create("application-api-keys", {"userId": user}, to))["key"]
        event = {"user": {"id": user, "name": mark, "attributes": {"pool": mark}}, "value": 1000 * number}
        answer = await four.client.post("/v1/metrics/laps/event", json=event, headers=place.headers)
        assert answer.status_code == 201, answer.text
        to["events"] = answer.json()["eventId"]


def allowed_to_application_keys(base: str, endpoint: Endpoint) -> bool:
    """What the contract lets an application key do, said once more and without looking at `Endpoint.own`."""
    if base != APPLICATION_BASE:
        return False
    own = [
        ("GET", "/leaderboards"),
        ("GET", "/leaderboards/{key}"),
        ("POST", "/users"),
        ("POST", "/metrics/{key}/event"),
    ]
    return endpoint.path.startswith("/users/{id:path}") or (endpoint.method, endpoint.path) in own
