"""Several processes that do the same: one parent that starts them, and starts another one where one has died.

The parent has loaded and opened everything that they share, such as the socket, and does nothing else: no threads and
no event loop, so that it can be forked at any time. It starts one worker, and the others when that one is ready; so
what is made at a first start is made once, and what cannot work is told once.

Each worker has one end of two pipes: by the first it tells that it is ready, and at the other it sees that its parent
is gone, however that went.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from palmares.domain.errors import PalmaresError
from palmares.machine import timer

logger = structlog.get_logger(__name__)
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
# Longer than a worker takes to answer what has come and to close.
_GRACE_SECONDS: Final = 30.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
# So many in a row that never got ready, while no other is left: it will not get better by itself.
_MOST_FAILURES: Final = 5


class WorkersFailed(PalmaresError):
    """Workers cannot be started."""


@dataclass(slots=True)
class Place:
    """What a worker has of its parent. Of all workers that there ever are, one is `first`."""

    first: bool
    _ready: int
    _parent: int

    def tell_ready(self) -> None:
        """Requests are answered from now on."""
        os.write(self._ready, b".")

    def when_alone(self, do: Callable[[], None]) -> None:
        """Do something, in the event loop that runs, when the parent is gone."""
        loop = asyncio.get_running_loop()

        def alone() -> None:
            loop.remove_reader(self._parent)
            do()

        loop.add_reader(self._parent, alone)


@dataclass(slots=True)
class _Child:
    """A worker as its parent knows it. `ready_end` is where it tells that it is ready; it is `settled` when it has, or
    is over."""

    ready_end: int
    settled: bool = False


@dataclass(slots=True)
class Workers:
    """So many processes that each do `work`, which returns when the process gets SIGTERM."""

    count: int
    work: Callable[[Place], None]
    _children: dict[int, _Child] = field(default_factory=dict)
    _started: int = 0
    _failures: int = 0
    _not_before: float = 0.0
    _stopping: bool = False
    _wake: tuple[int, int] = (-1, -1)
    _life: tuple[int, int] = (-1, -1)

    def run(self) -> None:
        """Keep them going until SIGTERM or SIGINT, then stop them all.

        Raises `WorkersFailed` when the first one does not get ready, or none is left and several in a row do not.
        """
        self._wake, self._life = os.pipe(), os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        # A signal does no more than wake the parent, which then looks at everything.
        former = {number: signal.signal(number, self._on_signal) for number in (*_STOPPING, signal.SIGCHLD)}
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        try:
            while not self._stopping:
                self._start_missing()
                self._wait(self._pause())
                self._take_leave_of_the_dead()
        finally:
            self._stop()
            signal.set_wakeup_fd(-1)
            for number, handler in former.items():
                signal.signal(number, handler)
            for end in (*self._wake, *self._life):
                os.close(end)

    def _on_signal(self, number: int, frame: object) -> None:
        self._stopping = self._stopping or number in _STOPPING

    @property
    def _one_is_missing(self) -> bool:
        """Whether to start one: the one before has to be ready or over."""
        return len(self._children) < self.count and all(child.settled for child in self._children.values())

    def _start_missing(self) -> None:
        if self._one_is_missing and timer() >= self._not_before:
            self._start()

    def _pause(self) -> float | None:
        """How long the parent may sleep; until it is woken, when None."""
        return max(self._not_before - timer(), 0.0) if self._one_is_missing else None

    def _start(self) -> None:
        ready_end, ready = os.pipe()
        self._started += 1
        # What is buffered would be written by both.
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal that came to the worker before it is on its own would only be noted in its copy of the parent.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        pid = os.fork()
        if pid == 0:
            os.close(ready_end)
            self._be_a_worker(Place(self._started == 1, ready, self._life[0]), former)
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
        os.close(ready)
        self._children[pid] = _Child(ready_end)
        logger.info("a worker starts", pid=pid)

    def _be_a_worker(self, place: Place, mask: Iterable[int]) -> None:
        """Work, and never return into what the parent was about to do."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (*_STOPPING, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            # With a copy of the end that is written to, nobody would see that the parent is gone.
            os.close(self._life[1])
            for child in self._children.values():
                os.close(child.ready_end)
            self.work(place)
            code = 0
        except (PalmaresError, OSError) as error:
            logger.error(
                "a worker cannot work", reason=error.message if isinstance(error, PalmaresError) else str(error)
            )
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _wait(self, seconds: float | None) -> None:
        """Until a worker gets ready or dies, a signal comes, or so many seconds have passed."""
        waiting = {child.ready_end: child for child in self._children.values() if not child.settled}
        told, _, _ = select.select([self._wake[0], *waiting], [], [], seconds)
        for end in told:
            if end == self._wake[0]:
                self._drain()
            elif os.read(end, 1):
                waiting[end].settled = True
                self._failures = 0
            else:
                waiting[end].settled = True
                self._note_failure()

    def _note_failure(self) -> None:
        """One died before it was ready: the next one waits a moment."""
        self._failures += 1
        self._not_before = timer() + min(2.0 ** (self._failures - 1), _LONGEST_PAUSE_SECONDS)

    def _take_leave_of_the_dead(self) -> None:
        for pid in [*self._children]:
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                os.close(self._children.pop(pid).ready_end)
                if not self._stopping:
                    logger.error("a worker is gone", pid=pid, exit_code=os.waitstatus_to_exitcode(status))
        hopeless = self._failures >= (1 if self._started == 1 else _MOST_FAILURES)
        if hopeless and not self._children and not self._stopping:
            raise WorkersFailed("workers cannot be started; what each of them says stands above")

    def _stop(self) -> None:
        """Ask all to stop, and end those that do not."""
        self._stopping = True
        self._send(signal.SIGTERM)
        deadline = timer() + _GRACE_SECONDS
        while self._children:
            left = deadline - timer()
            if left <= 0:
                self._send(signal.SIGKILL)
            select.select([self._wake[0]], [], [], max(left, 0.1))
            self._drain()
            self._take_leave_of_the_dead()

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake[0], 4096)

    def _send(self, number: signal.Signals) -> None:
        for pid in self._children:
            os.kill(pid, number)
