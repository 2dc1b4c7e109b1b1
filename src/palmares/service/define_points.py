"""Define points systems and their triggers: create, change, delete.

The catalog is the truth about them. The ledger is told by what it pays after every change, and at each start, so that
nothing is missed where a server died in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from palmares.catalog.contract import Definitions
from palmares.domain.errors import Invalid, NotAllowed, NotFound
from palmares.domain.metric import Attribute, AttributeKind
from palmares.domain.points import Filters, PointsSystem, PointsTrigger, check_system, check_trigger, schemes_of
from palmares.service.attributes import attribute_with
from palmares.service.bulk import Bulk, Finder, Item, changed, judge_and_save, named, take_key
from palmares.service.context import Context

_FIXED = {"key": "key"}
# What may come along with a new system, and what becomes of it.
_UNSUPPORTED = ("levels", "boosts")


class Within(NamedTuple):
    """The points system that triggers belong to, by its id."""

    scope: int
    system_id: str


async def pay(context: Context, scope: int) -> None:
    """Let the ledger pay by the points systems of a scope as they are defined now."""
    await context.ledger.set_points(scope, schemes_of(context.catalog.definitions(scope).points_systems))


async def create_points_systems(context: Context, scope: int, items: Sequence[Item]) -> Bulk[PointsSystem]:
    """Make points systems of items with the fields of `PointsSystem`; one in `triggers` as for `create_triggers`.

    What is not supported of levels and boosts is left out, with a remark.
    """
    async with context.catalog.changing():
        definitions, now = context.catalog.definitions(scope), context.clock()
        taken = set(definitions.points_system_by_key)
        bulk = Bulk[PointsSystem]()

        def judge(item: Item) -> PointsSystem:
            fields = dict(item.fields)
            left_out = [name for name in _UNSUPPORTED if fields.pop(name, None)]
            triggers = tuple(
                _accompanying(context, definitions, place, one, now)
                for place, one in enumerate(fields.pop("triggers", ()))
            )
            system = PointsSystem(number=0, id=context.new_id(), scope=scope, triggers=triggers, **fields)
            take_key(check_system(system).key, taken, "points system")
            for name in left_out:
                bulk.warn(item, f"{name}: not supported; the points system is made without them")
            return system

        bulk.judge(items, judge)
        bulk.things = await context.catalog.save_points_systems(bulk.things)
        await pay(context, scope)
        return bulk


async def update_points_systems(context: Context, scope: int, items: Sequence[Item]) -> Bulk[PointsSystem]:
    """Change points systems but for their triggers; their key never changes."""
    async with context.catalog.changing():
        systems = Finder("points system", context.catalog.definitions(scope).points_system_by_id)

        def judge(item: Item) -> PointsSystem:
            return check_system(changed(systems.find(item), item.fields, _FIXED))

        bulk = await judge_and_save(items, judge, context.catalog.save_points_systems)
        await pay(context, scope)
        _rename_in_ledger(context, scope, bulk.things)
        return bulk


async def delete_points_systems(context: Context, scope: int, ids: Sequence[str]) -> Bulk[PointsSystem]:
    """Delete points systems that no unfinished board ranks by. What was paid stays in the log."""
    async with context.catalog.changing():
        definitions, now = context.catalog.definitions(scope), context.clock()
        systems = Finder("points system", definitions.points_system_by_id)
        unfinished = [board for board in definitions.boards if board.status_at(now) != "finished"]
        users = {board.points_system.id: board for board in unfinished if board.points_system}

        def judge(item: Item) -> PointsSystem:
            system = systems.find(item)
            if system.id in users:
                raise NotAllowed(f"the leaderboard {users[system.id].key!r}, which is not finished, ranks by it")
            return system

        bulk = Bulk[PointsSystem]()
        bulk.judge(named(ids), judge)
        await context.catalog.delete_points_systems([system.id for system in bulk.things])
        await pay(context, scope)
        return bulk


async def create_triggers(context: Context, within: Within, items: Sequence[Item]) -> Bulk[PointsTrigger]:
    """Make triggers of a points system; `NotFound` when there is no such system.

    The fields of an item are those of `PointsTrigger`, but metric_id for the metric, pairs of attribute id and value
    in the filters, and in `type` what kind of trigger it is, of which only `metric` is supported.
    """
    async with context.catalog.changing():
        definitions, now = context.catalog.definitions(within.scope), context.clock()
        system = system_within(definitions, within)
        bulk = Bulk[PointsTrigger]()
        bulk.judge(items, lambda item: _new_trigger(context, definitions, item.fields, now))
        return await _save(context, replace(system, triggers=(*system.triggers, *bulk.things)), bulk)


async def update_triggers(context: Context, within: Within, items: Sequence[Item]) -> Bulk[PointsTrigger]:
    """Change triggers; the fields of an item are those of `create_triggers`, absent ones stay as they are."""
    async with context.catalog.changing():
        definitions, now = context.catalog.definitions(within.scope), context.clock()
        system = system_within(definitions, within)
        triggers = Finder("trigger", triggers_of(system))

        def judge(item: Item) -> PointsTrigger:
            present = triggers.find(item)
            after = check_trigger(replace(present, **_resolved(item.fields, definitions)))
            return after if after == present else replace(after, updated=now)

        bulk = Bulk[PointsTrigger]()
        bulk.judge(items, judge)
        after = {trigger.id: trigger for trigger in bulk.things}
        changed_ones = tuple(after.get(trigger.id, trigger) for trigger in system.triggers)
        return await _save(context, replace(system, triggers=changed_ones), bulk)


async def delete_triggers(context: Context, within: Within, ids: Sequence[str]) -> Bulk[PointsTrigger]:
    """Delete triggers. What they have paid stays paid."""
    async with context.catalog.changing():
        system = system_within(context.catalog.definitions(within.scope), within)
        bulk = Bulk[PointsTrigger]()
        bulk.judge(named(ids), Finder("trigger", triggers_of(system)).find)
        await context.catalog.delete_points_triggers([trigger.id for trigger in bulk.things], context.clock())
        await pay(context, within.scope)
        return bulk


def system_within(definitions: Definitions, within: Within) -> PointsSystem:
    """The points system that triggers belong to, or `NotFound`."""
    system = definitions.points_system_by_id.get(within.system_id.lower())
    if system is None:
        raise NotFound(f"points system {within.system_id[:64]!r} was not found")
    return system


def triggers_of(system: PointsSystem) -> dict[str, PointsTrigger]:
    """The triggers of a system by their ids."""
    return {trigger.id: trigger for trigger in system.triggers}


def system_paying(definitions: Definitions, uses: Callable[[PointsTrigger], bool]) -> PointsSystem | None:
    """A points system that has a trigger which uses something, if there is one."""
    return next((system for system in definitions.points_systems if any(map(uses, system.triggers))), None)


def filtered_by(trigger: PointsTrigger) -> list[Attribute]:
    """The attributes that decide what a trigger pays for."""
    return [attribute for attribute, _ in (*trigger.user_filters, *trigger.event_filters)]


async def _save(context: Context, system: PointsSystem, bulk: Bulk[PointsTrigger]) -> Bulk[PointsTrigger]:
    if bulk.things:
        await context.catalog.save_points_systems([system])
    await pay(context, system.scope)
    return bulk


def _new_trigger(context: Context, definitions: Definitions, given: Mapping[str, Any], now: int) -> PointsTrigger:
    fields = _resolved(given, definitions)
    for name, wire_name in (("metric", "metricId"), ("threshold", "metricThreshold")):
        if name not in fields:
            raise Invalid(f"{wire_name}: a trigger of the type metric needs one")
    return check_trigger(PointsTrigger(id=context.new_id(), created=now, updated=now, **fields))


def _resolved(given: Mapping[str, Any], definitions: Definitions) -> dict[str, Any]:
    """The fields with the metric and attributes in place of their ids."""
    fields = dict(given)
    kind = fields.pop("type", "metric")
    if kind != "metric":
        raise Invalid(f"type: triggers of the type {kind} are not supported; use metric")
    if "metric_id" in fields:
        fields["metric"] = definitions.metric_by_id.get(fields.pop("metric_id"))
        if fields["metric"] is None:
            raise Invalid("metricId: there is no metric with this id")
    if "user_filters" in fields:
        fields["user_filters"] = _filters(definitions, fields["user_filters"], "user", "userAttributes")
    if "event_filters" in fields:
        fields["event_filters"] = _filters(definitions, fields["event_filters"], "event", "eventAttributes")
    return fields


def _filters(definitions: Definitions, pairs: Sequence[tuple[str, str]], kind: AttributeKind, field: str) -> Filters:
    return tuple((attribute_with(definitions, attribute_id, kind, field), value) for attribute_id, value in pairs)


def _accompanying(
    context: Context, definitions: Definitions, place: int, given: Mapping[str, Any], now: int
) -> PointsTrigger:
    """A new trigger that comes along with its system; what is wrong with it is told with its place."""
    try:
        return _new_trigger(context, definitions, given, now)
    except Invalid as error:
        raise Invalid(f"triggers[{place}].{error.message}") from None


def _rename_in_ledger(context: Context, scope: int, systems: Sequence[PointsSystem]) -> None:
    """A ledger's outcomes carry its own copy of each board, and a board that of its points system."""
    ids = {system.id for system in systems}
    for board in context.catalog.definitions(scope).boards:
        if board.asked_status != "inactive" and board.points_system and board.points_system.id in ids:
            context.ledger.redefine(board)
