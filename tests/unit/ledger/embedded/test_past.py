"""The past of a board: what the log holds, in the order in which it took effect."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.effect import final_at
from palmares.domain.group import Group
from palmares.domain.local_time import parse_instant
from palmares.domain.run import Run
from palmares.domain.user import User, changed
from palmares.ledger.embedded import past
from palmares.ledger.embedded.log import EVENT, USER, VOID, Line, Log
from palmares.ledger.embedded.past import PastStep, opened
from palmares.ledger.embedded.projection import Projection
from palmares.ledger.embedded.users import encode_user
from tests.log_lines import write
from tests.world import HOURS, LAPS, POOL, day, make_board

pytestmark = pytest.mark.anyio

IGNORING = make_board(1, "ignoring", run_unit="day", run_interval=7)
REVISING = make_board(2, "revising", run_unit="day", run_interval=7, late_events="revise")
POOLS = make_board(3, "pools", run_unit="day", run_interval=7, breakdown=(POOL,))
FIRST, SECOND = Run(day("2026-03-02"), day("2026-03-08")), Run(day("2026-03-09"), day("2026-03-15"))


def instant(text: str) -> int:
    """The instant of `03-04T12` in UTC, in 2026."""
    return parse_instant(f"2026-{text}:00:00Z", "instant")


def event(recorded: str, occurred: str = "", history: bool = False, metric: int = LAPS.number) -> Line:
    """An event of user 1, recorded and occurred at such instants; its position is given by `numbered`."""
    recorded_at, occurred_at = instant(recorded), instant(occurred or recorded)
    return Line(0, EVENT, recorded_at, 1, 1, metric, 1, occurred_at, occurred_at, 0, 1, history=int(history))


def user(recorded: str, pool: str | None, before: str | None = None, changes: bool = True, number: int = 1) -> Line:
    """A line of a user who is in a pool now and was in another before."""
    attributes = {} if pool is None else {"pool": pool}
    profile = User(number=number, scope=1, id=f"user-{number}", attributes=attributes, created=0, updated=0)
    former = replace(profile, attributes={} if before is None else {"pool": before})
    body = encode_user(profile, former if changes else None)
    return Line(0, USER, instant(recorded), 1, number, user_id=profile.id, body=body)


def numbered(lines: Sequence[Line]) -> list[Line]:
    return [line._replace(position=place) for place, line in enumerate(lines, start=1)]


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


@pytest.fixture
def log(folder: Path) -> Iterator[Log]:
    made = Log(folder / "log.sqlite3")
    yield made
    made.close()


async def steps(folder: Path, board: Board, upto: int = 99, runs: list[Run] | None = None) -> list[PastStep]:
    with opened(folder / "log.sqlite3", Plan(board), upto, runs) as found:
        return [step async for portion in found.steps(in_thread) for step in portion]


async def order(folder: Path, board: Board, upto: int = 99, runs: list[Run] | None = None) -> list[tuple[int, Any]]:
    """Positions, each with the instant at which the line took effect."""
    return [(step.position, step.effect) for step in await steps(folder, board, upto, runs)]


LATE = [
    event("03-04T12"),
    event("03-06T12", "03-05T12"),
    event("03-10T12"),
    event("03-10T13", "03-04T13"),
    event("03-10T14", "03-04T14", history=True),
    event("03-10T15", "02-20T12"),
    event("03-10T16", metric=HOURS.number),
]


async def test_events_come_in_the_order_in_which_they_took_effect(folder: Path, log: Log) -> None:
    """History when it happened, the others when they were recorded; those that take none come first."""
    write(log, numbered(LATE))
    assert await order(folder, IGNORING) == [
        (4, None),
        (6, None),
        (1, instant("03-04T12")),
        (5, instant("03-04T14")),
        (2, instant("03-06T12")),
        (3, instant("03-10T12")),
    ]


async def test_where_late_events_revise_they_take_effect_in_the_last_moment_of_the_run(folder: Path, log: Log) -> None:
    """In the order in which they came."""
    write(log, numbered([*LATE, event("03-11T12", "03-03T12")]))
    found = await order(folder, REVISING)
    last = final_at(FIRST) - 1
    assert [position for position, _ in found] == [6, 1, 5, 2, 4, 8, 3]
    assert [effect for position, effect in found if position in (4, 8)] == [last, last]


async def test_nothing_behind_the_position_is_there(folder: Path, log: Log) -> None:
    """Of neither kind."""
    write(log, numbered(LATE))
    assert [position for position, _ in await order(folder, IGNORING, upto=4)] == [4, 1, 2, 3]


@pytest.mark.parametrize(
    ("runs", "expected"), [([FIRST], [4, 1, 5, 2]), ([SECOND], [3]), ([FIRST, SECOND], [4, 1, 5, 2, 3])]
)
async def test_only_the_stretch_of_the_runs_asked_for_is_read(
    folder: Path, log: Log, runs: list[Run], expected: list[int]
) -> None:
    """By the local time of the events."""
    write(log, numbered(LATE))
    assert [position for position, _ in await order(folder, IGNORING, runs=runs)] == expected


async def test_a_run_without_end_has_no_last_event(folder: Path, log: Log) -> None:
    """All that came since its first day is of it."""
    write(log, numbered(LATE))
    board = make_board()
    [run] = [Run(board.start, None)]
    assert [position for position, _ in await order(folder, board, runs=[run])] == [1, 5, 2, 3, 4]


async def test_changes_of_attributes_come_among_the_events_of_a_board_with_groups(folder: Path, log: Log) -> None:
    """Whenever the runs lie; other boards, and other changes, have nothing to do with them."""
    lines = [
        user("03-01T12", "east", changes=False),
        event("03-04T12"),
        user("03-04T13", "west", "east"),
        event("03-04T15", "03-04T11", history=True),
        user("03-04T16", "west", changes=False),
    ]
    write(log, numbered(lines))
    assert [step.position for step in await steps(folder, POOLS, runs=[FIRST])] == [4, 2, 3]
    [change] = [step for step in await steps(folder, POOLS) if step.body is not None]
    with opened(folder / "log.sqlite3", Plan(POOLS), 99, None) as found:
        assert found.group_after(change.body or "") == ("west",)
    assert [step.position for step in await steps(folder, IGNORING)] == [4, 2]


async def test_everybody_begins_with_the_attributes_first_known(
    folder: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by undoing every change on the present ones, however many portions that takes."""
    monkeypatch.setattr(past, "_USERS_AT_ONCE", 1)
    lines = [
        user("03-01T12", "east", changes=False),
        user("03-01T12", None, changes=False, number=2),
        user("03-01T12", "north", changes=False, number=3),
        user("03-02T12", "west", "east"),
        user("03-03T12", None, "west"),
        user("03-03T12", "south", None, number=2),
    ]
    write(log, numbered(lines))
    expected: list[Group | None] = [None, ("east",), None, ("north",)]
    assert await groups(folder, POOLS, 6) == expected
    assert await groups(folder, POOLS, 4) == expected
    assert await groups(folder, IGNORING, 6) == []


async def test_a_board_without_groups_hears_of_those_only_who_were_ever_hidden(folder: Path, log: Log) -> None:
    """Nothing of others, and nothing of attributes where nobody was."""
    hidden = changed(User(number=1, scope=1, id="user-1", created=0, updated=0), {"hidden": True}, 0)
    hiding = Line(
        0, USER, instant("03-04T13"), 1, 1, user_id="user-1",
        body=encode_user(hidden, replace(hidden, attributes={})),
    )  # fmt: skip
    lines = [user("03-01T12", "east", changes=False), event("03-04T12"), user("03-04T12", "west", "east", number=2)]
    write(log, numbered([*lines, hiding]))
    for upto, expected in ((3, [2]), (4, [2, 4])):
        projection = Projection(folder / f"projection-{upto}.sqlite3", folder / "log.sqlite3", upto)
        projection.catch_up(upto)
        with (
            closing(projection.snapshot()) as snapshot,
            opened(folder / "log.sqlite3", Plan(IGNORING), upto, None) as found,
        ):
            assert await found.groups(snapshot, in_thread) == []
            assert [step.position async for portion in found.steps(in_thread) for step in portion] == expected
        assert projection.hidden_users() == ({1} if upto == 4 else set())
        projection.close()


async def groups(folder: Path, board: Board, upto: int) -> list[Group | None]:
    """The groups at first, as worked out from the users of a position."""
    projection = Projection(folder / f"projection-{upto}-{board.number}.sqlite3", folder / "log.sqlite3", upto)
    projection.catch_up(upto)
    snapshot = projection.snapshot()
    with opened(folder / "log.sqlite3", Plan(board), upto, None) as found:
        made = await found.groups(snapshot, in_thread)
    snapshot.close()
    projection.close()
    return made


def void(recorded: str, target: Line) -> Line:
    """The line that says that an event is void."""
    return target._replace(position=0, kind=VOID, recorded_at=instant(recorded), amount=-1, target=target.position)


@pytest.mark.parametrize(
    ("board", "ignored", "gone", "revising"),
    [(IGNORING, [8], {2, 3}, set()), (REVISING, [], {1, 2, 3, 4}, {FIRST.start})],
)
async def test_void_events_are_left_out_but_where_the_void_came_late(
    folder: Path, log: Log, board: Board, ignored: list[int], gone: set[int], revising: set[int]
) -> None:
    """A late void of what counts is told like a late event; that of a late event that is ignored is not told."""
    lines = numbered(LATE)
    voids = [void("03-10T17", lines[0]), void("03-08T12", lines[1]), void("03-10T17", lines[2])]
    lines = numbered([*lines, *voids, void("03-10T18", lines[3])])
    write(log, lines)
    said = [(line.target, line.position) for line in lines if line.kind == VOID and line.target is not None]
    with opened(folder / "log.sqlite3", Plan(board), 99, None, void=said) as found:
        all_steps = [step async for portion in found.steps(in_thread) for step in portion]
    assert found.gone == gone
    assert found.revising == revising
    assert [step.position for step in all_steps if step.position > 7] == ignored
    assert gone.isdisjoint(step.position for step in all_steps)
