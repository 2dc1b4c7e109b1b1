"""A parent and its workers, with work that is easy: to wait until somebody says to stop.

The parent runs in a process of its own, which prints what happens; what workers do stands in a program below.
"""

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DEADLINE_SECONDS = 60.0

PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
import structlog
from palmares.domain.errors import Unavailable
from palmares.workers import Place, Workers, WorkersFailed

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

def say(*words):
    # In one piece, since several processes say something.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def live(place):
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    place.when_alone(over.set)
    place.tell_ready()
    say("ready", os.getpid(), "first" if place.first else "")
    await over.wait()
    say("over", os.getpid())

def work(place):
    if Path(sys.argv[1]).exists():
        say("failed", os.getpid())
        raise Unavailable("there is a file in the way")
    asyncio.run(live(place))

try:
    Workers(2, work).run()
except WorkersFailed as error:
    say("hopeless")
    sys.exit(7)
say("stopped")
"""


class Parent:
    """The process, its lines, and a file that keeps workers from starting while it is there."""

    def __init__(self, process: subprocess.Popen[bytes], obstacle: Path) -> None:
        self.process = process
        self.obstacle = obstacle

    def line(self) -> list[str]:
        """The words of the next line."""
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], DEADLINE_SECONDS)[0], "nothing is printed"
        return self.process.stdout.readline().decode().split()

    def ready(self) -> int:
        """The id of the worker that gets ready next."""
        word, pid, *_ = self.line()
        assert word == "ready"
        return int(pid)


@contextmanager
def parent(obstacle: Path) -> Iterator[Parent]:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(obstacle)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, bufsize=0
    ) as process:
        try:
            yield Parent(process, obstacle)
        finally:
            process.kill()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Parent]:
    with parent(tmp_path / "obstacle") as one:
        yield one


def test_they_start_one_after_the_other_and_stop_together(running: Parent) -> None:
    assert running.line()[2:] == ["first"]
    assert running.line()[2:] == []

    running.process.send_signal(signal.SIGTERM)

    assert [running.line()[0] for _ in range(3)] == ["over", "over", "stopped"]
    assert running.process.wait(DEADLINE_SECONDS) == 0


def test_one_that_dies_is_replaced_and_the_other_one_is_left_alone(running: Parent) -> None:
    first, second = running.ready(), running.ready()

    os.kill(first, signal.SIGKILL)

    assert running.ready() not in (first, second)
    os.kill(second, 0)


def test_workers_end_when_their_parent_is_gone_however_that_went(running: Parent) -> None:
    """Else they would be in the way of the next ones."""
    workers = {running.ready(), running.ready()}

    running.process.kill()

    over = [running.line() for _ in range(2)]
    assert {int(pid) for word, pid in over} == workers
    assert {word for word, _ in over} == {"over"}


def test_when_the_first_cannot_start_nothing_more_is_tried(tmp_path: Path) -> None:
    (tmp_path / "obstacle").touch()
    with parent(tmp_path / "obstacle") as one:
        assert [one.line()[0] for _ in range(2)] == ["failed", "hopeless"]
        assert one.process.wait(DEADLINE_SECONDS) == 7


def test_one_that_cannot_be_replaced_is_tried_again_while_another_works(running: Parent) -> None:
    """A moment later, and ever more seldom."""
    first, _ = running.ready(), running.ready()
    running.obstacle.touch()
    os.kill(first, signal.SIGKILL)
    assert [running.line()[0] for _ in range(2)] == ["failed", "failed"]

    running.obstacle.unlink()

    assert running.ready()
