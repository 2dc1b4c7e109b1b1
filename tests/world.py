"""A small world for tests of actions and endpoints: swimmers in two pools, a slow ledger, a clock that is set by hand.

It begins on Wednesday 2026-03-04, noon UTC.
"""

from collections.abc import Mapping
from datetime import date
from itertools import count
from typing import Any
from uuid import UUID

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.local_time import parse_instant
from palmares.domain.metric import Attribute, Metric
from palmares.domain.points import PointsSystem, PointsTrigger, schemes_of
from palmares.domain.value import parse
from palmares.ledger.contract import Entry, Outcome
from palmares.outbox.sql import SqlOutbox
from palmares.service.context import Context
from tests.naps import Naps
from tests.plain_catalog import PlainCatalog
from tests.slow_ledger import SlowLedger

ADMIN_KEY = "abcd1234.secret"
LAPS = Metric(1, str(UUID(int=101)), DEFAULT_SCOPE, "laps-swum", "Laps swum", "number", "laps")
HOURS = Metric(2, str(UUID(int=102)), DEFAULT_SCOPE, "hours", "Hours")
POOL = Attribute(str(UUID(int=201)), DEFAULT_SCOPE, "user", "pool", "Pool")
LEVEL = Attribute(str(UUID(int=202)), DEFAULT_SCOPE, "user", "level", "Level")
STROKE = Attribute(str(UUID(int=203)), DEFAULT_SCOPE, "event", "stroke", "Stroke")


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal()


def make_board(number: int = 1, key: str = "weekly-laps", **fields: Any) -> Board:
    """An active board of laps that began on Monday 2026-03-02."""
    made: dict[str, Any] = {
        "id": str(UUID(int=300 + number)),
        "scope": DEFAULT_SCOPE,
        "name": key.replace("-", " ").title(),
        "asked_status": "active",
        "rank_by": "metric",
        "metric": LAPS,
        "start": day("2026-03-02"),
    }
    return Board(number=number, key=key, **made | fields)


def make_trigger(number: int = 1, **fields: Any) -> PointsTrigger:
    """An active trigger that pays 5 points for each 10 laps."""
    made: dict[str, Any] = {
        "id": str(UUID(int=500 + number)), "points": 5, "metric": LAPS, "threshold": 10, "status": "active",
        "created": 0, "updated": 0,
    }  # fmt: skip
    return PointsTrigger(**made | fields)


def make_system(*triggers: PointsTrigger, number: int = 1, key: str = "gold", **fields: Any) -> PointsSystem:
    """A points system with these triggers."""
    made: dict[str, Any] = {"id": str(UUID(int=400 + number)), "scope": DEFAULT_SCOPE, "name": key.title()}
    return PointsSystem(number=number, key=key, triggers=triggers, **made | fields)


class World:
    """The parts that actions need, and short ways to fill them."""

    def __init__(self) -> None:
        self.now = parse_instant("2026-03-04T12:00:00Z", "now")
        self.catalog = PlainCatalog([LAPS, HOURS], [POOL, LEVEL, STROKE], ADMIN_KEY)
        numbers = count(1)
        self.ledger = SlowLedger(lambda: self.now, lambda: str(UUID(int=next(numbers))))
        self.context = Context(
            ledger=self.ledger,
            catalog=self.catalog,
            clock=lambda: self.now,
            new_id=lambda: str(UUID(int=next(numbers))),
            new_secret=lambda length: "s" * length,
            sleep=Naps(),
            outbox=SqlOutbox("sqlite://"),
        )

    def at(self, text: str) -> None:
        """Set the clock."""
        self.now = parse_instant(text, "now")

    async def advance(self, text: str) -> None:
        """Set the clock, and let everything end that is due by then."""
        self.at(text)
        await self.ledger.advance(self.now)

    async def define(self, *boards: Board) -> None:
        """Make boards known, and follow those that are not inactive."""
        self.catalog.add(*boards)
        for board in boards:
            if board.asked_status != "inactive":
                await self.ledger.follow(board)

    async def pay(self, *systems: PointsSystem) -> None:
        """Make points systems known, and pay by them."""
        self.catalog.pay(*systems)
        await self.ledger.set_points(DEFAULT_SCOPE, schemes_of(systems))

    async def change(self, user_id: str, **changes: Any) -> Outcome:
        """Create or change a user."""
        [outcome] = await self.ledger.record([Entry(DEFAULT_SCOPE, user_id, changes)])
        return outcome

    async def swim(self, user_id: str, laps: str, at: str | None = None, metric: Metric = LAPS) -> Outcome:
        """Record an event, now or at an instant."""
        occurred_at = None if at is None else parse_instant(at, "at")
        [outcome] = await self.ledger.record(
            [Entry(DEFAULT_SCOPE, user_id, metric=metric, amount=parse(laps), occurred_at=occurred_at)]
        )
        return outcome

    async def swim_all(self, laps: Mapping[str, str]) -> None:
        """One event each, in order."""
        for user_id, number in laps.items():
            await self.swim(user_id, number)
