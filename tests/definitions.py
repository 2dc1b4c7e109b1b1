"""What tests of definitions work with: a real catalog, a clock to set, a ledger that only notes."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, cast

from palmares.catalog.sql import SqlCatalog
from palmares.domain.board import Board
from palmares.domain.errors import Invalid, Unavailable
from palmares.domain.local_time import from_datetime, parse_day
from palmares.domain.points import Scheme
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.contract import Ledger
from palmares.outbox.sql import SqlOutbox
from palmares.service.bulk import Bulk, Item
from palmares.service.context import Context
from tests.naps import Naps
from tests.templates import empty_catalog, place

SCOPE = 1


def instant(text: str) -> int:
    """The instant of `2026-03-04 10:00` in UTC."""
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def day(text: str) -> int:
    """The day of `2026-03-04`."""
    return parse_day(text, "day")


class Clock:
    """Stands still until told."""

    def __init__(self, text: str) -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self.now = instant(text)

    def __call__(self) -> int:
        return self.now


@dataclass
class NotingLedger:
    """Notes what it is told about boards and streaks, in order. It can be made to fail, and to take its time."""

    position: int = 41
    told: list[tuple[str, Any]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)
    # By the keys of boards with a long past: when their rankings are made.
    made: dict[str, asyncio.Event] = field(default_factory=dict)
    _progress: dict[int, float] = field(default_factory=dict)

    async def follow(self, board: Board) -> None:
        self._note("follow", board)
        if board.key in self.made:
            await self.take_time(board)
        if "making" in self.failing:
            raise Unavailable("the disk is full")
        if board.key in self.refusing:
            raise Invalid("value: out of range")

    async def take_time(self, board: Board) -> None:
        """Make the rankings of a board as slowly as a test wants it."""
        self._progress[board.number] = 0.25
        try:
            await self.made[board.key].wait()
        except asyncio.CancelledError:
            self.told.append(("give up", board.number))
            raise
        finally:
            del self._progress[board.number]

    def progress(self, board_number: int) -> float | None:
        return self._progress.get(board_number)

    def revising(self, board_number: int) -> bool:
        return False

    def redefine(self, board: Board) -> None:
        self._note("redefine", board)

    def forget(self, board_number: int) -> None:
        self._note("forget", board_number)

    async def freeze(self, board_number: int, note: Callable[[int], Awaitable[None]] | None = None) -> int:
        self._note("freeze", board_number)
        if note is not None:
            await note(self.position)
        return self.position

    async def set_streaks(self, scope: int, settings: StreakSettings) -> None:
        self._note("set_streaks", (scope, settings))

    async def set_points(self, scope: int, schemes: Sequence[Scheme]) -> None:
        self._note("set_points", schemes)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def _note(self, name: str, about: object) -> None:
        self.told.append((name, about))
        if name in self.failing:
            raise Unavailable(f"{name} fails")


@dataclass
class Desk:
    """Everything an action needs, with the parts that a test looks at."""

    context: Context
    catalog: SqlCatalog
    ledger: NotingLedger
    clock: Clock
    naps: Naps

    @property
    def definitions(self) -> Any:
        return self.catalog.definitions(SCOPE)


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'catalog.db'}"


@asynccontextmanager
async def open_desk(folder: Path, now: str = "2026-03-04 10:00") -> AsyncIterator[Desk]:
    """A desk over the catalog in a folder; ids and secrets count up."""
    clock = Clock(now)
    numbers = count(1)
    place(folder / "catalog.db", await empty_catalog(clock()))
    catalog = await SqlCatalog.open(url(folder), clock)
    ledger, naps = NotingLedger(), Naps()
    context = Context(
        ledger=cast(Ledger, ledger),
        catalog=catalog,
        clock=clock,
        new_id=lambda: str(uuid.UUID(int=next(numbers))),
        new_secret=lambda length: f"{next(numbers):x}".rjust(length, "x"),
        sleep=naps,
        outbox=SqlOutbox("sqlite://"),
    )
    try:
        yield Desk(context, catalog, ledger, clock, naps)
    finally:
        await context.activations.close()
        await catalog.close()


def items(*fields: dict[str, Any]) -> list[Item]:
    """Items as a door reads them; an `id` among the fields names the thing to change."""
    return [
        Item(index, one.get("id"), {name: value for name, value in one.items() if name != "id"})
        for index, one in enumerate(fields)
    ]


def complaints(bulk: Bulk[Any]) -> list[tuple[int | str | None, str]]:
    """What each issue is about and the field it names, which is what its message begins with."""
    return [
        (issue.index if issue.id is None else issue.id, issue.message.partition(":")[0])
        for issue in bulk.issues
        if issue.severity == "error"
    ]


@contextmanager
def refusing(ledger: NotingLedger, key: str) -> Iterator[None]:
    """Let the past of the board with that key lead out of the range of values."""
    ledger.refusing.add(key)
    try:
        yield
    finally:
        ledger.refusing.remove(key)


@contextmanager
def failing(ledger: NotingLedger, name: str) -> Iterator[None]:
    """Let one operation of the ledger fail."""
    ledger.failing.add(name)
    try:
        yield
    finally:
        ledger.failing.remove(name)
