"""Servers that tell by a pipe when they are ready, so that they can be killed before."""

import signal
from multiprocessing.connection import Connection
from pathlib import Path

from palmares.config import load
from palmares.web import serve
from tests.acceptance.warm import Warm, pipe

_DEADLINE_SECONDS = 60


class Forked:
    """A server on a data folder, or a worker if the settings say so, at `address` once `wait` has returned."""

    def __init__(self, data: Path, **settings: str) -> None:
        """Start it, and wait for nothing."""
        self.data = data
        self.address = ""
        self._ready, told = pipe()
        self._process = Warm(_serve, {"data": str(data), "port": "0"} | settings, told)
        told.close()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.alive

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
        self._process.send(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9`; the process is gone on return."""
        self._process.send(signal.SIGKILL)
        self._process.wait(_DEADLINE_SECONDS)
        self._ready.close()


def _serve(settings: dict[str, str], told: Connection) -> None:
    serve(load({}, **settings), lambda server, address: told.send(address))
