"""Define boards: create, change, delete.

The catalog is the truth about boards, and at each start the ledger follows those that are not inactive. An inactive
board that becomes anything else is saved as one in the making, and is seen when its rankings are complete
(`activate.py`). When another board needs other rankings, the ledger makes them first and the board is saved when they
are complete. A board whose past leads out of the range of values becomes an issue and stays as it was. Everything else
is saved first and then told to the ledger.
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
from palmares.service.activate import Patience, inactive
from palmares.service.attributes import attribute_with
from palmares.service.bulk import Bulk, Finder, Item, named, take_key
from palmares.service.context import Context

_IN_THE_MAKING = (
    "status: inactive until its rankings are made from the events of the past; progress tells how far that is"
)


class _Step(NamedTuple):
    """What an item makes of a board. A new one was inactive before, and goes if it cannot become what was asked."""

    item: Item
    before: Board
    after: Board
    new: bool = False

    @property
    def begins(self) -> bool:
        """Whether the rankings of a board that nobody sees are to be made."""
        unseen = self.before.asked_status == "inactive" or not self.before.ready
        return unseen and self.after.asked_status != "inactive"

    @property
    def leaves_the_making_alone(self) -> bool:
        """Whether what is being made of the board is still what is asked for."""
        words = {name: getattr(self.after, name) for name in ("key", "name", "description", "ready")}
        return not self.before.ready and replace(self.before, **words) == self.after


async def create_boards(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Board]:
    """Make boards.

    The fields of an item are those of `Board`, but metric_id and points_system_id for these, attribute ids in
    `breakdown`, pairs of attribute id and value in `filters`, and in `status` the status asked for.
    """
    async with context.catalog.changing():
        definitions, now = context.catalog.definitions(scope), context.clock()
        taken = set(definitions.board_by_key)
        drafts = Bulk[_Step]()

        def judge(item: Item) -> _Step:
            fields = _resolved(item.fields, definitions)
            status = fields.pop("status", "inactive")
            draft = Board(number=0, id=context.new_id(), scope=scope, **{"start": day_of(now), **fields})
            change = created(draft, status, now)
            take_key(change.board.key, taken, "leaderboard")
            _remark(drafts, item, change)
            return _Step(item, inactive(change.board), change.board, new=True)

        drafts.judge(items, judge)
        # The ledger needs a board's number, so all are stored before any becomes active.
        stored = await context.catalog.save_boards([step.before for step in drafts.things])
        drafts.things = [
            step._replace(before=board, after=replace(step.after, number=board.number))
            for step, board in zip(drafts.things, stored, strict=True)
        ]
        return await _apply_all(context, drafts)


async def update_boards(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Board]:
    """Change boards; the fields of an item are those of `create_boards`, absent ones stay as they are."""
    async with context.catalog.changing():
        definitions, now = context.catalog.definitions(scope), context.clock()
        boards = Finder("leaderboard", definitions.board_by_id)
        taken = set(definitions.board_by_key)
        steps = Bulk[_Step]()

        def judge(item: Item) -> _Step:
            board = boards.find(item)
            fields = _resolved(item.fields, definitions)
            # Nobody has seen a board in the making, so it may change like an inactive one, and is still asked for.
            seen, asked = (board, {}) if board.ready else (inactive(board), {"status": board.asked_status})
            change = changed(seen, asked | fields, now)
            if change.board.key != board.key:
                take_key(change.board.key, taken, "leaderboard")
                taken.remove(board.key)
            if board.ready or "status" in fields:
                _remark(steps, item, change)
            return _Step(item, board, change.board)

        steps.judge(items, judge)
        return await _apply_all(context, steps)


async def delete_boards(context: Context, scope: int, ids: Sequence[str]) -> Bulk[Board]:
    """Delete boards in whatever status, and their rankings with them. The events stay."""
    async with context.catalog.changing():
        boards = Finder("leaderboard", context.catalog.definitions(scope).board_by_id)
        bulk = Bulk[Board]()
        bulk.judge(named(ids), boards.find)
        await context.catalog.delete_boards([board.id for board in bulk.things])
        await let_go(context, bulk.things)
        return bulk


async def let_go(context: Context, boards: Sequence[Board]) -> None:
    """Forget the rankings of boards that are gone from the catalog, and give up what is being made of them."""
    for board in boards:
        await context.activations.stop(board.number)
        if board.asked_status != "inactive":
            context.ledger.forget(board.number)


def _remark(bulk: Bulk[Any], item: Item, change: Change) -> None:
    if change.remark is not None:
        bulk.warn(item, change.remark)


# From what an item names to what a board holds


def _resolved(fields: Mapping[str, Any], definitions: Definitions) -> dict[str, Any]:
    """The fields with metrics and attributes in place of their ids; `Invalid` for an id that names nothing usable."""
    resolved = dict(fields)
    if "points_system_id" in resolved:
        system_id = resolved.pop("points_system_id")
        system = None if system_id is None else definitions.points_system_by_id.get(system_id)
        if system_id is not None and system is None:
            raise Invalid("pointsSystemId: there is no points system with this id")
        resolved["points_system"] = system and system.counter
    if "metric_id" in resolved:
        metric_id = resolved.pop("metric_id")
        resolved["metric"] = metric_id if metric_id is None else definitions.metric_by_id.get(metric_id)
        if metric_id is not None and resolved["metric"] is None:
            raise Invalid("metricId: there is no metric with this id")
    if "breakdown" in resolved:
        keys = [attribute_with(definitions, key, "user", "breakdownAttributes") for key in resolved["breakdown"]]
        resolved["breakdown"] = tuple(keys)
    if "filters" in resolved:
        pairs = [
            (attribute_with(definitions, key, "user", "userAttributes"), value) for key, value in resolved["filters"]
        ]
        resolved["filters"] = tuple(pairs)
    return resolved


# Saving, and telling the ledger


async def _apply_all(context: Context, steps: Bulk[_Step]) -> Bulk[Board]:
    """Make boards what their items ask, one after the other; one that cannot be counted becomes an issue."""
    applied = Bulk[Board](issues=steps.issues)
    async with context.activations.patience() as patience:
        for place, step in enumerate(steps.things):
            try:
                board = await _apply(context, step, patience)
            except Invalid as error:
                await _take_back(context, [step])
                applied.refuse(step.item, error.message)
                continue
            except Exception:
                await _take_back(context, steps.things[place:])
                raise
            applied.things.append(board)
            if not board.ready:
                applied.warn(step.item, _IN_THE_MAKING)
    await context.take_note()
    return applied


async def _take_back(context: Context, steps: Sequence[_Step]) -> None:
    """Delete the new boards of steps that were not taken."""
    new = [step.before.id for step in steps if step.new]
    if new:
        await context.catalog.delete_boards(new)


async def _apply(context: Context, step: _Step, patience: Patience) -> Board:
    """Make a board what is asked; if anything fails, all is as it was before."""
    before, after = step.before, step.after
    if after == before:
        return after
    if step.leaves_the_making_alone:
        [making] = await context.catalog.save_boards([replace(after, ready=False)])
        return making
    if step.begins:
        return await _begin(context, step, patience)
    if after.asked_status == "finished" and before.asked_status == "active":
        return await _finish(context, step)
    if after.asked_status != "inactive" and not keeps_rankings(before, after, context.clock()):
        return await _follow(context, step)
    await context.catalog.save_boards([after])
    if after.asked_status != "inactive":
        context.ledger.redefine(after)
    elif before.asked_status != "inactive":
        await _let_go(context, after.number)
    return after


async def _begin(context: Context, step: _Step, patience: Patience) -> Board:
    """Let the rankings of a board be made; it comes back as one in the making when that takes long."""
    [board] = await context.catalog.save_boards([replace(step.after, ready=False)])
    try:
        await context.activations.stop(board.number)
        complete = await context.activations.begin(step.after, patience)
        if complete is not None:
            [board] = await context.catalog.save_boards([complete])
    except Exception:
        await _let_go(context, board.number)
        try:
            [board] = await context.catalog.save_boards([step.before])
        finally:
            # It was in the making before, or the catalog could not be told that it is not.
            if not board.ready:
                context.activations.go_on(board)
        raise
    if board.finished_position is not None:
        context.ledger.redefine(board)
    return board


async def _let_go(context: Context, board_number: int) -> None:
    """Forget the rankings of a board, and what is being made of them."""
    await context.activations.stop(board_number)
    context.ledger.forget(board_number)


async def _finish(context: Context, step: _Step) -> Board:
    """Stop counting on an active board and store where in the log that was."""
    saved: list[Board] = []

    async def note(position: int) -> None:
        saved[:] = await context.catalog.save_boards([replace(step.after, finished_position=position)])

    try:
        if keeps_rankings(step.before, step.after, context.clock()):
            context.ledger.redefine(step.after)
        else:
            await context.ledger.follow(step.after)
        await context.ledger.freeze(step.after.number, note)
    except Exception:
        await context.ledger.follow(step.before)
        raise
    context.ledger.redefine(saved[0])
    return saved[0]


async def _follow(context: Context, step: _Step) -> Board:
    """Give an active board other rankings; until they are complete, the former ones are read."""
    await context.ledger.follow(step.after)
    try:
        await context.catalog.save_boards([step.after])
    except Exception:
        await context.ledger.follow(step.before)
        raise
    return step.after
