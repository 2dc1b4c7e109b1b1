"""The servers that are measured, each a process on the serving core."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import machine, world

_ROOT = Path(__file__).parent.parent


class Served:
    """A running server. `seconds` passed between its start and its word that it serves."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, seconds: float) -> None:
        self.port = port
        self.seconds = seconds
        self._process = process

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        return machine.cpu_seconds(self._process.pid)

    @property
    def resident_bytes(self) -> int:
        """Memory that it holds."""
        return machine.resident_bytes(self._process.pid)

    @contextmanager
    def halted(self) -> Iterator[None]:
        """It does nothing meanwhile, so that its work behind the scenes takes no time from a rival on the same core."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power failure would, as far as a process can tell."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait()


@contextmanager
def palmares(folder: Path) -> Iterator[Served]:
    """`palmares serve` on a data folder, with its default settings."""
    command = [sys.executable, "-m", "palmares", "serve", "--data", str(folder), "--port", "0", "--log-level", "error"]
    with _served(command, b"", {"PALMARES_ADMIN_KEY": world.ADMIN_KEY}) as served:
        yield served


@contextmanager
def workers(count: int, valkey_url: str, database_url: str) -> Iterator[Served]:
    """`palmares serve` with so many workers of a cluster."""
    command = [
        sys.executable, "-m", "palmares", "serve", "--workers", str(count), "--port", "0", "--log-level", "error",
    ]  # fmt: skip
    settings = {
        "PALMARES_ADMIN_KEY": world.ADMIN_KEY,
        "PALMARES_VALKEY_URL": valkey_url,
        "PALMARES_DATABASE_URL": database_url,
    }
    with _served(command, b"", settings) as served:
        yield served


@contextmanager
def bare(status: int, body: bytes) -> Iterator[Served]:
    """The server that does no work."""
    with _served([sys.executable, "-m", "bench.bare", str(status)], body, {}) as served:
        yield served


@contextmanager
def _served(command: Sequence[str], given: bytes, settings: dict[str, str]) -> Iterator[Served]:
    began = time.perf_counter()
    with machine.staying_on(machine.SERVING_CORE):
        process = subprocess.Popen(
            command, cwd=_ROOT, env=_environment() | settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    try:
        port = _port(process, given)
    except BaseException:
        process.kill()
        process.wait()
        raise
    served = Served(process, port, time.perf_counter() - began)
    try:
        yield served
    finally:
        served.stop()


def _port(process: subprocess.Popen[bytes], given: bytes) -> int:
    """Gives the process its input and reads where it serves; every server prints `… serves http://host:port`."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given)
    process.stdin.close()
    for line in process.stdout:
        if b"serves http://" in line:
            return int(line.rpartition(b":")[2])
    raise RuntimeError(f"{process.args!r} did not start")


def _environment() -> dict[str, str]:
    """This process's environment without settings of Palmares, and with compiled bytecode, as where it is installed."""
    dropped = ("PALMARES_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
