"""The way from ASGI to an endpoint's handler and back: who comes in, and how answers and errors go out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import unquote

import msgspec
import structlog
from starlette.types import Message, Receive, Scope, Send

from palmares.api import errors
from palmares.api.endpoint import Call, Endpoint
from palmares.api.gate import Gate
from palmares.api.meter import Meter
from palmares.domain.errors import NotFound, Overloaded, PalmaresError, TooLarge, Unavailable
from palmares.service.context import Context

Header = tuple[bytes, bytes]
logger = structlog.get_logger(__name__)

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_JSON: Header = (b"content-type", b"application/json")
_CUT_OFF = Unavailable("the server is stopping, and did not wait to see whether this was done")


class _Gone(Exception):
    """The client went away before the request had come whole: nobody waits for an answer."""


class Door:
    """Serves one endpoint as a plain ASGI application."""

    def __init__(self, endpoint: Endpoint, context: Context, gate: Gate, meter: Meter, max_body_bytes: int) -> None:
        self._endpoint = endpoint
        self._context = context
        self._gate = gate
        self._now = meter.now
        self._max_body_bytes = max_body_bytes
        self._has_body = endpoint.method not in ("GET", "DELETE")
        self._label = f"{endpoint.method} {endpoint.path}"
        self._meter = meter.route(self._label)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes an error body."""
        began = self._now()
        extra: Sequence[Header] = ()
        try:
            call = await self._call(scope, receive)
            answer = await self._endpoint.handler(call)
            status = answer.status
            body = answer.body if type(answer.body) is bytes else _ENCODER.encode(answer.body)
        except _Gone:
            return
        except asyncio.CancelledError:
            # The server stops and has waited long enough; whoever asked must not take silence or a bare 500 for a no.
            await self._send(send, *self._refusal(_CUT_OFF))
            raise
        except PalmaresError as error:
            status, body, extra = self._refusal(error)
        except Exception:
            logger.exception("request failed", endpoint=self._label)
            status, body = 500, errors.body("something went wrong inside the server; it has been logged")
        self._meter.count(status, began)
        await self._send(send, status, body, extra)

    @staticmethod
    async def _send(send: Send, status: int, body: bytes, extra: Sequence[Header]) -> None:
        headers = [_JSON, (b"content-length", b"%d" % len(body)), *extra]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _call(self, scope: Scope, receive: Receive) -> Call:
        """The request, once it is known that whoever sends it may."""
        headers = dict(scope["headers"])
        visitor = None if self._endpoint.public else await self._gate.admit(self._endpoint, headers)
        body = await self._read(receive) if self._has_body else b""
        opened = 0 if visitor is None else visitor.scope
        call = Call(self._context, opened, _path(scope), scope["query_string"], headers, body)
        if visitor is not None and visitor.user_id is not None:
            self._gate.check_own(self._endpoint, call, visitor.user_id)
        return call

    async def _read(self, receive: Receive) -> bytes:
        message = await _part(receive)
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            parts, size = [body], len(body)
            while message.get("more_body") and size <= self._max_body_bytes:
                message = await _part(receive)
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
            reset = -(-self._context.clock() // 1_000_000) + after
            extra = [(b"retry-after", b"%d" % after), (b"x-ratelimit-reset", b"%d" % reset)]
        return errors.status_of(error), errors.body(error.message), extra


async def _part(receive: Receive) -> Message:
    """The next part of the body; what was sent only in part must not be done."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _Gone
    return message


def _path(scope: Scope) -> dict[str, str]:
    """The path's parameters, decoded only now: an encoded slash separates nothing."""
    encoded: dict[str, str] = scope["path_params"]
    if "%" not in "".join(encoded.values()):
        return encoded
    try:
        return {name: unquote(value, errors="strict") for name, value in encoded.items()}
    except UnicodeDecodeError:
        raise NotFound("the path is not UTF-8") from None
