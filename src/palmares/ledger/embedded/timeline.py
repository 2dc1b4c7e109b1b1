"""The instants at which something ends, whether or not anybody records anything.

At the end of a UTC day the places of everybody in every run that is not final are kept; at noon UTC the runs become
final whose last day is over in the latest zone. Both happen between two batches, before the first line that is
recorded later, so what is kept is exactly what had taken effect by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from palmares.domain.effect import ends_day, final_at, last_boundary, next_boundary
from palmares.domain.local_time import day_of
from palmares.domain.snapshot import DAYS_KEPT
from palmares.ledger.embedded.archivist import Archivist
from palmares.ledger.embedded.rankings import Rankings


class Timeline:
    """How far time has come for some rankings."""

    def __init__(self, boards: Callable[[], Iterable[Rankings]], archivist: Archivist, now: int) -> None:
        self._boards = boards
        self._archivist = archivist
        self.now = now

    @property
    def next_due(self) -> int:
        """The next instant at which something may end."""
        return next_boundary(self.now)

    async def reach(self, now: int, reached: int | None = None) -> None:
        """Let everything end that is due until an instant.

        `reached` is an instant that is known to be reached in the end: days so long before it that nobody can ask for
        them are not kept.
        """
        while self.next_due <= now:
            if not any(rankings.runs for rankings in self._boards()):
                # Nothing can end: one step over all the boundaries that are left.
                self.now = last_boundary(now)
                break
            self.now = self.next_due
            for rankings in self._boards():
                self._pass_boundary(rankings, reached or now)
            await self._archivist.relieve()
        self.now = max(self.now, now)

    def _pass_boundary(self, rankings: Rankings, reached: int) -> None:
        for run in rankings.live_runs():
            if not ends_day(self.now):
                if final_at(run) <= self.now:
                    self._archivist.close(rankings, run, day_of(self.now))
            elif day_of(self.now) > day_of(min(reached, final_at(run))) - DAYS_KEPT:
                self._archivist.keep_day(rankings, run, day_of(self.now) - 1)


def finish(rankings: Rankings, archivist: Archivist, now: int) -> None:
    """Let all runs of a board that is finished by hand become final at once."""
    for run in rankings.live_runs():
        archivist.close(rankings, run, day_of(now))
