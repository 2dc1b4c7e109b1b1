"""One endpoint: who may call it, what it takes and what it answers.

`Endpoint` is a line of the table in `routes.py`; the OpenAPI document is made from the same lines, and `door.py`
serves them. A handler is given a `Call` and returns an `Answer`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec

from palmares.api.complaint import sentence
from palmares.domain.errors import Invalid
from palmares.service.context import Context
from palmares.service.rate_limit import RouteClass

Struct = TypeVar("Struct")
Asked = TypeVar("Asked")

_LONGEST_REMEMBERED = 200
_MOST_REMEMBERED = 10_000


class Own(Enum):
    """Where a request says which user it is about. An application key may call an endpoint about its own user only."""

    NOWHERE = "it is not about one user: no application key may call it"
    PATH = "id in the path"
    QUERY = "userId in the query, if it is there"
    BODY = "id in the body"
    BODY_USER = "user.id in the body"


@dataclass(slots=True)
class Call:
    """One request to one endpoint. `scope` is what the API key and the tenant open, `path` the decoded segments."""

    context: Context
    scope: int
    path: Mapping[str, str]
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes


@dataclass(slots=True)
class Answer:
    """A status and a body: `bytes` that are already JSON, or anything that msgspec encodes."""

    status: int
    body: Any


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A line of the route table.

    `path` uses `{name}` for one segment and `{name:path}` for ids, which may span several. `answers` maps each
    success status to the type of its body, `body` and `query` are the types that the handler reads. `errors` are the
    error statuses it may answer besides those that every endpoint may.

    `own` says what an application key may do here, `rate` which limit counts. An endpoint of the Admin API (`admin`)
    knows no application keys. One that `spans_tenants` is about the whole environment, whatever tenant is named.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, Any]
    body: Any = None
    query: type[msgspec.Struct] | None = None
    errors: tuple[int, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    public: bool = False
    own: Own = Own.NOWHERE
    rate: RouteClass = "reads"
    admin: bool = False
    spans_tenants: bool = False


def read_body(call: Call, decoder: msgspec.json.Decoder[Struct]) -> Struct:
    """The body as the decoder's type; `Invalid` names the field that does not fit."""
    try:
        return decoder.decode(call.body)
    except msgspec.ValidationError as error:
        raise Invalid(sentence(error, decoder.type)) from None
    except msgspec.DecodeError:
        raise Invalid("the body is not valid JSON") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8") from None


def read_query(call: Call, kind: type[Struct]) -> Struct:
    """The query string as a frozen struct of scalars; of a repeated parameter the last one holds."""
    return read_query_as(call, kind, _unchanged)


def read_query_as(call: Call, kind: type[Struct], made: Callable[[Struct], Asked]) -> Asked:
    """What is made of the query string as a struct: something that never changes, and of nothing else."""
    # The same queries come again and again, and taking one apart is a good part of the work of a read.
    if len(call.query) <= _LONGEST_REMEMBERED:
        asked: Asked = _make_once(call.query, kind, made)
        return asked
    return _make(call.query, kind, made)


def _unchanged(query: Struct) -> Struct:
    return query


def _make(query: bytes, kind: type[Struct], made: Callable[[Struct], Asked]) -> Asked:
    return made(_parse_query(query, kind))


def _parse_query(query: bytes, kind: type[Struct]) -> Struct:
    try:
        return msgspec.convert(dict(_pairs(query)), kind, strict=False)
    except msgspec.ValidationError as error:
        # All of a query is text: to say that it got text would not help.
        raise Invalid(sentence(error, kind).removesuffix(", got string")) from None
    except (UnicodeDecodeError, ValueError):
        raise Invalid("the query string is malformed") from None


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """The names and values of a query string; `ValueError` where it is not UTF-8."""
    text = query.decode()
    if "%" in text or "+" in text:
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    # The same, where there is nothing to decode.
    parts = [part.partition("=") for part in text.split("&") if part]
    return [(name, value) for name, _, value in parts]


_make_once: Any = lru_cache(maxsize=_MOST_REMEMBERED)(_make)


def read_list(call: Call, name: str) -> list[str]:
    """A query parameter that holds several values: repeated, separated by commas, or both."""
    return [part for value in read_values(call, name) for part in value.split(",") if part]


def read_values(call: Call, name: str) -> list[str]:
    """All values of a query parameter, as often as it is there, in order."""
    try:
        pairs = _pairs(call.query)
    except (UnicodeDecodeError, ValueError):
        raise Invalid("the query string is malformed") from None
    return [value for key, value in pairs if key == name]
