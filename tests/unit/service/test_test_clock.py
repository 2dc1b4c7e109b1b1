"""The test clock stands until it is moved, and lives through everything that is due on the way."""

import asyncio
from dataclasses import dataclass, field

import pytest

from palmares.domain.errors import Invalid, Unavailable
from palmares.domain.local_time import DAY, SECOND, parse_instant
from palmares.service.test_clock import FARTHEST_MOVE, ClockMover, StandingClock, parse_stand
from palmares.service.timekeeper import Timekeeper

pytestmark = pytest.mark.anyio


@dataclass
class Desk:
    """A clock that stands at 100 seconds, and a worker; `book` holds in order what happened."""

    dues: list[int] = field(default_factory=list)
    book: list[object] = field(default_factory=list)
    fails: bool = False
    disk_full: bool = False

    def __post_init__(self) -> None:
        self.clock = StandingClock(100 * SECOND, self.save)
        keeper = Timekeeper([self], self.clock, lambda: 0.0, asyncio.sleep)
        self.mover = ClockMover(self.clock, keeper, self.settle)

    def next_due(self) -> int | None:
        return min(self.dues, default=None)

    async def advance(self, now: int) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("broken")
        done = [due for due in self.dues if due <= now]
        self.dues = [due for due in self.dues if due > now]
        self.book += [("work of", due // SECOND, "at", self.clock() // SECOND) for due in done]

    async def settle(self) -> None:
        self.book.append("settled")

    async def save(self, now: int) -> None:
        if self.disk_full:
            raise Unavailable("the disk is full")
        self.book.append(("saved", now // SECOND, "at", self.clock() // SECOND))


def work(*seconds: int) -> list[int]:
    return [second * SECOND for second in seconds]


async def test_the_clock_stands_at_each_instant_while_the_work_of_that_instant_is_done() -> None:
    """Where it stands is saved before anything sees it; the answer comes after all is settled."""
    desk = Desk(work(110, 120, 200))

    await desk.mover.move(150 * SECOND)

    assert desk.book == [
        *[("saved", 110, "at", 100), ("work of", 110, "at", 110), "settled"],
        *[("saved", 120, "at", 110), ("work of", 120, "at", 120), "settled"],
        *[("saved", 150, "at", 120), "settled"],
    ]
    assert desk.mover.now == 150 * SECOND
    assert desk.dues == work(200)


async def test_what_is_due_at_the_new_instant_itself_is_done_too() -> None:
    desk = Desk(work(150))

    await desk.mover.move(150 * SECOND)

    assert desk.book == [("saved", 150, "at", 100), ("work of", 150, "at", 150), "settled"]


async def test_what_is_overdue_is_done_before_the_clock_moves() -> None:
    desk = Desk(work(90))

    await desk.mover.move(150 * SECOND)

    assert desk.book[0] == ("work of", 90, "at", 100)


async def test_moving_to_where_it_stands_does_what_is_due() -> None:
    desk = Desk(work(100))

    await desk.mover.move(100 * SECOND)

    assert desk.dues == []
    assert desk.mover.now == 100 * SECOND


async def test_the_clock_never_goes_back() -> None:
    desk = Desk(work(90))

    with pytest.raises(Invalid, match=r"now: the clock stands at 1970-01-01T00:01:40\.000Z and never goes back"):
        await desk.mover.move(100 * SECOND - 1000)

    assert (desk.mover.now, desk.book) == (100 * SECOND, [])


async def test_one_move_is_five_years_at_most() -> None:
    """Whoever slips by a thousand years is told so at once; five years can be gone in one move, and then five more."""
    desk = Desk(work(110))
    begin = desk.mover.now

    with pytest.raises(
        Invalid, match=r"now: one move is five years at most, from here until 1975-01-02T00:01:40\.000Z"
    ):
        await desk.mover.move(begin + FARTHEST_MOVE + 1000)
    assert (desk.mover.now, desk.book) == (begin, [])
    await desk.mover.move(begin + FARTHEST_MOVE)
    await desk.mover.move(begin + 2 * FARTHEST_MOVE)

    assert parse_instant("2029-01-01T00:00:00Z", "to") - parse_instant("2024-01-01T00:00:00Z", "from") == FARTHEST_MOVE
    assert desk.mover.now == begin + 2 * 1827 * DAY


async def test_two_moves_at_once_are_one_after_the_other() -> None:
    """Each instant is saved once; a move to an instant that has passed meanwhile is refused."""
    desk = Desk(work(110, 120))

    first, second, third = await asyncio.gather(
        desk.mover.move(150 * SECOND), desk.mover.move(160 * SECOND), desk.mover.move(130 * SECOND),
        return_exceptions=True,
    )  # fmt: skip

    assert (first, second) == (None, None)
    assert isinstance(third, Invalid)
    saved = [line[1] for line in desk.book if isinstance(line, tuple) and line[0] == "saved"]
    assert saved == [110, 120, 150, 160]


async def test_a_move_whose_work_fails_stops_there_and_can_be_repeated() -> None:
    desk = Desk(work(110, 120))
    desk.fails = True
    with pytest.raises(Unavailable):
        await desk.mover.move(150 * SECOND)
    assert desk.mover.now == 100 * SECOND
    desk.fails = False

    await desk.mover.move(150 * SECOND)

    assert [line for line in desk.book if "work of" in line] == [
        ("work of", 110, "at", 110),
        ("work of", 120, "at", 120),
    ]
    assert desk.mover.now == 150 * SECOND


async def test_a_clock_that_cannot_be_saved_stays_where_it_is() -> None:
    desk = Desk(work(110))
    desk.disk_full = True

    with pytest.raises(Unavailable):
        await desk.mover.move(150 * SECOND)

    assert desk.mover.now == 100 * SECOND
    assert desk.dues == work(110)


async def test_a_clock_stands_at_whole_milliseconds() -> None:
    """So that what an answer shows can be sent back: it does not lie before where the clock stands."""
    desk = Desk([parse_instant("1970-03-04T00:00:00.000400Z", "now")])
    await desk.mover.move(parse_stand("1970-03-04T00:00:00.000999Z"))
    assert desk.mover.now == parse_instant("1970-03-04T00:00:00Z", "now")
    assert desk.dues != []

    await desk.mover.move(parse_stand("1970-03-04T00:00:00.001Z"))

    assert desk.dues == []
    assert desk.mover.now == parse_instant("1970-03-04T00:00:00.001Z", "now")


@pytest.mark.parametrize(
    "text", ["", "now", "2026-03-04", "2026-03-04T00:00:00", "1969-12-31T23:59:59Z", "3000-01-01T00:00:00Z"]
)
def test_a_text_that_is_no_instant_of_these_centuries_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"^now: "):
        parse_stand(text)
