"""Define boards: create, change, delete.

The catalog is the truth about boards and the ledger follows it. A board is saved first, and then the ledger is told;
whoever dies in between finds, at the next start, the ledger following every board that is not inactive. A board that
is finished by hand is the other way round: its place in the log is only known when the ledger has stopped counting,
so it is saved last, and not at all if that fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from palmares.catalog.contract import Definitions
from palmares.domain.board import Board
from palmares.domain.board_change import Change, changed, created, keeps_rankings
from palmares.domain.errors import Invalid
from palmares.domain.local_time import day_of
from palmares.domain.metric import Attribute
from palmares.service.bulk import Bulk, Finder, Item, named
from palmares.service.context import Context


class _Step(NamedTuple):
    """A board before and after; a new one was inactive before."""

    before: Board
    after: Board

    @property
    def finishes(self) -> bool:
        """Whether the board is finished by hand in this step."""
        return self.after.asked_status == "finished" and self.before.asked_status != "finished"


async def create_boards(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Board]:
    """Make boards.

    The fields of an item are those of `Board`, but metric_id for the metric, attribute ids in `breakdown`, pairs of
    attribute id and value in `filters`, and in `status` the status asked for.
    """
    async with context.catalog.changing():
        definitions, now = context.catalog.definitions(scope), context.clock()
        taken = set(definitions.board_by_key)
        drafts = Bulk[Board]()

        def judge(item: Item) -> Board:
            fields = _resolved(item.fields, definitions)
            status = fields.pop("status", "inactive")
            draft = Board(number=0, id=context.new_id(), scope=scope, **{"start": day_of(now), **fields})
            change = created(draft, status, now)
            _take_key(change.board.key, taken)
            _remark(drafts, item, change)
            return change.board

        drafts.judge(items, judge)
        return Bulk(await _save_new(context, drafts.things), drafts.issues)


async def update_boards(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Board]:
    """Change boards; the fields of an item are those of `create_boards`, absent ones stay as they are."""
    async with context.catalog.changing():
        definitions, now = context.catalog.definitions(scope), context.clock()
        boards = Finder("leaderboard", definitions.board_by_id)
        taken = set(definitions.board_by_key)
        steps = Bulk[_Step]()

        def judge(item: Item) -> _Step:
            board = boards.find(item)
            change = changed(board, _resolved(item.fields, definitions), now)
            if change.board.key != board.key:
                _take_key(change.board.key, taken)
                taken.remove(board.key)
            _remark(steps, item, change)
            return _Step(board, change.board)

        steps.judge(items, judge)
        return Bulk(await _save(context, steps.things), steps.issues)


async def delete_boards(context: Context, scope: int, ids: Sequence[str]) -> Bulk[Board]:
    """Delete boards in whatever status, and their rankings with them. The events stay."""
    async with context.catalog.changing():
        boards = Finder("leaderboard", context.catalog.definitions(scope).board_by_id)
        bulk = Bulk[Board]()
        bulk.judge(named(ids), boards.find)
        await context.catalog.delete_boards([board.id for board in bulk.things])
        for board in bulk.things:
            if board.asked_status != "inactive":
                context.ledger.forget(board.number)
        return bulk


def _take_key(key: str, taken: set[str]) -> None:
    if key in taken:
        raise Invalid(f"key: there is a leaderboard with the key {key!r} already")
    taken.add(key)


def _remark(bulk: Bulk[Any], item: Item, change: Change) -> None:
    if change.remark is not None:
        bulk.warn(item, change.remark)


# From what an item names to what a board holds


def _resolved(fields: Mapping[str, Any], definitions: Definitions) -> dict[str, Any]:
    """The fields with metrics and attributes in place of their ids; `Invalid` for an id that names nothing usable."""
    resolved = dict(fields)
    if resolved.get("points_system_id") is not None:
        raise Invalid("pointsSystemId: unknown points system")
    if "metric_id" in resolved:
        metric_id = resolved.pop("metric_id")
        resolved["metric"] = metric_id if metric_id is None else definitions.metric_by_id.get(metric_id)
        if metric_id is not None and resolved["metric"] is None:
            raise Invalid("metricId: there is no metric with this id")
    if "breakdown" in resolved:
        keys = [_user_attribute(key, definitions, "breakdownAttributes") for key in resolved["breakdown"]]
        resolved["breakdown"] = tuple(keys)
    if "filters" in resolved:
        pairs = [(_user_attribute(key, definitions, "userAttributes"), value) for key, value in resolved["filters"]]
        resolved["filters"] = tuple(pairs)
    return resolved


def _user_attribute(attribute_id: str, definitions: Definitions, field: str) -> Attribute:
    attribute = definitions.attribute_by_id.get(attribute_id)
    if attribute is None:
        raise Invalid(f"{field}: there is no attribute with the id {attribute_id!r}")
    if attribute.kind != "user":
        raise Invalid(f"{field}: {attribute.key!r} is an attribute of events, not of users")
    return attribute


# Saving, and telling the ledger


async def _save_new(context: Context, drafts: Sequence[Board]) -> list[Board]:
    """Store new boards and let the ledger follow them; the stored ones, in the same order.

    One that begins finished is stored inactive first, since the ledger needs its number to count it.
    """
    first = [_inactive(board) if board.asked_status == "finished" else board for board in drafts]
    stored = await context.catalog.save_boards(first)
    steps = [
        _Step(_inactive(board), replace(draft, number=board.number))
        for board, draft in zip(stored, drafts, strict=True)
    ]
    for step in steps:
        if not step.finishes:
            await _tell_ledger(context, step)
    return [await _finish(context, step) if step.finishes else step.after for step in steps]


async def _save(context: Context, steps: Sequence[_Step]) -> list[Board]:
    """Store changed boards and let the ledger follow them; the stored ones, in the same order."""
    finishing = [step for step in steps if step.finishes]
    others = [step for step in steps if not step.finishes]
    await context.catalog.save_boards([step.after for step in others if step.after != step.before])
    for step in others:
        await _tell_ledger(context, step)
    finished = {step.after.id: await _finish(context, step) for step in finishing}
    return [finished.get(step.after.id, step.after) for step in steps]


async def _tell_ledger(context: Context, step: _Step) -> None:
    """Let the ledger follow a board as it is now, with as little work as that takes."""
    before, after = step
    if after.asked_status == "inactive":
        if before.asked_status != "inactive":
            context.ledger.forget(after.number)
    elif before.asked_status == "inactive" or not keeps_rankings(before, after, context.clock()):
        await context.ledger.follow(after)
    elif after != before:
        context.ledger.redefine(after)


async def _finish(context: Context, step: _Step) -> Board:
    """Stop counting on a board and store where in the log that was; if anything fails, all is as it was before."""
    try:
        await _tell_ledger(context, step)
        position = await context.ledger.freeze(step.after.number)
        [board] = await context.catalog.save_boards([replace(step.after, finished_position=position)])
    except Exception:
        await _restore(context, step.before)
        raise
    context.ledger.redefine(board)
    return board


async def _restore(context: Context, board: Board) -> None:
    if board.asked_status == "inactive":
        context.ledger.forget(board.number)
    else:
        await context.ledger.follow(board)


def _inactive(board: Board) -> Board:
    return replace(board, asked_status="inactive")
