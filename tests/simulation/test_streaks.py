"""Long lives of a few users with streaks, compared with the ledger that is right; the same lives every time.

They act on most days, travel between the ends of the earth, upload late and import, while boards end, the ledger is
stopped or killed, and what counts changes.
"""

from random import Random
from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.local_time import HOUR, day_of
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from palmares.ledger.embedded.ledger import Limits
from tests.effort import tries
from tests.ledger_world import BUSY, CALM, Clock, memory_folder
from tests.twins import Twins
from tests.world import HOURS, LAPS, LEVEL, POOL, make_board

pytestmark = pytest.mark.anyio

USERS = ["ann", "bob", "cat", "dee"]
METRICS = [LAPS, HOURS]
ZONES = [None, None, "Asia/Tokyo", "Pacific/Kiritimati", "America/New_York", "Etc/GMT+12"]
ACTS = 70
COUNTING: list[dict[str, Any]] = [
    {},
    {"days_off": (0, 6)},
    {"metrics": ((LAPS.number, 2 * MICROS),)},
    {"metrics": ((LAPS.number, MICROS), (HOURS.number, MICROS)), "evaluation_mode": "AND"},
    {"frequency": "weekly"},
    {"frequency": "monthly", "metrics": ((HOURS.number, 3 * MICROS),)},
]


class Life:
    """One life. Where settings change, boards do not end: what is final is by the settings of its time."""

    def __init__(self, chance: Random, twins: Twins, changing: bool) -> None:
        self._chance = chance
        self._twins = twins
        self._changing = changing

    async def live(self) -> None:
        """Some boards, many acts, a look at everything now and then."""
        await self._twins.set_streaks(DEFAULT_SCOPE, self._chance.choice(COUNTING))
        for number in (1, 2, 3):
            await self._twins.follow(self._board(number))
        for act in range(ACTS):
            await self._act()
            if act % 10 == 0:
                await self._twins.compare(USERS, METRICS)
        await self._twins.compare(USERS, METRICS)

    async def _act(self) -> None:
        kind = self._chance.random()
        if kind < 0.5:
            await self._twins.record([[self._entry()] for _ in range(self._chance.randint(1, 4))])
        elif kind < 0.55:
            picks = [self._chance.randint(0, 9) for _ in range(self._chance.randint(1, 3))]
            await self._twins.record([[await self._twins.entry_of_void(pick)] for pick in picks])
        elif kind < 0.65:
            await self._twins.record([[self._entry() for _ in range(self._chance.randint(2, 4))]])
        elif kind < 0.85:
            self._twins.clock.now += self._chance.choice([1, 3, 5, 7, 10, 13, 17, 24]) * HOUR
        elif kind < 0.9:
            await self._twins.advance()
        elif kind < 0.94:
            await self._start()
        elif self._changing and kind < 0.97:
            await self._twins.set_streaks(DEFAULT_SCOPE, self._settings())
        else:
            await self._twins.follow(self._board(self._chance.randint(1, 3)))

    async def _start(self) -> None:
        losses = self._chance.choice([(), (), ("standings",), ("projection",)])
        await self._chance.choice([self._twins.restart, self._twins.crash])(without=losses)

    def _entry(self) -> Entry:
        now = self._twins.clock()
        changes: dict[str, Any] = {}
        if self._chance.random() < 0.2:
            changes["tz"] = self._chance.choice(ZONES)
        if self._chance.random() < 0.2:
            changes["attributes"] = {"pool": self._chance.choice(["east", "west", None])}
        if self._chance.random() < 0.1:
            changes["attributes"] = {"level": self._chance.choice(["pro", None])}
        if self._chance.random() < 0.1:
            return Entry(DEFAULT_SCOPE, self._chance.choice(USERS), changes)
        backdated = self._chance.random() < 0.25
        return Entry(
            DEFAULT_SCOPE,
            self._chance.choice(USERS),
            changes,
            self._chance.choice([LAPS, LAPS, HOURS]),
            self._chance.choice([-1, 0, 1, 1, 1, 2, 3]) * MICROS,
            occurred_at=now - self._chance.choice([0, 1, 8, 20, 30, 50]) * HOUR if backdated else None,
            history=self._chance.random() < 0.3,
        )

    def _board(self, number: int) -> Board:
        today = day_of(self._twins.clock())
        chosen = self._chance.choice
        return make_board(
            number,
            f"board-{number}",
            rank_by="streak",
            metric=None,
            start=today - chosen([0, 1, 4]),
            end=None if self._changing else chosen([None, today + 1, today + 2, today + 5]),
            breakdown=chosen([(), (POOL,)]),
            filters=chosen([(), (), ((LEVEL, "pro"),)]),
            order=chosen(["desc", "asc"]),
            numbering=chosen(["ordinal", "dense"]),
            late_events=chosen(["ignore", "revise"]),
            max_participants=chosen([None, 2]),
        )

    def _settings(self) -> dict[str, Any]:
        plain = {"frequency": "daily", "metrics": (), "days_off": (), "evaluation_mode": "OR"}
        return plain | self._chance.choice(COUNTING)


@pytest.mark.parametrize("limits", [CALM, BUSY], ids=["calm", "busy"])
@pytest.mark.parametrize("changing", [False, True], ids=["ending", "changing"])
@pytest.mark.parametrize("seed", range(tries(4)))
async def test_streaks_are_told_like_the_slow_ledger_tells_them(seed: int, changing: bool, limits: Limits) -> None:
    """Every outcome, every rank, every day, however the life goes."""
    with memory_folder() as folder:
        twins = Twins(folder, Clock(), limits)
        await twins.open()
        try:
            await Life(Random(seed), twins, changing).live()
        finally:
            await twins.close()
