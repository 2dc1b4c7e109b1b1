"""The instants at which something ends, whether or not anybody records anything.

At the end of a UTC day the places of everybody in every run that is not final are kept; at noon UTC the runs become
final whose last day is over in the latest zone. At the local midnights of users, streaks break that were not extended.
All this happens between two batches, before the first line that is recorded later, so what is kept is exactly what had
taken effect by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from palmares.domain.effect import BOUNDARY_STEP, ends_day, final_at, last_boundary, next_boundary
from palmares.domain.local_time import day_of
from palmares.domain.snapshot import DAYS_KEPT
from palmares.domain.value import MOST
from palmares.ledger.embedded.archivist import Archivist
from palmares.ledger.embedded.rankings import Rankings


class Timeline:
    """How far time has come for some rankings."""

    def __init__(
        self,
        boards: Callable[[], Iterable[Rankings]],
        breaking: Callable[[], Iterable[Rankings]],
        archivist: Archivist,
        now: int,
        in_build: bool = False,
    ) -> None:
        """`breaking` are those of the boards that users leave when their streaks break. In a build, the past is lived
        through once more."""
        self._boards = boards
        self._breaking = breaking
        self._archivist = archivist
        self._in_build = in_build
        self.now = now

    @property
    def next_due(self) -> int:
        """The next instant at which something may end."""
        first_break = min([rankings.breaks.first for rankings in self._breaking()], default=MOST)
        return min(next_boundary(self.now), first_break)

    async def reach(self, now: int, reached: int | None = None) -> None:
        """Let everything end that is due until an instant.

        `reached` is an instant that is known to be reached in the end: days so long before it that nobody can ask for
        them are not kept.
        """
        while (due := self.next_due) <= now:
            if not any(rankings.runs for rankings in self._boards()):
                # Nothing can end: one step over all the boundaries that are left.
                self.now = max(self.now, last_boundary(now))
                self._break_streaks(now)
                break
            self.now = max(self.now, due)
            if due % BOUNDARY_STEP == 0:
                for rankings in self._boards():
                    self._pass_boundary(rankings, due, reached or now)
            # Behind the end of the day: until midnight, the streak was alive.
            self._break_streaks(self.now)
            await self._archivist.relieve(self._in_build)
        self.now = max(self.now, now)

    def _break_streaks(self, now: int) -> None:
        for rankings in self._breaking():
            rankings.break_streaks(now)

    def _pass_boundary(self, rankings: Rankings, due: int, reached: int) -> None:
        for run in rankings.live_runs():
            if not ends_day(due):
                if final_at(run) <= due:
                    self._archivist.close(rankings, run, day_of(due))
            elif day_of(due) > day_of(min(reached, final_at(run))) - DAYS_KEPT:
                self._archivist.keep_day(rankings, run, day_of(due) - 1)
            else:
                self._archivist.skip_day(rankings, run)


def finish(rankings: Rankings, archivist: Archivist, now: int) -> None:
    """Let all runs of a board that is finished by hand become final at once."""
    for run in rankings.live_runs():
        archivist.close(rankings, run, day_of(now))
