"""Where connections may go: names are looked up here, and only addresses that were judged are connected to.

A webhook's address is given by customers, and the server stands in a network where more is reachable than they should
reach. A name that is public when it is checked may stand for another address a moment later, so it is the address
itself that is checked, at each connection, and that very address that is connected to. TLS still asks for the name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore

from palmares.domain.address import is_public, parse_address

# Many, because a name server that does not answer holds a thread for many seconds.
_THREADS = 32


class Refused(Exception):
    """A name that stands for no address to which anything may be sent."""


class Guard(httpcore.AsyncNetworkBackend):
    """Connects to the internet, and to private addresses only when that is allowed."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._connector = httpcore.AnyIOBackend()
        self._threads = ThreadPoolExecutor(_THREADS, "webhook-names")
        self._asked: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface has it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first of the host's addresses that answers. Raises `Refused`, and `OSError` for names
        that are unknown."""
        *others, last = self._permitted(await self._addresses(host, port))
        for address in others:
            try:
                return await self._connector.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                continue
        return await self._connector.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface has it
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise Refused("only addresses of a network may be connected to")

    async def sleep(self, seconds: float) -> None:
        """Wait between tries, of which there is only one."""
        await self._connector.sleep(seconds)

    def close(self) -> None:
        """Look up nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _permitted(self, addresses: list[str]) -> list[str]:
        permitted = [text for text in addresses if self._allow_private or _public(text)]
        if not permitted:
            raise Refused("the address is private; the setting webhooks_allow_private allows it")
        return permitted

    async def _addresses(self, host: str, port: int) -> list[str]:
        """The host's addresses. Those who ask for one host at the same time share an answer, and so one thread."""
        asked = self._asked.get((host, port))
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port)
            self._asked[host, port] = asked
            asked.add_done_callback(lambda done: self._answered(host, port, done))
        # Whoever stops waiting must not stop the others.
        return await asyncio.shield(asked)

    def _answered(self, host: str, port: int, done: asyncio.Future[list[str]]) -> None:
        del self._asked[host, port]
        if not done.cancelled():
            # Maybe nobody waits any more, and a failure that nobody looks at is logged as a fault of the program.
            done.exception()


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [*dict.fromkeys(str(address[0]) for *_, address in found)]


def _public(text: str) -> bool:
    address = parse_address(text)
    return address is not None and is_public(address)
