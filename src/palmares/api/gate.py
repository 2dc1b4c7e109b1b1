"""Who comes in: the one place where keys, tenants, the rights of application keys and rate limits are looked at.

What an endpoint lets in stands in its line of the route table; handlers ask nothing of this again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct
from msgspec.json import Decoder

from palmares.api.endpoint import Call, Endpoint, Own, read_body, read_values
from palmares.catalog.contract import ApiKey, ApplicationKey
from palmares.domain.errors import Forbidden, Unauthorized
from palmares.service.authenticate import Proven, authenticate, opened_scope, own_scope
from palmares.service.context import Context
from palmares.service.rate_limit import RateLimiter


class Visitor(NamedTuple):
    """Somebody with a key: the scope it opens, and the one user of an application key."""

    scope: int
    user_id: str | None


class _WithId(Struct):
    id: str


class _WithUser(Struct):
    user: _WithId


_WITH_ID = Decoder(_WithId)
_WITH_USER = Decoder(_WithUser)

# Who a request is about, by where it says so.
_NAMED: Mapping[Own, Callable[[Call], Iterable[str]]] = {
    Own.PATH: lambda call: [call.path["id"]],
    Own.QUERY: lambda call: read_values(call, "userId"),
    Own.BODY: lambda call: [read_body(call, _WITH_ID).id],
    Own.BODY_USER: lambda call: [read_body(call, _WITH_USER).user.id],
}


class Gate:
    """One for all endpoints. Without a `limiter`, keys may send as much as they like."""

    def __init__(self, context: Context, limiter: RateLimiter | None = None) -> None:
        self._context = context
        self._limiter = limiter
        self._proven = Proven(context)

    async def admit(self, endpoint: Endpoint, headers: Mapping[bytes, bytes]) -> Visitor:
        """Who sends these headers, before anything else of the request is looked at.

        Raises `Unauthorized`, `Forbidden` where application keys have no business, `RateLimited`, and `Invalid` when
        no tenant is named that there is.
        """
        text = headers.get(b"x-api-key", b"").decode("latin-1")
        key = self._proven.key(text) or await self._authenticated(text)
        if isinstance(key, ApplicationKey):
            _check_business(endpoint)
        if self._limiter is not None:
            await self._limiter.take(key.id, endpoint.rate)
        user_id = key.user_id if isinstance(key, ApplicationKey) else None
        return Visitor(self._scope(endpoint, key, headers), user_id)

    def check_own(self, endpoint: Endpoint, call: Call, user_id: str) -> None:
        """Raise `Forbidden` when a request with the application key of this user is about another one."""
        for named in _NAMED[endpoint.own](call):
            if named != user_id:
                raise Forbidden("an application key opens what belongs to its own user only")

    async def _authenticated(self, text: str) -> ApiKey | ApplicationKey:
        key = await authenticate(self._context, text)
        self._proven.note(text, key)
        return key

    def _scope(self, endpoint: Endpoint, key: ApiKey | ApplicationKey, headers: Mapping[bytes, bytes]) -> int:
        if endpoint.spans_tenants:
            return own_scope(self._context.catalog, key)
        return opened_scope(self._context.catalog, key, _text(headers.get(b"tenant-id")))


def _check_business(endpoint: Endpoint) -> None:
    if endpoint.admin:
        raise Unauthorized("application keys do not open the Admin API")
    if endpoint.own is Own.NOWHERE:
        raise Forbidden("application keys do not open this; send an admin key")


def _text(raw: bytes | None) -> str | None:
    """A header as text: in UTF-8, or in the older encoding of HTTP that browsers use."""
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
