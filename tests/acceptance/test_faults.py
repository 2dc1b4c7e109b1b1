"""What happens to a cluster under load: servers die, slots move, a database is away, a worker stands still.

Two workers on a Valkey Cluster of which every primary has a replica, and on PostgreSQL, all of them real processes.
Nothing that was answered is lost or counted twice, no rank is ever wrong, and afterwards all is well by itself.
"""

import signal
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.ledger.valkey.keys import shard_of, user_name
from tests.acceptance.calls import Caller
from tests.acceptance.load import Load, until
from tests.acceptance.process import ADMIN_KEY, Process
from tests.databases import Place, Postgres, end_sessions
from tests.plain_receiver import PlainReceiver, plain_receiver
from tests.valkey_servers import Replicated, a_replicated_cluster, call, move_slot

SHARDS = 4
numbers = count(1)


@dataclass
class World:
    """Two workers, what they work on, and who is told of changes."""

    valkey: Replicated
    postgres: Postgres
    database: Place
    processes: list[Process]
    callers: list[Caller]
    receiver: PlainReceiver
    metrics: dict[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> list[str]:
        return [process.address for process in self.processes]

    def define(self) -> str:
        """A metric, and a board of the same key that ranks by it; both workers know them on return."""
        one, other = self.callers
        key = f"laps{next(numbers)}"
        self.metrics[key] = one.define_metric(key)
        one.define_board(key, self.metrics[key])
        until(lambda: any(board["key"] == key for board in other.get("/v1/leaderboards")))
        return key

    def are_ready(self) -> bool:
        return all(caller.send("GET", "/readyz").status_code == 200 for caller in self.callers)

    def heal(self, load: Load) -> None:
        """Wait until all is well, and say so."""
        until(self.are_ready)
        load.flow()

    def audit(self, load: Load, others: Mapping[str, float] | None = None) -> None:
        """What the workers tell, and the log in PostgreSQL: every event is there once."""
        load.audit(self.callers, others or {})
        statement = (
            f"SELECT idempotency_key FROM log_lines WHERE kind = 'event' AND idempotency_key LIKE '{load.metric}-%%'"
        )
        keys: Counter[str] = Counter()

        def is_kept() -> bool:
            nonlocal keys
            keys = Counter(key for (key,) in self.database.execute(statement))
            return sum(keys.values()) >= load.answered

        until(is_kept)
        assert keys == {f"{one.name}-{number}": 1 for one in load.writers for number in range(one.answered)}

    def told_of_start(self, board: str) -> int:
        """How many times it was told that the run of a board began."""
        return sum(
            body["type"] == "leaderboard.started" and body["leaderboard"]["key"] == board for body in self._told()
        )

    def told_of_rank(self, user: str, board: str) -> int:
        """How many times a rank of a user's was told."""
        return sum(
            body["type"] == "leaderboard.rank_changed"
            and (body["user"]["id"], body["leaderboard"]["key"]) == (user, board)
            for body in self._told()
        )

    def _told(self) -> Collection[Any]:
        """What came, each once: what was on its way when a leader stopped is sent again, under the same id."""
        return {one.event_id: one.json for one in list(self.receiver.received)}.values()


@pytest.fixture(scope="module")
def world(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    with ExitStack() as opened:
        valkey = opened.enter_context(a_replicated_cluster())
        database = opened.enter_context(postgres.database())
        receiver = opened.enter_context(plain_receiver())
        variables = {
            "PALMARES_VALKEY_URL": "valkey://" + ",".join(f"{host}:{port}" for host, port in valkey.addresses),
            "PALMARES_VALKEY_SHARDS": str(SHARDS),
            "PALMARES_VALKEY_REPLICAS": "1",
            "PALMARES_VALKEY_LINES": "5",
            "PALMARES_DATABASE_URL": database.url,
            "PALMARES_WEBHOOKS_ALLOW_PRIVATE": "true",
            "PALMARES_WEBHOOKS_THROTTLE_SECONDS": "1",
        }
        processes = [opened.enter_context(Process(folder / "none", **variables)) for _ in range(2)]
        assert any("one replica has it too" in line for line in [processes[0].read_line()])
        callers = [opened.enter_context(Caller(process.address, ADMIN_KEY)) for process in processes]
        item = {"name": "hook", "url": receiver.url, "events": ["leaderboard.started", "leaderboard.rank_changed"]}
        assert callers[0].send("POST", "/admin/v1/webhooks", [item]).status_code == 201
        yield World(valkey, postgres, database, processes, callers, receiver)


def test_a_slot_that_moves_under_load_loses_and_doubles_nothing(world: World) -> None:
    """Key by key, with requests while a part has gone. What cannot be taken meanwhile is to come again."""
    valkey, key = world.valkey, world.define()
    with Load(world.addresses, key) as load:
        tag = f"{{palmares.{shard_of(user_name(DEFAULT_SCOPE, load.writers[0].name), SHARDS)}}}"
        owner = valkey.owner(tag)
        moved = move_slot(valkey.slot(tag), valkey.primaries[owner], valkey.primaries[owner - 1], load.be_refused)
        world.heal(load)
    assert moved > 10
    world.audit(load)


def test_a_primary_that_is_killed_under_load_takes_nothing_along_that_was_answered(world: World) -> None:
    """Its replica takes over. Until the former primary is back, as a replica, its shards have nobody to wait for."""
    valkey, key = world.valkey, world.define()
    owner = valkey.owner("{palmares.1}")
    with Load(world.addresses, key) as load:
        valkey.primaries[owner].terminate()
        load.be_refused()
        until(lambda: "OK" in call(valkey.replicas[owner], "CLUSTER", "FAILOVER", "TAKEOVER"))
        valkey.primaries[owner].start()
        world.heal(load)
    world.audit(load)


def test_while_postgresql_is_away_events_go_on_and_afterwards_all_is_kept_and_told(world: World) -> None:
    """Events and live rankings do not need it; what it should have had meanwhile, it gets."""
    key = world.define()
    # Whoever leads has to know the board before nobody can note anything.
    assert world.callers[0].event(key, "early", 1).status_code == 201
    until(lambda: world.told_of_rank("early", key) > 0)
    with Load(world.addresses, key) as load:
        with world.postgres.away():
            load.flow()
            assert world.callers[0].event(key, "late", 1).status_code == 201
            assert world.are_ready()
            refused = world.callers[1].send("POST", "/admin/v1/metrics", [{"name": "Other", "key": f"other-{key}"}])
            assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
            load.flow()
        world.heal(load)
        until(lambda: world.told_of_rank("late", key) > 0)
    assert load.refused == 0
    world.audit(load, {"early": 1, "late": 1})
    assert world.told_of_rank("late", key) == 1


def test_a_leader_that_stands_still_and_wakes_up_does_nothing_twice(world: World) -> None:
    """Its session ends, as it does some time after its machine was cut off; another one leads; then it goes on.

    In the middle of work: what it was about to record is recorded once, though the client has waited long.
    """
    key = world.define()
    until(lambda: [leads(process) for process in world.processes].count(True) == 1)
    leader, other = sorted(world.processes, key=leads, reverse=True)
    with Load([leader.address, other.address], key) as load:
        leader.send(signal.SIGSTOP)
        try:
            end_sessions(world.database)
            until(lambda: leads(other))
            load.flow(address=other.address)
            world.callers[world.processes.index(other)].define_board(f"{key}-more", world.metrics[key])
            until(lambda: world.told_of_start(f"{key}-more") == 1)
        finally:
            leader.send(signal.SIGCONT)
        until(lambda: not leads(leader))
        world.heal(load)
    world.audit(load)
    assert [leads(process) for process in (leader, other)] == [False, True]
    assert [world.told_of_start(one) for one in (key, f"{key}-more")] == [1, 1]


def leads(process: Process) -> bool:
    """Whether a worker does the timed work, as it says."""
    told = [line for line in process.errors().splitlines() if "this worker does the timed work" in line]
    return told[-1:] != [] and "no more" not in told[-1]
