"""One endpoint: what it takes, what it answers, and the way from ASGI to its handler and back.

`Endpoint` is a line of the table in `routes.py`; the OpenAPI document is made from the same lines. `Door` serves one:
it finds who asks, gives the handler a `Call`, and writes the handler's `Answer`, or the error as the contract wants.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from palmares.api import errors
from palmares.api.complaint import sentence
from palmares.api.meter import Meter
from palmares.domain.errors import Invalid, NotFound, Overloaded, PalmaresError, TooLarge, Unavailable
from palmares.service.authenticate import authenticate
from palmares.service.context import Context

Struct = TypeVar("Struct")
Header = tuple[bytes, bytes]
logger = structlog.get_logger(__name__)

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_LONGEST_REMEMBERED = 200
_JSON: Header = (b"content-type", b"application/json")


@dataclass(slots=True)
class Call:
    """One request to one endpoint. `scope` is the one that the API key opens; `path` holds the decoded segments."""

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


class Door:
    """Serves one endpoint as a plain ASGI application."""

    def __init__(self, endpoint: Endpoint, context: Context, meter: Meter, max_body_bytes: int) -> None:
        self._endpoint = endpoint
        self._context = context
        self._meter = meter
        self._max_body_bytes = max_body_bytes
        self._label = f"{endpoint.method} {endpoint.path}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes an error body."""
        began = self._meter.now()
        extra: list[Header] = []
        try:
            call = await self._call(scope, receive)
            answer = await self._endpoint.handler(call)
            status = answer.status
            body = answer.body if type(answer.body) is bytes else _ENCODER.encode(answer.body)
        except PalmaresError as error:
            status, body, extra = self._refusal(error)
        except Exception:
            logger.exception("request failed", endpoint=self._label)
            status, body = 500, errors.body("something went wrong inside the server; it has been logged")
        self._meter.request(self._label, status, began)
        await _send(send, status, body, extra)

    async def _call(self, scope: Scope, receive: Receive) -> Call:
        headers = dict(scope["headers"])
        opened = 0
        if not self._endpoint.public:
            key = headers.get(b"x-api-key")
            opened = authenticate(self._context, None if key is None else key.decode("latin-1")).scope
        body = b"" if self._endpoint.method in ("GET", "DELETE") else await self._read(receive)
        return Call(self._context, opened, _path(scope), scope["query_string"], headers, body)

    async def _read(self, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            parts, size = [body], len(body)
            while message.get("more_body") and size <= self._max_body_bytes:
                message = await receive()
                parts.append(message.get("body", b""))
                size += len(parts[-1])
            body = b"".join(parts)
        if len(body) > self._max_body_bytes:
            raise TooLarge(f"the request body is larger than {self._max_body_bytes} bytes")
        return body

    def _refusal(self, error: PalmaresError) -> tuple[int, bytes, list[Header]]:
        extra: list[Header] = []
        if isinstance(error, Overloaded | Unavailable):
            # Both headers, in the forms that the official SDKs look for before they try again.
            after = error.retry_after_seconds
            reset = self._context.clock() // 1_000_000 + after
            extra = [(b"retry-after", b"%d" % after), (b"x-ratelimit-reset", b"%d" % reset)]
        return errors.STATUS[type(error)], errors.body(error.message), extra


async def _send(send: Send, status: int, body: bytes, extra: list[Header]) -> None:
    headers = [_JSON, (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _path(scope: Scope) -> dict[str, str]:
    """The path's parameters, decoded only now: an encoded slash separates nothing."""
    try:
        return {name: unquote(value, errors="strict") for name, value in scope["path_params"].items()}
    except UnicodeDecodeError:
        raise NotFound("the path is not UTF-8") from None


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
    # The same few queries come again and again, and taking one apart is a good part of the work of a read.
    if len(call.query) <= _LONGEST_REMEMBERED:
        parsed: Struct = _parse_query_once(call.query, kind)
        return parsed
    return _parse_query(call.query, kind)


def _parse_query(query: bytes, kind: type[Struct]) -> Struct:
    try:
        given = dict(parse_qsl(query.decode(), keep_blank_values=True, errors="strict"))
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(sentence(error, kind)) from None
    except (UnicodeDecodeError, ValueError):
        raise Invalid("the query string is malformed") from None


_parse_query_once: Any = lru_cache(maxsize=1024)(_parse_query)


def read_list(call: Call, name: str) -> list[str]:
    """A query parameter that holds several values: repeated, separated by commas, or both."""
    try:
        pairs = parse_qsl(call.query.decode(), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise Invalid("the query string is malformed") from None
    return [part for key, value in pairs if key == name for part in value.split(",") if part]
