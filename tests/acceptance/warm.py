"""`palmares` in processes that start at once: children of one that has imported everything already.

Each is a process of its own, that can be stopped and killed like any other; only what `warmth.py` does is saved, which
would take a second of each.
"""

import multiprocessing
import os
import select
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from palmares.cli import main

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.acceptance.warmth"])


def pipe() -> tuple[Connection, Connection]:
    """The reading and the writing end of a pipe."""
    return _PROCESSES.Pipe(duplex=False)


class Warm:
    """A process that calls a function of a module. `pid` is its id."""

    def __init__(self, call: Callable[..., object], *arguments: Any) -> None:
        self._process = _PROCESSES.Process(target=call, args=arguments)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.is_alive()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, and wait for nothing."""
        if self.alive:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """The exit code once it has ended, negative when a signal ended it. Raises `TimeoutError`."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError("the process does not end")
        return self._process.exitcode


class WarmCommand(Warm):
    """A command of `palmares` whose lines can be read; what it writes to standard error goes into a file."""

    def __init__(self, arguments: list[str], environment: dict[str, str], errors: Path) -> None:
        self._lines, printed = pipe()
        super().__init__(_run, arguments, environment, printed, str(errors))
        printed.close()
        self._output = os.fdopen(os.dup(self._lines.fileno()), "rb", buffering=0)
        self._lines.close()

    def read_line(self, seconds: float) -> str:
        """The next line that it prints; empty when it has ended. Raises `TimeoutError`."""
        if not select.select([self._output], [], [], seconds)[0]:
            raise TimeoutError("the process prints nothing")
        return self._output.readline().decode()

    def close(self) -> None:
        """Read no more."""
        self._output.close()


def _run(arguments: list[str], environment: dict[str, str], printed: Connection, errors: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(printed.fileno(), 1)
    printed.close()
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main(arguments, prog_name="palmares")
