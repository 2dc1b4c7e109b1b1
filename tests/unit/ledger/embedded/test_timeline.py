"""Days and runs end at their instants, in order and once."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.local_time import DAY, HOUR, format_day, format_instant, parse_instant
from palmares.domain.run import Run
from palmares.domain.snapshot import DAYS_KEPT
from palmares.domain.tally import Tally
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.timeline import Timeline, finish
from tests.world import day, make_board

pytestmark = pytest.mark.anyio

DAILY = make_board(1, "daily", run_unit="day", run_interval=1)
WEEKLY = make_board(2, "weekly", run_unit="day", run_interval=7)
OPEN = make_board(3, "open")


def instant(text: str) -> int:
    """The instant of `03-09T12:00` in UTC, in 2026."""
    return parse_instant(f"2026-{text}:00Z", "instant")


@dataclass
class NotingArchivist:
    """Notes what it is told to take, and lets runs go as the real one does."""

    told: list[tuple[str, str, str]] = field(default_factory=list)
    relieved: list[bool] = field(default_factory=list)

    def keep_day(self, rankings: Rankings, run: Run, day: int) -> None:
        self._note("keep", rankings, day)

    def skip_day(self, rankings: Rankings, run: Run) -> None:
        """Nothing is taken then."""

    def close(self, rankings: Rankings, run: Run, day: int) -> None:
        rankings.close(run.start)
        self._note("close", rankings, day)

    async def relieve(self, in_build: bool) -> None:
        self.relieved.append(in_build)

    def _note(self, what: str, rankings: Rankings, day: int) -> None:
        self.told.append((what, rankings.plan.board.key, format_day(day)[5:]))


@dataclass
class Bench:
    """A timeline over some boards, that begins at noon of 2026-03-04."""

    boards: list[Rankings]
    archivist: NotingArchivist = field(default_factory=NotingArchivist)

    def __post_init__(self) -> None:
        self.timeline = Timeline(lambda: self.boards, lambda: (), cast(Any, self.archivist), instant("03-04T12:00"))

    async def reach(self, text: str) -> list[tuple[str, str, str]]:
        """What was taken on the way to an instant."""
        self.archivist.told.clear()
        await self.timeline.reach(instant(text))
        return list(self.archivist.told)


def bench(*boards: Board) -> Bench:
    """With a value of somebody in the run of 2026-03-04 of each board."""
    made = [Rankings(Plan(board), lambda number: str(number).encode()) for board in boards]
    for rankings in made:
        run = rankings.plan.board.schedule.run_at(day("2026-03-04"))
        assert run is not None
        rankings.set(run.start, (), 1, Tally(1, 0))
    return Bench(made)


async def test_days_are_kept_at_midnight_and_runs_closed_at_noon() -> None:
    """A run has a last day to keep on the day on which it becomes final."""
    desk = bench(DAILY)
    assert await desk.reach("03-04T23:59") == []
    assert await desk.reach("03-05T00:00") == [("keep", "daily", "03-04")]
    assert await desk.reach("03-05T11:59") == []
    assert await desk.reach("03-05T12:00") == [("close", "daily", "03-05")]
    assert await desk.reach("03-20T12:00") == []


async def test_a_leap_passes_all_that_lies_in_between_in_order() -> None:
    """At each instant, board by board."""
    desk = bench(WEEKLY, DAILY)
    assert await desk.reach("03-10T00:00") == [
        ("keep", "weekly", "03-04"),
        ("keep", "daily", "03-04"),
        ("close", "daily", "03-05"),
        *(("keep", "weekly", f"03-0{date}") for date in range(5, 9)),
        ("close", "weekly", "03-09"),
    ]


async def test_what_was_reached_is_not_passed_again() -> None:
    """Nor does time go back."""
    desk = bench(WEEKLY)
    await desk.reach("03-05T00:00")
    assert await desk.reach("03-05T00:00") == await desk.reach("03-04T00:00") == []
    assert desk.timeline.now == instant("03-05T00:00")


async def test_the_next_instant_is_told() -> None:
    """Midnight and noon in turn, also where nothing has a value."""
    for desk in (bench(WEEKLY), Bench([])):
        for text in ("03-05T00:00", "03-05T12:00", "03-06T00:00"):
            assert format_instant(desk.timeline.next_due) == f"2026-{text}:00.000Z"
            await desk.reach(text)
            assert desk.timeline.now == instant(text)


async def test_where_nothing_can_end_years_are_one_step() -> None:
    """Then it goes on from there."""
    desk = Bench([])
    desk.timeline.now = -(10**15)
    await desk.reach("03-04T15:00")
    assert desk.archivist.relieved == []
    assert desk.timeline.now == instant("03-04T15:00")
    assert desk.timeline.next_due == instant("03-05T00:00")


async def test_days_that_nobody_can_ask_for_any_more_are_not_kept() -> None:
    """When it is known how far time goes on; a final run keeps those before its end."""
    open_desk, weekly = bench(OPEN), bench(WEEKLY)
    until = instant("03-04T12:00") + (DAYS_KEPT + 5) * DAY
    for desk in (open_desk, weekly):
        await desk.timeline.reach(instant("03-06T00:00"), until)
    assert (len(open_desk.archivist.told), len(weekly.archivist.told)) == (0, 2)
    await open_desk.timeline.reach(until)
    assert len(open_desk.archivist.told) == DAYS_KEPT


async def test_the_archivist_is_relieved_at_every_step() -> None:
    """And knows whether this is a build."""
    desk = bench(WEEKLY)
    await desk.reach("03-06T00:00")
    assert desk.archivist.relieved == [False] * 3
    building = Timeline(lambda: desk.boards, lambda: (), cast(Any, desk.archivist), desk.timeline.now, in_build=True)
    await building.reach(desk.timeline.now + 12 * HOUR)
    assert desk.archivist.relieved[3:] == [True]


async def test_a_board_that_is_finished_by_hand_has_all_its_runs_closed() -> None:
    """Also those that would have gone on, on that day."""
    [rankings] = bench(WEEKLY).boards
    rankings.set(day("2026-03-09"), (), 1, Tally(1, 0))
    archivist = NotingArchivist()
    finish(rankings, cast(Any, archivist), instant("03-08T15:00"))
    assert archivist.told == [("close", "weekly", "03-08")] * 2
    assert rankings.runs == {}
