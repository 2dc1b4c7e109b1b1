"""Of all workers, one has the duties; another one takes them over, and the former writes nothing more."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from palmares.domain.errors import Unavailable
from palmares.lead import Lead
from palmares.service.timekeeper import Worker
from palmares.sql.claim import Claim, DatabaseInUse
from tests.databases import Place, Postgres

pytestmark = pytest.mark.anyio


class Counter:
    """Something to do at one instant."""

    def __init__(self) -> None:
        self.advanced: list[int] = []

    def next_due(self) -> int | None:
        return 7

    async def advance(self, now: int) -> None:
        self.advanced.append(now)


class Duty:
    """One worker of the timekeeper's, and notes of what happened."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check
        self.counter = Counter()
        self.looks = 0
        self.closed_in_order: bool | None = None

    def workers(self) -> list[Worker]:
        return [self.counter]

    async def look(self) -> None:
        self.looks += 1

    async def close(self, in_order: bool) -> None:
        self.closed_in_order = in_order


class Candidate:
    """A worker that may lead."""

    def __init__(self, url: str) -> None:
        self.begun: list[Duty] = []
        self.claim = Claim(url, "timed work")
        self.lead = Lead(self.claim, self._begin)

    async def _begin(self, check: Callable[[], None]) -> Duty:
        self.begun.append(Duty(check))
        return self.begun[-1]


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Place]:
    with postgres.database() as place:
        yield place


@pytest.fixture
async def candidates(database: Place) -> AsyncIterator[tuple[Candidate, Candidate]]:
    async with AsyncExitStack() as opened:
        both = Candidate(database.url), Candidate(database.url)
        for one in both:
            opened.push_async_callback(one.lead.close)
        yield both


async def test_one_leads_until_it_lets_go(candidates: tuple[Candidate, Candidate]) -> None:
    one, other = candidates

    for _ in range(2):
        await one.lead.look()
        await other.lead.look()
    assert (one.lead.is_mine, other.lead.is_mine) == (True, False)
    assert [duty.looks for duty in one.begun] == [2]

    await one.lead.close()
    await other.lead.look()
    assert (one.lead.is_mine, other.lead.is_mine) == (False, True)
    assert one.begun[0].closed_in_order is True


async def test_who_leads_has_timed_work_and_the_others_have_none(candidates: tuple[Candidate, Candidate]) -> None:
    """The timekeeper of each worker asks all the same."""
    one, other = candidates
    await one.lead.look()
    await other.lead.look()

    assert [each.lead.worker(0).next_due() for each in candidates] == [7, None]
    assert one.lead.worker(1).next_due() is None
    for each in candidates:
        await each.lead.worker(0).advance(9)

    assert one.begun[0].counter.advanced == [9]


async def test_another_one_takes_over_when_the_session_of_the_leader_ends_and_the_former_writes_nothing(
    candidates: tuple[Candidate, Candidate], database: Place
) -> None:
    """As it does when the process or its machine dies. This one only sleeps, and wakes up later."""
    one, other = candidates
    await one.lead.look()
    one.begun[0].check()
    end_sessions(database)

    await other.lead.look()
    assert other.lead.is_mine
    with pytest.raises(Unavailable, match="another worker does the timed work"):
        one.begun[0].check()
    await one.lead.look()
    assert not one.lead.is_mine
    assert one.begun[0].closed_in_order is False


async def test_who_leads_again_begins_anew(candidates: tuple[Candidate, Candidate], database: Place) -> None:
    """Somebody else may have led in between, so what it knows from before is not to be trusted."""
    one, _ = candidates
    await one.lead.look()
    end_sessions(database)

    with pytest.raises(Unavailable, match="may have done the timed work meanwhile"):
        one.begun[0].check()
    await one.lead.look()

    assert (one.lead.is_mine, len(one.begun)) == (True, 2)
    one.begun[1].check()
    assert one.begun[0].closed_in_order is False


async def test_while_the_database_is_away_nobody_leads(
    candidates: tuple[Candidate, Candidate], postgres: Postgres
) -> None:
    """Who led says so, and goes on when it is back."""
    one, _ = candidates
    await one.lead.look()
    with postgres.away(), pytest.raises(Unavailable):
        await one.lead.look()
    assert not one.lead.is_mine

    await one.lead.look()
    assert one.lead.is_mine


async def test_workers_share_a_database_and_no_other_server_does(database: Place) -> None:
    """A server with a data folder would have other numbers for the same events."""
    workers = [Claim(database.url, shared=True) for _ in range(2)]
    server = Claim(database.url)
    for worker in workers:
        worker.keep()
    with pytest.raises(DatabaseInUse):
        server.keep()
    for worker in workers:
        worker.close()

    server.keep()
    with pytest.raises(DatabaseInUse):
        workers[0].keep()
    server.close()


def end_sessions(database: Place) -> None:
    """End all sessions that hold a claim, from outside."""
    database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    )
