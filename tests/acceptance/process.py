"""`palmares serve` as a real process: started on a data folder and a free port, stopped, killed, started again."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.acceptance.warm import WarmCommand

ADMIN_KEY = "acceptTs.secretOfTheAcceptanceTests"
# Far more than anything here takes; a deadline only so that a test that hangs ends.
DEADLINE_SECONDS = 60


def command(*arguments: str) -> list[str]:
    """The command line of `palmares`."""
    return [sys.executable, "-m", "palmares", *arguments]


def environment(**variables: str) -> dict[str, str]:
    """This process's variables, those of Palmares only as given here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PALMARES_")}
    return kept | {"PYTHONUNBUFFERED": "1"} | variables


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `palmares` to its end."""
    return subprocess.run(
        command(*arguments), env=environment(**variables), capture_output=True, text=True,
        timeout=DEADLINE_SECONDS, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


class Process:
    """A server that takes requests at `address` until it is stopped or killed; `printed` are its lines until then."""

    def __init__(self, data: Path, *options: str, admin_key: str | None = ADMIN_KEY, **variables: str) -> None:
        """Start it with more options of `palmares serve` and environment variables. Raises `NotStarted`."""
        given = variables if admin_key is None else {"PALMARES_ADMIN_KEY": admin_key, **variables}
        self.data = data
        url = variables.get("PALMARES_DATABASE_URL")
        # By what commands find its definitions, beside it.
        self.beside = ["--data", str(data)] if url is None else ["--database-url", url]
        self._folder = tempfile.TemporaryDirectory()
        self._errors = Path(self._folder.name) / "errors"
        arguments = ["serve", "--data", str(data), "--port", "0", *options]
        self._process = WarmCommand(arguments, environment(**given), self._errors)
        self.pid = self._process.pid
        self.printed: list[str] = []
        self.address = self.wait_for("Palmares serves ").removeprefix("Palmares serves ")

    def stop(self) -> int:
        """Ask it to stop, and wait; returns its exit code."""
        self._process.send(signal.SIGTERM)
        return self._end()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.send(signal.SIGKILL)
        self._end()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, and wait for nothing."""
        self._process.send(number)

    def read_line(self) -> str:
        """The next line that it prints. Raises `NotStarted` when it ends first, `TimeoutError` when none comes."""
        line = self._process.read_line(DEADLINE_SECONDS)
        if not line:
            raise NotStarted(self._end(), self.errors())
        self.printed.append(line.rstrip("\n"))
        return self.printed[-1]

    def errors(self) -> str:
        """What it wrote to standard error."""
        return self._errors.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """See to it that the process is gone."""
        self._process.send(signal.SIGKILL)
        self._end()
        self._folder.cleanup()

    def wait_for(self, beginning: str) -> str:
        """The next line that begins so. Whatever goes wrong, the process is gone then."""
        try:
            while not (line := self.read_line()).startswith(beginning):
                pass
        except BaseException:
            self.__exit__()
            raise
        return line

    def _end(self) -> int:
        code = self._process.wait(DEADLINE_SECONDS)
        self._process.close()
        return code


class NotStarted(Exception):
    """The process ended before it served: its exit code, and what it wrote to standard error."""

    def __init__(self, code: int, errors: str) -> None:
        super().__init__(f"exit code {code}: {errors}")
        self.code = code
        self.errors = errors
