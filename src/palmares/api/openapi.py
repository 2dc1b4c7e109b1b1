"""The OpenAPI 3.1 document of an API, made from its table of endpoints and the structs that decode its requests.

An operation's id follows from its method and path, so it is as stable as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.api.errors import ErrorBody

# Of the API, not of the program: the one that the bases carry.
_VERSION = "1"
_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"{(\w+)(?::path)?}")

_MEANING = {
    200: "Done.",
    201: "Created, or counted.",
    202: "Accepted; or known already, so nothing changed.",
    400: "Well-formed but not allowed.",
    401: "The API key is missing, malformed, unknown or revoked.",
    403: "The API key does not open this.",
    404: "There is no such thing.",
    413: "The body is too large.",
    422: "A value has the wrong type, is missing, malformed or out of range.",
    429: "The key sends too many requests, or too much waits to be stored; nothing was stored, try again.",
    500: "Something went wrong inside the server.",
    503: "The server cannot write or read at present; nothing was stored, try again.",
}
_RETRIED = (429, 503)
_TENANT = {"Tenant-ID": "The customer's own id of the tenant: needed while the environment has multi-tenancy."}
_RETRY_HEADERS = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "X-RateLimit-Reset": {"description": "When to try again, in Unix seconds.", "schema": {"type": "integer"}},
}


def described(title: str, base: str, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """The endpoints with one more, `GET /openapi`, that answers with the document of them all."""

    @cache
    def text() -> bytes:
        # Put together for who asks: most servers are never asked, and none should start later for it.
        return msgspec.json.encode(document(title, base, whole))

    async def get_document(call: Call) -> Answer:
        return Answer(200, text())

    answers = {200: dict[str, Any]}
    document_endpoint = Endpoint("GET", "/openapi", get_document, "Get this document", answers, public=True)
    whole = (*endpoints, document_endpoint)
    return whole


def document(title: str, base: str, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The OpenAPI document of the endpoints that are served below `base`."""
    schemas = _Schemas(_types(endpoints))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = _PARAMETER.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": _VERSION},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}},
        },
    }


def error_statuses(endpoint: Endpoint) -> list[int]:
    """Every error status that the endpoint may answer with."""
    statuses = {500, *endpoint.errors}
    if not endpoint.public:
        statuses |= {401, 429, 503}
        # A key that opens something else, or a tenant that is not there.
        statuses |= set() if endpoint.admin else {403}
        statuses |= set() if endpoint.spans_tenants else {422}
    if _PARAMETER.search(endpoint.path):
        statuses |= {404}
    if endpoint.query is not None:
        statuses |= {422}
    if endpoint.body is not None:
        statuses |= {413, 422}
    return sorted(statuses)


class _Schemas:
    """The schemas of all types that a document speaks of, by type, and those that others refer to."""

    def __init__(self, types: list[Any]) -> None:
        schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
        self._types = types
        self._schemas: list[dict[str, Any]] = _true_numbers(list(schemas))
        self.components: dict[str, Any] = _true_numbers(components)

    def of(self, kind: Any) -> dict[str, Any]:
        return self._schemas[self._types.index(kind)]


def _types(endpoints: Iterable[Endpoint]) -> list[Any]:
    types: list[Any] = [ErrorBody]
    for endpoint in endpoints:
        types += [kind for kind in (endpoint.body, *endpoint.answers.values()) if kind is not None]
    return types


def _true_numbers(schema: Any) -> Any:
    """The schema with decimals as JSON numbers, which is how they are sent."""
    if isinstance(schema, list):
        return [_true_numbers(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return {"type": "number"}
    return {name: _true_numbers(part) for name, part in schema.items()}


def _operation(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [endpoint.path.split("/")[1]],
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint), *_header_parameters(endpoint)],
        "responses": dict(_responses(endpoint, schemas)),
        "security": [] if endpoint.public else [{"ApiKey": []}],
    }
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(schemas.of(endpoint.body))}
    return operation


def operation_id(endpoint: Endpoint) -> str:
    """`GET /users/{id}/metrics/{key}` is `getUsersByIdMetricsByKey`."""
    path = _PARAMETER.sub(r"by-\1", endpoint.path)
    words = re.split(r"\W+", path.strip("/"))
    return endpoint.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _path_parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in _PARAMETER.findall(endpoint.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    if endpoint.query is None:
        return
    _, components = msgspec.json.schema_components([endpoint.query], ref_template=_REFERENCE)
    schema = components[endpoint.query.__name__]
    for name, property_schema in schema["properties"].items():
        description = property_schema.pop("description", None)
        parameter = {"name": name, "in": "query", "schema": property_schema, "required": name in schema["required"]}
        yield parameter if description is None else parameter | {"description": description}


def _header_parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    tenant = {} if endpoint.public or endpoint.spans_tenants else _TENANT
    for name, description in {**endpoint.headers, **tenant}.items():
        schema = {"type": "string", "maxLength": 255}
        yield {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


def _responses(endpoint: Endpoint, schemas: _Schemas) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, kind in endpoint.answers.items():
        yield str(status), {"description": _MEANING[status], "content": _json(schemas.of(kind))}
    for status in error_statuses(endpoint):
        response: dict[str, Any] = {"description": _MEANING[status], "content": _json(schemas.of(ErrorBody))}
        yield str(status), response | ({"headers": _RETRY_HEADERS} if status in _RETRIED else {})


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
