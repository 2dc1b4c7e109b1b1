"""`kill -9` at random moments under load: nothing that was answered is lost, nothing is counted twice.

The auditor notes every event that is sent and whether it was answered. After each kill the log is judged by the notes,
and every ranking and total that the restarted server shows is compared with those made anew from a copy of the log.
"""

import asyncio
import itertools
import random
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.databases import open_archive, open_catalog
from palmares.domain.local_time import format_day
from palmares.domain.value import exact
from palmares.ledger.contract import Record
from palmares.ledger.embedded.ledger import EmbeddedLedger
from tests.acceptance.calls import Caller
from tests.acceptance.forked import Forked
from tests.acceptance.process import ADMIN_KEY
from tests.effort import tries

KILLS = tries(10)
WRITERS = 5
USERS = [f"u{number:02}" for number in range(16)]
METRICS = ["laps", "hours"]
# Small steps, so that kills hit the work in the background too.
SETTINGS = {"admin_key": ADMIN_KEY, "project_events": "150", "checkpoint_events": "250", "user_cache": "8"}

Row = tuple[int, str, str | None, Any]


class Sent(NamedTuple):
    """One event that was sent; its amount is in micros."""

    user: str
    metric: str
    amount: int


@dataclass
class Auditor:
    """What was sent, by idempotency key, request by request, and what of it was answered."""

    sent: dict[str, Sent] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    requests: list[tuple[str, ...]] = field(default_factory=list)
    unanswered: list[list[dict[str, Any]]] = field(default_factory=list)
    keys: Iterator[int] = field(default_factory=itertools.count)

    def judge(self, records: list[Record], rebuilt: "Rebuilt") -> None:
        """Every answered event is in the log exactly once, every other at most once, and no batch in part."""
        in_log = {record.idempotency_key: record for record in records if record.kind == "event"}
        times = Counter(record.idempotency_key for record in records if record.kind == "event")
        assert set(times.values()) <= {1}
        assert self.answered <= set(in_log) <= set(self.sent)
        assert not self.refused & set(in_log)
        for keys in self.requests:
            assert len({key in in_log for key in keys}) == 1
        totals: Counter[tuple[str, str]] = Counter()
        for key, record in in_log.items():
            assert key is not None
            assert record.amount == self.sent[key].amount
            totals[self.sent[key][:2]] += self.sent[key].amount
        assert set(totals) <= set(rebuilt.totals)
        assert {name: exact(totals[name]) for name in rebuilt.totals} == rebuilt.totals


@dataclass
class Rebuilt:
    """What a ledger says that has nothing but a log: totals by user and metric, rows by board, run and group."""

    totals: dict[tuple[str, str], Any] = field(default_factory=dict)
    rankings: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[Row]] = field(default_factory=dict)


def test_kill_at_any_moment_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """At least twenty kills: while events and batches come, while the server stops, and while it starts."""
    chance = random.Random(20260304)
    data, auditor = tmp_path / "data", Auditor()
    server = started(data)
    try:
        with Caller(server.address, ADMIN_KEY) as caller:
            define(caller)
        for number in range(KILLS):
            load_and_kill(server, auditor, chance, during_stop=number % 6 == 3)
            records, rebuilt = asyncio.run(rebuild(data, tmp_path / "copy"))
            auditor.judge(records, rebuilt)
            server = Forked(data, **SETTINGS)
            if number % 6 == 5:
                server = killed_while_starting(server, chance)
            server.wait()
            with Caller(server.address, ADMIN_KEY) as caller:
                assert shown(caller, rebuilt) == rebuilt
                send_again(caller, auditor)
    finally:
        server.kill()
    assert len(auditor.answered) > 50 * KILLS


def started(data: Path) -> Forked:
    """A server that takes requests."""
    server = Forked(data, **SETTINGS)
    server.wait()
    return server


def killed_while_starting(server: Forked, chance: random.Random) -> Forked:
    """Kill a server as soon as it has taken the folder, and start another."""
    lock = server.data / "lock"
    while lock.read_text() != str(server.pid):
        assert server.alive
    linger(server, chance)
    server.kill()
    return Forked(server.data, **SETTINGS)


def linger(server: Forked, chance: random.Random) -> None:
    """Let a little time go by, more or less, as long as the server lives."""
    for _ in range(chance.randrange(60_000)):
        if not server.alive:
            return


def define(caller: Caller) -> None:
    """Boards of every kind: a plain one, one by group and week, capped bests, ties that share a rank."""
    pool = caller.define_attribute("pool")
    laps, hours = (caller.define_metric(metric) for metric in METRICS)
    caller.define_board("all-time", laps)
    week = {"start": "2026-03-02", "runUnit": "day", "runInterval": 7}
    caller.define_board("weekly", laps, breakdownAttributes=[pool], **week)
    caller.define_board("best", hours, aggregation="max", maxParticipants=5)
    caller.define_board("fastest", hours, aggregation="min", order="asc", numbering="competition")


def load_and_kill(server: Forked, auditor: Auditor, chance: random.Random, during_stop: bool) -> None:
    """Let writers send until so many requests were answered; then kill, with the next ones on their way."""
    answers = threading.Semaphore(0)
    writers = [Writer(server.address, auditor, answers, random.Random(chance.random())) for _ in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as threads:
        writing = [threads.submit(writer.write) for writer in writers]
        for _ in range(chance.randrange(5, 250)):
            assert answers.acquire(timeout=60)
        if during_stop:
            server.terminate()
            linger(server, chance)
        server.kill()
        for one in writing:
            one.result(60)


class Writer:
    """Sends events and batches, one request after the other, until the server is gone."""

    def __init__(self, address: str, auditor: Auditor, answers: threading.Semaphore, chance: random.Random) -> None:
        self._address = address
        self._auditor = auditor
        self._answers = answers
        self._chance = chance

    def write(self) -> None:
        """Send until there is no answer."""
        with Caller(self._address, ADMIN_KEY) as caller:
            while send(caller, self._auditor, [self._item() for _ in range(self._size())]):
                self._answers.release()

    def _size(self) -> int:
        return 1 if self._chance.random() < 0.8 else self._chance.randrange(2, 40)

    def _item(self) -> dict[str, Any]:
        """An event: a third of them late, a fifth with a change of its user."""
        chance = self._chance
        user: dict[str, Any] = {"id": chance.choice(USERS)}
        if chance.random() < 0.2:
            user |= {"name": f"N{chance.randrange(9)}", "attributes": {"pool": chance.choice(["east", "west", None])}}
        metric, value = chance.choice(METRICS), chance.randrange(-8, 40) / 4
        item = {"key": metric, "user": user, "value": value, "idempotencyKey": f"k{next(self._auditor.keys)}"}
        if chance.random() < 0.3:
            item["timestamp"] = f"2026-03-{chance.randrange(2, 29):02}T{chance.randrange(24):02}:00:00Z"
        return item


def send(caller: Caller, auditor: Auditor, items: list[dict[str, Any]]) -> bool:
    """Send one event, or several as a batch, and note what became of it; False when there was no answer."""
    keys = tuple(item["idempotencyKey"] for item in items)
    for item in items:
        auditor.sent[item["idempotencyKey"]] = Sent(item["user"]["id"], item["key"], int(item["value"] * 1_000_000))
    auditor.requests.append(keys)
    try:
        answer = post(caller, items)
    except httpx.TransportError:
        auditor.unanswered.append(items)
        return False
    if answer.status_code == 503:
        # The server is stopping, and says that nothing was stored.
        auditor.refused.update(keys)
        return False
    assert answer.status_code in (201, 202), answer.text
    auditor.answered.update(keys)
    return True


def post(caller: Caller, items: list[dict[str, Any]]) -> httpx.Response:
    """Through the route for one event where that can say it, else as a batch."""
    [item, *others] = items
    if others or "timestamp" in item:
        return caller.batch(items)
    body = {"user": item["user"], "value": item["value"]}
    headers = {"Idempotency-Key": item["idempotencyKey"]}
    return caller.send("POST", f"/v1/metrics/{item['key']}/event", body, headers)


def send_again(caller: Caller, auditor: Auditor) -> None:
    """What a client does that got no answer: the same request, with the same keys."""
    again, auditor.unanswered = auditor.unanswered, []
    for items in again:
        assert send(caller, auditor, items)


async def rebuild(data: Path, copy: Path) -> tuple[list[Record], Rebuilt]:
    """The log, and all that follows from it, made from a copy without checkpoint and projection."""
    copy_log(data, copy)
    catalog = await open_catalog(copy)
    definitions = catalog.definitions(DEFAULT_SCOPE)
    ledger = await EmbeddedLedger.open(
        copy, definitions.boards, lambda: 0, lambda: 0.0, open_archive=partial(open_archive, copy)
    )
    try:
        records = await ledger.records(0, 1_000_000)
        assert [record.position for record in records] == list(range(1, len(records) + 1))
        return records, await read_all(ledger, definitions)
    finally:
        await ledger.close()
        await catalog.close()


def copy_log(data: Path, copy: Path) -> None:
    """A copy of a data folder, without what can be made anew."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    for derived in [*copy.glob("projection.sqlite3*"), *copy.glob("standings.*")]:
        derived.unlink()


async def read_all(ledger: EmbeddedLedger, definitions: Any) -> Rebuilt:
    """Everything that the ledger ranks and sums up."""
    rebuilt = Rebuilt()
    for user_id in USERS:
        user = await ledger.user(DEFAULT_SCOPE, user_id)
        for metric in definitions.metrics if user else ():
            total = await ledger.total(user, metric)
            rebuilt.totals[user_id, metric.key] = exact(total)
    for board in definitions.boards:
        for run in await ledger.runs(board.number):
            for group in await ledger.groups(board.number, run):
                pairs = tuple(zip([one.key for one in board.breakdown], group, strict=True))
                rows = await ledger.page(board.number, run, [group], 0, 1000)
                rebuilt.rankings[board.key, format_day(run.start), pairs] = [
                    (row.rank, row.user_id, row.user_name, exact(row.value)) for row in rows
                ]
    return rebuilt


def shown(caller: Caller, rebuilt: Rebuilt) -> Rebuilt:
    """What the server shows of the same users and rankings."""
    answer = Rebuilt()
    for user_id in {user for user, _ in rebuilt.totals}:
        for metric in caller.get(f"/v1/users/{user_id}/metrics"):
            answer.totals[user_id, metric["key"]] = metric["current"]
    for board, run, pairs in rebuilt.rankings:
        group = {"userAttributes": ",".join(f"{key}:{value}" for key, value in pairs)} if pairs else {}
        page = caller.get(f"/v1/leaderboards/{board}", run=run, limit=1000, **group)["rankings"]
        answer.rankings[board, run, pairs] = [
            (row["rank"], row["userId"], row["userName"], row["exactValue"]) for row in page
        ]
    return answer
