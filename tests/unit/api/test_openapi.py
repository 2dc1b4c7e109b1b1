"""The OpenAPI documents are sound in themselves, name every endpoint, and are served by both APIs.

That every answer fits them is checked where the answers are: `tests/http.py`.
"""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest

from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.api.openapi import document, error_statuses, operation_id
from palmares.api.routes import ADMIN, ADMIN_BASE, APPLICATION, APPLICATION_BASE
from tests.http import DOCUMENTS, client
from tests.world import World

APIS = {APPLICATION_BASE: APPLICATION, ADMIN_BASE: ADMIN}
DOCUMENT = DOCUMENTS[APPLICATION_BASE]
SCHEMAS = DOCUMENT["components"]["schemas"]


async def handle(call: Call) -> Answer:
    return Answer(200, call.path)


class Query(msgspec.Struct, rename="camel"):
    """A query."""

    must_have: int
    may_have: Annotated[int, msgspec.Meta(ge=0, description="If you like.")] = 5


def operations(base: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENTS[base]["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from references(inner)


@pytest.mark.parametrize("base", APIS)
def test_every_endpoint_is_described_and_nothing_else(base: str) -> None:
    described = {(method, path) for method, path, _ in operations(base)}

    assert described == {(endpoint.method, endpoint.path.replace(":path", "")) for endpoint in APIS[base]}


@pytest.mark.parametrize("base", APIS)
def test_operation_ids_are_unique(base: str) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(base)]

    assert len(set(ids)) == len(ids)


def test_operation_ids_follow_from_method_and_path() -> None:
    """Generated clients name their methods by them, so they must not change."""
    ids = {operation["operationId"] for _, _, operation in operations(APPLICATION_BASE)}

    assert ids >= {
        "postMetricsByKeyEvent",
        "getLeaderboards",
        "getLeaderboardsByKey",
        "getUsersByIdLeaderboardsByKey",
        "postUsers",
        "getUsersById",
        "putUsersById",
        "patchUsersById",
        "getUsersByIdMetrics",
        "getUsersByIdMetricsByKey",
        "getUsersByIdMetricsByKeyEventSummary",
        "getOpenapi",
    }
    assert operation_id(Endpoint("DELETE", "/a-b/{some_id:path}", handle, "", {})) == "deleteABBySome_id"


@pytest.mark.parametrize("base", APIS)
def test_every_reference_leads_to_a_schema_and_every_schema_is_sound(base: str) -> None:
    schemas = DOCUMENTS[base]["components"]["schemas"]

    for reference in references(DOCUMENTS[base]):
        assert reference.removeprefix("#/components/schemas/") in schemas
    for schema in schemas.values():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})


@pytest.mark.parametrize("base", APIS)
def test_the_parameters_of_a_path_are_all_described_and_required(base: str) -> None:
    for _, path, operation in operations(base):
        named = [one for one in operation["parameters"] if one["in"] == "path"]
        assert [one["name"] for one in named] == re.findall(r"{(\w+)}", path)
        assert all(one["required"] for one in named)


@pytest.mark.parametrize("base", APIS)
def test_every_operation_but_the_document_needs_the_key(base: str) -> None:
    public = [path for _, path, operation in operations(base) if operation["security"] == []]

    assert public == ["/openapi"]
    assert DOCUMENTS[base]["components"]["securitySchemes"]["ApiKey"]["name"] == "X-API-KEY"


@pytest.mark.parametrize(
    ("endpoint", "statuses"),
    [
        (Endpoint("GET", "/x", handle, "", {}, public=True), [500]),
        (Endpoint("GET", "/x", handle, "", {}), [401, 403, 422, 429, 500, 503]),
        (Endpoint("GET", "/x", handle, "", {}, admin=True), [401, 422, 429, 500, 503]),
        (Endpoint("GET", "/x", handle, "", {}, admin=True, spans_tenants=True), [401, 429, 500, 503]),
        (Endpoint("GET", "/x", handle, "", {}, query=Query, public=True), [422, 500]),
        (Endpoint("GET", "/x/{key}", handle, "", {}, admin=True), [401, 404, 422, 429, 500, 503]),
        (
            Endpoint("POST", "/x", handle, "", {}, body=Query, errors=(400,)),
            [400, 401, 403, 413, 422, 429, 500, 503],
        ),
    ],
)
def test_an_endpoint_has_the_errors_that_its_shape_brings(endpoint: Endpoint, statuses: list[int]) -> None:
    assert error_statuses(endpoint) == statuses


def test_errors_have_the_error_body_and_those_to_try_again_say_when() -> None:
    responses = DOCUMENT["paths"]["/metrics/{key}/event"]["post"]["responses"]

    for status in ("400", "401", "404", "413", "422", "429", "500", "503"):
        assert responses[status]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
    assert [status for status in responses if "Retry-After" in responses[status].get("headers", {})] == ["429", "503"]


def test_query_parameters_come_from_the_struct() -> None:
    described = document("x", "/x", [Endpoint("GET", "/x", handle, "", {200: Query}, query=Query, public=True)])

    assert described["paths"]["/x"]["get"]["parameters"] == [
        {"name": "mustHave", "in": "query", "schema": {"type": "integer"}, "required": True},
        {
            "name": "mayHave",
            "in": "query",
            "schema": {"type": "integer", "minimum": 0, "default": 5},
            "required": False,
            "description": "If you like.",
        },
    ]


def test_the_tenant_is_a_header_of_whatever_belongs_to_one() -> None:
    """Not needed by what is about all tenants, or about nothing that is stored."""
    described = DOCUMENTS[ADMIN_BASE]["paths"]

    for path, has_tenant in (("/metrics", True), ("/tenants", False), ("/environments", False), ("/openapi", False)):
        named = [one["name"] for one in described[path]["get"]["parameters"] if one["in"] == "header"]
        assert named == (["Tenant-ID"] if has_tenant else [])


def test_exact_numbers_are_numbers() -> None:
    """Inside they are texts and decimals; on the wire neither."""
    assert SCHEMAS["EventRequest"]["properties"]["value"] == {"type": "number"}
    assert SCHEMAS["MetricState"]["properties"]["current"] == {"anyOf": [{"type": "integer"}, {"type": "number"}]}
    assert "decimal" not in json.dumps(DOCUMENT)


def test_what_must_be_present_is_required_and_what_may_be_absent_is_not() -> None:
    entry = SCHEMAS["EventLeaderboard"]

    assert set(entry["properties"]) - set(entry["required"]) == {"breakdownAttributeValues", "breakdownAttributeValue"}
    assert SCHEMAS["UpsertedUser"]["required"] == ["id"]
    assert SCHEMAS["UpdatedUser"]["required"] == []
    for name in ("Leaderboard", "Ranking", "Snapshot", "UserAnswer", "MetricState"):
        assert set(SCHEMAS[name]["properties"]) == set(SCHEMAS[name]["required"])
    for name in ("LeaderboardPage", "LeaderboardStanding"):
        described = SCHEMAS[name]
        assert set(described["properties"]) - set(described["required"]) == {"revision", "ignoredLateEvents"}


@pytest.mark.anyio
@pytest.mark.parametrize("base", APIS)
async def test_the_document_is_served_without_a_key(base: str) -> None:
    async with client(World(), base) as http:
        del http.headers["X-API-KEY"]
        answer = await http.get("/openapi")

    served = answer.json()
    assert (answer.status_code, served["openapi"], served["servers"]) == (200, "3.1.0", [{"url": base}])
    assert served["paths"] == DOCUMENTS[base]["paths"]


@pytest.mark.anyio
async def test_the_older_base_serves_the_document_of_the_newer() -> None:
    async with client(World(), "") as http:
        assert (await http.get("/api/openapi")).content == (await http.get("/v1/openapi")).content
