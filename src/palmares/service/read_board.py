"""Reading boards: which there are, and one page of one run's ranking.

A page is chosen in steps, each a function below: the run, the groups, the first row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from palmares.domain.board import Board, Status
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.group import Group
from palmares.domain.local_time import day_of, format_day, local_at
from palmares.domain.run import Run, opens_at
from palmares.domain.user import User
from palmares.ledger.contract import Ledger, Row, RunState
from palmares.service.context import Context

MOST_ROWS = 1000


class Shown(NamedTuple):
    """A board that may be seen, with its present status."""

    board: Board
    status: Status


class PageRequest(NamedTuple):
    """What page is asked for.

    `day` is any day of the run. `attributes` are (key, value) pairs that a group has to have. With a `user_id`, the
    offset counts from that user's row, and without an offset the page is centred there.
    """

    limit: int = 10
    offset: int | None = None
    day: int | None = None
    user_id: str | None = None
    attributes: Sequence[tuple[str, str]] | None = None


class Page(NamedTuple):
    """Some rows of one run's ranking. Without a run the board has not opened; `total` counts all that are ranked."""

    board: Board
    status: Status
    run: Run | None
    state: RunState | None
    total: int
    rows: Sequence[Row]


def shown_boards(context: Context, scope: int, include_finished: bool) -> list[Shown]:
    """The boards that may be seen, oldest first. Linear in the boards."""
    now = context.clock()
    boards = [Shown(board, board.status_at(now)) for board in context.catalog.definitions(scope).boards]
    hidden = ("inactive",) if include_finished else ("inactive", "finished")
    return [shown for shown in boards if shown.status not in hidden]


def shown_board(context: Context, scope: int, key: str, now: int) -> Shown:
    """The board with that key; `NotFound` when there is none or it is inactive."""
    board = context.catalog.definitions(scope).board_by_key.get(key)
    status = "inactive" if board is None else board.status_at(now)
    if board is None or status == "inactive":
        raise NotFound(f"leaderboard {key[:64]!r} was not found")
    return Shown(board, status)


def shown_run(board: Board, day: int | None, user: User | None, now: int) -> Run | None:
    """The run that contains the day, if that has opened somewhere; without a day, the run of today.

    Today is the named user's local date, else that of UTC. A board that has ended shows its last run, and one that
    has opened only further east its first. None when the board has opened nowhere. `NotFound` for a day without run.
    """
    if day is None:
        run = board.current_run(day_of(local_at(now, None if user is None else user.tz)))
        return run or (board.schedule.run_at(board.start) if opens_at(board.start) <= now else None)
    run = board.schedule.run_at(day)
    if run is None or opens_at(run.start) > now:
        raise NotFound(f"leaderboard {board.key!r} has no run on {format_day(day)}; {_told_runs(board, now)}")
    return run


def _told_runs(board: Board, now: int) -> str:
    """Where to look for a run instead."""
    if opens_at(board.start) > now:
        return f"it begins on {format_day(board.start)}"
    ending = "" if board.end is None else f" and ends on {format_day(board.end)}"
    return f"it begins on {format_day(board.start)}{ending}, and runs to come are not open yet"


async def read_page(context: Context, scope: int, key: str, asked: PageRequest) -> Page:
    """One page of one run's ranking.

    Raises `NotFound` for an unknown or inactive board and a day without run, `Invalid` when the offset or the
    attributes do not suit. A user who is not ranked there has an empty page. O(log participants + rows) for one group.
    """
    now = context.clock()
    board, status = shown_board(context, scope, key, now)
    _check(board, asked)
    user = None if asked.user_id is None else await context.ledger.user(scope, asked.user_id)
    run = shown_run(board, asked.day, user, now)
    if run is None:
        return Page(board, status, None, None, 0, ())
    state = await context.ledger.run_state(board.number, run)
    groups = await _groups(context.ledger, board, run, asked, user)
    total = await context.ledger.size(board.number, run, groups) if groups else 0
    start = await _start(context.ledger, board, run, groups, asked, user, total) if total else None
    if start is None or start >= total:
        return Page(board, status, run, state, total, ())
    stop = min(start + min(asked.limit, MOST_ROWS), total)
    rows = await context.ledger.page(board.number, run, groups, start, stop)
    return Page(board, status, run, state, total, rows)


def _check(board: Board, asked: PageRequest) -> None:
    if asked.offset is not None and asked.offset < 0 and asked.user_id is None:
        raise Invalid("offset: may be negative only together with userId")
    if asked.attributes is None:
        if board.breakdown and asked.user_id is None:
            pairs = ",".join(f"{attribute.key}:VALUE" for attribute in board.breakdown)
            raise Invalid(
                f"userAttributes: required on a leaderboard with breakdown, such as {pairs}, or else a userId"
            )
        return
    if not board.breakdown:
        raise Invalid("userAttributes: this leaderboard has no breakdown attributes; leave it out")
    keys = {attribute.key for attribute in board.breakdown}
    for key, _ in asked.attributes:
        if key not in keys:
            known = ", ".join(sorted(map(repr, keys)))
            raise Invalid(f"userAttributes: {key[:64]!r} is not a breakdown attribute of this leaderboard; {known} are")


async def _groups(ledger: Ledger, board: Board, run: Run, asked: PageRequest, user: User | None) -> Collection[Group]:
    """The groups asked for: the only one, the user's own, or all that have the attributes."""
    if not board.breakdown:
        return [()]
    if asked.attributes is None:
        own = None if user is None else await ledger.group(board.number, run, user)
        return [] if own is None else [own]
    wanted = dict(asked.attributes)
    if len(wanted) < len(set(asked.attributes)):
        # One key with two values: no group has both.
        return []
    if len(wanted) == len(board.breakdown):
        return [tuple(wanted[attribute.key] for attribute in board.breakdown)]
    named = [
        (place, wanted[attribute.key]) for place, attribute in enumerate(board.breakdown) if attribute.key in wanted
    ]
    return [group for group in await ledger.groups(board.number, run) if all(group[at] == value for at, value in named)]


async def _start(
    ledger: Ledger, board: Board, run: Run, groups: Collection[Group], asked: PageRequest, user: User | None, total: int
) -> int | None:
    """The first row of the page; None when the user that it is anchored at is not ranked."""
    if asked.user_id is None:
        return asked.offset or 0
    place = None if user is None else await ledger.place(board.number, run, groups, user)
    if place is None or place.row is None:
        return None
    if asked.offset is not None:
        return max(place.row + asked.offset, 0)
    limit = min(asked.limit, MOST_ROWS)
    return max(min(place.row - limit // 2, total - limit), 0)
