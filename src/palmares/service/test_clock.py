"""The test clock: an instant that stands until somebody moves it, so that a season can be tried out in an afternoon.

Moving it to an instant lets the server live through everything that is due until then: the clock stands at each of
these instants while the work of that instant is done. Where it stands is durable before anything sees it, so whatever
the server has done, a restart never finds the clock before that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from palmares.domain.errors import Invalid
from palmares.domain.local_time import DAY, format_instant, parse_instant
from palmares.service.timekeeper import Timekeeper

# As fine as the wire tells instants: what an answer shows can be sent back.
_MILLISECOND = 1_000
_EARLIEST = parse_instant("1970-01-01T00:00:00Z", "now")
_LATEST = parse_instant("2999-12-31T00:00:00Z", "now")
# Five years, whichever they are. All days on the way are lived through, and a slip cannot be taken back.
FARTHEST_MOVE = (5 * 365 + 2) * DAY


def parse_stand(text: str) -> int:
    """The instant at which a test clock may stand, in whole milliseconds; `Invalid` for any other text."""
    instant = parse_instant(text, "now")
    if not _EARLIEST <= instant <= _LATEST:
        raise Invalid(f"now: expected an instant of the years from 1970 to 2999, got {text[:64]!r}")
    return instant - instant % _MILLISECOND


class StandingClock:
    """Where the clock stands; call it for the instant. `save` is durable on return."""

    def __init__(self, now: int, save: Callable[[int], Awaitable[None]]) -> None:
        self._now = now
        self._save = save

    def __call__(self) -> int:
        """The instant."""
        return self._now

    async def stand_at(self, instant: int) -> None:
        """Stand at an instant from now on, rounded up to milliseconds.

        Raises what saving it raises, and stays where it was then.
        """
        whole = -(-instant // _MILLISECOND) * _MILLISECOND
        await self._save(whole)
        self._now = whole


class ClockMover:
    """Moves a standing clock forward. `settle` waits for what events of the past still change."""

    def __init__(self, clock: StandingClock, timekeeper: Timekeeper, settle: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._timekeeper = timekeeper
        self._settle = settle
        self._moving = asyncio.Lock()

    @property
    def now(self) -> int:
        """Where the clock stands."""
        return self._clock()

    async def move(self, until: int) -> None:
        """Move the clock to an instant, and return when all that is due until then is done; one move at a time.

        Raises `Invalid` for an instant that has passed or is too far away, and `Unavailable` when some work could not
        be done: then the clock stands at the instant of that work, and moving it again goes on from there.
        """
        async with self._moving:
            if until < self.now:
                raise Invalid(f"now: the clock stands at {format_instant(self.now)} and never goes back")
            if until > self.now + FARTHEST_MOVE:
                farthest = format_instant(self.now + FARTHEST_MOVE)
                raise Invalid(f"now: one move is five years at most, from here until {farthest}; move it in steps")
            await self._timekeeper.finish()
            while (due := self._timekeeper.next_due(self.now)) is not None and due < until:
                await self._stand_at(due)
            await self._stand_at(until)

    async def _stand_at(self, instant: int) -> None:
        await self._clock.stand_at(instant)
        await self._timekeeper.finish()
        await self._settle()
