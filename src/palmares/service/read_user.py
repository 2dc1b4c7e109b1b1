"""Reading one user: the profile, the standing on a board, the totals of metrics."""

from __future__ import annotations

from typing import NamedTuple

from palmares.catalog.contract import Definitions
from palmares.domain.board import Board, Status
from palmares.domain.errors import NotFound
from palmares.domain.group import group_of
from palmares.domain.metric import Metric
from palmares.domain.run import Run
from palmares.domain.user import User
from palmares.ledger.contract import Place
from palmares.service.context import Context
from palmares.service.read_board import shown_board, shown_run


class UserStanding(NamedTuple):
    """A user in one run of a board. `place` is None while the user is not ranked; `total` counts the group's ranked."""

    board: Board
    status: Status
    run: Run | None
    total: int
    place: Place | None


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


async def read_standing(context: Context, scope: int, user_id: str, key: str, day: int | None) -> UserStanding:
    """Where a user stands in the group of their own attributes, in the run of a day or of their today.

    Raises `NotFound` for an unknown user, an unknown or inactive board and a day without run. O(log participants).
    """
    now = context.clock()
    board, status = shown_board(context, scope, key, now)
    user = await read_user(context, scope, user_id)
    run = shown_run(board, day, user, now)
    group = group_of(board, user.attributes)
    if run is None or group is None:
        return UserStanding(board, status, run, 0, None)
    place = await context.ledger.place(board.number, run, [group], user)
    total = await context.ledger.size(board.number, run, [group])
    return UserStanding(board, status, run, total, None if place is None or place.rank is None else place)


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
