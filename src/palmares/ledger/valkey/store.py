"""The way to Valkey: one client for a server or a cluster, scripts by name, and reads that are of one moment.

Everything that is asked at once about one shard lies in one slot, so it is one transaction there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from glide import (
    AdvancedGlideClientConfiguration,
    AdvancedGlideClusterClientConfiguration,
    Batch,
    ClosingError,
    ClusterBatch,
    GlideClient,
    GlideClientConfiguration,
    GlideClusterClient,
    GlideClusterClientConfiguration,
    GlideError,
    NodeAddress,
    RequestError,
    Script,
    ServerCredentials,
    TlsAdvancedConfiguration,
)
from glide import ConnectionError as GlideConnectionError
from glide import TimeoutError as GlideTimeoutError

from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.scripts import source
from palmares.ledger.valkey.servers import Servers

Command = Sequence[bytes]
T = TypeVar("T")
_SCAN_COUNT = b"500"
# How the client tells what a server answered; for what happened to itself, it has words such as BrokenPipe.
_FROM_SERVER = re.compile(r"An error was signalled by the server|[A-Z]+:")


class Lost(Unavailable):
    """Valkey did not answer; whether it did what was asked is not known."""


class Halted(Unavailable):
    """A script stopped at an error; what it had done before stays done."""


class Store(Protocol):
    """What the ledger asks of Valkey. Both methods raise `Lost` when no answer came, `Unavailable` for a refusal;
    `Halted` is for scripts."""

    async def script(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """Run a script on keys of one shard."""

    async def read(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands on keys of one shard, all at one moment."""

    async def read_replicated(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands on keys of one shard, and wait for what they tell as a script is waited for: whatever fails,
        it stays so."""

    def scan_hash(self, key: bytes, pattern: bytes = b"*") -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """The fields of a hash that match in pieces; each at least once, also while it changes."""


class Glide:
    """A `Store` over a client of Valkey GLIDE."""

    def __init__(self, client: GlideClient | GlideClusterClient) -> None:
        self.client = client
        self._scripts: dict[str, Script] = {}

    @classmethod
    async def connect(cls, servers: Servers | Sequence[tuple[str, int]], timeout_seconds: float = 5.0) -> Glide:
        """Connect to a server, or to a cluster by any of its nodes: which of the two it is, is asked."""
        servers = servers if isinstance(servers, Servers) else Servers(tuple(servers))
        with translated():
            single = await _first_that_answers(servers, timeout_seconds)
            try:
                answer: Any = await single.custom_command(["HELLO"])
            except BaseException:
                await single.close()
                raise
            if answer[b"mode"] != b"cluster":
                return cls(single)
            await single.close()
            nodes, shared = _configuration(servers, timeout_seconds)
            advanced = AdvancedGlideClusterClientConfiguration(_milliseconds(timeout_seconds), _tls(servers))
            cluster = GlideClusterClientConfiguration(nodes, advanced_config=advanced, **shared)
            return cls(await GlideClusterClient.create(cluster))

    async def script(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """See `Store.script`."""
        script = self.loaded(name)
        with translated():
            return await to_its_end(self.client.invoke_script(script, keys=list(keys), args=list(arguments)))

    def loaded(self, name: str) -> Script:
        """A script as the client knows it."""
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = Script(source(name))  # type: ignore[no-untyped-call]
        return script

    async def read(self, commands: Sequence[Command]) -> list[Any]:
        """See `Store.read`."""
        if not commands:
            return []
        with translated():
            if len(commands) == 1:
                # It is of one moment by itself, at half of what a transaction costs the client.
                return [await to_its_end(self.client.custom_command(list(commands[0])))]
            if isinstance(self.client, GlideClusterClient):
                cluster_batch = ClusterBatch(is_atomic=True)
                for command in commands:
                    cluster_batch.custom_command(list(command))
                return await to_its_end(self.client.exec(cluster_batch, raise_on_error=True)) or []
            batch = Batch(is_atomic=True)
            for command in commands:
                batch.custom_command(list(command))
            return await to_its_end(self.client.exec(batch, raise_on_error=True)) or []

    async def read_replicated(self, commands: Sequence[Command]) -> list[Any]:
        """See `Store.read_replicated`; here, nothing is waited for."""
        return await self.read(commands)

    async def scan_hash(self, key: bytes, pattern: bytes = b"*") -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """The fields of a hash that match in pieces; each at least once, also while it changes."""
        cursor = b"0"
        while True:
            command = [b"HSCAN", key, cursor, b"MATCH", pattern, b"COUNT", _SCAN_COUNT]
            [[cursor, flat]] = await self.read([command])
            yield list(zip(flat[::2], flat[1::2], strict=True))
            if cursor == b"0":
                return

    async def configuration(self, pattern: str) -> list[dict[str, str]]:
        """Settings of every primary. `Unavailable` where the server does not tell them."""
        with translated():
            if isinstance(self.client, GlideClient):
                found = [await self.client.config_get([pattern])]
            else:
                from glide import AllPrimaries

                answer: Any = await self.client.config_get([pattern], AllPrimaries())
                found = list(answer.values())
        return [{name.decode(): value.decode() for name, value in one.items()} for one in found]

    async def information(self) -> dict[str, dict[str, str]]:
        """What every primary tells of itself, by its address; of a single server, which may be behind another name, by
        `Valkey`."""
        with translated():
            told = await self.client.info()
        by_node = {"Valkey": told} if isinstance(told, bytes) else {node.decode(): one for node, one in told.items()}
        return {node: _lines(one.decode()) for node, one in by_node.items()}

    async def close(self) -> None:
        """Let go of the connections."""
        await self.client.close()


async def to_its_end(call: Coroutine[Any, Any, T]) -> T:
    """The answer to a call, which goes on when nobody waits for it any more.

    The client's core reads the arguments where they lie in Python's memory until it has answered, and a call that is
    cancelled lets go of them: then something else would be sent.
    """
    return await asyncio.shield(asyncio.ensure_future(call))


async def _first_that_answers(servers: Servers, timeout_seconds: float) -> GlideClient:
    """A client of one node, the first of those named that is up."""
    nodes, shared = _configuration(servers, timeout_seconds)
    advanced = AdvancedGlideClientConfiguration(_milliseconds(timeout_seconds), _tls(servers))
    for place, node in enumerate(nodes, start=1):
        try:
            return await GlideClient.create(GlideClientConfiguration([node], advanced_config=advanced, **shared))
        except GlideError:
            if place == len(nodes):
                raise
    raise AssertionError("an address names one node or more")


def _configuration(servers: Servers, timeout_seconds: float) -> tuple[list[NodeAddress], dict[str, Any]]:
    """The nodes, and what clients of a server and of a cluster are told alike."""
    credentials = None
    if servers.password is not None:
        credentials = ServerCredentials(servers.password, servers.user)
    shared = {
        "use_tls": servers.tls,
        "credentials": credentials,
        "request_timeout": _milliseconds(timeout_seconds),
        "client_name": "palmares",
    }
    return [NodeAddress(host, port) for host, port in servers.addresses], shared


def _lines(text: str) -> dict[str, str]:
    """The lines `name:value`."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _tls(servers: Servers) -> TlsAdvancedConfiguration | None:
    if servers.ca_file is None:
        return None
    return TlsAdvancedConfiguration(root_pem_cacerts=Path(servers.ca_file).read_bytes())


@contextmanager
def translated() -> Iterator[None]:
    """The client's errors as ours."""
    try:
        yield
    except (GlideConnectionError, GlideTimeoutError, ClosingError) as error:
        raise Lost(f"Valkey does not answer: {error}") from error
    except GlideError as error:
        # Other errors are the client's, which lost a connection in the middle or found none.
        if not isinstance(error, RequestError) or not _FROM_SERVER.match(str(error)):
            raise Lost(f"Valkey does not answer: {error}") from error
        # Errors from inside a script name the line.
        if "user_script" in str(error):
            raise Halted(f"Valkey stopped a script: {error}") from error
        raise Unavailable(f"Valkey refuses: {error}") from error
