"""Where a test clock stands, noted beside what it made: in a file of the data folder, or in Valkey.

What a test made is best thrown away afterwards. Opened with the real clock, it goes on as if the server had been
down since; but not when the test clock was ahead, since what is there has then not happened yet.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from palmares.domain.errors import Invalid, PalmaresError, Unavailable
from palmares.domain.local_time import format_instant
from palmares.service.test_clock import StandingClock, parse_stand

if TYPE_CHECKING:
    # A server with a folder does without the client of Valkey.
    from palmares.ledger.valkey.store import Store

logger = structlog.get_logger(__name__)


class ClockAhead(PalmaresError):
    """What is there was made with a test clock that is ahead of the real one."""


class Note(Protocol):
    """Where the stand is noted. `made` says in words what the clock made, `instead` what else may be taken for a real
    clock, and `name` where to look."""

    made: str
    instead: str
    name: str

    async def read(self) -> bytes | None:
        """What is noted; None when nothing ever was."""

    async def write(self, text: bytes) -> None:
        """Note it; durable on return. Raises `Unavailable`."""


class StoredClock:
    """The stand of one clock; nothing is written before a clock is moved."""

    def __init__(self, note: Note) -> None:
        self._note = note

    async def standing(self, given: int) -> StandingClock:
        """A clock that goes on from where it stood or from the instant given, whichever is later."""
        stood = await self.stood()
        return StandingClock(given if stood is None else max(stood, given), self.note)

    async def leave(self, now: int) -> None:
        """See to it that the real clock can go on here; `ClockAhead` when the one for tests is ahead of it."""
        stood = await self.stood()
        if stood is None:
            return
        if stood > now:
            raise ClockAhead(
                f"{self._note.made} was used with a test clock, which stands at {format_instant(stood)}, ahead of the "
                f"real one; go on with --test-clock, or take {self._note.instead}"
            )
        logger.warning(f"{self._note.made} was used with a test clock", stood_at=format_instant(stood))

    async def stood(self) -> int | None:
        """Where the clock stood last; None where there was none."""
        noted = await self._note.read()
        try:
            return None if noted is None else parse_stand(noted.decode().strip())
        except (Invalid, UnicodeDecodeError):
            raise Invalid(f"{self._note.name} holds no instant at which a test clock can stand") from None

    async def note(self, now: int) -> None:
        """Note where a clock stands."""
        await self._note.write(format_instant(now).encode())


class FileNote:
    """A file of a data folder."""

    made = "the data folder"
    instead = "another folder"

    def __init__(self, data: Path) -> None:
        self._path = data / "test-clock"
        self.name = str(self._path)

    async def read(self) -> bytes | None:
        """See `Note`."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    async def write(self, text: bytes) -> None:
        """See `Note`."""
        try:
            await asyncio.to_thread(self._replace, text)
        except OSError as error:
            raise Unavailable(f"the test clock cannot be moved: {error}") from error

    def _replace(self, text: bytes) -> None:
        """Replace the file in one go; durable on return."""
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(text + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        _flush_folder(self._path.parent)


def _flush_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class ValkeyNote:
    """Where the test clock of a ledger stands."""

    instead = "another database and valkey_name"

    def __init__(self, store: Store, ledger: str) -> None:
        self._store = store
        self._key = f"{{{ledger}}}:test-clock".encode()
        self.made = f"the ledger {ledger} in Valkey"
        self.name = self._key.decode()

    async def read(self) -> bytes | None:
        """See `Note`."""
        [noted] = await self._store.read([[b"GET", self._key]])
        return None if noted is None else bytes(noted)

    async def write(self, text: bytes) -> None:
        """See `Note`. As durable as anything there."""
        await self._store.read([[b"SET", self._key, text]])
