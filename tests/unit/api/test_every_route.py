"""What holds for every route there is: ids of any characters, trailing slashes, lists in queries, explicit nulls.

The routes, queries and bodies are taken from the tables, so that a new one is looked at too.
"""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from msgspec import inspect
from starlette.types import Receive, Scope, Send

from palmares.api.door import _path
from palmares.api.endpoint import Call, Endpoint, read_list
from palmares.api.paths import application
from palmares.api.routes import ADMIN, ADMIN_BASE, APPLICATION, APPLICATION_BASE
from tests.world import World

pytestmark = pytest.mark.anyio

BASES = {APPLICATION_BASE: APPLICATION, ADMIN_BASE: ADMIN}
ENDPOINTS = [(base, endpoint) for base, endpoints in BASES.items() for endpoint in endpoints]
OF_USERS = [endpoint for endpoint in APPLICATION if "{id:path}" in endpoint.path]
# Every word that stands in a path of a user: a key may be any of them.
WORDS = sorted({part for endpoint in OF_USERS for part in endpoint.path.split("/") if part and "{" not in part})
PLAIN_IDS = ["a", "org/7", "a/b/c", "a|b", "a+b", "a,b", "a:b@c", "ü/日本", "é", "..", *WORDS]
OTHER_IDS = ["a b", "100%", "%2F", "a?b#c", "/", "/a", "a/", "a//b", *(f"a/{word}" for word in WORDS), "a/metrics/laps"]


def label(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


class Echo:
    """Answers with its endpoint and the parameters of the path, as a door would hand them on."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.dumps([label(self._endpoint), _path(scope)]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def app() -> Any:
    """The real table of paths, with echoes behind it."""
    return application((endpoint.method, base + endpoint.path, Echo(endpoint)) for base, endpoint in ENDPOINTS)


async def found(app: Any, method: str, path: str) -> Any:
    """Which endpoint a path leads to, sent exactly as it is written."""
    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody reads")

    raw = path.encode()
    scope = {"type": "http", "method": method, "path": path, "raw_path": raw, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return json.loads(told[1]["body"])


def written(endpoint: Endpoint, user_id: str, key: str) -> str:
    return APPLICATION_BASE + endpoint.path.replace("{id:path}", user_id).replace("{key}", key)


@pytest.mark.parametrize("endpoint", OF_USERS, ids=label)
async def test_an_id_may_be_written_as_it_is_where_it_holds_no_known_ending(app: Any, endpoint: Endpoint) -> None:
    """As older clients write ids; slashes, pipes and plus signs mean nothing else. So it is with any key behind it."""
    for user_id, key in product(PLAIN_IDS, ["laps", *WORDS]):
        expected = {"id": user_id} | ({"key": key} if "{key}" in endpoint.path else {})
        assert await found(app, endpoint.method, written(endpoint, user_id, key)) == [label(endpoint), expected]


@pytest.mark.parametrize("endpoint", OF_USERS, ids=label)
async def test_an_encoded_id_may_be_anything(app: Any, endpoint: Endpoint) -> None:
    for user_id in PLAIN_IDS + OTHER_IDS:
        path = written(endpoint, quote(user_id, safe=""), "laps")
        expected = {"id": user_id} | ({"key": "laps"} if "{key}" in endpoint.path else {})
        assert await found(app, endpoint.method, path) == [label(endpoint), expected]


@pytest.mark.parametrize(("base", "endpoint"), ENDPOINTS, ids=lambda one: one if isinstance(one, str) else label(one))
async def test_a_trailing_slash_means_nothing(app: Any, base: str, endpoint: Endpoint) -> None:
    path = base + endpoint.path.replace(":path}", "}").replace("{", "").replace("}", "")

    assert await found(app, endpoint.method, path + "/") == await found(app, endpoint.method, path)
    assert (await found(app, endpoint.method, path))[0] == label(endpoint)


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("ids=a&ids=b", ["a", "b"]),
        ("ids=a,b", ["a", "b"]),
        ("ids=a,b&ids=c&other=d&ids=e,f", ["a", "b", "c", "e", "f"]),
        ("ids=org%2F7,%C3%BC%7C%2B&ids=a+b", ["org/7", "ü|+", "a b"]),
        ("ids=,a,&ids=", ["a"]),
        ("other=a", []),
        ("", []),
    ],
)
def test_a_list_is_repeated_joined_by_commas_or_both(query: str, values: list[str]) -> None:
    call = Call(World().context, 1, {}, query.encode(), {}, b"")

    assert read_list(call, "ids") == values


def lists_in_queries() -> Iterator[tuple[str, str]]:
    """Methods, and the parameters of their queries that are lists."""
    for _, endpoint in ENDPOINTS:
        if endpoint.query is not None:
            described = inspect.type_info(endpoint.query)
            assert isinstance(described, inspect.StructType)
            for field in described.fields:
                if any(isinstance(one, inspect.ListType) for one in alternatives(field.type)):
                    yield endpoint.method, field.encode_name


def test_the_lists_in_queries_are_those_that_handlers_read_so() -> None:
    """The ids of what is deleted, and those of users."""
    assert set(lists_in_queries()) == {("DELETE", "ids"), ("GET", "userIds")}


# Explicit nulls


def alternatives(kind: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a value may have."""
    if isinstance(kind, inspect.Metadata):
        yield from alternatives(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from alternatives(one)
    else:
        yield kind


def structs_of(kind: inspect.Type) -> Iterator[inspect.StructType]:
    """A type and what it holds, as far as these are structs."""
    for one in alternatives(kind):
        if isinstance(one, inspect.StructType):
            yield one
            for field in one.fields:
                yield from structs_of(field.type)
        elif isinstance(one, inspect.ListType):
            yield from structs_of(one.item_type)


REQUESTS = {
    struct.cls: struct
    for _, endpoint in ENDPOINTS
    if endpoint.body is not None
    for struct in structs_of(inspect.type_info(endpoint.body))
}


@pytest.mark.parametrize("struct", REQUESTS.values(), ids=lambda struct: struct.cls.__name__)
def test_every_field_that_may_be_left_out_may_be_null(struct: inspect.StructType) -> None:
    """Official clients send explicit nulls."""
    for field in struct.fields:
        nullable = any(isinstance(one, inspect.NoneType) for one in alternatives(field.type))
        assert field.required or nullable, field.encode_name


def test_there_are_bodies_to_look_at() -> None:
    """With what is inside them."""
    assert {kind.__name__ for kind in REQUESTS} >= {"EventRequest", "UpsertedUser", "BrandingUpdate", "Filter"}
