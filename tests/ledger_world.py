"""A small world for tests of ledgers: one ledger, a clock that is set by hand, and short ways to record and read.

It begins on Wednesday 2026-03-04, noon UTC, like the world of actions, and knows the same metrics and attributes.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol, get_args

from palmares.archive.sql import SqlArchive
from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.group import Group
from palmares.domain.local_time import day_of, format_day, parse_instant
from palmares.domain.metric import Metric
from palmares.domain.points import Scheme
from palmares.domain.run import Run
from palmares.domain.snapshot import DayStanding
from palmares.domain.streak_settings import StreakSettings, changed
from palmares.domain.user import User
from palmares.domain.value import MICROS, parse
from palmares.ledger.contract import BoardOutcome, Entry, Ledger, Outcome, Place, Row, RunState, StreakOrder
from palmares.ledger.embedded.ledger import EmbeddedLedger, Limits
from tests.templates import empty_archive, place
from tests.world import LAPS, day

# So much that nothing is written behind the log unless a test asks for it.
CALM = Limits(events_between_projections=10**9, events_between_checkpoints=10**9)
# So little that everything is written behind the log all the time, and nothing stays in memory for long.
BUSY = Limits(cached_users=2, events_between_projections=3, events_between_checkpoints=5)


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory where the system has such a thing: ledgers flush a lot, and no disk is under test here."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as path:
        yield Path(path)


class Clock:
    """Stands still until told."""

    def __init__(self, text: str = "2026-03-04T12:00:00Z") -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self.now = parse_instant(text, "now")

    def __call__(self) -> int:
        return self.now


class Home(Protocol):
    """Where one ledger lives."""

    def open(self, boards: Sequence[Board], streaks: Mapping[int, StreakSettings]) -> Awaitable[Ledger]:
        """Open it, also again and again; what was recorded is still there, the boards and settings are told anew."""

    def kill(self) -> None:
        """Let what is opened next be what a kill at this moment leaves."""


async def open_embedded(
    folder: Path,
    clock: Callable[[], int],
    boards: Sequence[Board] = (),
    limits: Limits = CALM,
    streaks: Mapping[int, StreakSettings] | None = None,
) -> EmbeddedLedger:
    """An embedded ledger whose stopwatch stands still."""
    file = folder / "archive.sqlite3"
    place(file, empty_archive())
    archive = f"sqlite:///{file}"
    return await EmbeddedLedger.open(
        folder, boards, clock, lambda: 0.0, limits, streaks, open_archive=lambda: SqlArchive.open(archive)
    )


class Standing(NamedTuple):
    """A row without what every test would have to repeat; the value as written in the test, such as "2.5"."""

    rank: int
    user_id: str
    value: int


class DayLine(NamedTuple):
    """A day of a history as a test writes it: `03-04`, rank, whole laps."""

    day: str
    rank: int | None
    laps: int | None


class LedgerWorld:
    """One ledger, and short ways to fill and read it. Amounts are texts or whole numbers, values micros."""

    def __init__(self, home: Home, clock: Clock) -> None:
        self._home = home
        self.clock = clock
        self.boards: dict[int, Board] = {}
        self.streaks: dict[int, StreakSettings] = {}
        self.ledger: Ledger

    async def open(self) -> None:
        self.ledger = await self._home.open(list(self.boards.values()), self.streaks)

    async def restart(self) -> None:
        """Close the ledger and open it again, with the boards as they are defined now."""
        await self.ledger.close()
        await self.open()

    async def crash(self) -> None:
        """Kill the ledger and open it again."""
        killed = self.ledger
        self._home.kill()
        await self.open()
        await killed.close()

    async def reopen(self, how: str) -> None:
        """`restart` or `crash`, then do what became due meanwhile, as a server does when it starts."""
        await getattr(self, how)()
        await self.ledger.advance(self.clock())

    def at(self, text: str) -> None:
        """Set the clock."""
        self.clock.set(text)

    async def advance(self, text: str) -> None:
        """Set the clock, and do what is due by then."""
        self.at(text)
        await self.ledger.advance(self.clock())

    async def follow(self, *boards: Board) -> None:
        for board in boards:
            self.boards[board.number] = board
            await self.ledger.follow(board)

    def forget(self, board: Board) -> None:
        del self.boards[board.number]
        self.ledger.forget(board.number)

    async def set_points(self, *schemes: Scheme) -> None:
        """Pay by these schemes from now on."""
        await self.ledger.set_points(DEFAULT_SCOPE, schemes)

    async def set_streaks(self, **given: Any) -> None:
        """Change the settings of streaks."""
        self.note_streaks(**given)
        await self.ledger.set_streaks(DEFAULT_SCOPE, self.streaks[DEFAULT_SCOPE])

    def note_streaks(self, **given: Any) -> None:
        """Change the settings of streaks, which the ledger does not hear until it is opened again."""
        self.streaks[DEFAULT_SCOPE] = changed(self.streaks.get(DEFAULT_SCOPE, StreakSettings()), given)

    def redefine(self, board: Board) -> None:
        self.boards[board.number] = board
        self.ledger.redefine(board)

    async def record(self, *entries: Entry) -> list[Outcome]:
        return await self.ledger.record(entries)

    async def change(self, user_id: str, **changes: Any) -> Outcome:
        """Create or change a user."""
        [outcome] = await self.ledger.record([Entry(DEFAULT_SCOPE, user_id, changes)])
        return outcome

    async def hide(self, *user_ids: str) -> None:
        """Hide users from rankings."""
        await self.ledger.record([Entry(DEFAULT_SCOPE, user, {"hidden": True}, must_exist=True) for user in user_ids])

    async def unhide(self, *user_ids: str) -> None:
        """Bring hidden users back."""
        await self.ledger.record([Entry(DEFAULT_SCOPE, user, {"hidden": False}, must_exist=True) for user in user_ids])

    async def erase(self, *user_ids: str) -> None:
        """Erase users."""
        await self.ledger.record([Entry(DEFAULT_SCOPE, user, erase=True, must_exist=True) for user in user_ids])

    async def compact(self) -> None:
        """Remove what is left of them."""
        await self.ledger.compact([erasure.number for erasure in await self.ledger.unfinished_erasures()])

    async def swim(
        self, user_id: str, laps: str | int, at: str | None = None, key: str | None = None, **changes: Any
    ) -> Outcome:
        """One event, now or at an instant, with changes of the user."""
        [outcome] = await self.ledger.record([swim(user_id, laps, at, key, **changes)])
        return outcome

    async def swam(self, user_id: str, laps: str | int, at: str, **changes: Any) -> Outcome:
        """One event imported as history, readable in what it revises too."""
        [outcome] = await self.ledger.record([swam(user_id, laps, at, **changes)])
        await self.ledger.settle()
        return outcome

    async def user(self, user_id: str) -> User:
        found = await self.ledger.user(DEFAULT_SCOPE, user_id)
        assert found is not None, f"{user_id} is unknown"
        return found

    async def total(self, user_id: str, metric: Metric = LAPS) -> int:
        return await self.ledger.total(await self.user(user_id), metric)

    async def standings(self, board: Board, *groups: Group, on: str = "2026-03-04") -> list[Standing]:
        """The whole ranking of some groups, of the only one if none is named, in the run of a day."""
        rows = await self.rows(board, *groups, on=on)
        return [Standing(row.rank, row.user_id, row.value) for row in rows]

    async def rows(self, board: Board, *groups: Group, on: str = "2026-03-04") -> list[Row]:
        run = run_on(board, on)
        chosen = groups or ((),)
        return await self.ledger.page(board.number, run, chosen, 0, await self.ledger.size(board.number, run, chosen))

    async def order(self, board: Board, *groups: Group, on: str = "2026-03-04") -> list[str]:
        """The ids of who is ranked, best first."""
        return [row.user_id for row in await self.rows(board, *groups, on=on)]

    async def place(self, board: Board, user_id: str, *groups: Group, on: str = "2026-03-04") -> Place | None:
        return await self.ledger.place(board.number, run_on(board, on), groups or ((),), await self.user(user_id))

    async def state(self, board: Board, on: str = "2026-03-04") -> RunState:
        return await self.ledger.run_state(board.number, run_on(board, on))

    async def history(
        self, board: Board, user_id: str, on: str = "2026-03-04", first: str = "2000-01-01", last: str = "2099-12-31"
    ) -> list[DayLine]:
        """The days of a user in the run of a day."""
        run, user = run_on(board, on), await self.user(user_id)
        return list(map(day_line, await self.ledger.history(board.number, run, user, day(first), day(last))))


def day_line(found: DayStanding) -> DayLine:
    return DayLine(format_day(found.day)[5:], found.rank, None if found.value is None else found.value // MICROS)


def swam(user_id: str, laps: str | int, at: str, metric: Metric = LAPS, **changes: Any) -> Entry:
    """The entry of one event that is imported as history."""
    return replace(swim(user_id, laps, at, metric=metric, **changes), history=True)


def swim(
    user_id: str, laps: str | int, at: str | None = None, key: str | None = None, metric: Metric = LAPS, **changes: Any
) -> Entry:
    """The entry of one event."""
    occurred_at = None if at is None else parse_instant(at, "at")
    return Entry(DEFAULT_SCOPE, user_id, changes, metric, parse(str(laps)), None, key, occurred_at)


def run_on(board: Board, text: str) -> Run:
    """The run of a board that contains a day."""
    run = board.schedule.run_at(day(text))
    assert run is not None, f"{board.key} has no run on {text}"
    return run


def placed(outcome: Outcome) -> dict[str, tuple[int | None, int | None]]:
    """(previous rank, rank) by board key."""
    return {found.board.key: (found.previous_rank, found.rank) for found in outcome.boards}


def told(outcome: Outcome) -> tuple[Any, ...]:
    """What an outcome says, but for what each ledger chooses for itself: ids of events, and the order of boards."""
    boards = sorted(_told_of_board(found) for found in outcome.boards)
    streak = outcome.streak, outcome.streak_extended
    awards = [award._replace(id="") for award in outcome.awards]
    return (
        outcome.user, outcome.created, outcome.event_id is None, outcome.total, outcome.replayed, boards, streak, awards
    )  # fmt: skip


def _told_of_board(found: BoardOutcome) -> tuple[Any, ...]:
    return (
        found.board.number,
        found.run.start,
        found.group,
        str((found.run, found.rank, found.previous_rank, found.threshold)),
    )


async def everything(
    ledger: Ledger,
    boards: Iterable[Board],
    users: Collection[str],
    metrics: Iterable[Metric],
    histories: bool = True,
) -> dict[Any, Any]:
    """All that can be read of the present state, to be compared with the same of another ledger; without histories
    where one of them has none. Much is asked at once, because a ledger on Valkey is then a third of the work."""
    known = [user for user_id in sorted(users) if (user := await ledger.user(DEFAULT_SCOPE, user_id)) is not None]
    found: dict[Any, Any] = {"users": known}
    for metric in metrics:
        # Streaks are asked for with metrics, too: without any, only boards are of interest.
        found["streaks"] = await streaks_of(ledger, known)
        of_metric = await asyncio.gather(*(_everything_of_metric(ledger, user, metric) for user in known))
        found |= {(metric.key, user.id): one for user, one in zip(known, of_metric, strict=True)}
    return found | await everything_of_boards(ledger, boards, known, histories)


async def _everything_of_metric(ledger: Ledger, user: User, metric: Metric) -> tuple[Any, ...]:
    awards = await ledger.awards(user, metric, 5) if metric.number < 0 else []
    total, days = await asyncio.gather(
        ledger.total(user, metric), ledger.days(user, metric, day("2026-01-01"), day("2026-12-31"))
    )
    return total, days, [award._replace(id="") for award in awards]


async def everything_of_boards(
    ledger: Ledger, boards: Iterable[Board], users: Collection[User], histories: bool = True
) -> dict[Any, Any]:
    """All that can be read of some boards, run by run. How often a run was revised is each ledger's own affair."""
    found: dict[Any, Any] = {}
    for board in boards:
        last_day = await _last_sure_day(ledger, board)
        for run in await ledger.runs(board.number):
            rankings, state, groups, days = await asyncio.gather(
                _everything_of_run(ledger, board, run, users),
                ledger.run_state(board.number, run),
                asyncio.gather(*(ledger.group(board.number, run, user) for user in users)),
                asyncio.gather(
                    *(
                        ledger.history(board.number, run, user, day("2000-01-01"), last_day)
                        for user in (users if histories else [])
                    )
                ),
            )
            found[board.key, run, "rankings"] = rankings
            found[board.key, run, "state"] = state._replace(revision=0)
            found |= {(board.key, run, user.id): one for user, one in zip(users, groups, strict=True)}
            found |= {(board.key, run, user.id, "days"): one for user, one in zip(users, days, strict=False)}
    return found


async def _last_sure_day(ledger: Ledger, board: Board) -> int:
    """The last day that histories have however they came about.

    When a board was finished by hand, only its definition's end tells; the log tells just that it was not before the
    last line that counts.
    """
    if board.finished_position is None:
        return day("2099-12-31")
    [line] = await ledger.records(board.finished_position - 1, 1) or [None]
    return 0 if line is None else day_of(line.recorded_at) - 1


async def streaks_of(ledger: Ledger, users: Iterable[User]) -> list[Any]:
    """Everybody's streak, with the periods that counted, and the longest ones."""
    ranked = [await ledger.streak_rankings(DEFAULT_SCOPE, order, 100) for order in get_args(StreakOrder)]
    of_users = [asyncio.gather(ledger.streak(user), ledger.counted_periods(user)) for user in users]
    return [await asyncio.gather(*of_users), ranked]


async def _everything_of_run(ledger: Ledger, board: Board, run: Run, users: Collection[User]) -> list[Any]:
    groups = sorted(await ledger.groups(board.number, run))
    chosen = [[group] for group in groups] + ([groups, groups[1:]] if len(groups) > 2 else [groups])
    return await asyncio.gather(*(_everything_of_groups(ledger, board, run, some, users) for some in chosen))


async def _everything_of_groups(
    ledger: Ledger, board: Board, run: Run, groups: Collection[Group], users: Collection[User]
) -> tuple[Any, ...]:
    size = await ledger.size(board.number, run, groups)
    told = await asyncio.gather(
        ledger.page(board.number, run, groups, 0, size + 1),
        ledger.page(board.number, run, groups, size // 2, size // 2 + 2),
        *(ledger.place(board.number, run, groups, user) for user in users),
    )
    return groups, size, told


async def rankings_of(ledger: Ledger, boards: Iterable[Board]) -> dict[Any, list[Row]]:
    """Every ranking of every run of the boards, and the union of the groups of each run."""
    found: dict[Any, list[Row]] = {}
    for board in boards:
        for run in await ledger.runs(board.number):
            groups = sorted(await ledger.groups(board.number, run))
            for some in [[group] for group in groups] + [groups]:
                found[board.number, run, tuple(some)] = await ledger.page(board.number, run, some, 0, 1_000_000)
    return found
