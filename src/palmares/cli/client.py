"""Speaking to a running server: one kept connection, and patience where the server asks for it.

    client = Client("http://127.0.0.1:8787", key)
    reply = client.call("POST", "/admin/v1/metrics/events", body)

A request that got no answer, or one that says "later", is sent again. So send only what may arrive twice: reads, and
events that carry idempotency keys.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

Answered = TypeVar("Answered")

MOST_TRIES = 8
LONGEST_WAIT_SECONDS = 60.0
TIMEOUT_SECONDS = 60.0
# Statuses that say: the same request may succeed later.
_LATER = frozenset((408, 429, 500, 502, 503, 504))


class ServerUnreachable(Exception):
    """The server does not answer, or goes on saying "later"."""


class Refused(Exception):
    """The server understood the request and refused it."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(f"the server answers {status}: {message}")


class Reply(NamedTuple):
    """A status and the body as it came; seconds to wait if the server named any."""

    status: int
    body: bytes
    retry_after: float | None = None


class Client:
    """One connection to one server. `wait` lets so many seconds pass; `headers` go with every request.

    Raises ValueError when `url` is no address of a server.
    """

    def __init__(
        self,
        url: str,
        key: str,
        wait: Callable[[float], None] = time.sleep,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"{url!r} is not the address of a server, such as http://127.0.0.1:8787")
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(address.hostname, address.port, timeout=TIMEOUT_SECONDS)
        self._prefix = address.path.rstrip("/")
        self._headers = {"X-API-KEY": key, "Content-Type": "application/json", **headers}
        self._wait = wait
        self.retries = 0

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        tries: int = MOST_TRIES,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Reply:
        """The reply to a request, whatever it says but "later"; raises `ServerUnreachable` after that many tries."""
        for number in range(1, tries):
            try:
                return self._once(method, path, body, headers)
            except _Later as later:
                self.retries += 1
                self._wait(_seconds(later.seconds, number))
        try:
            return self._once(method, path, body, headers)
        except _Later as later:
            raise ServerUnreachable(str(later)) from later.__cause__

    def fetch(
        self,
        kind: type[Answered],
        method: str,
        path: str,
        body: object = None,
        tries: int = MOST_TRIES,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answered:
        """The body of a successful reply, as `kind`; raises `Refused` for any other status."""
        reply = self.call(method, path, None if body is None else msgspec.json.encode(body), tries, headers)
        if reply.status >= 300:
            raise Refused(reply.status, message_of(reply))
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except msgspec.DecodeError:
            raise ServerUnreachable("what answers there is no Palmares server") from None

    def pause(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._wait(seconds)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        try:
            self._connection.request(method, self._prefix + path, body, {**self._headers, **headers})
            response = self._connection.getresponse()
            reply = Reply(response.status, response.read(), _number(response.getheader("Retry-After")))
        except (OSError, http.client.HTTPException) as error:
            # A connection in an unknown state is of no use; the next request opens another.
            self._connection.close()
            raise _Later(f"the server does not answer: {str(error) or type(error).__name__}", None) from error
        if reply.status in _LATER:
            raise _Later(f"the server answers {reply.status}: {message_of(reply)}", reply.retry_after)
        return reply


class _Later(Exception):
    """Not now; after so many seconds, if the server named any."""

    def __init__(self, problem: str, seconds: float | None) -> None:
        super().__init__(problem)
        self.seconds = seconds


def message_of(reply: Reply) -> str:
    """What the server says about an error; the beginning of the body when it is not our server that speaks."""
    try:
        return str(msgspec.json.decode(reply.body)["error"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return reply.body[:200].decode(errors="replace")


def _seconds(named: float | None, number: int) -> float:
    """How long to wait after try `number` (from 1): what the server named, else 0.5, 1, 2, 4 and so on."""
    return min(0.5 * 2.0 ** (number - 1) if named is None else named, LONGEST_WAIT_SECONDS)


def _number(header: str | None) -> float | None:
    # Retry-After may also hold a date, which no server of ours sends: then the usual pauses do.
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
