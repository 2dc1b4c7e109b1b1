"""Servers that start at once: children of a process that has everything imported already.

Each is a process of its own, that can be killed like any other; only the second that imports take is saved.
"""

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

from palmares.config import load
from palmares.web import serve

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["palmares.web"])
_DEADLINE_SECONDS = 60


class Forked:
    """A server on a data folder, at `address` once `wait` has returned."""

    def __init__(self, data: Path, **settings: str) -> None:
        """Start it, and wait for nothing."""
        self.data = data
        self.address = ""
        self._ready, told = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(target=_serve, args=({"data": str(data), "port": "0"} | settings, told))
        self._process.start()
        told.close()

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.is_alive()

    @property
    def starting(self) -> bool:
        """Whether the process lives and does not take requests yet."""
        return self.alive and not self._ready.poll()

    def wait(self) -> None:
        """Wait until it takes requests. Raises `TimeoutError`, or `EOFError` when it ended first."""
        if not self._ready.poll(_DEADLINE_SECONDS):
            raise TimeoutError("the server does not get ready")
        self.address = self._ready.recv()

    def terminate(self) -> None:
        """Ask it to stop, and wait for nothing."""
        self._process.terminate()

    def kill(self) -> None:
        """`kill -9`; the process is gone on return."""
        self._process.kill()
        self._process.join(_DEADLINE_SECONDS)
        self._ready.close()


def _serve(settings: dict[str, str], told: Connection) -> None:
    serve(load({}, **settings), lambda server, address: told.send(address))
