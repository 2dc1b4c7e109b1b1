"""What a server is made of, and how it looks after its claim: the same for a data folder and for a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from palmares.api.health import LedgerFigures
from palmares.api.webhook_json import WebhookBodies
from palmares.catalog.sql import SqlCatalog
from palmares.config import Settings
from palmares.domain.board import Board
from palmares.machine import new_id, timer
from palmares.service.announce import Ways
from palmares.service.context import Context
from palmares.service.rate_limit import RateLimiter, RouteClass
from palmares.service.test_clock import ClockMover
from palmares.service.timekeeper import Timekeeper
from palmares.sql.claim import Claim, DatabaseInUse

Clock = Callable[[], int]
# Something to see to again and again; raises `Unavailable` while that cannot be done.
Look = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything open. `looks` are had again and again; what they raise keeps no other look from being had.

    `obstacle` tells what keeps the server from its work, `figures` what the ledger counted, if it counts anything.
    `first_key` is the text of the admin key, if this start made one, `clock_mover` is there when the clock is one for
    tests, and `promise` says what an answer means, where that is not for us to say.
    """

    context: Context
    catalog: SqlCatalog
    timekeeper: Timekeeper
    looks: Sequence[Look]
    seconds_between_looks: float
    obstacle: Callable[[], str | None]
    figures: Callable[[], LedgerFigures | None]
    make_limiter: Callable[[Mapping[RouteClass, int]], RateLimiter]
    first_key: str | None
    clock_mover: ClockMover | None = None
    promise: str | None = None


class HeldClaim:
    """A claim to the database that is to be held all the time. `lost` says why it is not, where another has it."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self.lost: str | None = None

    async def look(self) -> None:
        """See that it still holds, or take it again."""
        try:
            await asyncio.to_thread(self._claim.keep)
            self.lost = None
        except DatabaseInUse as error:
            if self.lost is None:
                structlog.get_logger(__name__).error("two servers use one database", reason=error.message)
            self.lost = error.message


def followed_boards(catalog: SqlCatalog) -> list[Board]:
    """The boards that a ledger follows from the start."""
    return [
        board
        for scope in catalog.scopes()
        for board in catalog.definitions(scope).boards
        if board.asked_status != "inactive" and board.ready
    ]


def ways_to_announce(settings: Settings) -> Ways:
    """How webhooks hear of things."""
    return Ways(
        throttle_seconds=settings.webhooks_throttle_seconds,
        timer=timer,
        new_id=new_id,
        bodies=WebhookBodies(),
        patient=settings.test_clock is not None,
    )


def on_event_loop() -> bool:
    """Whether whoever waits here makes everybody wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
