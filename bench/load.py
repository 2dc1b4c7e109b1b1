"""The load generator: HTTP/1.1 over keep-alive connections, as little Python per request as possible.

Requests are bytes made beforehand; of an answer only its status and length are read. A closed loop sends the next
request when an answer has come and finds out how much a server can do. An open loop sends at instants fixed
beforehand and counts an answer's time from that instant, so a server that stalls pays for everyone who would have
come meanwhile.

Each run tells how busy this process was (`Closed.busy`). Under 1 it had time to spare, so the server was what
limited the run.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

CONNECTIONS = 32
SEED = 1
IsWhole = Callable[[bytes], bool]


class Refused(Exception):
    """An answer was not a success, or did not come; the figures would be of something else."""


class Closed(NamedTuple):
    """A closed run: answers, the seconds it took, and the share of one core that the load generator used."""

    answers: int
    seconds: float
    busy: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


async def closed_loop(
    port: int,
    requests: Iterator[bytes],
    seconds: float,
    connections: int = CONNECTIONS,
    is_whole: IsWhole | None = None,
) -> Closed:
    """Ask as fast as answers come. `is_whole` tells whether an answer is there; without it, answers are HTTP."""
    load = _ClosedLoad(requests)
    await load.open(port, connections, is_whole or http_answer)
    began, busy = time.perf_counter(), time.process_time()
    answers = await load.run(seconds)
    elapsed = time.perf_counter() - began
    load.close()
    return Closed(answers, elapsed, (time.process_time() - busy) / elapsed)


async def ask(port: int, request: bytes) -> bytes:
    """One request; returns the whole answer."""
    load = _SingleLoad()
    await load.open(port, 1)
    load.connections[0].send(request)
    answer: bytes = await load.done
    load.close()
    return answer


async def open_loop(
    port: int, requests: Iterator[bytes], rate: float, seconds: float, connections: int = CONNECTIONS
) -> list[float]:
    """Ask at `rate` requests a second on average, at random instants; returns the seconds that each answer took.

    The seconds count from the instant at which the request was due, also when it had to wait for a connection.
    """
    load = _OpenLoad()
    await load.open(port, connections)
    took = await load.run(requests, _instants(rate, seconds))
    load.close()
    return took


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def http_answer(received: bytes) -> bool:
    """Whether what has been received is a whole HTTP answer; raises `Refused` when it is no success."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return False
    start = received.index(b"content-length: ", 0, head) + 16
    whole = len(received) >= head + 4 + int(received[start : received.index(b"\r", start)])
    if whole and received[9:10] != b"2":
        raise Refused(received.decode("latin-1"))
    return whole


class Connection(asyncio.Protocol):
    """One connection with at most one request on its way, which was due at an instant."""

    def __init__(self, load: _Load, is_whole: IsWhole) -> None:
        self.due = 0.0
        self._load = load
        self._is_whole = is_whole
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._load.fail(Refused("a connection was lost"))

    def send(self, request: bytes) -> None:
        """Send a request; the answer to the one before has come."""
        assert self._transport is not None
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take in a part of an answer, nearly always the whole of it."""
        received = self._received + data if self._received else data
        try:
            whole = self._is_whole(received)
        except (Refused, ValueError) as error:
            self._load.fail(error)
            return
        self._received = b"" if whole else received
        if whole:
            self._load.answered(self, received)

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()


class _Load:
    """Connections to one server, and what becomes of a run: `done` has its outcome or why there is none."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def open(self, port: int, connections: int, is_whole: IsWhole = http_answer) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: Connection(self, is_whole), "127.0.0.1", port)
            self.connections.append(connection)

    def answered(self, connection: Connection, answer: bytes) -> None:
        """The answer to the connection's request has come."""
        raise NotImplementedError

    def fail(self, reason: Exception) -> None:
        """Give up the run."""
        if not self.done.done():
            self.done.set_exception(reason)

    def close(self) -> None:
        """Hang up everywhere."""
        for connection in self.connections:
            connection.close()


class _SingleLoad(_Load):
    """One request."""

    def answered(self, connection: Connection, answer: bytes) -> None:
        """See `_Load`."""
        self.done.set_result(answer)


class _ClosedLoad(_Load):
    """Each connection asks until the time is over."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        super().__init__()
        self._requests = requests
        self._end = 0.0
        self._asking = 0
        self._answers = 0

    async def run(self, seconds: float) -> int:
        """Ask on all connections; returns the number of answers."""
        self._end = time.perf_counter() + seconds
        self._asking = len(self.connections)
        for connection in self.connections:
            connection.send(next(self._requests))
        answers: int = await self.done
        return answers

    def answered(self, connection: Connection, answer: bytes) -> None:
        """See `_Load`."""
        self._answers += 1
        if time.perf_counter() < self._end:
            connection.send(next(self._requests))
            return
        self._asking -= 1
        if not self._asking and not self.done.done():
            self.done.set_result(self._answers)


class _OpenLoad(_Load):
    """Requests are sent when they are due, or as soon after as a connection is free."""

    def __init__(self) -> None:
        super().__init__()
        # Taken in turn, the longest free first: the server hangs up on those that rest for some seconds.
        self._free: deque[Connection] = deque()
        self._late: deque[tuple[float, bytes]] = deque()
        self._expected = 0
        self._took: list[float] = []

    async def run(self, requests: Iterator[bytes], instants: Sequence[float]) -> list[float]:
        """Send a request at each instant, in seconds from now; returns when all are answered."""
        self._free.extend(self.connections)
        self._expected = len(instants)
        began = time.perf_counter()
        for instant in instants:
            # Turning round and round is exact to microseconds, where the loop's timers know only milliseconds.
            while time.perf_counter() < began + instant:  # noqa: ASYNC110
                await asyncio.sleep(0)
            if self.done.done():
                break
            self._send(began + instant, next(requests))
        took: list[float] = await self.done
        return took

    def answered(self, connection: Connection, answer: bytes) -> None:
        """See `_Load`."""
        self._took.append(time.perf_counter() - connection.due)
        self._free.append(connection)
        if self._late:
            self._send(*self._late.popleft())
        if len(self._took) == self._expected and not self.done.done():
            self.done.set_result(self._took)

    def _send(self, due: float, request: bytes) -> None:
        if not self._free:
            self._late.append((due, request))
            return
        connection = self._free.popleft()
        connection.due = due
        connection.send(request)


def _instants(rate: float, seconds: float) -> list[float]:
    """When requests are due: a Poisson process, as from many clients that know nothing of each other."""
    chance = random.Random(SEED)
    instants = [chance.expovariate(rate)]
    while instants[-1] < seconds:
        instants.append(instants[-1] + chance.expovariate(rate))
    return instants
