"""Which web pages may call from a browser (CORS), by the kind of key that they use.

A browser asks first, by a preflight, and shows a page only those answers that name its origin. There are no cookies
here: a page has what its key opens and nothing else. So application keys, which are made for browsers, work from
anywhere unless told otherwise, and admin keys, which are not, from nowhere.

Preflights carry no key. On the Application API they are answered for an origin of either kind; the answer that follows
tells the two apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palmares.service.authenticate import APPLICATION_PREFIX

ANY = "*"
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_EXPOSED = b"retry-after, x-ratelimit-reset"
# Browsers believe no longer than two hours, whatever they are told.
_MAX_AGE_SECONDS = b"7200"

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Origins:
    """Whence pages may call with application keys and with admin keys; `*` among them is anywhere."""

    application: Collection[str] = (ANY,)
    admin: Collection[str] = ()


BY_DEFAULT = Origins()


class Cors:
    """Adds what browsers want to know to the answers of an application, below some bases.

    Requests that come from no browser cost one look at their headers.
    """

    def __init__(self, app: ASGIApp, origins: Origins, application_bases: Sequence[str], admin_base: str) -> None:
        self._app = app
        self._origins = origins
        self._admin_base = admin_base
        self._bases = (*application_bases, admin_base)
        self._either = (*origins.application, *origins.admin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _has_origin(scope) or not scope["path"].startswith(self._bases):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await self._answer_preflight(scope, headers, receive, send)
        else:
            await self._app(scope, receive, _with(send, _granted(headers, self._allowed(scope, headers))))

    async def _answer_preflight(
        self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        allowed = self._origins.admin if self._is_admin(scope) else self._either
        granted = _granted(headers, allowed)
        if not any(name == b"access-control-allow-origin" for name, _ in granted):
            await self._app(scope, receive, _with(send, granted))
            return
        # Whatever header a client sends is allowed: the server ignores those that it does not know.
        asked = headers.get(b"access-control-request-headers")
        wanted = [] if asked is None else [(b"access-control-allow-headers", asked)]
        more = [(b"access-control-allow-methods", _METHODS), (b"access-control-max-age", _MAX_AGE_SECONDS), *wanted]
        await send({"type": "http.response.start", "status": 204, "headers": [*granted, *more]})
        await send({"type": "http.response.body", "body": b""})

    def _allowed(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Collection[str]:
        """The origins for the kind of key that is sent; without any, those of the key that belongs there."""
        key = headers.get(b"x-api-key")
        admin = self._is_admin(scope) or (key is not None and not key.startswith(APPLICATION_PREFIX.encode()))
        return self._origins.admin if admin else self._origins.application

    def _is_admin(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return path.startswith(self._admin_base)


def _has_origin(scope: Scope) -> bool:
    # Plainer than `any`, and asked of every request.
    for name, _ in scope["headers"]:  # noqa: SIM110
        if name == b"origin":
            return True
    return False


def _granted(headers: Mapping[bytes, bytes], allowed: Collection[str]) -> list[Header]:
    """The headers that let the origin of a request see the answer; unless anybody may, caches must keep it apart."""
    if ANY in allowed:
        return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
    origin = headers[b"origin"]
    if origin.decode("latin-1").lower() in allowed:
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        ]
    return [(b"vary", b"origin")]


def _with(send: Send, more: Sequence[Header]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sending
