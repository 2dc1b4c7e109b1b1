"""Where the test clock of a data folder stands, in a file of its own.

The folder of a test is best thrown away afterwards. Opened with the real clock, it goes on as if the server had been
down since; but not when the test clock was ahead, since what it holds has then not happened yet.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import structlog

from palmares.domain.errors import Invalid, PalmaresError, Unavailable
from palmares.domain.local_time import format_instant
from palmares.service.test_clock import StandingClock, parse_stand

logger = structlog.get_logger(__name__)


class ClockAhead(PalmaresError):
    """The data folder was used with a test clock that is ahead of the real one."""


class StoredClock:
    """The file of one data folder; nothing is written before a clock is moved."""

    def __init__(self, data: Path) -> None:
        self._path = data / "test-clock"

    def standing(self, given: int) -> StandingClock:
        """A clock that goes on from here or from the instant given, whichever is later."""
        stood = self._read()
        return StandingClock(given if stood is None else max(stood, given), self._save)

    def leave(self, now: int) -> None:
        """See to it that the real clock can go on here; `ClockAhead` when the one for tests is ahead of it."""
        stood = self._read()
        if stood is None:
            return
        if stood > now:
            raise ClockAhead(
                f"the data folder was used with a test clock, which stands at {format_instant(stood)}, ahead of the "
                "real one; go on with --test-clock, or take another folder"
            )
        logger.warning("the data folder was used with a test clock", stood_at=format_instant(stood))

    def _read(self) -> int | None:
        try:
            return parse_stand(self._path.read_text("utf-8").strip())
        except FileNotFoundError:
            return None
        except (Invalid, UnicodeDecodeError):
            raise Invalid(f"{self._path} holds no instant at which a test clock can stand") from None

    async def _save(self, now: int) -> None:
        try:
            await asyncio.to_thread(self._write, format_instant(now))
        except OSError as error:
            raise Unavailable(f"the test clock cannot be moved: {error}") from error

    def _write(self, text: str) -> None:
        """Replace the file in one go; durable on return."""
        new = self._path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(f"{text}\n")
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
