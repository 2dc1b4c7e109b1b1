"""Late events are taken in by crowds: one pass over the log for all that have come."""

import asyncio
from dataclasses import dataclass, field
from unittest.mock import patch

import pytest

from palmares.domain.changes import Plan
from palmares.domain.errors import Invalid, Unavailable
from palmares.domain.run import Run
from palmares.ledger.embedded import revise
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.revise import Reviser
from tests.naps import Naps
from tests.world import make_board

pytestmark = pytest.mark.anyio

FIRST, SECOND = Run(1, 7), Run(8, 14)
LEAST, LONG = revise._LEAST_SECONDS, revise._SECONDS_AFTER_A_FAILURE


@dataclass
class Workshop:
    """A reviser of two boards that notes what it builds anew; `also` happens meanwhile."""

    built: list[tuple[int, list[Run]]] = field(default_factory=list)
    seconds: float = 0.0
    fails: Exception | None = None

    def __post_init__(self) -> None:
        self.followed = Followed()
        self.boards = [Rankings(Plan(make_board(number)), lambda user: str(user).encode()) for number in (1, 2)]
        for rankings in self.boards:
            self.followed.install(rankings)
        self.reviser = Reviser(self.followed, self.rebuild, lambda: self.seconds)

    async def rebuild(self, rankings: Rankings, runs: list[Run]) -> None:
        self.built.append((rankings.number, runs))
        assert self.reviser.is_at(rankings.number)
        self.seconds += 3
        if self.fails is not None:
            raise self.fails


async def test_all_that_is_to_be_revised_is_revised_board_by_board() -> None:
    """Each with all of its runs in one pass."""
    shop = Workshop()
    shop.boards[0].revising.update({SECOND, FIRST})
    shop.boards[1].revising.add(FIRST)
    assert (shop.reviser.is_at(1), shop.reviser.is_at(2), shop.reviser.is_at(3)) == (True, True, False)
    await shop.reviser.settle()
    assert shop.built == [(1, [FIRST, SECOND]), (2, [FIRST])]
    assert (shop.reviser.is_at(1), shop.reviser.is_at(2)) == (False, False)
    await shop.reviser.settle()
    assert len(shop.built) == 2


async def test_what_comes_during_a_pass_is_in_the_next() -> None:
    """It may be too late for the one that is under way."""
    shop = Workshop()
    [rankings, _] = shop.boards
    rankings.revising.add(FIRST)

    async def rebuild(rankings: Rankings, runs: list[Run]) -> None:
        if not shop.built:
            rankings.revise(FIRST)
        shop.built.append((rankings.number, runs))

    await Reviser(shop.followed, rebuild, lambda: 0.0).settle()
    assert shop.built == [(1, [FIRST]), (1, [FIRST])]


async def test_a_pass_waits_for_the_crowd_and_as_long_as_the_last_one_took() -> None:
    """So revising never takes more than half of the time."""
    shop, naps = Workshop(), Naps()
    with patch.object(revise.asyncio, "sleep", naps):
        shop.reviser.look()
        shop.boards[0].revising.add(FIRST)
        for _ in range(3):
            shop.reviser.look()
        await naps.begun(LEAST)
        shop.boards[0].revising.add(SECOND)
        await wake(shop, naps)
        assert shop.built == [(1, [FIRST, SECOND])]
        shop.boards[1].revising.add(FIRST)
        shop.reviser.look()
        await naps.begun(3)
        await wake(shop, naps)
    assert len(shop.built) == 2


async def wake(shop: Workshop, naps: Naps) -> None:
    """Let the pass begin that waits, and end."""
    naps.wake()
    assert shop.reviser._task is not None
    await shop.reviser._task


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), ZeroDivisionError()])
async def test_what_cannot_be_revised_now_is_tried_again_after_a_while(error: Exception) -> None:
    """Nothing is forgotten, and the passes that fail do not follow one another at once."""
    shop, naps = Workshop(fails=error), Naps()
    shop.boards[0].revising.add(FIRST)
    with patch.object(revise.asyncio, "sleep", naps):
        shop.reviser.look()
        await naps.begun(LEAST)
        await wake(shop, naps)
        assert shop.reviser.is_at(1)
        shop.fails = None
        shop.reviser.look()
        await naps.begun(LONG)
        await wake(shop, naps)
    assert shop.built == [(1, [FIRST])] * 2
    assert not shop.reviser.is_at(1)


async def test_whoever_waits_for_it_hears_of_a_failure() -> None:
    """What could not be revised is to be revised still."""
    shop = Workshop(fails=Unavailable("the disk is full"))
    shop.boards[0].revising.add(FIRST)
    with pytest.raises(Unavailable):
        await shop.reviser.settle()
    assert shop.boards[0].revising == {FIRST}


async def test_a_run_that_cannot_take_its_late_events_stays_as_it_is() -> None:
    """No further try would make a sum fit that does not; the other boards are revised."""
    shop = Workshop(fails=Invalid("value: out of range"))
    for rankings in shop.boards:
        rankings.revising.add(FIRST)
    await shop.reviser.settle()
    assert [number for number, _ in shop.built] == [1, 2]
    assert not shop.reviser.is_at(1)


async def test_closing_stops_and_forgets_nothing() -> None:
    """Whether it waits or is at work."""
    shop = Workshop()
    shop.boards[0].revising.add(FIRST)
    begun = asyncio.Event()

    async def rebuild(rankings: Rankings, runs: list[Run]) -> None:
        begun.set()
        await asyncio.Event().wait()

    naps = Naps()
    naps.skipped.add(LEAST)
    reviser = Reviser(shop.followed, rebuild, lambda: 0.0)
    with patch.object(revise.asyncio, "sleep", naps):
        reviser.look()
        await begun.wait()
        await reviser.close()
    assert shop.boards[0].revising == {FIRST}
    await shop.reviser.close()
