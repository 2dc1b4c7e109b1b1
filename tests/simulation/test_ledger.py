"""A ledger in a bad neighbourhood: random load, full disks, failing flushes, crashes; everything from one seed."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid, PalmaresError, Unavailable
from palmares.domain.local_time import HOUR, SECOND
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry, void
from palmares.ledger.embedded import checkpoint
from palmares.ledger.embedded.ledger import EmbeddedLedger, Limits
from tests.effort import tries
from tests.faults import broken_archive, faulty_log, faulty_projection, full_disk, write_wal_only
from tests.ledger_world import Clock, memory_folder, open_embedded
from tests.simulation.auditor import Auditor, Request
from tests.twins import copy_as_after_a_kill
from tests.world import HOURS, LAPS, LEVEL, POOL, make_board

pytestmark = pytest.mark.anyio

STEPS = tries(10)
METRICS = [LAPS, HOURS]
BOARDS = [
    make_board(1, "all"),
    make_board(2, "weekly", run_unit="day", run_interval=7, numbering="dense", max_participants=5),
    make_board(3, "pools", breakdown=(POOL,), aggregation="last", ties="last"),
    make_board(4, "pros", filters=((LEVEL, "pro"),), order="asc", aggregation="max", numbering="competition"),
    make_board(5, "hours", metric=HOURS, breakdown=(POOL, LEVEL), aggregation="count"),
    make_board(6, "daily", run_unit="day", run_interval=1, breakdown=(POOL,), max_participants=3),
    make_board(7, "revised", run_unit="day", run_interval=3, filters=((LEVEL, "pro"),), late_events="revise"),
]
USERS = [f"user-{number}" for number in range(15)]


class Simulation:
    """One life after another of one ledger, and the clients around it. `random` decides everything."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.auditor = Auditor()
        self.boards = {board.number: board for board in BOARDS}
        self.retries: list[Request] = []
        self.ledger: EmbeddedLedger
        self._folder = folder
        self._lives = 0
        self._marks = 0

    async def open(self) -> None:
        limits = Limits(
            cached_users=self.random.choice([1, 4, 1000]),
            events_between_projections=self.random.choice([2, 20, 200]),
            events_between_checkpoints=self.random.choice([5, 50, 500]),
        )
        self.ledger = await open_embedded(self.data, self.clock, list(self.boards.values()), limits)
        write_wal_only(self.ledger)

    @property
    def data(self) -> Path:
        return self._folder / str(self._lives)

    async def audit(self) -> None:
        await self.auditor.audit(self.ledger, list(self.boards.values()), METRICS, self.clock())

    # What clients do

    def make_entry(self) -> tuple[str, Entry]:
        """An event, a change of a user or both, with a mark of its own."""
        self._marks += 1
        mark = f"mark-{self._marks}"
        pick = self.random.random
        changes = self.make_changes(mark) if pick() < 0.3 else {}
        metric = None if changes and pick() < 0.3 else self.random.choice([LAPS, LAPS, HOURS])
        entry = Entry(DEFAULT_SCOPE, self.random.choice(USERS), changes, metric)
        if metric is not None:
            entry.amount = self.random.randint(-3, 9) * MICROS // self.random.choice([1, 1, 7])
            entry.attributes = {"mark": mark}
            entry.idempotency_key = mark
            if pick() < 0.2:
                entry.occurred_at = self.clock() - self.random.randint(0, 300) * HOUR
                entry.history = pick() < 0.3
        return mark, entry

    def make_void(self) -> tuple[str, Entry]:
        """A void of some event, mostly a late one; it may be void already."""
        self._marks += 1
        mark = f"mark-{self._marks}"
        position = self.random.choice(self.auditor.events[-self.random.choice([3, 30, 3000]) :])
        return mark, void(DEFAULT_SCOPE, position, mark)

    def make_changes(self, mark: str) -> dict[str, Any]:
        attributes = {
            key: self.random.choice([*values, None])
            for key, values in {"pool": ["east", "west"], "level": ["pro", "new"]}.items()
            if self.random.random() < 0.6
        }
        return {"name": mark, "attributes": attributes, "tz": self.random.choice([None, "Pacific/Kiritimati"])}

    def make_request(self) -> Request:
        if self.retries and self.random.random() < 0.7:
            return self.retries.pop(0)
        if self.auditor.events and self.random.random() < 0.1:
            return [self.make_void()]
        request = [self.make_entry() for _ in range(self.random.choice([1, 1, 1, 2, 20]))]
        if self.random.random() < 0.05:
            request[-1][1].changes = {"tz": "nowhere"}
        return request

    async def send(self, request: Request) -> PalmaresError | None:
        """One client. What was refused for the moment is sent again later, if it can be told from a new request."""
        self.auditor.asked(request)
        life, entries = self._lives, [entry for _, entry in request]
        answer = (await asyncio.gather(self.ledger.record(entries), return_exceptions=True))[0]
        if self._lives != life:
            # The server was killed before the client read the answer.
            self.auditor.unanswered(request)
            self.retry_later(request)
            return None
        if not isinstance(answer, BaseException):
            self.auditor.acknowledged(request, answer)
            return None
        assert isinstance(answer, PalmaresError)
        self.auditor.refused(request)
        if not isinstance(answer, Invalid):
            self.retry_later(request)
        return answer

    def retry_later(self, request: Request) -> None:
        if all(entry.idempotency_key is not None or entry.voids is not None for _, entry in request):
            self.retries.append(request)

    async def burst(self) -> list[PalmaresError]:
        """Many clients at once; returns what went wrong but for their own mistakes."""
        self.clock.now += self.random.randint(0, 5) * 3600 * SECOND
        requests = [self.make_request() for _ in range(self.random.randint(1, 25))]
        answers = await asyncio.gather(*(self.send(request) for request in requests))
        return [answer for answer in answers if answer is not None and not isinstance(answer, Invalid)]

    # What happens to the ledger

    async def calm(self) -> None:
        assert await self.burst() == []

    async def board_comes_and_goes(self) -> None:
        board = self.random.choice(BOARDS)
        if self.random.random() < 0.5:
            self.ledger.forget(board.number)
        load = asyncio.ensure_future(self.burst())
        await self.ledger.follow(board)
        assert await load == []

    async def time_passes(self) -> None:
        """Days end and runs close while clients go on; sometimes nobody does anything for days."""
        self.clock.now += self.random.choice([7, 12, 24, 80]) * HOUR
        load = asyncio.ensure_future(self.burst())
        await self.ledger.advance(self.clock())
        assert await load == []

    async def disk_is_full(self) -> None:
        """Requests fail until there is room again; reading goes on, and so does the server."""
        failures: list[PalmaresError] = []
        with full_disk(self.ledger):
            for _ in range(200):
                failures += await self.burst()
                if failures:
                    break
            failing = self.ledger.obstacle
            await self.audit()
        assert failures, "the disk was never full"
        assert failing is not None
        assert {type(error) for error in failures} == {Unavailable}
        await self.recovers()

    async def flush_fails(self) -> None:
        connection = faulty_log(self.ledger)
        connection.failing = (self.random.choice(["BEGIN", "INSERT", "COMMIT"]),)
        failures = await self.burst()
        connection.failing = ()
        assert {type(error) for error in failures} <= {Unavailable}
        await self.recovers()

    async def projection_fails(self) -> None:
        """Nobody notices, but for what is final and waits to be revised: what it lacks is held in memory."""
        connection = faulty_projection(self.ledger)
        connection.failing = (
            self.random.choice(["BEGIN", "INSERT INTO users", "INSERT INTO idem", "UPDATE", "COMMIT"]),
        )
        for _ in range(3):
            assert await self.burst() == []
        with suppress(Unavailable):
            await self.ledger.settle()
        await self.auditor.audit_present(self.ledger, self.boards.values())
        connection.failing = ()
        await self.audit()

    async def checkpoint_fails(self) -> None:
        with patch.object(checkpoint, "save", side_effect=OSError("no space left on device")):
            assert await self.burst() == []

    async def archive_fails(self) -> None:
        """What is over waits in memory, and is read from there; clients notice nothing."""
        with broken_archive(self.ledger):
            self.clock.now += self.random.choice([7, 12, 24, 36]) * HOUR
            assert await self.burst() == []
            with suppress(Unavailable):
                await self.ledger.advance(self.clock())
            assert await self.burst() == []
        await self.audit()

    async def restart(self) -> None:
        await self.ledger.close()
        await self.open()

    async def crash(self) -> None:
        """At a random moment of a burst, the files are what they are, and all clients lose their connection."""
        load = [asyncio.ensure_future(self.send(self.make_request())) for _ in range(30)]
        for _ in range(self.random.randint(1, 30)):
            await asyncio.sleep(0)
        killed, before = self.ledger, self.data
        self._lives += 1
        copy_as_after_a_kill(before, self.data)
        await asyncio.gather(*load)
        await killed.close()
        await self.open()
        await self.audit()

    async def recovers(self) -> None:
        """By itself, as soon as the fault is gone."""
        assert await self.send([self.make_entry()]) is None
        assert self.ledger.obstacle is None
        assert await self.burst() == []

    async def step(self) -> None:
        kinds: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.calm, 8),
            (self.board_comes_and_goes, 2),
            (self.time_passes, 3),
            (self.disk_is_full, 1),
            (self.flush_fails, 2),
            (self.projection_fails, 2),
            (self.checkpoint_fails, 1),
            (self.archive_fails, 2),
            (self.restart, 1),
            (self.crash, 3),
        ]
        await self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nothing_acknowledged_is_lost_and_nothing_refused_is_there(seed: int) -> None:
    """Whatever happens, in whatever order: exactly once, all or nothing, right rankings, and no help needed."""
    with memory_folder() as folder:
        simulation = Simulation(seed, folder)
        await simulation.open()
        for step in range(STEPS):
            await simulation.step()
            if step % 10 == 9:
                await simulation.audit()
        while simulation.retries:
            await simulation.calm()
        await simulation.restart()
        await simulation.audit()
        await simulation.ledger.close()
