"""Announces what happens to leaderboards: writes messages to webhooks into the outbox, at their instants.

    TellRuns       leaderboard.started, leaderboard.finished
    TellRankings   leaderboard.changed
    TellRanks      leaderboard.rank_changed

Each says how it keeps from telling anything twice or not at all. Together they note up to which place of the log
changes are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from palmares.catalog.contract import Catalog
from palmares.domain.local_time import SECOND
from palmares.ledger.contract import Ledger
from palmares.outbox.contract import Entry, Outbox, WatchNote
from palmares.service.tell_rankings import TellRankings
from palmares.service.tell_ranks import TellRanks
from palmares.service.tell_runs import TellRuns
from palmares.service.teller import Bodies, Teller


@dataclass(frozen=True, slots=True)
class Ways:
    """How to announce.

    `throttle_seconds` is the length of a window, `timer` counts seconds, `new_id` makes a UUID. With `patient`,
    everything is told as soon as it happened, however much time that takes.
    """

    throttle_seconds: int
    timer: Callable[[], float]
    new_id: Callable[[], str]
    bodies: Bodies
    patient: bool = False


class Announcer:
    """A worker of the timekeeper's, who comes after the ledger. Make it with `open`."""

    def __init__(
        self, ledger: Ledger, outbox: Outbox, runs: TellRuns, rankings: TellRankings, ranks: TellRanks
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._runs = runs
        self._rankings = rankings
        self._ranks = ranks
        self._noted: WatchNote | None = None
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, ledger: Ledger, catalog: Catalog, outbox: Outbox, ways: Ways) -> Announcer:
        """Go on where the last one stopped. Nothing may be recorded until this returns."""
        notes = await outbox.notes()
        teller = Teller(catalog, ways.bodies, ways.new_id)
        interval = ways.throttle_seconds * SECOND
        # From now on the ledger notes what changes.
        ledger.changed_rankings()
        announcer = cls(
            ledger,
            outbox,
            TellRuns(ledger, outbox, teller, notes),
            TellRankings(ledger, outbox, teller, interval, notes),
            TellRanks(ledger, outbox, teller, interval, notes, ways.timer, ways.patient),
        )
        if not notes.new:
            announcer._noted = notes.watch
        await announcer._ranks.open()
        return announcer

    def next_due(self) -> int | None:
        """See `Worker`."""
        dues = [self._runs.next_due(), self._rankings.next_due(), self._ranks.next_due()]
        return min([due for due in dues if due is not None], default=None)

    async def advance(self, now: int) -> None:
        """See `Worker`."""
        async with self._turn:
            position = self._notice()
            await self._runs.advance(now)
            await self._rankings.advance(now)
            await self._ranks.advance(now, position)
            await self._note(now)

    async def look(self, now: int) -> None:
        """Begin to watch what is to be watched by the definitions as they are now.

        Nothing is told yet but what a change of a board's status itself begins or ends.
        """
        async with self._turn:
            position = self._notice()
            await self._runs.look(now)
            await self._rankings.look(now)
            await self._ranks.look(now, position)
            await self._note(now)

    async def close(self, now: int) -> None:
        """Tell what happened until now, so that the next start finds nothing to look back for."""
        if not await self._ranks.gave_up():
            await self.advance(now)

    def _notice(self) -> int:
        """Hear of what changed; the place of the log up to which that is."""
        position = self._ledger.position()
        # The ledger tells it once; whatever fails later, it is known.
        changed = self._ledger.changed_rankings()
        self._rankings.notice(changed)
        self._ranks.notice(changed)
        return position

    async def _note(self, now: int) -> None:
        # While nobody wants to hear of ranks, a place of the log would only be written for nothing.
        position, at = (self._ranks.position, self._ranks.told_at) if self._ranks.watched else (0, now)
        note = WatchNote(self._rankings.watched, self._ranks.watched, position, at)
        if self._noted is None or note._replace(at=0) != self._noted._replace(at=0):
            await self._outbox.write(Entry(watch=note))
            self._noted = note
