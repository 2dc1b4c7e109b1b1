"""Reading one user: the profile, the standing on a board, the totals of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from palmares.catalog.contract import Definitions
from palmares.domain.board import Board, Status
from palmares.domain.errors import NotFound
from palmares.domain.local_time import day_of
from palmares.domain.metric import Metric
from palmares.domain.run import Run
from palmares.domain.snapshot import DayStanding
from palmares.domain.user import User
from palmares.ledger.contract import Place, RunState
from palmares.service.context import Context
from palmares.service.read_board import shown_board, shown_run
from palmares.service.read_history import read_history


class UserStanding(NamedTuple):
    """A user in one run of a board. `place` is None while the user is not ranked; `total` counts the group's ranked.

    `history` are the ends of days, ascending, and what preceded the first of them, None when it is the first of all.
    """

    board: Board
    status: Status
    run: Run | None
    state: RunState | None
    total: int
    place: Place | None
    history: Sequence[DayStanding] = ()
    preceding: DayStanding | None = None


class MetricTotal(NamedTuple):
    """A metric and a user's lifetime total of it, in micros."""

    metric: Metric
    total: int


async def read_user(context: Context, scope: int, user_id: str) -> User:
    """The user, or `NotFound`."""
    user = await context.ledger.user(scope, user_id)
    if user is None:
        raise NotFound(f"user {user_id[:64]!r} was not found")
    return user


async def read_standing(
    context: Context, scope: int, user_id: str, key: str, day: int | None, days: int
) -> UserStanding:
    """Where a user stands in their group in the run of a day or of their today, and on the last so many days.

    Raises `NotFound` for an unknown user, an unknown or inactive board and a day without run. O(log participants), and
    one small read a day.
    """
    now = context.clock()
    board, status = shown_board(context, scope, key, now)
    user = await read_user(context, scope, user_id)
    run = shown_run(board, day, user, now)
    if run is None:
        return UserStanding(board, status, None, None, 0, None)
    state = await context.ledger.run_state(board.number, run)
    group = await context.ledger.group(board.number, run, user)
    groups = [] if group is None else [group]
    place = await context.ledger.place(board.number, run, groups, user)
    if place is not None and place.rank is None:
        place = None
    total = await context.ledger.size(board.number, run, groups)
    # In the end a day on which a user is hidden has no place, so today has none either.
    shown = None if user.hidden else place
    today = None if state.final else DayStanding(day_of(now), shown and shown.rank, shown and shown.value)
    history = await read_history(context.ledger, board, run, user, today, days + 1, now)
    first = max(len(history) - days, 0)
    preceding = history[first - 1] if first else None
    return UserStanding(board, status, run, state, total, place, history[first:], preceding)


async def read_totals(context: Context, scope: int, user_id: str) -> list[MetricTotal]:
    """The user's total of every metric there is, 0 where nothing was sent; `NotFound` for an unknown user."""
    user = await read_user(context, scope, user_id)
    metrics = context.catalog.definitions(scope).metrics
    return [MetricTotal(metric, await context.ledger.total(user, metric)) for metric in metrics]


async def read_total(context: Context, scope: int, user_id: str, key: str) -> MetricTotal:
    """The user's total of one metric; `NotFound` for an unknown user or metric."""
    user = await read_user(context, scope, user_id)
    metric = metric_with(context.catalog.definitions(scope), key)
    return MetricTotal(metric, await context.ledger.total(user, metric))


def metric_with(definitions: Definitions, key: str) -> Metric:
    """The metric with that key, or `NotFound`."""
    metric = definitions.metric_by_key.get(key)
    if metric is None:
        raise NotFound(f"metric {key[:64]!r} was not found")
    return metric
