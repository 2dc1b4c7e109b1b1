"""Define metrics: create, change, delete."""

from __future__ import annotations

from collections.abc import Sequence

from palmares.domain.board import Board
from palmares.domain.errors import NotAllowed
from palmares.domain.metric import Metric, check_key, check_name, check_units
from palmares.service.bulk import Bulk, Finder, Item, changed, judge_and_save, named, take_key
from palmares.service.context import Context
from palmares.service.define_points import system_paying

_FIXED = {"key": "key"}


async def create_metrics(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Metric]:
    """Make metrics of items with the fields name, key and possibly unit_type and units."""
    async with context.catalog.changing():
        taken = set(context.catalog.definitions(scope).metric_by_key)

        def judge(item: Item) -> Metric:
            metric = _checked(Metric(number=0, id=context.new_id(), scope=scope, **item.fields))
            take_key(metric.key, taken, "metric")
            return metric

        return await judge_and_save(items, judge, context.catalog.save_metrics)


async def update_metrics(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Metric]:
    """Change the name, unit_type and units of metrics; their key never changes."""
    async with context.catalog.changing():
        metrics = Finder("metric", context.catalog.definitions(scope).metric_by_id)

        def judge(item: Item) -> Metric:
            return _checked(changed(metrics.find(item), item.fields, _FIXED))

        bulk = await judge_and_save(items, judge, context.catalog.save_metrics)
        _rename_in_ledger(context, scope, bulk.things)
        return bulk


async def delete_metrics(context: Context, scope: int, ids: Sequence[str]) -> Bulk[Metric]:
    """Delete metrics that no unfinished board ranks by, no streak counts and no trigger pays for.

    What was recorded stays in the log.
    """
    async with context.catalog.changing():
        definitions = context.catalog.definitions(scope)
        metrics = Finder("metric", definitions.metric_by_id)
        users = _unfinished_boards(definitions.boards, context.clock())

        def judge(item: Item) -> Metric:
            metric = metrics.find(item)
            if metric.number in users:
                board = users[metric.number].key
                raise NotAllowed(
                    f"the leaderboard {board!r}, which is not finished, ranks by it; finish or delete it first"
                )
            if definitions.streaks.uses(metric.number):
                raise NotAllowed("the streak settings name it; take it out of their metrics first")
            paying = system_paying(definitions, lambda trigger: trigger.metric.id == metric.id)
            if paying is not None:
                raise NotAllowed(f"a trigger of the points system {paying.key!r} pays for it; delete that first")
            return metric

        bulk = Bulk[Metric]()
        bulk.judge(named(ids), judge)
        await context.catalog.delete_metrics([metric.id for metric in bulk.things])
        return bulk


def _checked(metric: Metric) -> Metric:
    check_name(metric.name)
    check_key(metric.key)
    check_units(metric.unit_type, metric.units)
    return metric


def _unfinished_boards(boards: Sequence[Board], now: int) -> dict[int, Board]:
    """Boards that are not finished, one for each metric number that any ranks by."""
    return {board.metric.number: board for board in boards if board.metric and board.status_at(now) != "finished"}


def _rename_in_ledger(context: Context, scope: int, metrics: Sequence[Metric]) -> None:
    """A ledger's outcomes carry its own copy of each board, and a board that of its metric."""
    changed = {metric.number for metric in metrics}
    for board in context.catalog.definitions(scope).boards:
        if board.asked_status != "inactive" and board.metric and board.metric.number in changed:
            context.ledger.redefine(board)
