"""Bad input per field and route: the contract's status, its error body, and nothing stored.

The whole server in process, on a folder of its own, with a clock that stands at noon of Wednesday 2026-03-04, UTC.
"""

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from palmares import config
from palmares.api import routes
from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.local_time import parse_instant
from palmares.server import Server

pytestmark = pytest.mark.anyio

KEY = "badInput.secretOfTheseTests"
NOON = parse_instant("2026-03-04T12:00:00Z", "now")
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
MOST_BODY_BYTES = 1_000_000
LONG = "x" * 256
ABSENT = object()


class Reply(NamedTuple):
    """An answer: its status, its headers, and its body as JSON."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Desk:
    """The server, requests to it, and everything that it has stored."""

    server: Server
    app: Any
    ids: dict[str, str]

    async def ask(self, method: str, target: str, body: Any = None, headers: dict[str, Any] | None = None) -> Reply:
        """Send a request as it is; a body that is not bytes is sent as JSON. The key may be replaced, or None."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path, _, query = target.partition("?")
        given = {"X-API-KEY": KEY, "Content-Type": "application/json"} | (headers or {})
        sent = [(name.lower().encode(), encoded(value)) for name, value in given.items() if value is not None]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": sent,
            "server": ("test", 80), "client": ("test", 1), "root_path": "",
        }  # fmt: skip
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        start, content = messages
        shown = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], shown, json.loads(content["body"]))

    async def stored(self) -> tuple[Any, ...]:
        """The log and the definitions."""
        context = self.server.context
        return await context.ledger.records(0, 10_000), context.catalog.definitions(DEFAULT_SCOPE)

    async def refuse(self, status: int, method: str, target: str, body: Any = None, **headers: Any) -> str:
        """Ask, and see that the answer is that refusal and that nothing was stored; returns the message."""
        before = await self.stored()
        reply = await self.ask(method, target, body, headers.get("headers"))
        assert (reply.status, list(reply.body)) == (status, ["error"]), reply
        assert reply.headers["content-type"] == "application/json"
        assert await self.stored() == before
        message = reply.body["error"]
        assert isinstance(message, str)
        assert message
        return message

    async def issue(self, method: str, target: str, item: Any) -> str:
        """Send one item that cannot be applied; see that it becomes an issue and nothing is stored."""
        before = await self.stored()
        reply = await self.ask(method, target, [item])
        assert reply.status == 200, reply
        [done, issues] = reply.body.values()
        assert (done, [one["severity"] for one in issues]) == ([], ["error"])
        assert await self.stored() == before
        return str(issues[0]["message"])


def encoded(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A server with a metric, attributes of both kinds, a plain board, one with groups, and a swimmer."""
    folder = tmp_path_factory.mktemp("bad-input") / "data"
    settings = config.load({}, data=str(folder), admin_key=KEY)
    server = await Server.open(settings, lambda: NOON)
    desk = Desk(server, server.app(MOST_BODY_BYTES), {})
    try:
        await fill(desk)
        yield desk
    finally:
        await server.close()


async def fill(desk: Desk) -> None:
    """What there is to refer to."""
    for things, item in (
        ("metrics", {"name": "Laps", "key": "laps"}),
        ("metrics", {"name": "Spare", "key": "spare"}),
        ("attributes", {"name": "Pool", "key": "pool", "type": "user"}),
        ("attributes", {"name": "Stroke", "key": "stroke", "type": "event"}),
    ):
        desk.ids[item["key"]] = await create(desk, things, item)
    fast = {"attributeId": desk.ids["stroke"], "attributeValue": "free"}
    trigger = {"type": "metric", "points": 1, "metricId": desk.ids["laps"], "metricThreshold": 9}
    gold = {"name": "Gold", "key": "gold", "triggers": [trigger | {"status": "active", "eventAttributes": [fast]}]}
    desk.ids["gold"] = await create(desk, "points", gold)
    board = {"rankBy": "metric", "metricId": desk.ids["laps"], "start": "2026-03-02", "status": "active"}
    weekly = {"breakdownAttributes": [desk.ids["pool"]], "runUnit": "day", "runInterval": 7}
    for item in (
        board | {"name": "All", "key": "all-time"},
        board | {"name": "Weekly", "key": "weekly"} | weekly,
        board | {"name": "Draft", "key": "draft", "status": "inactive"},
        board
        | {"name": "Rich", "key": "rich", "rankBy": "points", "metricId": None, "pointsSystemId": desk.ids["gold"]},
    ):
        desk.ids[item["key"]] = await create(desk, "leaderboards", item)
    swimmer = {"user": {"id": "ann", "attributes": {"pool": "east"}}, "value": 2}
    assert (await desk.ask("POST", "/v1/metrics/laps/event", swimmer)).status == 201


async def create(desk: Desk, things: str, item: dict[str, Any]) -> str:
    reply = await desk.ask("POST", f"/admin/v1/{things}", [item])
    assert reply.status == 201, reply
    made: str = reply.body["created"][0]["id"]
    return made


def bad(table: dict[str, list[Any]]) -> Any:
    """Parameters (field, value) of a table of values by field."""
    return pytest.mark.parametrize(
        ("field", "value"),
        [
            pytest.param(field, value, id=f"{field}-{place}")
            for field, values in table.items()
            for place, value in enumerate(values)
        ],
    )


def with_field(good: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """The good object with one field as given, or without it."""
    changed = good | {field: value}
    if value is ABSENT:
        del changed[field]
    return changed


# Bodies as a whole

DEEP = b'{"a":' * 100_000
EVENT = {"user": {"id": "bob"}, "value": 1}
BODIES = {
    "nothing": b"",
    "null": b"null",
    "a number": b"5",
    "a text": b'"x"',
    "not JSON": b"value=1",
    "cut off": json.dumps(EVENT).encode()[:-1],
    "trailing text": json.dumps(EVENT).encode() + b" x",
    "two documents": json.dumps(EVENT).encode() * 2,
    "not UTF-8": b'{"user": {"id": "\xff"}, "id": "\xff", "name": "\xff", "value": 1}',
    "not UTF-8 in an item": b'[{"name": "\xff", "key": "\xff"}]',
    "UTF-16": json.dumps(EVENT).encode("utf-16"),
    "half of a surrogate pair": b'{"user": {"id": "\\ud800"}, "id": "\\ud800", "name": "\\ud800", "value": 1}',
    "deep objects": DEEP,
    "deep arrays": b"[" * 100_000,
    "deep arrays that end": b"[" * 100_000 + b"]" * 100_000,
    "deep in a field": b'{"id": "bob", "value": 1, "user": {"id": "bob", "unknown": '
    + b"[" * 100_000
    + b"]" * 100_000
    + b"}}",
    "control character": b'{"user": {"id": "a\x01b"}, "id": "a\x01b", "name": "a\x01b", "value": 1}',
}
BODY_ROUTES = [
    ("POST", "/v1/metrics/laps/event"),
    ("POST", "/admin/v1/metrics/events"),
    ("POST", "/v1/users"),
    ("PUT", "/v1/users/bob"),
    ("PATCH", "/v1/users/ann"),
    *itertools.product(
        ["POST", "PATCH"], [f"/admin/v1/{things}" for things in ("metrics", "attributes", "leaderboards", "points")]
    ),
]


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize(("method", "path"), BODY_ROUTES)
async def test_a_body_that_is_no_good_json_is_refused(desk: Desk, method: str, path: str, kind: str) -> None:
    """On every route that takes a body."""
    await desk.refuse(422, method, path, BODIES[kind])


@pytest.mark.parametrize(("method", "path"), BODY_ROUTES)
async def test_an_array_instead_of_an_object_is_refused_and_the_other_way_round(
    desk: Desk, method: str, path: str
) -> None:
    """Routes take the one or the other; an empty array is no batch."""
    bulk = path.startswith("/admin")
    for body in [{}, EVENT] if bulk else [[], [EVENT]]:
        await desk.refuse(422, method, path, body)
    await desk.refuse(422, method, path, [])


@pytest.mark.parametrize(("method", "path"), BODY_ROUTES)
async def test_a_body_that_is_too_large_is_refused(desk: Desk, method: str, path: str) -> None:
    """413, whatever is in it."""
    await desk.refuse(413, method, path, b" " * (MOST_BODY_BYTES + 1))


# Users, wherever they are in a body

USER_FIELDS = {
    "id": [ABSENT, None, 5, True, [], {}, "", LONG],
    "email": [5, True, [], {}, LONG],
    "name": [5, False, [], {}, LONG],
    "tz": [5, [], "", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "Europe/Madrid ", "\0", LONG],
    "signUpDate": [
        5, True, [], "", "20260302", "2026-3-2", "2026-02-30", "2026-13-01", "tomorrow", "2026-03-05", "2999-01-01",
        "2026-03-02T25:00:00Z", "2026-03-02T10:00:00",
    ],
    "deviceTokens": ["x", 5, {}, [5], [None], ["x" * 5000], ["x"] * 101],
    "subscribeToEmails": ["yes", 1, 0, [], {}],
    "subscribedToEmails": ["yes", 1],
    "attributes": [5, "x", [], {"pool": 5}, {"pool": True}, {"pool": ["east"]}, {"pool": {}}, {"pool": LONG}],
}  # fmt: skip
USER_FIELDS_NOT_ALLOWED = {
    "subscribeToEmails": [True],
    "subscribedToEmails": [True],
    # Not defined; of the other kind; not defined, though only to be removed.
    "attributes": [{"nope": "x"}, {"stroke": "fly"}, {"nope": None}, {"pool": "east", "": "x"}],
}
USER = {"id": "bob", "name": "Bob"}


async def refuse_user(desk: Desk, status: int, field: str, value: Any) -> None:
    """On all routes that take a user object: with an event, in a batch, and by itself."""
    user = with_field(USER, field, value)
    await desk.refuse(status, "POST", "/v1/metrics/laps/event", {"user": user, "value": 1})
    items = [{"key": "laps", "user": USER, "value": 1}, {"key": "laps", "user": user, "value": 1}]
    message = await desk.refuse(status, "POST", "/admin/v1/metrics/events", items)
    assert message.startswith("[1]")
    await desk.refuse(status, "POST", "/v1/users", user)
    if field != "id":
        await desk.refuse(status, "PUT", "/v1/users/bob", user)
        await desk.refuse(status, "PATCH", "/v1/users/ann", user)


@bad(USER_FIELDS)
async def test_a_malformed_field_of_a_user_is_refused(desk: Desk, field: str, value: Any) -> None:
    """422: wrong types, nulls where none may be, lengths, zones and dates that do not exist."""
    await refuse_user(desk, 422, field, value)


@bad(USER_FIELDS_NOT_ALLOWED)
async def test_a_field_of_a_user_that_is_not_allowed_is_refused(desk: Desk, field: str, value: Any) -> None:
    """400: attributes that are not defined, emails without an address."""
    await refuse_user(desk, 400, field, value)


@pytest.mark.parametrize("user", [ABSENT, None, 5, "bob", ["bob"], [], {}])
async def test_an_event_without_a_user_object_is_refused(desk: Desk, user: Any) -> None:
    """On both routes."""
    await desk.refuse(422, "POST", "/v1/metrics/laps/event", with_field(EVENT, "user", user))
    await desk.refuse(422, "POST", "/admin/v1/metrics/events", [with_field(EVENT | {"key": "laps"}, "user", user)])


async def test_a_user_who_does_not_exist_is_not_updated(desk: Desk) -> None:
    """PATCH and every read: 404."""
    await desk.refuse(404, "PATCH", "/v1/users/nobody", {"name": "x"})
    for path in ("", "/metrics", "/metrics/laps", "/leaderboards/all-time"):
        await desk.refuse(404, "GET", f"/v1/users/nobody{path}")
    await desk.refuse(404, "GET", "/v1/users/ann/metrics/nope")
    await desk.refuse(404, "GET", "/v1/users/ann/leaderboards/nope")
    await desk.refuse(404, "GET", "/v1/users/ann/leaderboards/draft")


async def test_an_id_in_a_path_is_checked_like_one_in_a_body(desk: Desk) -> None:
    """Too long is 422 where a user would be made; bytes that are no text name nobody."""
    await desk.refuse(422, "PUT", f"/v1/users/{LONG}", {"name": "x"})
    await desk.refuse(404, "GET", "/v1/users/%FF")
    await desk.refuse(404, "PUT", "/v1/users/%C3%28", {"name": "x"})


# Events

NUMBERS = [
    b"", b"null", b'"1"', b'"abc"', b"true", b"[]", b"[1]", b"{}", b"NaN", b"Infinity", b"-Infinity", b"nan", b"1e400",
    b"-1e400", b"1e99999999", b"12345678901234567890", b"-12345678901234567890", b"9223372036854.775808",
    b"-9223372036854.775809", b"9223372036855", b"1e13", b"01", b"+1", b".5", b"1.", b"1e", b"0x10", b"1_000", b"--1",
    b"1,5", b"9" * 500, "١".encode(),
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_value_that_is_no_number_in_range_is_refused(desk: Desk, number: bytes) -> None:
    """Not JSON, not a number, not finite, or beyond 64 bits with six decimals."""
    await desk.refuse(422, "POST", "/v1/metrics/laps/event", b'{"user": {"id": "bob"}, "value": %s}' % number)
    good = b'{"key": "laps", "user": {"id": "bob"}, "value": 1}'
    wrong = b'{"key": "laps", "user": {"id": "bob"}, "value": %s}' % number
    await desk.refuse(422, "POST", "/admin/v1/metrics/events", b"[%s, %s]" % (good, wrong))


async def test_an_event_without_a_value_is_refused(desk: Desk) -> None:
    """On both routes."""
    await desk.refuse(422, "POST", "/v1/metrics/laps/event", {"user": {"id": "bob"}})
    await desk.refuse(422, "POST", "/admin/v1/metrics/events", [{"key": "laps", "user": {"id": "bob"}}])


async def test_a_total_that_does_not_fit_is_refused(desk: Desk) -> None:
    """Ann has 2 already; the value alone would fit."""
    body = {"user": {"id": "ann"}, "value": 9_223_372_036_853}
    assert "total" in await desk.refuse(422, "POST", "/v1/metrics/laps/event", body)
    await desk.refuse(422, "POST", "/admin/v1/metrics/events", [body | {"key": "laps"}])


@pytest.mark.parametrize("key", ["nope", "LAPS", "laps%20", "laps-swum", "%FF", "all-time"])
async def test_an_unknown_metric_is_not_found(desk: Desk, key: str) -> None:
    """Keys match exactly, case included."""
    await desk.refuse(404, "POST", f"/v1/metrics/{key}/event", EVENT)
    await desk.refuse(404, "POST", "/admin/v1/metrics/events", [EVENT | {"key": "laps"}, EVENT | {"key": key}])


EVENT_FIELDS = {"attributes": [5, "x", [], {"stroke": 5}, {"stroke": None}, {"stroke": {}}, {"stroke": LONG}]}
BATCH_FIELDS = {
    "key": [ABSENT, None, 5, []],
    "idempotencyKey": [5, [], True, LONG],
    "timestamp": [
        5, True, [], "x", "2026-03-04", "2026-03-04T12:00", "2026-03-04T12:00:00", "2026-02-30T12:00:00Z",
        "2026-03-04T25:00:00Z", "2026-03-04T12:00:00.000001Z", "2026-03-05T00:00:00+01:00", "2999-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
    ],
}  # fmt: skip


@bad(EVENT_FIELDS)
async def test_malformed_attributes_of_an_event_are_refused(desk: Desk, field: str, value: Any) -> None:
    """On both routes."""
    await desk.refuse(422, "POST", "/v1/metrics/laps/event", with_field(EVENT, field, value))
    await desk.refuse(422, "POST", "/admin/v1/metrics/events", [with_field(EVENT | {"key": "laps"}, field, value)])


@pytest.mark.parametrize("key", ["nope", "pool", "", "STROKE"])
async def test_an_undefined_attribute_of_an_event_is_named(desk: Desk, key: str) -> None:
    """400 with the key in the message; an attribute of users is none of events."""
    event = EVENT | {"attributes": {"stroke": "fly", key: "x"}}
    assert repr(key) in await desk.refuse(400, "POST", "/v1/metrics/laps/event", event)
    assert repr(key) in await desk.refuse(400, "POST", "/admin/v1/metrics/events", [event | {"key": "laps"}])


@bad(BATCH_FIELDS)
async def test_a_malformed_field_of_a_batch_item_is_refused(desk: Desk, field: str, value: Any) -> None:
    """With its place: a time without zone, in the future by a microsecond, before time zones began."""
    good = EVENT | {"key": "laps"}
    message = await desk.refuse(422, "POST", "/admin/v1/metrics/events", [good, with_field(good, field, value)])
    assert message.startswith("[1]")


async def test_an_idempotency_key_that_is_too_long_is_refused(desk: Desk) -> None:
    """255 characters are not."""
    await desk.refuse(422, "POST", "/v1/metrics/laps/event", EVENT, headers={"Idempotency-Key": LONG})


@pytest.mark.parametrize("count", [0, 1001, 5000])
async def test_a_batch_has_1_to_1000_items(desk: Desk, count: int) -> None:
    """More are refused, not cut."""
    await desk.refuse(
        422, "POST", "/admin/v1/metrics/events", [{"key": "laps", "user": {"id": "b"}, "value": 1}] * count
    )


# Queries

DAYS = ["", "abc", "20260302", "2026-02-30", "2026-3-2", "2026-03-02T00:00:00Z", "0000-01-01", "٢٠٢٦-٠٣-٠٢", "%FF"]
QUERIES = {
    "/v1/leaderboards": {"includeFinished": ["maybe", "2", "", "%FF"]},
    "/v1/leaderboards/all-time": {
        "limit": ["-1", "abc", "1.5", "", "0x10", "%FF", "NaN"],
        "offset": ["-1", "abc", "1.5", "", "-99999999999999999999"],
        "run": DAYS,
        "userId": ["%FF"],
        "userAttributes": ["pool:east", "pool", "", "%FF"],
    },
    "/v1/leaderboards/weekly": {"userAttributes": ["pool", "", "pool:east,", "level:pro", ":", "Pool:east"]},
    "/v1/users/ann/leaderboards/all-time": {
        "numEvents": ["-1", "101", "abc", "1.5", ""],
        "run": DAYS,
    },
    "/admin/v1/metrics": {"limit": ["0", "101", "-1", "abc", "1.5", ""], "skip": ["-1", "abc", ""]},
    "/admin/v1/attributes": {"limit": ["0", "101", "abc"], "skip": ["-1"]},
    "/admin/v1/leaderboards": {"limit": ["0", "101", "abc"], "skip": ["-1"]},
}
BAD_QUERIES = [
    (path, f"{name}={value}")
    for path, parameters in QUERIES.items()
    for name, values in parameters.items()
    for value in values
]


@pytest.mark.parametrize(("path", "query"), BAD_QUERIES)
async def test_a_malformed_query_is_refused(desk: Desk, path: str, query: str) -> None:
    """422 for wrong types and ranges, for dates that do not exist, and for groups that cannot be."""
    await desk.refuse(422, "GET", f"{path}?{query}")


async def test_a_board_with_groups_wants_one_named(desk: Desk) -> None:
    """Without a user there is no group to take."""
    await desk.refuse(422, "GET", "/v1/leaderboards/weekly")


@pytest.mark.parametrize("run", ["2026-03-01", "2026-03-20", "2999-01-01"])
async def test_a_run_that_is_not_there_is_not_found(desk: Desk, run: str) -> None:
    """Before the start, or opened nowhere yet."""
    await desk.refuse(404, "GET", f"/v1/leaderboards/weekly?userAttributes=pool:east&run={run}")
    await desk.refuse(404, "GET", f"/v1/users/ann/leaderboards/weekly?run={run}")


SUMMARY = {"aggregation": "daily", "startDate": "2026-03-01", "endDate": "2026-03-04"}
SUMMARY_FIELDS = {
    "aggregation": [ABSENT, "", "hourly", "DAILY"],
    "startDate": [ABSENT, *DAYS, "2026-03-05", "2025-01-27"],
    "endDate": [ABSENT, *DAYS, "2026-02-28", "2027-04-06"],
}


@bad(SUMMARY_FIELDS)
async def test_a_malformed_event_summary_is_refused(desk: Desk, field: str, value: Any) -> None:
    """All three are required, in order, and at most 400 days apart."""
    query = "&".join(f"{name}={given}" for name, given in with_field(SUMMARY, field, value).items())
    await desk.refuse(422, "GET", f"/v1/users/ann/metrics/laps/event-summary?{query}")


# Definitions


@pytest.mark.parametrize("things", ["metrics", "attributes", "leaderboards", "points", "points/{gold}/triggers"])
async def test_a_bulk_request_that_is_unusable_is_refused(desk: Desk, things: str) -> None:
    """Too many items or ids, or none; an id in the path that is no UUID."""
    path = f"/admin/v1/{things.format_map(desk.ids)}"
    for method in ("POST", "PATCH"):
        await desk.refuse(422, method, path, [{"name": "x", "key": f"x{number}"} for number in range(101)])
    await desk.refuse(422, "DELETE", path)
    await desk.refuse(422, "DELETE", f"{path}?ids=")
    await desk.refuse(422, "DELETE", f"{path}?ids=%FF")
    await desk.refuse(422, "DELETE", f"{path}?ids={','.join([UNKNOWN_ID] * 101)}")
    await desk.refuse(422, "GET", f"{path}/laps")
    await desk.refuse(404, "GET", f"{path}/{UNKNOWN_ID}")


NAMES = [ABSENT, None, 5, "", " ", [], LONG]
KEYS = [ABSENT, None, 5, "", "has space", "ümlaut", "a/b", "a.b", "a\n", LONG]
METRIC_FIELDS = {
    "name": NAMES,
    "key": [*KEYS, "laps"],
    "unitType": [5, "text", "", "Number"],
    "units": [5, [], LONG],
}
ATTRIBUTE_FIELDS = {"name": NAMES, "key": [*KEYS, "pool"], "type": [ABSENT, None, 5, "", "metric", "User"]}
BOARD_FIELDS = {
    "name": NAMES,
    "key": [*KEYS, "weekly"],
    "description": [5, [], "x" * 5000],
    "status": [5, "", "open", "scheduled ", "finished"],
    "rankBy": [ABSENT, None, 5, "value", "points", ""],
    "metricId": [ABSENT, None, 5, "laps", UNKNOWN_ID],
    "pointsSystemId": [5, "x", UNKNOWN_ID],
    "maxParticipants": [0, -1, "5", 1.5, True, [], 2**63, 10**20],
    "start": [5, "", "20260302", "2026-02-30", "tomorrow", "2026-03-02T00:00:00Z"],
    "end": [5, "", "2026-02-30", "2026-03-01"],
    "startTime": [5, "", "24:00", "9:00", "09:60", "noon", "09:00:61", "09:00+01:00"],
    "endTime": [5, "", "24:00", "25:00"],
    "breakdownAttributes": ["x", [5], ["pool"], [UNKNOWN_ID], [None], {}],
    "userAttributes": ["x", [5], [{}], [{"attributeId": UNKNOWN_ID, "attributeValue": "x"}], {}],
    "runUnit": [5, "week", "", "DAY"],
    "runInterval": [0, -1, 1.5, "7", 7],
    "aggregation": [5, "mean", "SUM"],
    "order": [5, "up"],
    "ties": [5, "none"],
    "numbering": [5, "roman"],
    "participants": [5, "teams"],
}
SYSTEM_FIELDS = {
    "name": NAMES,
    "key": [*KEYS, "gold"],
    "description": [5, [], "x" * 5000],
    "badge": [5, "x", [], {}, {"url": 5}, {"url": ""}, {"url": "x" * 5000}, {"url": "a\0"}],
    "maxPoints": [0, -1, "5", 1.5, True, [], 2**31],
    "triggers": [5, {}, [5], [{}], [{"type": "metric", "points": 5}], [{"type": "time", "points": 5}]],
    "levels": [5, {}],
    "boosts": ["x"],
}
TRIGGER_FIELDS = {
    "type": [ABSENT, None, 5, "", "level", "achievement", "streak", "time", "user_creation"],
    "points": [ABSENT, None, 0, "5", 1.5, True, 2**31, -(2**31)],
    "status": [5, "", "archived"],
    "metricId": [ABSENT, None, 5, "laps", UNKNOWN_ID],
    "metricThreshold": [ABSENT, None, 0, -1, 0.5, "1", 2**31],
    "userAttributes": ["x", [5], [{}], [{"attributeId": UNKNOWN_ID, "attributeValue": "x"}], {}],
    "eventAttributes": ["x", [{"attributeId": UNKNOWN_ID}], [{"attributeId": UNKNOWN_ID, "attributeValue": LONG}]],
    "blockIfOutOfPoints": [0, "true", []],
}
METRIC = {"name": "Hours", "key": "hours"}
ATTRIBUTE = {"name": "Level", "key": "level", "type": "user"}


@bad(METRIC_FIELDS)
async def test_a_metric_with_a_bad_field_becomes_an_issue(desk: Desk, field: str, value: Any) -> None:
    """And is not created."""
    await desk.issue("POST", "/admin/v1/metrics", with_field(METRIC, field, value))


async def test_a_currency_has_an_iso_code(desk: Desk) -> None:
    """Three capital letters."""
    for units in ("", "euro", "EU", "eur"):
        await desk.issue("POST", "/admin/v1/metrics", METRIC | {"unitType": "currency", "units": units})


@bad(ATTRIBUTE_FIELDS)
async def test_an_attribute_with_a_bad_field_becomes_an_issue(desk: Desk, field: str, value: Any) -> None:
    """And is not created."""
    await desk.issue("POST", "/admin/v1/attributes", with_field(ATTRIBUTE, field, value))


@bad(SYSTEM_FIELDS)
async def test_a_points_system_with_a_bad_field_becomes_an_issue(desk: Desk, field: str, value: Any) -> None:
    """And is not created."""
    await desk.issue("POST", "/admin/v1/points", with_field({"name": "Silver", "key": "silver"}, field, value))


@bad(TRIGGER_FIELDS)
async def test_a_trigger_with_a_bad_field_becomes_an_issue(desk: Desk, field: str, value: Any) -> None:
    """And is not created; nor is it with its system."""
    trigger = {"type": "metric", "points": 5, "metricId": desk.ids["laps"], "metricThreshold": 10}
    wrong = with_field(trigger, field, value)
    await desk.issue("POST", f"/admin/v1/points/{desk.ids['gold']}/triggers", wrong)
    await desk.issue("POST", "/admin/v1/points", {"name": "Silver", "key": "silver", "triggers": [trigger, wrong]})


async def test_attributes_filter_only_what_they_belong_to(desk: Desk) -> None:
    trigger = {"type": "metric", "points": 5, "metricId": desk.ids["laps"], "metricThreshold": 10}
    for field, key in (("userAttributes", "stroke"), ("eventAttributes", "pool")):
        filters = [{"attributeId": desk.ids[key], "attributeValue": "x"}]
        await desk.issue("POST", f"/admin/v1/points/{desk.ids['gold']}/triggers", trigger | {field: filters})


def board(desk: Desk) -> dict[str, Any]:
    """A board that could be created."""
    return {"name": "New", "key": "new", "rankBy": "metric", "metricId": desk.ids["laps"], "start": "2026-03-02"}


@bad(BOARD_FIELDS)
async def test_a_leaderboard_with_a_bad_field_becomes_an_issue(desk: Desk, field: str, value: Any) -> None:
    """And is not created."""
    await desk.issue("POST", "/admin/v1/leaderboards", with_field(board(desk), field, value))


@pytest.mark.parametrize(
    "fields",
    [
        {"runUnit": "day"},
        {"runUnit": "day", "runInterval": None},
        {"rankBy": "streak", "metricId": None, "runUnit": "day", "runInterval": 7},
        {"startTime": "09:00", "endTime": "09:00"},
        {"startTime": "10:00", "endTime": "09:00"},
        {"status": "finished", "end": "2026-03-05"},
        {"start": "9999-12-31", "end": "9999-12-30"},
    ],
)
async def test_fields_of_a_leaderboard_that_do_not_go_together_become_an_issue(
    desk: Desk, fields: dict[str, Any]
) -> None:
    """A unit without an interval, a window that never opens, an end before the start, finished before its end."""
    await desk.issue("POST", "/admin/v1/leaderboards", board(desk) | fields)


async def test_attributes_of_events_do_not_break_down_a_leaderboard(desk: Desk) -> None:
    """Nor do they filter."""
    stroke = desk.ids["stroke"]
    await desk.issue("POST", "/admin/v1/leaderboards", board(desk) | {"breakdownAttributes": [stroke]})
    matching = [{"attributeId": stroke, "attributeValue": "fly"}]
    await desk.issue("POST", "/admin/v1/leaderboards", board(desk) | {"userAttributes": matching})


async def test_updates_of_what_is_not_there_or_never_changes_become_issues(desk: Desk) -> None:
    """No id, an unknown one, a key or kind that stays, a locked field of an active board."""
    for things, key in (
        ("metrics", "laps"), ("attributes", "pool"), ("leaderboards", "weekly"), ("points", "gold"),
    ):  # fmt: skip
        path = f"/admin/v1/{things}"
        for item in ({"name": "x"}, {"id": None, "name": "x"}, {"id": 5}, {"id": "laps"}, {"id": UNKNOWN_ID}):
            await desk.issue("PATCH", path, item)
        await desk.issue("PATCH", path, {"id": desk.ids[key], "key": "other"})
        await desk.issue("PATCH", path, {"id": desk.ids[key], "name": ""})
    await desk.issue("PATCH", "/admin/v1/attributes", {"id": desk.ids["pool"], "type": "event"})
    weekly = {"id": desk.ids["weekly"]}
    for locked in (
        {"rankBy": "streak"}, {"metricId": desk.ids["spare"]}, {"maxParticipants": 5}, {"start": "2026-03-01"},
        {"startTime": "09:00"}, {"breakdownAttributes": []}, {"runUnit": None}, {"runInterval": 14},
        {"userAttributes": [{"attributeId": desk.ids["pool"], "attributeValue": "east"}]}, {"end": "2026-03-01"},
    ):  # fmt: skip
        await desk.issue("PATCH", "/admin/v1/leaderboards", weekly | locked)


async def test_what_is_in_use_is_not_deleted(desk: Desk) -> None:
    """What a board ranks by or is broken down by, what a trigger looks at; what is not there cannot be deleted."""
    for things, key in (("metrics", "laps"), ("attributes", "pool"), ("points", "gold"), ("attributes", "stroke")):
        await delete_nothing(desk, things, desk.ids[key])
    for things in ("metrics", "attributes", "leaderboards", "points", f"points/{desk.ids['gold']}/triggers"):
        await delete_nothing(desk, things, UNKNOWN_ID)
        await delete_nothing(desk, things, "no-uuid")


async def delete_nothing(desk: Desk, things: str, thing_id: str) -> None:
    before = await desk.stored()
    reply = await desk.ask("DELETE", f"/admin/v1/{things}?ids={thing_id}")
    assert (reply.status, reply.body["deleted"]) == (200, [])
    assert [(one["severity"], one["id"]) for one in reply.body["issues"]] == [("error", thing_id)]
    assert await desk.stored() == before


# Keys, paths and methods


def private_routes() -> Iterator[tuple[str, str]]:
    """Method and path of every route that wants a key; ids and keys are filled in."""
    for base, endpoints in (("/v1", routes.APPLICATION), ("/api", routes.APPLICATION), ("/admin/v1", routes.ADMIN)):
        for endpoint in endpoints:
            if not endpoint.public:
                yield endpoint.method, base + endpoint.path.replace("{id:path}", "ann").replace("{id}", UNKNOWN_ID)


PRIVATE = list(private_routes())
WRONG_KEYS = [
    None, "", "badInput", "badInput.", ".secretOfTheseTests", "badInput.wrong", "otherKey.secretOfTheseTests",
    f"{KEY}x", f" {KEY}", KEY.lower(), "app_abcde.secretOfTheseTests", "badInput.sécret".encode(), b"\xff\xfe.\xff",
    "x" * 5000, f"{KEY},{KEY}",
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PRIVATE)
async def test_a_wrong_key_opens_no_route(desk: Desk, method: str, path: str) -> None:
    """Missing, malformed or unknown, each half wrong by itself: 401 on all routes, before anything else is judged."""
    for key in WRONG_KEYS:
        message = await desk.refuse(401, method, path, b"not JSON", headers={"X-API-KEY": key})
        assert "secretOfTheseTests" not in message


@pytest.mark.parametrize(("method", "path"), PRIVATE)
async def test_a_method_that_a_path_does_not_take_is_refused(desk: Desk, method: str, path: str) -> None:
    """405 with the ones that it takes."""
    taken = {one for one, other in PRIVATE if other == path}
    for wrong in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - taken:
        before = await desk.stored()
        reply = await desk.ask(wrong, path, {"name": "x"})
        assert (reply.status, list(reply.body)) == (405, ["error"])
        assert set(reply.headers["allow"].split(", ")) - {"HEAD"} == taken
        assert await desk.stored() == before


MISSING_PATHS = """
    / /v1 /v1/ /api /admin/v1 /v2/leaderboards /leaderboards /admin/leaderboards /v1/nope /v1///users /v1/%2e /%ff
    /v1/leaderboards/a/b /v1/metrics/laps /v1/metrics/events /admin/v1/users/ann /admin/v1/metrics/laps/event
    """.split()


@pytest.mark.parametrize("path", MISSING_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_path_that_is_not_there_is_not_found(desk: Desk, method: str, path: str) -> None:
    """With an error body, and whatever the method."""
    await desk.refuse(404, method, path, [])
