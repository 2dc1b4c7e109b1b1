"""A receiver of webhooks: a real HTTP server on this machine, which answers as the test says.

It reads requests by hand, byte for byte, so that nothing between the wire and the test has an opinion about them.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def event_id(self) -> str:
        return self.headers["idempotency-key"]

    def is_signed_with(self, secret: str) -> bool:
        """Worked out anew, over the raw bytes."""
        expected = base64.b64encode(hmac.new(secret.encode(), self.body, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(expected, self.headers["x-trophy-signature"])


Answering = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def answering(raw: bytes) -> Answering:
    """Always the same answer."""

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return answer


def status(code: int, *headers: str) -> Answering:
    """An answer with a status and no body."""
    lines = [f"HTTP/1.1 {code} Whatever", "content-length: 0", *headers]
    return answering("\r\n".join([*lines, "", ""]).encode())


@dataclass
class Receiver:
    """What came, in order, and how to answer."""

    url: str = ""
    answer: Answering = field(default_factory=lambda: answering(OK))
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, count: int) -> list[Received]:
        """Wait until so many requests came."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._more:
            await self._more.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def hang(self, received: Received, writer: asyncio.StreamWriter) -> None:
        """Answer only when released."""
        await self.release.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (received := await _read(reader)) is not None:
                async with self._more:
                    self.received.append(received)
                    self._more.notify_all()
                await self.answer(received, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def types(self) -> list[str]:
        """The types of what came, in order."""
        return [one.json["type"] for one in self.received]


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _ = first.split(" ")
    return Received(method, path, headers, await reader.readexactly(int(headers["content-length"])))


@asynccontextmanager
async def receiving(answer: Answering | None = None, **options: Any) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver()
    if answer is not None:
        receiver.answer = answer
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, **options)
    scheme = "https" if options else "http"
    receiver.url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/hook?from=palmares"
    try:
        yield receiver
    finally:
        receiver.release.set()
        server.close()
