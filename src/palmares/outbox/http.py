"""Sending over HTTP: one request, one answer, no redirects, nothing remembered."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

import httpcore

from palmares.domain.webhook import ANSWER_SECONDS
from palmares.outbox.contract import Answer
from palmares.outbox.guard import Guard, Refused

# Connections that are kept for the next message, and for how long. There is no cap on those in use: each webhook has
# one of its own, and a webhook that hangs must not take the connections of others.
_MOST_KEPT = 100
_KEPT_SECONDS = 30.0
# Of an answer's body nothing is wanted; a short one is read so that the connection can be used again.
_MOST_BYTES_READ = 16_384
_DRAIN_SECONDS = 2.0


class HttpSender:
    """A `Sender`. Certificates are checked against those that the system trusts and those of certifi."""

    def __init__(
        self, allow_private: bool, seconds: float = ANSWER_SECONDS, trusted: ssl.SSLContext | None = None
    ) -> None:
        self._guard = Guard(allow_private)
        self._seconds = seconds
        self._trusted = trusted
        self._opened: httpcore.AsyncConnectionPool | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a body and wait for the answer."""
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        pool = await self._pool()
        try:
            async with (
                asyncio.timeout(self._seconds) as limit,
                pool.stream("POST", url, headers=sent, content=body) as response,
            ):
                # The status has come: whatever happens to the rest does not matter any more.
                limit.reschedule(None)
                await _drain(response)
                return Answer(response.status)
        except TimeoutError:
            return Answer(None, f"no answer within {self._seconds:g} seconds")
        except Refused as refusal:
            return Answer(None, str(refusal))
        except (OSError, httpcore.TimeoutException, httpcore.NetworkError) as error:
            return Answer(None, f"no connection: {_words(error)}")
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, UnicodeError, ValueError) as error:
            return Answer(None, f"no HTTP: {_words(error)}")

    async def close(self) -> None:
        """Let go of all connections."""
        if self._opened is not None:
            await self._opened.aclose()
        self._guard.close()

    async def _pool(self) -> httpcore.AsyncConnectionPool:
        """The connections. To read the certificates takes a tenth of a second, which only those wait for who send."""
        if self._opened is not None:
            return self._opened
        trusted = self._trusted or await asyncio.to_thread(_trusted)
        # Others may have come first meanwhile.
        if self._opened is None:
            self._opened = httpcore.AsyncConnectionPool(
                ssl_context=trusted,
                max_connections=None,
                max_keepalive_connections=_MOST_KEPT,
                keepalive_expiry=_KEPT_SECONDS,
                network_backend=self._guard,
            )
        return self._opened


async def _drain(response: httpcore.Response) -> None:
    """Read a short body, if it comes soon."""
    read = 0
    with suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for part in response.aiter_stream():
                read += len(part)
                if read > _MOST_BYTES_READ:
                    return


@cache
def _trusted() -> ssl.SSLContext:
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
