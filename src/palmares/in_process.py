"""The server inside a program: no port, no network, the same API.

    with Palmares("./data") as palmares:
        palmares.create("metrics", {"key": "laps", "name": "Laps swum"})
        answer = palmares.record("laps", "noor", 12)

Whatever HTTP can ask for, `call` can ask for too: it takes a path and a body and goes the way of every request, but
for the key. `AsyncPalmares` is the same for programs with an event loop of their own, and its `app` can be mounted
beside the routes of any ASGI application.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, unquote, urlencode

import msgspec
import structlog
import uvloop
from starlette.types import ASGIApp, Message

from palmares.api.endpoint import Endpoint
from palmares.api.errors import STATUS
from palmares.api.gate import Gate, Visitor
from palmares.catalog.contract import DEFAULT_SCOPE, ApiKey
from palmares.config import load
from palmares.domain.errors import Invalid, PalmaresError, Unavailable
from palmares.logs import configure_logging
from palmares.server import Server
from palmares.service.keys import create_key

Answered = TypeVar("Answered")

# Of errors that share a status, the first in the table, which is the more general one.
_ERRORS = {status: kind for kind, status in reversed(STATUS.items())}

# Whoever runs the server may read its files as well, so there is nobody to keep out.
_INSIDER = ApiKey("", DEFAULT_SCOPE, "in process", "", b"", active=True, created=0)


class _OpenGate(Gate):
    """Lets in whoever calls, with all of the first environment."""

    async def admit(self, endpoint: Endpoint, headers: Mapping[bytes, bytes]) -> Visitor:
        """See `Gate.admit`; with multi-tenancy, a tenant has to be named as always."""
        return Visitor(self._scope(endpoint, _INSIDER, headers), None)


class AsyncPalmares:
    """A server on a data folder, for a program with an event loop. Make it with `open`.

    `app` is the ASGI application, to be mounted; it asks for keys, which `create_key` makes.
    """

    def __init__(self, server: Server, max_body_bytes: int) -> None:
        self.app: ASGIApp = server.app(max_body_bytes)
        self._server = server
        self._direct = server.app(max_body_bytes, gate=_OpenGate(server.context))

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, data: str | Path | None = None, **settings: str) -> AsyncIterator[AsyncPalmares]:
        """Open a data folder, making it when missing; without one, everything recorded is gone in the end.

        `settings` are those of `palmares serve`, as text, such as `test_clock="2026-03-04T00:00:00Z"`; the
        environment of the process is not looked at. Raises `ConfigurationError` for a setting that does not exist,
        and `FolderInUse` when the folder is open already.
        """
        with contextlib.ExitStack() as leaving:
            folder = leaving.enter_context(tempfile.TemporaryDirectory()) if data is None else str(data)
            given = load({}, data=folder, **({"log_level": "warning"} | settings))
            if not structlog.is_configured():
                # Its defaults print the local variables of a traceback, and so keys, on standard output.
                configure_logging(given)
            server = await Server.open(given)
            try:
                yield cls(server, given.max_body_bytes)
            finally:
                await server.close()

    async def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Any:
        """Ask what a request to `/v1/…` or `/admin/v1/…` would ask, and return the JSON of its answer.

        Everything is named as on the wire; of the query, None leaves a parameter out. An answer that is no success
        raises the error of `domain/errors.py` with its status and message.
        """
        given = {name: value for name, value in query.items() if value is not None}
        encoded = b"" if body is None else msgspec.json.encode(body)
        status, raw = await _ask(self._direct, method, path, urlencode(given, doseq=True), encoded, headers or {})
        answer = msgspec.json.decode(raw)
        if status >= 400:
            raise _ERRORS.get(status, PalmaresError)(answer["error"])
        return answer

    async def create(self, things: str, *items: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Create `metrics`, `attributes`, `leaderboards` or whatever else the Admin API creates, and return them.

        As always there, items are independent: when one is refused, the others are created, then `Invalid` is raised.
        """
        answer = await self.call("POST", f"/admin/v1/{things}", list(items))
        problems = [issue["message"] for issue in answer["issues"] if issue["severity"] == "error"]
        if problems:
            raise Invalid("; ".join(problems))
        created: list[dict[str, Any]] = answer["created"]
        return created

    async def record(
        self,
        metric: str,
        user: str | Mapping[str, Any],
        value: float,
        *,
        attributes: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Record an event of a user, who is told by the id or by all that is to be set; returns the wire's answer.

        On return the event is on disk, ranked and readable.
        """
        body = {"user": {"id": user} if isinstance(user, str) else user, "value": value}
        if attributes:
            body["attributes"] = attributes
        headers = {} if idempotency_key is None else {"idempotency-key": idempotency_key}
        answer: dict[str, Any] = await self.call("POST", f"/v1/metrics/{_segment(metric)}/event", body, headers)
        return answer

    async def leaderboard(self, key: str, **query: Any) -> dict[str, Any]:
        """A leaderboard with a page of rankings; `limit`, `offset`, `run`, `userId` and `userAttributes` choose it."""
        answer: dict[str, Any] = await self.call("GET", f"/v1/leaderboards/{_segment(key)}", **query)
        return answer

    async def standing(self, user_id: str, key: str, **query: Any) -> dict[str, Any]:
        """Where a user stands on a leaderboard, with the history; `run` and `numEvents` choose what of it."""
        path = f"/v1/users/{_segment(user_id)}/leaderboards/{_segment(key)}"
        answer: dict[str, Any] = await self.call("GET", path, **query)
        return answer

    async def create_key(self, name: str) -> str:
        """The text of a new admin key, with which `app` can be called; it is shown only now."""
        _, text = await create_key(self._server.context, name)
        return text


class Palmares:
    """The same for a program without an event loop: every method waits for its answer, from whichever thread.

    Use it in a `with`, or `close` it, so that the next start is quick; what was answered is on disk in any case.
    """

    def __init__(self, data: str | Path | None = None, **settings: str) -> None:
        """See `AsyncPalmares.open`."""
        self._opening: Future[AsyncPalmares] = Future()
        self._lock = threading.Lock()
        self._closed = False
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(data, settings), name="palmares", daemon=True)
        self._thread.start()
        self._palmares = self._opening.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the data folder, and return when that is done; closing again does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Any:
        """See `AsyncPalmares.call`."""
        return self._wait(self._palmares.call, method, path, body, headers, **query)

    def create(self, things: str, *items: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `AsyncPalmares.create`."""
        return self._wait(self._palmares.create, things, *items)

    def record(
        self,
        metric: str,
        user: str | Mapping[str, Any],
        value: float,
        *,
        attributes: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """See `AsyncPalmares.record`."""
        return self._wait(
            self._palmares.record, metric, user, value, attributes=attributes, idempotency_key=idempotency_key
        )

    def leaderboard(self, key: str, **query: Any) -> dict[str, Any]:
        """See `AsyncPalmares.leaderboard`."""
        return self._wait(self._palmares.leaderboard, key, **query)

    def standing(self, user_id: str, key: str, **query: Any) -> dict[str, Any]:
        """See `AsyncPalmares.standing`."""
        return self._wait(self._palmares.standing, user_id, key, **query)

    def _wait(self, ask: Callable[..., Coroutine[Any, Any, Answered]], /, *arguments: Any, **named: Any) -> Answered:
        with self._lock:
            if self._closed:
                raise Unavailable("it was closed")
            answer = asyncio.run_coroutine_threadsafe(ask(*arguments, **named), self._loop)
        return answer.result()

    def _run(self, data: str | Path | None, settings: Mapping[str, str]) -> None:
        """The life of the thread: its loop runs nowhere else, so whoever closes may have a loop of their own."""
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._live(data, settings))
        except BaseException as error:
            if self._opening.done():
                self._problem = error
            else:
                self._opening.set_exception(error)

    async def _live(self, data: str | Path | None, settings: Mapping[str, str]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncPalmares.open(data, **settings) as palmares:
            self._opening.set_result(palmares)
            await self._stopping.wait()


def _segment(text: str) -> str:
    return quote(text, safe="")


async def _ask(
    app: ASGIApp, method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """The status and the body with which an application answers a request."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
