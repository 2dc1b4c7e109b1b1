"""Workers are called when their work is due: in order, once, whatever the other workers do."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from palmares.domain.errors import Unavailable
from palmares.domain.local_time import SECOND
from palmares.service.timekeeper import Timekeeper

pytestmark = pytest.mark.anyio


@dataclass
class Diary:
    """A worker that has something to do at some instants, and writes down in a common book when it was called."""

    name: str
    dues: list[int]
    book: list[tuple[str, int]]
    fails: bool = False
    also: Callable[[], None] = field(default=lambda: None)

    def next_due(self) -> int | None:
        return min(self.dues, default=None)

    async def advance(self, now: int) -> None:
        if self.fails:
            raise OSError("the disk is full")
        self.dues = [due for due in self.dues if due > now]
        self.book.append((self.name, now))
        self.also()


@dataclass
class Office:
    """A timekeeper with a clock and a timer that are set by hand, and a sleep that ends when the test says so."""

    now: int = 100 * SECOND
    seconds: float = 1000.0
    book: list[tuple[str, int]] = field(default_factory=list)
    naps: "asyncio.Queue[float]" = field(default_factory=asyncio.Queue)
    alarm: "asyncio.Queue[None]" = field(default_factory=asyncio.Queue)

    def worker(self, name: str, *dues: int) -> Diary:
        return Diary(name, [due * SECOND for due in dues], self.book)

    def keeper(self, *workers: Diary) -> Timekeeper:
        return Timekeeper(workers, lambda: self.now, lambda: self.seconds, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.naps.put_nowait(seconds)
        await self.alarm.get()

    async def nap(self) -> float:
        """How long the timekeeper wants to sleep, as soon as it does."""
        async with asyncio.timeout(10):
            return await self.naps.get()

    def calls(self) -> list[tuple[str, int]]:
        """Who was called since the last look, and for which second."""
        calls = [(name, now // SECOND) for name, now in self.book]
        self.book.clear()
        return calls


async def test_what_fell_due_is_done_instant_by_instant_by_all_workers_in_their_order() -> None:
    """At each due instant every worker is called, then once more for the present."""
    office = Office()
    keeper = office.keeper(office.worker("first", 10, 30), office.worker("second", 20, 30))

    await keeper.keep_up()

    assert office.calls() == [
        *[("first", 10), ("second", 10)],
        *[("first", 20), ("second", 20)],
        *[("first", 30), ("second", 30)],
        *[("first", 100), ("second", 100)],
    ]


async def test_work_that_comes_up_on_the_way_is_done_at_its_instant() -> None:
    """What one worker does may make something due for another."""
    office = Office()
    first, second = office.worker("first", 10), office.worker("second")
    first.also = lambda: second.dues.append(15 * SECOND) if office.book[-1][1] == 10 * SECOND else None

    await office.keeper(first, second).keep_up()

    assert [now for name, now in office.calls() if name == "second"] == [10, 15, 100]


async def test_what_is_due_later_is_not_done_yet() -> None:
    office = Office()
    worker = office.worker("worker", 101)

    await office.keeper(worker).keep_up()

    assert office.calls() == [("worker", 100)]
    assert worker.dues == [101 * SECOND]


async def test_a_worker_whose_work_stays_due_does_not_hold_up_time() -> None:
    """It is called for each instant once."""
    office = Office()
    stuck, other = office.worker("stuck", 10), office.worker("other", 20)
    stuck.next_due = lambda: 10 * SECOND  # type: ignore[method-assign]

    await office.keeper(stuck, other).keep_up()

    assert [now for name, now in office.calls() if name == "stuck"] == [10, 20, 100]


async def test_a_failing_worker_does_not_keep_others_from_working_and_is_tried_again_with_more_and_more_patience() -> (
    None
):
    office = Office()
    failing, other = office.worker("failing", 10), office.worker("other", 10, 20)
    failing.fails = True
    keeper = office.keeper(failing, other)

    await keeper.keep_up()
    assert office.calls() == [("other", 10), ("other", 20), ("other", 100)]

    waits = []
    for _ in range(9):
        began = office.seconds
        failures = count_of_failures(failing)
        while failures() == 0:
            office.seconds += 1
            await keeper.keep_up()
        waits.append(office.seconds - began)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def count_of_failures(worker: Diary) -> Callable[[], int]:
    """Counts the calls of a failing worker from now on."""
    calls: list[int] = []

    async def advance(now: int) -> None:
        calls.append(now)
        raise OSError("the disk is full")

    worker.advance = advance  # type: ignore[method-assign]
    return lambda: len(calls)


async def test_a_worker_that_failed_makes_up_for_what_it_missed_in_one_call() -> None:
    """Time does not go back for the sake of one: the others have seen it pass."""
    office = Office()
    worker = office.worker("worker", 10, 20)
    worker.fails = True
    keeper = office.keeper(worker)
    await keeper.keep_up()
    worker.fails = False

    await keeper.keep_up()
    assert office.calls() == []
    office.seconds += 1
    await keeper.keep_up()

    assert office.calls() == [("worker", 100)]
    assert worker.dues == []


async def test_to_finish_is_to_try_at_once_again_and_to_say_when_something_could_not_be_done() -> None:
    office = Office()
    worker = office.worker("worker", 10)
    worker.fails = True
    keeper = office.keeper(worker)
    with pytest.raises(Unavailable):
        await keeper.finish()
    worker.fails = False

    await keeper.finish()

    assert office.calls() == [("worker", 100)]


async def test_a_clock_that_is_set_back_stands_still_for_workers() -> None:
    office = Office()
    keeper = office.keeper(office.worker("worker"))
    await keeper.keep_up()
    office.now = 40 * SECOND
    await keeper.keep_up()
    office.now = 101 * SECOND
    await keeper.keep_up()

    assert office.calls() == [("worker", 100), ("worker", 100), ("worker", 101)]


async def test_it_sleeps_until_something_is_due_but_never_long() -> None:
    """Work may fall due sooner than was known; and what stays due must not take the whole processor."""
    office = Office()
    worker = office.worker("worker", 103)
    keeper = office.keeper(worker)
    keeper.start()
    assert await office.nap() == 1.0
    office.now = 102 * SECOND + 750_000
    office.alarm.put_nowait(None)
    assert await office.nap() == 0.25
    office.now = 103 * SECOND
    office.alarm.put_nowait(None)
    assert await office.nap() == 1.0
    worker.next_due = lambda: 0  # type: ignore[method-assign]
    office.alarm.put_nowait(None)
    assert 0 < await office.nap() < 0.1
    await keeper.close()
    assert [now for _, now in office.calls()] == [102, 103, 103]


async def test_it_goes_on_when_a_worker_cannot_even_say_what_is_due() -> None:
    office = Office()
    worker = office.worker("worker", 110)
    keeper = office.keeper(worker)
    keeper.start()
    await office.nap()

    def lost() -> int:
        del worker.next_due  # type: ignore[method-assign]
        raise RuntimeError("where is the diary?")

    worker.next_due = lost  # type: ignore[method-assign]
    office.now = 110 * SECOND
    for _ in range(2):
        office.alarm.put_nowait(None)
        await office.nap()
    await keeper.close()

    assert office.calls() == [("worker", 110)]


async def test_closing_lets_a_worker_end_what_it_does_and_begins_nothing_more() -> None:
    office = Office()
    worker, other = office.worker("worker", 10, 20), office.worker("other")
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def advance(now: int) -> None:
        begun.set()
        await may_end.wait()
        office.book.append(("slow", now))

    worker.advance = advance  # type: ignore[method-assign]
    keeper = office.keeper(worker, other)
    keeper.start()
    await office.nap()
    office.alarm.put_nowait(None)
    await begun.wait()
    closing = asyncio.create_task(keeper.close())
    await asyncio.sleep(0)
    assert not closing.done()
    may_end.set()
    await closing

    assert office.calls() == [("slow", 10), ("other", 10)]
    with pytest.raises(Unavailable):
        await keeper.finish()
    assert office.calls() == []


async def test_what_is_caught_up_on_after_a_long_time_is_told_as_an_obstacle() -> None:
    """A minute late is nothing; after a day, whoever asks is told what the server is at."""
    office = Office(now=86_400 * SECOND)
    obstacles: list[str | None] = []
    worker = office.worker("worker", 10, 86_399)
    worker.also = lambda: obstacles.append(keeper.obstacle)
    keeper = office.keeper(worker)

    await keeper.keep_up()

    assert obstacles == ["the server catches up on what was due at 1970-01-01T00:00:10.000Z", None, None]
    assert keeper.obstacle is None


async def test_two_that_want_work_done_do_it_one_after_the_other() -> None:
    """A worker is never called while it is at work."""
    office = Office()
    worker = office.worker("worker", 10)
    at_work = 0

    async def advance(now: int) -> None:
        nonlocal at_work
        at_work += 1
        await asyncio.sleep(0)
        office.book.append(("worker", at_work))
        at_work -= 1

    worker.advance = advance  # type: ignore[method-assign]
    keeper = office.keeper(worker)

    await asyncio.gather(keeper.keep_up(), keeper.finish(), keeper.keep_up())

    assert {at for _, at in office.book} == {1}
