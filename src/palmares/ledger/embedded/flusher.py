"""A thread that waits for the disk while the event loop goes on.

One flush is on its way at a time and thousands come in a second, so a flush costs two hand-overs and nothing else: an
executor, which is made for many tasks and many who wait, takes several times as much of the processor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple


class _Job(NamedTuple):
    work: Callable[[], None]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[None]


class Flusher:
    """Does what it is given, one after the other, on its own thread."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        # A ledger that is given up without being closed must not keep the process alive.
        self._thread = Thread(target=self._serve, name="palmares-flush", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], None]) -> asyncio.Future[None]:
        """Have work done; done or failed like the work."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        self._jobs.put(_Job(work, loop, answer))
        return answer

    def close(self) -> None:
        """End the thread, after what it was given before."""
        self._jobs.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            error: BaseException | None = None
            try:
                job.work()
            except BaseException as raised:
                error = raised
            # The loop may have ended without waiting.
            with suppress(RuntimeError):
                job.loop.call_soon_threadsafe(_settle, job.answer, error)


def _settle(answer: asyncio.Future[None], error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(None)
    else:
        answer.set_exception(error)
