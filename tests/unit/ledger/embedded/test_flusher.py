"""The thread that waits for the disk."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from palmares.domain.errors import Unavailable
from palmares.ledger.embedded.flusher import Flusher

pytestmark = pytest.mark.anyio


@pytest.fixture
def flusher() -> Iterator[Flusher]:
    flusher = Flusher()
    yield flusher
    flusher.close()


async def test_work_is_done_on_another_thread_in_order(flusher: Flusher) -> None:
    done: list[tuple[int, str]] = []

    await asyncio.gather(
        *(
            flusher.run(lambda number=number: done.append((number, threading.current_thread().name)))
            for number in range(3)
        )
    )

    assert done == [(number, "palmares-flush") for number in range(3)]


async def test_the_loop_goes_on_meanwhile(flusher: Flusher) -> None:
    released = threading.Event()

    waiting = flusher.run(lambda: released.wait(10) or None)
    await asyncio.sleep(0)
    assert not waiting.done()
    released.set()

    await waiting


async def test_what_the_work_raises_is_raised_where_it_is_waited_for(flusher: Flusher) -> None:
    def fail() -> None:
        raise Unavailable("the disk is full")

    with pytest.raises(Unavailable, match="full"):
        await flusher.run(fail)
    await flusher.run(lambda: None)


async def test_nobody_has_to_wait_for_work_that_is_not_wanted_any_more(flusher: Flusher) -> None:
    released = threading.Event()
    given_up = flusher.run(lambda: released.wait(10) or None)

    given_up.cancel()
    released.set()

    await flusher.run(lambda: None)
    assert given_up.cancelled()


async def test_closing_waits_for_what_was_given_before() -> None:
    done: list[int] = []
    flusher = Flusher()
    last = flusher.run(lambda: done.append(1))

    flusher.close()

    assert done == [1]
    await last
