"""The way to Valkey for those who want more than one server to have what was answered.

`WAIT` counts what the same connection has written before, so it goes right behind each script, in one piece: no round
trip more, but the one from the primary to its replicas. It would prove nothing behind a script that wrote nothing,
which may have told what is on no replica yet, nor on a connection that is new: so something is written in between, the
mark. And where a slot is moving, the client sends script and mark after it to another node, but not what has no key:
so the mark is answered with the node that it was made on. The same happens behind a failover, to a client that has not
heard of it; then a second mark tells, which is behind the first and everything in front of that.

The connections are others than those for reading, because a server answers nothing else on one that waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from glide import Batch, ClusterBatch, ClusterBatchOptions, GlideClient, GlideClusterClient, SlotKeyRoute, SlotType

from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.scripts import source
from palmares.ledger.valkey.servers import Servers
from palmares.ledger.valkey.store import Command, Glide, Lost, to_its_end, translated

B = TypeVar("B", Batch, ClusterBatch)
# For how long an answer waits. Far more than replicas need that are there; and while they are away, all that go to the
# same primary wait, and who records beside them in other shards.
_SECONDS = 1.0
_SECONDS_OF_A_LOOK = 0.1
# Nobody waits for these: they change nothing.
_READING = frozenset({"numbers"})


class Unreplicated(Unavailable):
    """It is done, but not by as many replicas as an answer waits for. `reply` is what would have been answered."""

    def __init__(self, message: str, reply: Any = None) -> None:
        super().__init__(message)
        self.reply = reply


class Replicated(Glide):
    """A store whose scripts are answered when so many replicas have done the same.

    Raises `Unreplicated` where they have not in time. Then, until they are seen again, nothing is done any more:
    `Unavailable` says so.
    """

    def __init__(self, reading: Glide, writing: Glide, replicas: int, seconds: float = _SECONDS) -> None:
        super().__init__(reading.client)
        self._writing = writing
        self._replicas = replicas
        self._seconds = seconds
        # The slots, by what their keys begin with, that lacked replicas when they were last asked.
        self._behind: set[bytes] = set()

    @classmethod
    async def connect_both(
        cls, servers: Servers | Sequence[tuple[str, int]], timeout_seconds: float, replicas: int
    ) -> Replicated:
        """See `Glide.connect`."""
        reading = await Glide.connect(servers, timeout_seconds)
        try:
            return cls(reading, await Glide.connect(servers, timeout_seconds + _SECONDS), replicas)
        except BaseException:
            await reading.close()
            raise

    async def script(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """See `Store.script`. Only of a commit it is told that it is stored (`Unreplicated`): who waits for something
        that has to be done before one must not hear that."""
        if name in _READING:
            return await super().script(name, keys, arguments)
        try:
            return await self._script(name, keys, arguments)
        except Unreplicated as doubt:
            if name == "commit":
                raise
            raise Unavailable(f"too few of {self._replicas} replicas of Valkey are there") from doubt

    async def _script(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        sent = [b"%d" % len(keys), *keys, *arguments]
        by_hash: Command = [b"EVALSHA", self.loaded(name).get_hash().encode(), *sent]
        try:
            [reply] = await self._replicated(keys[0], [by_hash])
        except _NotLoaded:
            [reply] = await self._replicated(keys[0], [[b"EVAL", source(name).encode(), *sent]])
        return reply

    async def read_replicated(self, commands: Sequence[Command]) -> list[Any]:
        """See `Store.read_replicated`."""
        return await self._replicated(bytes(commands[0][1]), commands)

    async def close(self) -> None:
        """See `Glide.close`."""
        await self._writing.close()
        await super().close()

    async def _replicated(self, key: bytes, commands: Sequence[Command]) -> list[Any]:
        tag = key[: key.index(b"}") + 1]
        if tag in self._behind:
            await self._look_again(tag)
        replies, told = await self._send(tag, commands, self._seconds)
        if told < self._replicas:
            self._behind.add(tag)
            raise Unreplicated(
                f"stored, but of {self._replicas} replicas only {told} have it so far, so it is lost when Valkey fails "
                "now; send it again with the same idempotency key",
                replies[0],
            )
        return replies

    async def _look_again(self, tag: bytes) -> None:
        _, told = await self._send(tag, [], _SECONDS_OF_A_LOOK)
        if told < self._replicas:
            raise Unavailable(f"nothing was stored: of {self._replicas} replicas, {told} are there")
        self._behind.discard(tag)

    async def _send(self, tag: bytes, commands: Sequence[Command], seconds: float) -> tuple[list[Any], int]:
        """The replies, and how many replicas have all that these were made from, in time."""
        key = tag + b":mark"
        mark: Command = [b"EVAL", source("mark").encode(), b"1", key]
        wait: Command = [b"WAIT", b"%d" % self._replicas, b"%d" % int(seconds * 1000)]
        with translated():
            *replies, marked, told, waited = await self._exec(tag, [*commands, mark, wait])
            for reply in replies:
                if isinstance(reply, Exception):
                    raise _NotLoaded if "NoScriptError" in str(reply) else reply
            made_on = marked
            if marked != waited or isinstance(told, Exception):
                marked, told, waited = await self._exec(tag, [mark, wait])
        errors = [answer for answer in (made_on, marked, told, waited) if isinstance(answer, Exception)]
        if errors or not made_on == marked == waited:
            raise Lost(f"Valkey did what was asked and did not wait for replicas: {errors or 'a slot is moving'}")
        return replies, int(told)

    async def _exec(self, tag: bytes, commands: Sequence[Command]) -> list[Any]:
        """The answers, and behind them the node that gave those of commands without a key."""
        client = self._writing.client
        if isinstance(client, GlideClient):
            batch = _filled(Batch(is_atomic=False), commands)
            return [*cast(list[Any], await to_its_end(client.exec(batch, raise_on_error=False))), b""]
        assert isinstance(client, GlideClusterClient)
        cluster_batch = _filled(ClusterBatch(is_atomic=False), [*commands, [b"CLUSTER", b"MYID"]])
        options = ClusterBatchOptions(route=SlotKeyRoute(SlotType.PRIMARY, tag.decode()))
        return cast(list[Any], await to_its_end(client.exec(cluster_batch, False, options)))


class _NotLoaded(Exception):
    """The node has not seen the script yet."""


def _filled(batch: B, commands: Sequence[Command]) -> B:
    for command in commands:
        batch.custom_command(list(command))
    return batch
