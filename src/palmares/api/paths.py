"""From a request's path to its endpoint.

Paths are matched as they were sent, before percent-decoding, so `%2F` inside an id separates nothing; the parameters
are decoded later, by `door.Door`. A trailing slash means nothing, and nothing is ever redirected: a client would
send its body twice, or not at all.

Ids may span several segments (`{id:path}`): some clients put them into the path unencoded. So a path is matched with
the longest known endings first, and its methods belong together: a known ending with the wrong method is a 405, not
another user's id.

Only paths that begin with the same two segments are compared, so long a table may grow.

The endpoints are plain ASGI applications found ahead of Starlette's layers and router, which saves a tenth of the time
of a read: doors answer what goes wrong themselves. Starlette answers for what is in no table.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from urllib.parse import quote

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from palmares.api import errors

logger = structlog.get_logger(__name__)

# Matches of short paths are remembered. When there is no room, all are forgotten: a match costs some microseconds.
MOST_REMEMBERED = 10_000
LONGEST_REMEMBERED = 200
_ASCII = bytes(range(128))


class Methods:
    """The endpoints of one path, by method; HEAD is answered like GET, its body is dropped by the server."""

    def __init__(self, by_method: Mapping[str, ASGIApp]) -> None:
        self._by_method = dict(by_method)
        if "GET" in by_method:
            self._by_method.setdefault("HEAD", by_method["GET"])
        self._allowed = ", ".join(self._by_method)

    def of(self, method: str) -> ASGIApp:
        """The endpoint of the method, or the answer 405 with the methods that there are."""
        return self._by_method.get(method) or self._not_allowed()

    def _not_allowed(self) -> ASGIApp:
        return _refusal(405, f"this path takes {self._allowed}", {"allow": self._allowed})


Found = tuple[Methods, dict[str, str]]


class Table:
    """Serves the endpoints of a table and leaves everything else to the application behind it."""

    def __init__(self, app: ASGIApp, by_path: Mapping[str, Methods]) -> None:
        self._app = app
        self._patterns: defaultdict[str, list[tuple[re.Pattern[str], Methods]]] = defaultdict(list)
        for path, methods in by_path.items():
            start = _start(path)
            assert "{" not in start, f"{path} has a parameter in its first two segments"
            self._patterns[start].append((_pattern(path), methods))
        # By the bytes that were sent.
        self._remembered: dict[bytes | None, Found] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        app = self._app
        if scope["type"] == "http":
            found = self._remembered.get(scope.get("raw_path")) or self._find_sent(scope)
            if found is not None:
                methods, scope["path_params"] = found
                app = methods.of(scope["method"])
        try:
            await app(scope, receive, send)
        except Exception:
            # Doors answer their own errors; this is for what is no door.
            logger.exception("request failed", path=scope.get("path"))
            await _refusal(500, "something went wrong inside the server; it has been logged")(scope, receive, send)

    def find(self, path: str) -> Found | None:
        """What serves a path, and its parameters; None when the table has no such path."""
        for pattern, methods in self._patterns.get(_start(path), ()):
            if match := pattern.match(path):
                return methods, match.groupdict()
        return None

    def _find_sent(self, scope: Scope) -> Found | None:
        found, sent = self.find(raw_path(scope)), scope.get("raw_path")
        if found is not None and sent is not None and len(sent) <= LONGEST_REMEMBERED:
            self._remember(sent, found)
        return found

    def _remember(self, sent: bytes, found: Found) -> None:
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[sent] = found


def application(doors: Iterable[tuple[str, str, ASGIApp]]) -> ASGIApp:
    """The application that serves (method, path, door) triples, tried in the order of each path's first."""
    by_path: dict[str, dict[str, ASGIApp]] = {}
    for method, path, door in doors:
        by_path.setdefault(path, {})[method] = door
    table = {path: Methods(by_method) for path, by_method in by_path.items()}
    others = Starlette(exception_handlers={HTTPException: _unknown_path})
    others.router.redirect_slashes = False
    return Table(others, table)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


def _start(path: str) -> str:
    """The first two segments, of which every path of the table has its own."""
    return "/".join(path.split("/", 3)[:3])


def raw_path(scope: Scope) -> str:
    """The path as it was sent, percent-encoding kept, without one trailing slash, from where this is mounted."""
    sent = scope.get("raw_path")
    if sent is None:
        sent = quote(scope["path"]).encode()
    path: str = sent.decode() if sent.isascii() else quote(sent, safe=_ASCII)
    if mounted := scope.get("root_path"):
        path = path.removeprefix(quote(mounted))
    return path[:-1] if path[-1:] == "/" and len(path) > 1 else path


def _refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(errors.body(message), status, headers, media_type="application/json")


async def _unknown_path(request: Request, error: Exception) -> Response:
    # A coroutine, because Starlette sends plain functions to a thread.
    return _refusal(404, f"there is no path {request.scope['path'][:255]!r}")
